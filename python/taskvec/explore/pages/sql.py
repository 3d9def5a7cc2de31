"""A box for SQL over the tables of the result."""

from __future__ import annotations

from typing import Any

from ...errors import TaskvecError, printable
from ..database import ROWS, SECONDS
from .page import Asked, Document, field

EXAMPLE = """\
SELECT source, target, captured, captured_back, q
FROM pairs WHERE q <= 0.05 AND captured > 2 * captured_back
ORDER BY captured DESC LIMIT 20"""
LONGEST = 2000  # characters of a cell


def sql(asked: Asked) -> Document:
    query = asked.address.text("query")
    document: Document = {
        "form": [field("query", "SQL", query or EXAMPLE, kind="sql")],
        "shape": [[table, [list(one) for one in columns]] for table, columns in asked.view.database.shape().items()],
        "limits": {"rows": ROWS, "seconds": SECONDS},
        "every_pair": asked.view.every_pair,
    }
    if not query:
        return document
    try:
        answer = asked.view.database.ask(query)
    except TaskvecError as error:
        return {**document, "error": str(error)}
    rows = [[cell(value) for value in row] for row in answer.rows]
    found = {"columns": [printable(name) for name in answer.columns], "rows": rows, "more": answer.more}
    return {**document, "answer": {**found, "seconds": answer.seconds}}


def cell(value: Any) -> Any:
    """A number, or text to read."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return printable(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")
