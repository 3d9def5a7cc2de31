"""The table of ``taskvec test``: whether one adapter holds a second one more than a third."""

from __future__ import annotations

from ..results.comparison import Comparison, Difference, PValues
from .tables import Column, Table, counted, shown

NAMES = {"rec": "REC", "l1": "L1", "captured": "captured"}
COLUMNS = (
    Column("metric", "name"),
    Column("A→B"),
    Column("A→C"),
    Column("difference"),
    Column("95 % interval", rank=1),
    Column("Wilcoxon p", rank=2),
    Column("paired t p", rank=3),
    Column("unpaired t p", rank=4),
)
CAUTION = (
    "p: two-sided / one-sided. The tests take modules as independent, as in the paper's tables 5 and 11; the interval "
    "resamples layers. All speak of these two runs, not of the tasks: another seed of one task alone moves its mean "
    "REC by up to 0.19."
)


def comparison_table(result: Comparison) -> Table:
    """A row a metric, and in words what the intervals say."""
    table = Table(COLUMNS, f"Does {result.source} hold {result.first} more than {result.second}?")
    for one in result.differences:
        interval = f"{shown(one.low, '+.3g')} to {shown(one.high, '+.3g')}"
        means = (shown(one.first, ".3g"), shown(one.second, ".3g"), shown(one.difference, "+.3g"))
        table.add(NAMES[one.metric], *means, interval, *map(both, (one.wilcoxon, one.student, one.student_unpaired)))
    named = f"A = {result.source}, B = {result.first}, C = {result.second}"
    table.notes.append(
        f"{named}: {counted(result.modules, 'module')} in {counted(result.layers, 'layer')} that all three have."
    )
    for one in result.differences:
        table.notes.append(f"By {NAMES[one.metric]} {words(one, result)}, between these two runs.")
    table.notes.append(CAUTION)
    return table


def both(p: PValues) -> str:
    return f"{shown(p.two_sided, '.1e')} / {shown(p.one_sided, '.1e')}"


def words(one: Difference, of: Comparison) -> str:
    more = {"first": (of.first, of.second), "second": (of.second, of.first)}.get(one.favours or "")
    return f"{of.source} holds {more[0]} more than {more[1]}" if more else "no difference is shown"
