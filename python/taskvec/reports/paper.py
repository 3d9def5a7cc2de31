"""The layouts of the paper's tables 3, 4 and 6; ΣS₁ stands beside L₁, which follows it whatever the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..queries.details import Details
from ..queries.selection import Selected
from .tables import Column, Part, Table, Value, cells, columns_of, with_lambda

ENTROPIES = (Value("H(S1)", "entropy", ".3f"), Value("H(S2)", "entropy_projected", ".3f"))
METRICS = (Value("ΣS1", "s1_sum", ".3g", 1), Value("L1", "l1", ".3f"), Value("REC", "rec", ".3f"))
ALONG_LAMBDA = (
    Value("ΣS1", "s1_sum", ".3g", 2), Value("L2", "l2", ".3f", 1), Value("L1", "l1", ".3f"), Value("REC", "rec", ".3f"),
)  # fmt: skip
PROJECTION = Column("projection", "name")

NOTE = (
    "ΣS1: sum of the source's singular values, which L1 follows whatever the target. REC and L1 are as the paper "
    "defines them; for sums they point the wrong way."
)


def paper_tables(selected: Selected, by_lam: Mapping[float, Sequence[Details]]) -> list[Part]:
    """Means over modules of the selected pairs, both directions of each.

    Args:
        selected: from ``select``, of the first λ.
        by_lam: the details of its rows for every λ.
    """
    first = next(iter(by_lam))
    names = [f"{row['source']} → {row['target']}" for row in selected.rows.to_dict("records")]
    means = [present(one.mean) for one in by_lam[first]]
    three = Table([PROJECTION, *columns_of(ENTROPIES)], f"Table 3: mean normalised entropy{with_lambda(first)}")
    four = Table([PROJECTION, *columns_of(METRICS)], f"Table 4: mean metrics{with_lambda(first)}")
    for name, mean in zip(names, means, strict=True):
        three.add(name, *cells(mean, ENTROPIES))
        four.add(name, *cells(mean, METRICS))
    six = Table([PROJECTION, Column("λ"), *columns_of(ALONG_LAMBDA)], "Table 6: λ against the metrics", notes=[NOTE])
    for i, name in enumerate(names):
        for lam, details in by_lam.items():
            six.add(name if lam == first else "", f"{lam:g}", *cells(present(details[i].mean), ALONG_LAMBDA))
        six.rule()
    return [three, four, six]


def present(mean: Mapping[str, float]) -> dict[str, float]:
    """Every name that the tables ask for; NaN for a metric that the sweep left out."""
    return {name: mean.get(name, float("nan")) for _, name, *_ in (*ENTROPIES, *METRICS, *ALONG_LAMBDA)}
