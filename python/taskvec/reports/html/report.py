"""``report``: the page of a stored result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import TaskvecError, printable
from ...queries.answers import read_answers
from ...queries.labels import Labels, read_labels
from ...queries.mapping import check_map
from ...queries.paper import check_adam
from ...queries.stored import open_result
from ..places import check_file
from .document import Projections, built, projected
from .methods import sweep_command
from .packing import Pack
from .page import page
from .read import Read
from .sheets import check_data, write_sheets

if TYPE_CHECKING:
    import xarray as xr


def check_report(out: Path, *, overwrite: bool) -> None:
    """TaskvecError, before any work, when a report must not be written to ``out``."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise TaskvecError("is no name for a report", where=out, expected="a name that ends in .html")
    check_file(out, overwrite=overwrite)


def by_adam(dataset: xr.Dataset, paths: Sequence[str | Path]) -> list[xr.Dataset]:
    """The results of Adam there; TaskvecError for others."""
    found = {str(path): open_result(path) for path in paths}
    check_adam(dataset, found)
    return list(found.values())


def report(
    result: str | Path,
    out: str | Path,
    *,
    labels: str | Path | None = None,
    answers: str | Path | None = None,
    data: str | Path | None = None,
    projections: Projections | None = None,
    mapped: str = "mds",
    overwrite: bool = False,
    command: str | None = None,
    adam: Sequence[str | Path] = (),
) -> Path:
    """Write the report of a result: one HTML file that opens offline.

    Args:
        result: the folder that ``sweep`` wrote.
        out: the file, .html.
        labels: a CSV file with the column adapter and any of task, seed, author, run, model, family, and scores. They
            colour the map; adapters of one task are its runs, for verdicts and the paper's tables.
        answers: JSON lines with adapter, prompt, base and answer, shown side by side.
        data: a folder for every table as CSV and Parquet; needs pyarrow.
        projections: gives the projections of pairs of adapters, by their names, both directions; from them is S₂, which
            a result does not keep.
        mapped: the map: "mds", classical MDS of 1 − cosine, or "umap", which needs umap-learn.
        overwrite: replace a file of that name, and write into a folder that is not empty.
        command: how the report was asked for, to be shown among its methods.
        adam: results of the same adapters by ``method="adam"``, which stand beside this one in table 6.

    Returns:
        ``out``.

    Raises:
        TaskvecError: no such result, one of a single adapter, files that cannot be read, or ``out`` that cannot be
            written.

    Cost:
        Some four passes over the stored results; 10 (N, N) arrays of fp32, and the tree of N adapters.
    """
    out = Path(out)
    check_report(out, overwrite=overwrite)
    if data is not None:
        check_data(Path(data), overwrite=overwrite)
    dataset = open_result(result)
    names: Sequence[str] = dataset["source"].values.tolist()
    check_map(mapped, len(names))
    known = Labels() if labels is None else read_labels(Path(labels), names)
    recorded = [] if answers is None else read_answers(Path(answers), names)
    read, pack = Read.of(dataset, known, adam=by_adam(dataset, adam)), Pack()
    commands = [sweep_command(dataset.attrs, Path(result).name), command or f"taskvec report {result} -o {out}"]
    if projections is not None:
        projected(read, pack, projections)
    document = built(read, pack, recorded, commands, mapped)
    title = f"Which task is included in which: {printable(Path(result).name)}"
    out.write_text(page(title, document, pack.text()), encoding="utf-8")
    if data is not None:
        write_sheets(read.sheets, Path(data))
    return out
