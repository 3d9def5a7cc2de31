"""Pictures of results; matplotlib is an extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TaskvecError, printable
from ..results.curve import LambdaCurves

PANELS = (("rec", "REC"), ("l1", "L₁ of S₁ − S₂"), ("entropy_projected", "H(S₂)"), ("active", "active directions"))
FORMATS = (".png", ".pdf", ".svg")


def check_plot(path: Path) -> None:
    """TaskvecError, before any work, when the picture at ``path`` could not be made."""
    if path.suffix.lower() not in FORMATS:
        raise TaskvecError("unknown picture format", where=path, expected=f"a name in {', '.join(FORMATS)}")
    if path.exists():
        raise TaskvecError("the picture exists already", where=path, fix="move it, or choose another name")
    if not path.parent.is_dir():
        raise TaskvecError("the picture's folder does not exist", where=path.parent, fix="create it first")
    pyplot()


def pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise TaskvecError("matplotlib is not installed", fix="pip install matplotlib") from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def plot_curves(result: LambdaCurves, path: Path) -> None:
    """Metrics and the number of active directions against λ: exact lines, Adam's starts as bands; λ = 0 at the left."""
    plt = pyplot()
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), sharex=True, layout="constrained")
    lams = np.array([point.lam for point in result.curves[0].points])
    least = lams[lams > 0].min(initial=1.0) / 10
    x = np.where(lams > 0, lams, least)
    for axis, (name, title) in zip(axes.flat, PANELS, strict=True):
        for i, curve in enumerate(result.curves):
            # a name may hold what matplotlib takes for a formula or for a hidden label
            label = printable(f"{curve.source} → {curve.target}").replace("$", r"\$")
            axis.plot(x, [point.exact[name] for point in curve.points], "o-", ms=3, color=f"C{i}", label=label)
            if result.starts:
                mean = np.array([(point.adam or {})[name] for point in curve.points])
                sd = np.array([(point.adam_sd or {})[name] for point in curve.points])
                label = f"the same by Adam, {result.starts} starts: mean and sd"
                axis.plot(x, mean, "--", color=f"C{i}", label=label)
                axis.fill_between(x, mean - sd, mean + sd, color=f"C{i}", alpha=0.2, lw=0)
        axis.set_xscale("log")
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
    for axis in axes[-1]:
        axis.set_xlabel("λ")
        if (lams == 0).any():
            axis.set_xticks([*x], ["0" if lam == 0 else f"{lam:g}" for lam in lams], fontsize=8)
            axis.minorticks_off()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=1, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)
