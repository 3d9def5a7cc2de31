"""Whether one adapter holds a second one more than a third: the tests of the paper's tables 5 and 11."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class PValues:
    """Of one test. One-sided against: A holds B no more than C."""

    two_sided: float
    one_sided: float


@dataclass(frozen=True)
class Difference:
    """One metric of A→B minus the same of A→C, module by module.

    Attributes:
        metric: its name.
        nearer: which way A holds more: "greater", or "less" for a distance.
        first: mean over modules of A→B.
        second: of A→C.
        difference: first − second.
        low: lower end of the difference's 95 % interval, by bootstrap over layers; NaN with fewer than two layers.
        high: upper end.
        wilcoxon: signed ranks of the modules' differences.
        student: paired t-test over modules.
        student_unpaired: t-test of two samples of equal variance; the paper does not say which of the two it ran.
    """

    metric: str
    nearer: Literal["greater", "less"]
    first: float
    second: float
    difference: float
    low: float
    high: float
    wilcoxon: PValues
    student: PValues
    student_unpaired: PValues

    @property
    def favours(self) -> Literal["first", "second"] | None:
        """Which of the two A holds more of by the interval; None when it contains 0."""
        if not self.low * self.high > 0:
            return None
        return "first" if (self.difference > 0) == (self.nearer == "greater") else "second"


@dataclass(frozen=True)
class Comparison:
    """A→B against A→C over the modules that all three have."""

    source: str
    first: str
    second: str
    modules: int
    layers: int
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of ``taskvec test``, without its schema."""
        document = asdict(self)
        del document["differences"]
        return document | {"metrics": {one.metric: without_name(one) for one in self.differences}}


def without_name(difference: Difference) -> dict[str, Any]:
    document = asdict(difference)
    del document["metric"]
    return document | {"favours": difference.favours}
