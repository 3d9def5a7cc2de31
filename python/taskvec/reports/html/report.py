"""``report``: the page of a stored result."""

from __future__ import annotations

from pathlib import Path

from ...errors import TaskvecError, printable
from ...queries.stored import open_result
from .document import Read, built
from .packing import Pack
from .page import page


def check_report(out: Path, *, overwrite: bool) -> None:
    """TaskvecError, before any work, when a report must not be written to ``out``."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise TaskvecError("is no name for a report", where=out, expected="a name that ends in .html")
    if not out.parent.is_dir():
        raise TaskvecError("the folder does not exist", where=out.parent, fix="create it first")
    if out.exists() and not overwrite:
        raise TaskvecError("exists", where=out, fix="choose another name, or replace it with --overwrite")


def report(result: str | Path, out: str | Path, *, overwrite: bool = False) -> Path:
    """Write the report of a result: one HTML file that opens offline.

    Args:
        result: the folder that ``sweep`` wrote.
        out: the file, .html.
        overwrite: replace a file of that name.

    Returns:
        ``out``.

    Raises:
        TaskvecError: no such result, one of a single adapter, or ``out`` cannot be written.

    Cost:
        Three passes over the stored results; some 10 (N, N) arrays of fp64.
    """
    out = Path(out)
    check_report(out, overwrite=overwrite)
    dataset = open_result(result)
    if "lam" in dataset.dims:
        dataset = dataset.isel(lam=0)
    pack = Pack()
    read = Read.of(dataset, {})
    document = built(read, pack)
    title = f"Which task is included in which: {printable(Path(result).name)}"
    out.write_text(page(title, document, pack.text()), encoding="utf-8")
    return out
