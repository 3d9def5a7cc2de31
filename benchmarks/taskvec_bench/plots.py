"""Rows to pictures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from .growth import Points, curves, signed, slope
from .results import OURS, by_case, figure, group, limit_of, others, shape
from .rows import Row
from .tables import MEDIUM, TELLING, mebibytes

# of Okabe and Ito, told apart by all kinds of sight; greys for what is not data
BLUE, ORANGE, GREEN, RED, PINK, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
BLACK, DARK, GREY, PALE = "#000000", "#555555", "#8c8c8c", "#d9d9d9"
FAMILIES = {  # colour and marker of a function
    "pairwise": (BLUE, "o"),
    "lowrank_svd": (ORANGE, "s"),
    "project": (GREEN, "^"),
    "project_dense": (RED, "v"),
    "compare_spectra": (PINK, "D"),
    "sparsify": (SKY, "P"),
}
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

T = TypeVar("T")


def draw(rows: Sequence[Row], folder: Path, source: str) -> list[Path]:
    """The pictures of ``PICTURES`` that the rows have data for, as PNG in ``folder``, ``source`` in their metadata."""
    written = []
    for name, picture in PICTURES.items():
        with plt.rc_context(STYLE):
            made = picture(rows)
            if made is not None:
                made.savefig(folder / name, dpi=130, metadata={"Source": source, "Software": None})
                plt.close(made)
                written.append(folder / name)
    return written


def speed(rows: Sequence[Row]) -> Any:
    """Every case: the fastest and the slowest other way that computes the same, over ours."""
    cases = [ways for ways in by_case(rows).values() if OURS in ways and others(ways)]
    groups = grouped(sorted(cases, key=lambda ways: ways[OURS].min), lambda ways: group(ways[OURS]))
    if not groups:
        return None
    order = dict.fromkeys(group(ways[OURS]) for ways in cases)  # the functions as the rows have them
    heights = {name: max(1.2, len(groups[name]) ** 0.5) for name in order}
    made, axis = plt.subplots(figsize=(WIDTH, 1 + 0.16 * sum(heights.values()) + 0.18 * len(order)))
    top, ticks, least = 0.0, {}, 1.0
    for name, height in heights.items():
        ratios = []
        for place, ways in enumerate(groups[name]):
            y = top + height * (place + 0.5) / len(groups[name])
            rest = others(ways)
            fast, slow = (row.min / ways[OURS].min for row in (rest[0], rest[-1]))
            axis.plot([fast, slow], [y, y], color=PALE, lw=0.8, zorder=1)
            if len(rest) > 1:
                axis.plot(slow, y, "o", ms=3.4, mec=ORANGE, mfc="white", zorder=2)
            axis.plot(fast, y, "o", ms=3.4, color=BLUE if fast >= 1 else RED, zorder=3)
            ratios.append(fast)
        least = min(least, *ratios)
        ticks[top + height / 2] = f"{name}\n{len(ratios)} cases, median {figure(median(ratios))}"
        top += height + 1.1
        axis.axhline(top - 0.55, color="#ececec", lw=0.6, zorder=0)
    axis.axvline(1, color=BLACK, lw=0.9, zorder=1)
    axis.set(xscale="log", ylim=(top - 0.5, -0.6))
    axis.set_xlabel("times as long as ours (in each function from our shortest call, above, to our longest)")
    axis.xaxis.set_major_formatter(THOUSANDS)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_yticks(list(ticks), list(ticks.values()), fontsize=8)
    without_left_side(axis)
    look: dict[str, Any] = {"ls": "", "marker": "o", "ms": 4}
    handles = [
        Line2D([], [], color=BLUE, label="the fastest other way", **look),
        Line2D([], [], color=RED, label="the same, faster than ours", **look),
        Line2D([], [], mec=ORANGE, mfc="white", label="the slowest other way", **look),
    ]
    made.legend(handles=handles if least < 1 else handles[::2], loc="outside upper center", ncols=3)
    return made


def roofline(rows: Sequence[Row]) -> Any:
    """Flop a second of ours against flop a byte, under the measured rates of products and of copies."""
    copy, roofs = limit_of(rows, "copy"), {kind: limit_of(rows, kind) for kind in ("float32", "float64")}
    if copy is None:
        return None
    points = [row for row in rows if row.provider in (OURS, MEDIUM) and row.flop > 0 and row.bytes > 0]
    points = [row for row in points if row.threads == copy.threads]
    if not points:
        return None
    made, axis = plt.subplots(figsize=(WIDTH, 4.6))
    bandwidth = copy.bytes / copy.min
    intensities = [row.flop / row.bytes for row in points]
    left, right = min(intensities) / 8, max(intensities) * 1.6
    for (kind, roof), style in zip(roofs.items(), ("-", "--"), strict=True):
        if roof is not None:
            rate = roof.flop / roof.min
            axis.plot([left, rate / bandwidth, right], [bandwidth * left, rate, rate], color=GREY, lw=1.1, ls=style)
            note(axis, f"torch.mm fp{kind[-2:]}\n{rate / 1e9:.0f} Gflop/s", (right, rate), (4, 0))
    note(axis, f"copy, {bandwidth / 1e9:.1f} GB/s", (left, bandwidth * left), (12, 2))
    kinds = grouped(points, lambda row: (row.function, row.provider == MEDIUM))
    for (function, medium), members in kinds.items():
        colour, marker = FAMILIES.get(function, (BLACK, "x"))
        axis.plot(
            [row.flop / row.bytes for row in members],
            [row.flop / row.min for row in members],
            marker,
            ms=4.5,
            mec=colour,
            mfc="white" if medium else colour,
            alpha=0.85,
            zorder=2 if medium else 3,
            label=function + (' "medium", 16-bit' if medium else "") + (", fp64" if function == "lowrank_svd" else ""),
        )
    axis.set(xscale="log", yscale="log", xlim=(left, right), xlabel="flop a byte", ylabel="flop a second")
    axis.xaxis.set_major_formatter(THOUSANDS)
    made.legend(loc="outside upper center", ncols=3)
    return made


def growth(rows: Sequence[Row]) -> Any:
    """Seconds a module against N, r, m and threads, some curves of each, with their slopes."""
    panels = grouped(curves(rows), lambda one: one.axis)
    if not panels:
        return None
    lines = (len(panels) + 1) // 2
    made, axes = plt.subplots(lines, 2, figsize=(WIDTH, 4.3 * lines), squeeze=False)
    for axis, (name, members) in zip(axes.flat, panels.items(), strict=False):
        longest = sorted(members, key=lambda one: -len(one.ours))[:CURVES]
        for one, (colour, marker) in zip(longest, FAMILIES.values(), strict=False):
            look: dict[str, Any] = {"color": colour, "marker": marker, "ms": 4}
            label = f"{one.label}: {exponent(one.ours)}"
            axis.plot(*zip(*one.ours, strict=True), lw=1.4, label=label, **look)
            if one.torch:
                label = f"fastest torch: {exponent(one.torch)}"
                axis.plot(*zip(*one.torch, strict=True), lw=1, ls="--", mfc="white", label=label, **look)
        xs = sorted({x for one in longest for x, _ in one.ours})
        axis.set(xscale="log", yscale="log", xlabel=name, ylabel="seconds, of one module")
        axis.set_xticks(xs, [f"{x:g}" for x in xs])
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.minorticks_off()
        axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=7.5)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    return made


def exponent(points: Points) -> str:
    return f"slope {signed(slope(points))}"


def memory(rows: Sequence[Row]) -> Any:
    """Peak memory of each provider in a case of each function, of those of the README's table."""
    cases, chosen = by_case(rows), dict[str, list[Row]]()
    for name, _ in TELLING:
        ways = {way: row for way, row in cases.get(name, {}).items() if row.peak_memory is not None}
        if OURS in ways and others(ways):
            chosen.setdefault(group(ways[OURS]), list(ways.values()))
    if not chosen:
        return None
    shown = list(chosen.values())[:MEMORY_CASES]
    sizes = [len(ways) for ways in shown]
    height = 0.5 + 0.2 * sum(sizes) + 0.34 * len(sizes)
    ratios = {"height_ratios": [count + 1 for count in sizes]}
    made, axes = plt.subplots(len(shown), 1, figsize=(WIDTH, height), sharex=True, squeeze=False, gridspec_kw=ratios)
    for axis, members in zip(axes.flat, shown, strict=True):
        members = sorted(members, key=lambda row: (not row.provider.startswith("ours/"), row.peak_memory or 0))
        places, values = range(len(members)), [max(row.peak_memory or 0, 1) for row in members]
        axis.hlines(places, 1, values, color=PALE, lw=1)
        colours = [BLUE if row.provider.startswith("ours/") else ORANGE for row in members]
        axis.scatter(values, places, c=colours, s=22, zorder=2)
        for y, value in zip(places, values, strict=True):
            note(axis, mebibytes(value) if value > 1 else "≤ 1", (value, y), (6, 0))
        axis.set(xscale="log", ylim=(len(members) - 0.4, -0.6))
        axis.set_yticks(places, [row.provider for row in members], fontsize=8)
        axis.set_title(f"{group(members[0])} {shape(members[0])}", loc="left", fontsize=8.5)
        axis.margins(x=0.12)
        without_left_side(axis)
    axes.flat[-1].xaxis.set_major_formatter(THOUSANDS)
    axes.flat[-1].set_xlabel("peak memory above the inputs, MiB")
    return made


def grouped(members: Sequence[T], key: Callable[[T], Hashable]) -> dict[Any, list[T]]:
    groups: dict[Any, list[T]] = {}
    for member in members:
        groups.setdefault(key(member), []).append(member)
    return groups


def note(axis: Any, text: str, at: tuple[float, float], offset: tuple[int, int]) -> None:
    """Grey words to the right of a point."""
    look: dict[str, Any] = {"va": "center", "fontsize": 8, "color": DARK, "annotation_clip": False}
    axis.annotate(text, at, xytext=offset, textcoords="offset points", **look)


def without_left_side(axis: Any) -> None:
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


PICTURES: dict[str, Callable[[Sequence[Row]], Any]] = {
    "speed.png": speed,
    "roofline.png": roofline,
    "growth.png": growth,
    "memory.png": memory,
}
