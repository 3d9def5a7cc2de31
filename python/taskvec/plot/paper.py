"""The paper's tables and figures of a result, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..queries.labels import Labels, read_labels
from ..queries.stored import open_result
from ..queries.task_curves import TaskCurve, task_curves
from ..reports.html.paper import pairs_of_tables
from ..reports.html.read import Read
from ..reports.html.report import by_adam
from ..reports.html.typeset import latex, markdown
from ..reports.places import check_folder
from .axes import COLOURS, MARKERS, PAGE, SMALL, new_axes, shown_name, whole_numbers
from .curves import TITLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = {"figure_2": "l1", "figure_3": "rec", "captured": "captured"}  # the last one is ours
MOST_LINES = 6
MOST_KINDS = 4


def check_paper(folder: Path, *, overwrite: bool) -> None:
    """TaskvecError, before any work, when the files must not be written to ``folder``, or without matplotlib."""
    check_folder(folder, overwrite=overwrite)
    new_axes(None, 1)


def paper(
    result: str | Path,
    folder: str | Path,
    *,
    labels: str | Path | None = None,
    adam: Sequence[str | Path] = (),
    overwrite: bool = False,
) -> list[Path]:
    """Write the paper's tables 2 to 7, 10 and 11 and its figures 2 and 3, as far as the result has them.

    Args:
        result: the folder that ``sweep`` wrote.
        folder: for tables.md, tables.tex, and PDF figures: figure_2 (L₁), figure_3 (REC) and captured along the layers,
            a row a model, a column a kind of module, a line a pair of tasks with its interval over pairs of runs.
        labels: a CSV file with the column adapter and any of task, model, family and scores, as of ``report``.
        adam: results of the same adapters by ``method="adam"``, which stand beside this one in table 6.
        overwrite: write into a folder that is not empty.

    Returns:
        The files.

    Raises:
        TaskvecError: no such result, files that cannot be read, a folder that cannot be written, or no matplotlib.
    """
    folder = Path(folder)
    check_paper(folder, overwrite=overwrite)
    dataset = open_result(result)
    names: Sequence[str] = dataset["source"].values.tolist()
    read = Read.of(
        dataset, Labels() if labels is None else read_labels(Path(labels), names), adam=by_adam(dataset, adam)
    )
    folder.mkdir(exist_ok=True)
    written = [folder / "tables.md", folder / "tables.tex"]
    written[0].write_text(markdown(read.paper), encoding="utf-8")
    written[1].write_text(latex(read.paper), encoding="utf-8")
    ends = pairs_of_tables(read.names, (read.source, read.target), read.labels)
    for name, metric in FIGURES.items():
        if curves := task_curves(read.dataset, *ends, read.labels, metric):
            written.append(folder / f"{name}.pdf")
            layer_figure(curves, TITLES[metric]).savefig(written[-1])
    return written


def layer_figure(curves: Sequence[TaskCurve], title: str) -> Figure:
    """Panels of models and kinds of modules that share the y axis; the first MOST_LINES projections."""
    from matplotlib.figure import Figure

    models = list(dict.fromkeys((one.family, one.model) for one in curves))
    kinds = list(dict.fromkeys(one.kind for one in curves))[:MOST_KINDS]
    lines = list(dict.fromkeys(one.projection for one in curves))[:MOST_LINES]
    figure = Figure(figsize=(PAGE, 0.6 + 1.9 * len(models)), layout="constrained")
    grid: Any = figure.subplots(len(models), len(kinds), sharex=True, sharey=True, squeeze=False)
    for one in curves:
        if one.kind not in kinds or one.projection not in lines:
            continue
        k = lines.index(one.projection)
        axes = grid[models.index((one.family, one.model)), kinds.index(one.kind)]
        label = shown_name(one.projection, 40)
        colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
        axes.plot(one.layers, one.mean, marker=marker, ms=2.5, lw=1, color=colour, label=label)
        if not np.isnan(one.low).all():
            axes.fill_between(one.layers, one.low, one.high, color=colour, alpha=0.15, lw=0)
    for (row, column), axes in np.ndenumerate(grid):
        of = " ".join(filter(None, models[row]))
        axes.set_title(shown_name(", ".join(filter(None, (of, kinds[column]))), 40), fontsize=SMALL + 1)
        axes.tick_params(labelsize=SMALL)
        axes.grid(alpha=0.3, lw=0.5)
        whole_numbers(axes)
    for axes in grid[-1]:
        axes.set_xlabel("layer", fontsize=SMALL + 1)
    for axes in grid[:, 0]:
        axes.set_ylabel(title, fontsize=SMALL + 1)
    keys: dict[str, Any] = {}
    for axes in grid.flat:
        keys |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        list(keys.values()), list(keys), fontsize=SMALL - 1, frameon=False, loc="outside lower center", ncols=3
    )
    return figure
