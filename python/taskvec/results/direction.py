"""Which of two adapters is inside the other: the verdict on a pair and what it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Verdict = Literal[
    "target inside source",
    "source inside target",
    "source holds more",
    "target holds more",
    "both the same",
    "related, direction undecided",
    "not above other layers",
    "undecided: fewer than six layers",
]
OTHER_WAY: dict[Verdict, Verdict] = {
    "target inside source": "source inside target",
    "source inside target": "target inside source",
    "source holds more": "target holds more",
    "target holds more": "source holds more",
}
WORDS: dict[Verdict, str] = {
    "target inside source": "{target} inside {source}",
    "source inside target": "{source} inside {target}",
    "source holds more": "{source} holds more of {target} than {target} of {source}",
    "target holds more": "{target} holds more of {source} than {source} of {target}",
}


@dataclass(frozen=True)
class Direction:
    """The verdict on one pair of adapters, or of tasks that were trained several times.

    Attributes:
        verdict: None where nothing can be compared.
        ratio: share of the target that the source holds, over the share of the source that the target holds; each
            above its other layers, (captured − b)/(1 − b), and pooled over modules. NaN where undefined.
        low: lower end of the 95 % interval of that ratio's geometric mean over ``over``; NaN with too few of them.
        high: upper end.
        count: layers that the interval is over, or pairs of runs.
        over: what was repeated. Over layers it speaks of these two runs, over runs of the two tasks.
        ratio_cut: the ratio when both are cut to the smaller rank; None where the ranks are equal.
        captured: share of the target that the source holds, and the other way; as they are, pooled over modules.
        above: whether each of these two is above what is held of other layers.
    """

    verdict: Verdict | None
    ratio: float
    low: float
    high: float
    count: int
    over: Literal["layers", "runs"]
    ratio_cut: float | None
    captured: tuple[float, float]
    above: tuple[bool, bool]

    def reversed(self) -> Direction:
        """The same pair with source and target exchanged."""
        return replace(
            self,
            verdict=None if self.verdict is None else OTHER_WAY.get(self.verdict, self.verdict),
            ratio=inverse(self.ratio),
            low=inverse(self.high),
            high=inverse(self.low),
            ratio_cut=None if self.ratio_cut is None else inverse(self.ratio_cut),
            captured=self.captured[::-1],
            above=self.above[::-1],
        )

    def words(self, source: str, target: str) -> str:
        """The verdict with the names of the two; empty without one."""
        if self.verdict is None:
            return ""
        return WORDS.get(self.verdict, str(self.verdict)).format(source=source, target=target)

    def to_dict(self) -> dict[str, Any]:
        """All but the verdict, which stands beside it in a document."""
        document = asdict(self)
        del document["verdict"]
        return document


def inverse(ratio: float) -> float:
    return 1 / ratio if ratio else float("inf")
