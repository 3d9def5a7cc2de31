"""Rows to pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

from ..measure.rows import Row
from .growth import curves, slope
from .tables import MEDIUM, TELLING
from .ways import OURS, Ways, by_case, figure, group, limits, mebibytes, others, rate, shape

# of Okabe and Ito, told apart by all kinds of sight; greys for what is not data
BLUE, ORANGE, GREEN, RED, PINK, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY, PALE = "#8c8c8c", "#d9d9d9"
FUNCTIONS = ("pairwise", "lowrank_svd", "project", "project_dense", "compare_spectra", "sparsify")
LOOKS = dict(zip(FUNCTIONS, zip((BLUE, ORANGE, GREEN, RED, PINK, SKY), "os^vDP", strict=True), strict=True))
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.constrained_layout.use": True,
}
WIDTH = 8.6  # inches
CURVES = 3  # in a panel; the table has them all
MEMORY_CASES = 4
THOUSANDS = FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")


def draw(rows: list[Row], folder: Path, source: str) -> None:
    """The pictures that the rows have data for, as PNG with ``source`` in their metadata; others are removed."""
    for name, picture in PICTURES.items():
        (folder / name).unlink(missing_ok=True)
        with plt.rc_context(STYLE):
            made = picture(rows)
            if made is not None:
                made.savefig(folder / name, dpi=130, metadata={"Source": source, "Software": None})
                plt.close(made)


def speed(rows: list[Row]) -> Any:
    """Every case: the fastest and the slowest other way that computes the same, over ours."""
    groups: dict[str, list[Ways]] = {}
    for ways in by_case(rows).values():
        if OURS in ways and others(ways):
            groups.setdefault(group(ways[OURS]), []).append(ways)
    if not groups:
        return None
    heights = {name: max(1.2, len(members) ** 0.5) for name, members in groups.items()}
    made, axis = plt.subplots(figsize=(WIDTH, 1 + 0.16 * sum(heights.values()) + 0.18 * len(groups)))
    top, ticks = 0.0, {}
    for name, members in groups.items():
        members.sort(key=lambda ways: float(ways[OURS]["min"]))
        y = [top + heights[name] * (place + 0.5) / len(members) for place in range(len(members))]
        fast, slow = ([others(ways)[end]["min"] / ways[OURS]["min"] for ways in members] for end in (0, -1))
        axis.hlines(y, fast, slow, color=PALE, lw=0.8, zorder=1)
        axis.scatter(slow, y, s=12, edgecolors=ORANGE, facecolors="white", zorder=2, label="the slowest other way")
        axis.scatter(fast, y, s=12, c=[BLUE if x >= 1 else RED for x in fast], zorder=3, label="the fastest other way")
        ticks[top + heights[name] / 2] = f"{name}\n{len(members)} cases, median {figure(median(fast))}"
        top += heights[name] + 1.1
        axis.axhline(top - 0.55, color="#ececec", lw=0.6, zorder=0)
    axis.axvline(1, color="black", lw=0.9, zorder=1)
    axis.set(xscale="log", ylim=(top - 0.5, -0.6))
    axis.set_xlabel("time / ours, red below 1 (in each function from our shortest call, above, to our longest)")
    axis.xaxis.set_major_formatter(THOUSANDS)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_yticks(list(ticks), list(ticks.values()), fontsize=8)
    axis.tick_params(axis="y", length=0)
    made.legend(*(part[:2] for part in axis.get_legend_handles_labels()), loc="outside upper center", ncols=2)
    return made


def roofline(rows: list[Row]) -> Any:
    """Flop a second of ours against flop a byte, under the measured rates of products and of copies."""
    rates = {kind: rate(row) for kind, row in limits(rows).items()}
    threads = max(row["threads"] for row in rows)
    kinds: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        if row["provider"] in (OURS, MEDIUM) and row["flop"] and row["bytes"] and row["threads"] == threads:
            kinds.setdefault((row["function"], row["provider"] == MEDIUM), []).append(row)
    if "copy" not in rates or not kinds:
        return None
    made, axis = plt.subplots(figsize=(WIDTH, 4.6))
    intensities = [row["flop"] / row["bytes"] for members in kinds.values() for row in members]
    left, right, copy = min(intensities) / 8, max(intensities) * 1.6, rates["copy"]
    for kind, style in (("float32", "-"), ("float64", "--")):
        if peak := rates.get(kind):
            axis.plot([left, peak / copy, right], [copy * left, peak, peak], color=GREY, lw=1.1, ls=style)
            axis.annotate(f"torch.mm fp{kind[-2:]}\n{peak / 1e9:.0f} Gflop/s", (right, peak), fontsize=8)
    axis.annotate(f"copy, {copy / 1e9:.1f} GB/s", (left, copy * left), fontsize=8)
    for (function, medium), members in kinds.items():
        colour, marker = LOOKS[function]
        x, y = [row["flop"] / row["bytes"] for row in members], [row["flop"] / row["min"] for row in members]
        label = function + ' "medium", 16-bit' * medium + ", fp64" * (function == "lowrank_svd")
        axis.plot(x, y, marker, ms=4.5, mec=colour, mfc="white" if medium else colour, alpha=0.85, label=label)
    axis.set(xscale="log", yscale="log", xlim=(left, right), xlabel="flop a byte", ylabel="flop a second")
    axis.xaxis.set_major_formatter(THOUSANDS)
    made.legend(loc="outside upper center", ncols=3)
    return made


def growth(rows: list[Row]) -> Any:
    """Seconds a module against N, r, m and threads, some curves of each, with their slopes."""
    found = curves(rows)
    names = list(dict.fromkeys(curve.axis for curve in found))
    if not names:
        return None
    made, axes = plt.subplots((len(names) + 1) // 2, 2, figsize=(WIDTH, 4.3 * ((len(names) + 1) // 2)), squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, names, strict=False):
        longest = sorted((curve for curve in found if curve.axis == name), key=lambda curve: -len(curve.ours))[:CURVES]
        for curve, (colour, marker) in zip(longest, LOOKS.values(), strict=False):
            for points, words, look in ((curve.ours, curve.label, "-"), (curve.torch, "fastest torch", "--")):
                label, fill = f"{words}: slope {slope(points)}", colour if look == "-" else "white"
                x, y = zip(*points, strict=True) if points else ((), ())
                axis.plot(x, y, look, color=colour, marker=marker, ms=4, lw=1.2, mfc=fill, label=label)
        places = sorted({x for curve in longest for x, _ in curve.ours})
        axis.set(xscale="log", yscale="log", xlabel=name, ylabel="seconds, of one module")
        axis.set_xticks(places, [f"{x:g}" for x in places])
        axis.minorticks_off()
        axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=7.5)
    return made


def memory(rows: list[Row]) -> Any:
    """Peak memory of the README's cases, each provider."""
    cases = by_case([row for row in rows if row["peak_memory"] is not None])
    shown = [cases[name] for name in dict.fromkeys(name for name, _ in TELLING) if len(cases.get(name, ())) > 1]
    shown = shown[:MEMORY_CASES]
    if not shown:
        return None
    sizes = [len(ways) + 1 for ways in shown]
    made, axes = plt.subplots(
        len(shown), 1, figsize=(WIDTH, 0.5 + 0.22 * sum(sizes)), sharex=True, squeeze=False, height_ratios=sizes
    )
    for axis, ways in zip(axes.flat, shown, strict=True):
        members = sorted(ways.values(), key=lambda row: (not row["provider"].startswith("ours/"), row["peak_memory"]))
        values = [max(row["peak_memory"], 1) for row in members]
        colours = [BLUE if row["provider"].startswith("ours/") else ORANGE for row in members]
        axis.hlines(range(len(members)), 1, values, color=PALE, lw=1)
        axis.scatter(values, range(len(members)), c=colours, s=22, zorder=2)
        for y, value in enumerate(values):
            axis.annotate(f"  {mebibytes(value) if value > 1 else '≤ 1'}", (value, y), va="center", fontsize=8)
        axis.set(xscale="log", ylim=(len(members) - 0.4, -0.6))
        axis.set_yticks(range(len(members)), [row["provider"] for row in members], fontsize=8)
        axis.set_title(f"{group(members[0])} {shape(members[0])}", loc="left", fontsize=8.5)
        axis.tick_params(axis="y", length=0)
        axis.margins(x=0.12)
    axes.flat[-1].xaxis.set_major_formatter(THOUSANDS)
    axes.flat[-1].set_xlabel("peak memory above the inputs, MiB")
    return made


PICTURES: dict[str, Callable[[list[Row]], Any]] = {
    "speed.png": speed,
    "roofline.png": roofline,
    "growth.png": growth,
    "memory.png": memory,
}
