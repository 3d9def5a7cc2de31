"""The tutorials run, and print what stands on their pages; tests/helpers/tutorials.py writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tutorials import ROOT, TUTORIALS, with_outputs

AGAIN = "run `python tests/helpers/tutorials.py` and look at what changed"


def words(text: str) -> list[str | float]:
    """Words and numbers, whatever the widths of columns."""
    found: list[str | float] = []
    for word in text.replace("─", " ").split():
        try:
            found.append(float(word))
        except ValueError:
            found.append(word)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_tutorials_print_what_their_pages_say(page: Path) -> None:
    """To two digits: results differ by rounding between SIMD levels."""
    shown, printed = words(page.read_text()), words(with_outputs(page))
    assert len(shown) == len(printed), AGAIN
    for here, there in zip(shown, printed, strict=True):
        close = isinstance(here, float) and isinstance(there, float) and abs(here - there) <= 0.005 + 0.05 * abs(here)
        assert close or here == there, AGAIN


def test_every_tutorial_prints_something() -> None:
    assert len(TUTORIALS) >= 4
    for page in TUTORIALS:
        assert "```text" in page.read_text() or "```console" in page.read_text(), page.relative_to(ROOT)
