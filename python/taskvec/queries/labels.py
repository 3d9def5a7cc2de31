"""What people know of adapters that their files do not say: task, seed, author, run, scores."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import TaskvecError

REPEATS = ("group", "task")  # columns of which equal values are repeats of one task; the first that is there
NO_SCORES = ("seed", "run", "rank")  # numbers that are no scores


@dataclass(frozen=True)
class Labels:
    """Of adapters, by column.

    Attributes:
        columns: names of the columns but ``adapter``.
        values: by column, then by adapter; an adapter without a label has none.
    """

    columns: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, column: str, adapter: str) -> str:
        """Empty without one."""
        return self.values.get(column, {}).get(adapter, "")

    @property
    def task(self) -> str | None:
        """The column that says which adapters are repeats of one task."""
        return next((column for column in REPEATS if column in self.columns), None)

    @property
    def groups(self) -> Mapping[str, str]:
        """The task of each adapter that has one."""
        return self.values[self.task] if self.task else {}

    @property
    def scores(self) -> tuple[str, ...]:
        """Columns of numbers."""
        some = (column for column in self.columns if column not in NO_SCORES and self.values[column])
        return tuple(column for column in some if all(is_number(text) for text in self.values[column].values()))


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_labels(path: Path, names: Sequence[str]) -> Labels:
    """From a CSV file with a column adapter and any others; an empty cell is no label.

    Args:
        path: of the file; it need not name every adapter.
        names: of the adapters of the result.

    Raises:
        TaskvecError: no such file or column, an adapter that is not in the result, or one that is named twice.
    """
    columns: dict[str, dict[str, str]] = {}
    for name, row in rows_of(path, names, ("adapter",)):
        for column, text in row.items():
            columns.setdefault(column, {})
            if text:
                columns[column][name] = text
    return Labels(tuple(columns), columns)


def rows_of(path: Path, names: Sequence[str], needed: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a CSV file of adapters: the name and the other columns; ``TaskvecError`` as ``read_labels``."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TaskvecError(f"cannot be read as CSV ({error})", where=path) from error
    if not set(needed) <= set(columns):
        fix = f"a first line with {'the columns' if len(needed) > 1 else 'a column'} {','.join(needed)}"
        what = f"does not have the column{'s' if len(needed) > 1 else ''} {' and '.join(needed)}"
        raise TaskvecError(what, where=path, got=", ".join(columns), fix=fix)
    known, seen = set(names), set()
    for line, row in enumerate(rows, start=2):
        name = row["adapter"] or ""
        if name not in known:
            some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise TaskvecError(f"line {line}: no adapter has this name", where=path, got=repr(name), expected=some)
        if name in seen:
            raise TaskvecError(f"line {line}: the adapter {name!r} comes twice", where=path, fix="remove one line")
        seen.add(name)
        yield name, {column: row[column] or "" for column in columns if column != "adapter"}
