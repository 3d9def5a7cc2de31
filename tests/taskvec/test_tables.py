"""The table of a ranking: both directions of a pair, both ends, and nothing that a terminal would obey."""

from __future__ import annotations

from io import StringIO

import pandas as pd
from rich.console import Console

from taskvec import sweep
from taskvec.queries.ranking import ranking
from taskvec.reports.tables import CAUTION, ranking_table


def first_of_pairs(ranked: pd.DataFrame) -> list[tuple[str, str]]:
    """The direction of each pair that comes first in the ranking, in its order."""
    found: list[tuple[str, str]] = []
    for row in ranked.to_dict("records"):
        if (row["target"], row["source"]) not in found:
            found.append((row["source"], row["target"]))
    return found


def text(ranked: pd.DataFrame, top: int) -> str:
    console = Console(width=160, record=True, file=StringIO())
    console.print(ranking_table(ranked, top))
    return console.export_text()


def test_the_table_shows_both_directions_and_the_caution(uneven) -> None:
    ranked = ranking(sweep(uneven[:3]))
    shown = text(ranked, top=10)
    assert shown.count("the other way") == 3
    for value in ranked["rec"]:
        assert f"{value:.3f}" in shown
    assert "|z| < 3 proves nothing" in CAUTION
    assert " ".join(CAUTION.split()) in " ".join(shown.split())


def test_long_rankings_show_both_ends_and_count_the_rest(adapter) -> None:
    ranked = ranking(sweep([adapter(f"task{i}", {"h.0.q": (12, 10, 2)}, seed=i) for i in range(6)]))
    shown = text(ranked, top=2)
    assert shown.count("the other way") == 4
    assert "11 pairs between the 2 at each end left out" in shown
    rows = [tuple(line.split()[:2]) for line in shown.splitlines() if line.strip().startswith(("task", "⋮"))]
    pairs = first_of_pairs(ranked)
    assert rows == [*pairs[:2], ("⋮", "⋮"), *pairs[-2:]]
    assert "left out" not in text(ranked, top=8)


def test_pairs_without_a_module_in_common_are_counted(uneven) -> None:
    assert "4 pairs of adapters without a module in common not shown" in text(ranking(sweep(uneven)), top=10)


def test_names_cannot_steer_the_terminal(adapter) -> None:
    ranked = ranking(sweep([adapter("bad\x1b[31m[bold]", seed=1), adapter("good", seed=2)]))
    assert "\x1b" not in text(ranked, top=3) and "bad\\x1b[31m[bold]" in text(ranked, top=3)
