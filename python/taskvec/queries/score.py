"""``score``: what every number of a result is worth, where the truth about the tasks is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import xarray as xr
from numpy.typing import NDArray
from scipy.special import stdtrit

from ..errors import TaskvecError
from .details import Pairs, directions_over_runs
from .direction import LEVEL, MIN_LAYERS, RESOLUTION
from .groups import over_runs
from .lams import by_lam
from .measured import Measured, columns_of, nearer
from .pair_values import PairValues, read_behaviour
from .ranking import check
from .resampling import Draws, auc, share, spearman, with_interval
from .stored import open_result
from .truth import ALL, KINDS, Kind, Truth, read_truth

# what taskvec says of a pair, among the metrics: verdicts that name a direction, right and wrong; "inside" alone
VERDICTS = {
    "verdict": (("target inside source", "source holds more"), ("source inside target", "target holds more")),
    "inside": (("target inside source",), ("source inside target",)),
}
COLUMNS = ("metric", "measure", "kind", "relation", "against", "value", "low", "high", "count")
FEW_LAYERS = "undecided: fewer than six layers"
PAIRS_AT_ONCE = 4096

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]


def score(
    dataset: xr.Dataset | str | Path,
    truth: Truth | Mapping[str, Any] | str | Path,
    behaviour: str | Path | None = None,
    *,
    metrics: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Detection, direction and false directions of every metric of a result, against a known truth (docs/SCORE.md).

    Args:
        dataset: from ``sweep``, or the folder of a result. A variable of your own with the dimensions of a metric,
            (source, target) with or without modules, is one; with the attribute ``nearer`` "less" where smaller means
            nearer.
        truth: a JSON file of the form of docs/SCORE.md, or its contents.
        behaviour: a CSV file with the columns source, target and behaviour.
        metrics: names; None: all that the result has.

    Returns:
        One row a metric, measure and relation: metric, measure, kind, relation, against, value, low, high (the 95 %
        interval over seeds; NaN with one seed or none), count (of pairs or, for ``tasks_…``, of pairs of tasks).
        Relation "all" is every one of its kind. Measures:

        - auc: P(a pair of the relation has more than a control ``against``) + ½ P(equal);
        - direction: share of pairs whose container holds more of its part than the part of it; ½ for equal values;
        - claimed_right, claimed_wrong, claimed_false: share of pairs for which a direction is claimed, at 95 % over
          layers: the right one, the wrong one, one where there is none (of what is the same or unrelated);
        - tasks_right, tasks_wrong, tasks_false: the same of pairs of groups with several adapters, at 95 % over runs;
        - spearman: rank correlation with the behaviour.

        The metrics "verdict" and "inside" are taskvec's own, which claim and have no value: a verdict that one holds
        more of the other, or that it is inside. Of several λ's one after the other, with a column lam.

    Raises:
        TaskvecError: no such result or files, a truth or behaviour of another form, or of adapters that the result does
            not have.

    Cost:
        Two passes over the result, and some 1,000 draws of the seeds for each row.
    """
    data = open_result(dataset) if isinstance(dataset, str | Path) else dataset
    check(data)
    names = [str(name) for name in data["source"].values]
    known = truth if isinstance(truth, Truth) else read_truth(truth, names)
    of_behaviour = None if behaviour is None else read_behaviour(Path(behaviour), names, known.groups)
    if of_behaviour is not None and len(known.seeds):
        for ends in (of_behaviour.source, of_behaviour.target):
            if (known.seeds[ends] < 0).any():
                name = names[int(ends[known.seeds[ends] < 0][0])]
                raise TaskvecError(f"{name!r} is of no seed", where=behaviour, fix="name it under seeds of the truth")
    if "lam" not in data.dims:
        return Scores(data, known, of_behaviour, metrics).frame()
    frames = [Scores(part, known, of_behaviour, metrics).frame().assign(lam=lam) for lam, part in by_lam(data)]
    return pd.concat(frames)


class Scores:
    """Of a result for one λ; P pairs, those of all relations one after the other."""

    def __init__(
        self, dataset: xr.Dataset, truth: Truth, behaviour: PairValues | None, metrics: Sequence[str] | None
    ) -> None:
        columns = columns_of(dataset, None if metrics is None else [name for name in metrics if name not in VERDICTS])
        self.dataset, self.truth, self.behaviour = dataset, truth, behaviour
        self.metrics = [column.name for column in columns]
        self.verdicts = [name for name in VERDICTS if metrics is None or name in metrics]
        self.names = np.array([str(name) for name in dataset["source"].values])
        self.draws = Draws.of(truth.seeds)
        self.source = np.concatenate([one.source for one in truth.relations])
        self.target = np.concatenate([one.target for one in truth.relations])
        measured = Measured(dataset, columns)
        measured.check(self.source, self.target)
        self.there = measured.values(self.source, self.target)
        self.back = measured.values(self.target, self.source)
        self.claims = self.every_claim(measured)  # 1 source → target, −1 the way back, 0 none, NaN not to be had
        self.tasks = [self.of_tasks(rows) for rows in self.rows_of_relations()]
        self.of_behaviour: Mapping[str, Floats] = {}
        if behaviour is not None:
            measured.check(behaviour.source, behaviour.target)
            self.of_behaviour = measured.values(behaviour.source, behaviour.target)

    def rows_of_relations(self) -> list[Positions]:
        """Where the pairs of each relation are."""
        bounds = np.cumsum([len(one.source) for one in self.truth.relations])[:-1]
        return np.split(np.arange(len(self.source)), bounds)

    def by_label(self, kind: Kind) -> dict[str, Positions]:
        """Relations of a kind, and all of them; by position."""
        some = [k for k, one in enumerate(self.truth.relations) if one.kind == kind]
        one_each = {self.truth.relations[k].label: np.array([k]) for k in some}
        return one_each | ({ALL: np.array(some)} if some else {})

    def every_claim(self, measured: Measured) -> dict[str, Floats]:
        claims: dict[str, list[Floats]] = {}
        for start in range(0, len(self.source), PAIRS_AT_ONCE):
            source, target = (ends[start : start + PAIRS_AT_ONCE] for ends in (self.source, self.target))
            for name, by_layer in measured.claims(source, target).items():
                claims.setdefault(name, []).append(claimed(by_layer))
            for name, of in self.verdicts_on(source, target).items():
                claims.setdefault(name, []).append(of)
        return {name: np.concatenate(of) for name, of in claims.items()}

    def verdicts_on(self, source: Positions, target: Positions) -> dict[str, Floats]:
        """Which way taskvec's verdict goes for each pair of adapters."""
        if not self.verdicts:
            return {}
        both = np.stack([source, target, target, source], 1).reshape(-1, 2)
        pairs = Pairs(self.dataset, pd.DataFrame(self.names[both], columns=["source", "target"]))
        found = [pairs.direction(p, p + 1).verdict for p in range(0, len(both), 2)]
        return {name: np.array([way(name, verdict) for verdict in found]) for name in self.verdicts}

    def of_tasks(self, rows: Positions) -> dict[str, Floats]:
        """Claims over runs by metric, one for each pair of groups of which every pair of runs is in the relation."""
        groups = self.truth.groups
        tasks: dict[tuple[str, str], list[int]] = {}
        for p in rows.tolist():
            one, two = (groups.get(self.names[ends[p]]) for ends in (self.source, self.target))
            if one is not None and two is not None and one != two:
                tasks.setdefault((one, two), []).append(p)
        claims: dict[str, list[float]] = {}
        for some in tasks.values():
            source, target = self.source[some], self.target[some]
            shape = len(np.unique(source)), len(np.unique(target))
            if min(shape) < 2 or len(some) != shape[0] * shape[1]:
                continue
            order = np.array(some)[np.lexsort((target, source))]
            for name in self.metrics:
                apart = nearer(self.there[name][order], self.back[name][order])
                claims.setdefault(name, []).append(claim(apart.reshape(shape)))
            for name in self.verdicts:
                claims.setdefault(name, []).append(way(name, self.verdict_over_runs(source, target)))
        return {name: np.array(of) for name, of in claims.items()}

    def verdict_over_runs(self, source: Positions, target: Positions) -> str | None:
        pair = str(self.names[source[0]]), str(self.names[target[0]])
        runs = {str(name): self.truth.groups[name] for name in self.names[[*source, *target]]}
        found = directions_over_runs(self.dataset, [pair], runs).get(pair)
        return None if found is None else found.verdict

    def frame(self) -> pd.DataFrame:
        rows = [row for name in [*self.metrics, *self.verdicts] for row in self.rows(name)]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def rows(self, name: str) -> Iterator[tuple[Any, ...]]:
        """Of one metric; only claims of the verdict."""
        of_relations, unrelated = self.rows_of_relations(), self.by_label("unrelated")
        controls = {label: np.concatenate([of_relations[k] for k in some]) for label, some in unrelated.items()}
        for kind in KINDS:
            for label, some in self.by_label(kind).items():
                pairs, where = np.concatenate([of_relations[k] for k in some]), (kind, label)
                if name not in VERDICTS and kind != "unrelated":
                    for against, negative in controls.items():
                        yield name, "auc", *where, against, *self.detection(name, kind, pairs, negative)
                if name not in VERDICTS and kind == "contains":
                    right = (1 + np.sign(nearer(self.there[name][pairs], self.back[name][pairs]))) / 2
                    yield name, "direction", *where, "", *self.share(right, pairs)
                if name in self.claims:
                    for measure, values in measures("claimed", kind, self.claims[name][pairs]):
                        yield name, measure, *where, "", *self.share(values, pairs)
                claims = np.concatenate([self.tasks[k].get(name, np.empty(0)) for k in some])
                if known := int((~np.isnan(claims)).sum()):
                    for measure, values in measures("tasks", kind, claims):
                        yield name, measure, *where, "", share(values)(np.ones(len(values))), np.nan, np.nan, known
        if self.behaviour is not None and name not in VERDICTS:
            one, two = self.of_behaviour[name], self.behaviour.values["behaviour"]
            found = with_interval(spearman(one, two), self.draws, (self.behaviour.source, self.behaviour.target))
            yield name, "spearman", "behaviour", ALL, "", *found, int((~np.isnan(one) & ~np.isnan(two)).sum())

    def share(self, values: Floats, pairs: Positions) -> tuple[float, float, float, int]:
        found = with_interval(share(values), self.draws, (self.source[pairs], self.target[pairs]))
        return *found, int((~np.isnan(values)).sum())

    def detection(
        self, name: str, kind: Kind, pairs: Positions, controls: Positions
    ) -> tuple[float, float, float, int]:
        """What is contained counts from source → target, what has no direction both ways."""
        positive, negative = self.ordered(name, pairs, both=kind == "same"), self.ordered(name, controls, both=True)
        found = with_interval(auc(positive[2], negative[2]), self.draws, positive[:2], negative[:2])
        return *found, int((~np.isnan(positive[2])).sum())

    def ordered(self, name: str, pairs: Positions, *, both: bool) -> tuple[Positions, Positions, Floats]:
        """Ordered pairs and their values: source → target, and the way back too for ``both``."""
        source, target, there = self.source[pairs], self.target[pairs], self.there[name][pairs]
        if not both:
            return source, target, there
        values = np.concatenate([there, self.back[name][pairs]])
        return np.concatenate([source, target]), np.concatenate([target, source]), values


def claimed(by_layer: Floats) -> Floats:
    """The direction that Student's interval over layers (G, P) claims: 1, −1, or 0; NaN with too few layers."""
    n = (~np.isnan(by_layer)).sum(0)
    some = np.maximum(n, 2)
    mean = np.nansum(by_layer, 0) / some
    deviation = np.sqrt(np.nansum(np.square(by_layer - mean), 0) / (some - 1))
    half = stdtrit(some - 1, (1 + LEVEL) / 2) * deviation / np.sqrt(some)
    clear = (np.abs(mean) > half) & (np.abs(mean) > RESOLUTION)
    return np.where(n >= MIN_LAYERS, np.where(clear, np.sign(mean), 0.0), np.nan)


def claim(values: Floats) -> float:
    """The same of the values (a, b) of every pair of runs, with an interval over runs."""
    interval = over_runs(values)
    if np.isnan(interval.mean):
        return np.nan
    clear = interval.low * interval.high > 0 and abs(interval.mean) > RESOLUTION
    return float(np.sign(interval.mean)) if clear else 0.0


def way(name: str, verdict: str | None) -> float:
    """The direction that a verdict names, among those of VERDICTS; NaN where there is none to be had."""
    if verdict is None or verdict == FEW_LAYERS:
        return np.nan
    right, wrong = VERDICTS[name]
    return float(verdict in right) - float(verdict in wrong)


def measures(prefix: str, kind: str, claims: Floats) -> list[tuple[str, Floats]]:
    """Names and shares of claims: right and wrong ones where there is a direction, else all are false."""
    wanted = {"right": claims > 0, "wrong": claims < 0} if kind == "contains" else {"false": claims != 0}
    return [(f"{prefix}_{what}", np.where(np.isnan(claims), np.nan, 1.0 * is_so)) for what, is_so in wanted.items()]
