"""What every figure has in common: axes of a column's width, colours, names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TaskvecError, printable
from ..reports.plots import FORMATS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMN = 3.25  # inches: a column of a two-column page
PAGE = 6.75  # and its whole width
# of Okabe and Ito: people with any colour vision tell them apart
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b0a500", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
SMALL = 7  # points


def new_axes(axes: Axes | None, height: float, width: float = COLUMN) -> Axes:
    """``axes``, or new ones of this size in inches; TaskvecError without matplotlib."""
    if axes is None:
        try:
            from matplotlib import pyplot
        except ImportError as error:
            raise TaskvecError("matplotlib is not installed", fix="pip install 'taskvec[plot]'") from error
        axes = pyplot.subplots(figsize=(width, height), layout="constrained")[1]
    axes.tick_params(labelsize=SMALL)
    return axes


def save(axes: Axes, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the figure of ``axes`` as PDF, SVG or PNG (300 dpi).

    Raises:
        TaskvecError: a name of another format, or one that is taken.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise TaskvecError("unknown picture format", where=path, expected=f"a name in {', '.join(FORMATS)}")
    if path.exists() and not overwrite:
        raise TaskvecError("exists", where=path, fix="choose another name, or overwrite=True")
    figure: Any = axes.get_figure()
    figure.savefig(path, dpi=300)
    return path


def shown_name(name: str, most: int = 28) -> str:
    """A name that matplotlib takes for neither a formula nor a hidden label, short enough for a figure."""
    plain = printable(name)
    if len(plain) > most:
        half = (most - 1) // 2
        plain = f"{plain[: most - 1 - half]}…{plain[-half:]}"
    escaped = plain.replace("$", r"\$")
    return f"\u200b{escaped}" if escaped.startswith("_") else escaped


def whole_numbers(axes: Axes) -> None:
    """Ticks of x at whole numbers alone."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def key_below(axes: Axes) -> None:
    """The key under the axes, where it covers nothing."""
    axes.legend(fontsize=SMALL - 1, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.26), ncols=2)
