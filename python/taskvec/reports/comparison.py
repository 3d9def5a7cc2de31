"""The table of ``taskvec test``: whether one adapter holds a second one more than a third."""

from __future__ import annotations

from rich.console import Group, RenderableType

from ..results.comparison import Comparison, Difference, PValues
from .tables import counted, numbers_table, plain, shown

NAMES = {"rec": "REC", "l1": "L1", "captured": "captured"}
TITLES = ("A→B", "A→C", "difference", "95 % interval", "Wilcoxon p", "paired t p", "unpaired t p")
CAUTION = (
    "p: two-sided / one-sided. The tests take modules as independent, as in the paper's tables 5 and 11; the interval "
    "resamples layers. All speak of these two runs, not of the tasks: another seed of one task alone moves its mean "
    "REC by up to 0.19."
)


def comparison_table(result: Comparison) -> RenderableType:
    """A row a metric, and in words what the intervals say."""
    title = f"Does {result.source} hold {result.first} more than {result.second}?"
    table = numbers_table(title, ("metric",), tuple((title, "", "") for title in TITLES))
    for one in result.differences:
        interval = f"{shown(one.low, '+.3g')} to {shown(one.high, '+.3g')}"
        means = (shown(one.first, ".3g"), shown(one.second, ".3g"), shown(one.difference, "+.3g"))
        table.add_row(
            NAMES[one.metric], *means, interval, *map(both, (one.wilcoxon, one.student, one.student_unpaired))
        )
    named = f"A = {result.source}, B = {result.first}, C = {result.second}"
    notes = [f"{named}: {counted(result.modules, 'module')} in {counted(result.layers, 'layer')} that all three have."]
    notes += [f"By {NAMES[one.metric]} {words(one, result)}, between these two runs." for one in result.differences]
    return Group(table, *map(plain, [*notes, CAUTION]))


def both(p: PValues) -> str:
    return f"{shown(p.two_sided, '.1e')} / {shown(p.one_sided, '.1e')}"


def words(one: Difference, of: Comparison) -> str:
    more = {"first": (of.first, of.second), "second": (of.second, of.first)}.get(one.favours or "")
    return f"{of.source} holds {more[0]} more than {more[1]}" if more else "no difference is shown"
