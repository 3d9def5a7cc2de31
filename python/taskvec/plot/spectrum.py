"""S₁ against S₂ of one module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import TaskvecError
from .axes import COLOURS, SMALL, new_axes, shown_name, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..results.projection import Projection


def spectra(projection: Projection, module: str | None = None, axes: Axes | None = None) -> Axes:
    """The source's singular values and the target's on the source's directions, side by side.

    Args:
        projection: one direction of ``taskvec.project``.
        module: its path; the first without.
        axes: drawn into; new ones of a column's width without.

    Raises:
        TaskvecError: no such module, or no matplotlib.
    """
    modules = {one.module: one for one in projection.modules}
    if module is not None and module not in modules:
        raise TaskvecError("no such module was compared", got=repr(module), expected=", ".join([*modules][:3]) + ", …")
    one = modules[module] if module is not None else projection.modules[0]
    axes = new_axes(axes, 2.0)
    at = np.arange(1, len(one.s1) + 1)
    axes.bar(at - 0.2, one.s1, width=0.4, color=COLOURS[0], label=f"S₁ of {shown_name(projection.source)}")
    axes.bar(
        at + 0.2,
        one.s2,
        width=0.4,
        color=COLOURS[1],
        hatch="////",
        edgecolor="white",
        lw=0,
        label=f"S₂ of {shown_name(projection.target)}",
    )
    axes.set_xlabel("direction of the source", fontsize=SMALL + 1)
    axes.set_ylabel("singular value", fontsize=SMALL + 1)
    axes.set_title(shown_name(one.module, 44), fontsize=SMALL + 1)
    whole_numbers(axes)
    axes.legend(fontsize=SMALL - 1, frameon=False)
    return axes
