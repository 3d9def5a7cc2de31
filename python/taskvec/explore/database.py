"""A result as tables of DuckDB: what the pages ask for, and a place for a person's own SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Timer
from time import perf_counter
from typing import TYPE_CHECKING, Any

import duckdb

from ..errors import TaskvecError

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]
    import pyarrow as pa  # type: ignore[import-untyped]

SECONDS = 5.0  # that a person's query may take
ROWS = 1000  # that are shown of it
# no file, no network, no further code; the last one keeps the others as they are
SETTINGS = {
    "memory_limit": "'2GB'",
    "threads": "2",
    "temp_directory": "''",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "enable_external_access": "false",
    "lock_configuration": "true",
}
VIEWS = """
CREATE VIEW pairs AS
SELECT one.adapter AS source, other.adapter AS target, pair_rows.* FROM pair_rows
JOIN adapters AS one ON one.place = source_at JOIN adapters AS other ON other.place = target_at
"""


@dataclass(frozen=True)
class Answer:
    """Of a person's query: names of the columns, rows, whether there are more, and the time."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    more: bool
    seconds: float


class Database:
    """Tables in memory; nothing changes them.

    Args:
        tables: by name; ``pair_rows`` and ``adapters`` are among them.
    """

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self.connection = duckdb.connect(":memory:")
        for name, table in tables.items():
            self.connection.register("given", table)
            self.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM given")
            self.connection.unregister("given")
        self.connection.execute(VIEWS)
        for name, value in SETTINGS.items():
            self.connection.execute(f"SET {name} = {value}")

    def frame(self, query: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """Rows of a query of ours."""
        with self.connection.cursor() as cursor:
            return cursor.execute(query, parameters).df()

    def one(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """The only value of a query of ours."""
        with self.connection.cursor() as cursor:
            row = cursor.execute(query, parameters).fetchone()
        return row[0] if row else None

    def shape(self) -> dict[str, list[tuple[str, str]]]:
        """The columns of every table, with their types."""
        found: dict[str, list[tuple[str, str]]] = {}
        with self.connection.cursor() as cursor:
            query = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
            query = query.replace("ORDER BY ALL", "ORDER BY table_name, column_index")
            for table, column, kind in cursor.execute(query).fetchall():
                found.setdefault(table, []).append((column, kind))
        return found

    def ask(self, query: str, rows: int = ROWS, seconds: float = SECONDS) -> Answer:
        """A person's query: one that reads, within limits.

        Raises:
            TaskvecError: it is no single SELECT, DuckDB refuses it, or it takes too long.
        """
        start = perf_counter()
        with self.connection.cursor() as cursor:
            timer = Timer(seconds, cursor.interrupt)
            timer.start()
            try:
                statements = cursor.extract_statements(query)
                if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                    raise TaskvecError(
                        "only one SELECT is answered", got=query[:80], fix="taskvec explore changes nothing"
                    )
                cursor.execute("BEGIN TRANSACTION READ ONLY")
                cursor.execute(statements[0])
                columns = [str(one[0]) for one in cursor.description or ()]
                found = cursor.fetchmany(rows + 1)
            except duckdb.InterruptException as error:
                what = f"the query took more than {seconds:g} s"
                raise TaskvecError(
                    what, fix="ask for less, or use DuckDB on the tables of taskvec report --data"
                ) from error
            except duckdb.Error as error:
                raise TaskvecError(str(error)) from error
            finally:
                timer.cancel()
        return Answer(columns, found[:rows], len(found) > rows, perf_counter() - start)
