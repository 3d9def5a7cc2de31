"""The layouts of the paper's tables 3, 4 and 6; ΣS₁ stands beside L₁, which follows it whatever the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType

from ..queries.details import Details
from ..queries.selection import Selected
from .tables import cells, numbers_table, plain, with_lambda

ENTROPIES = (("H(S1)", "entropy", ".3f"), ("H(S2)", "entropy_projected", ".3f"))
METRICS = (("ΣS1", "s1_sum", ".3g"), ("L1", "l1", ".3f"), ("REC", "rec", ".3f"))
ALONG_LAMBDA = (("ΣS1", "s1_sum", ".3g"), ("L2", "l2", ".3f"), ("L1", "l1", ".3f"), ("REC", "rec", ".3f"))

NOTE = (
    "ΣS1: sum of the source's singular values, which L1 follows whatever the target. REC and L1 are as the paper "
    "defines them; for sums they point the wrong way."
)


def paper_tables(selected: Selected, by_lam: Mapping[float, Sequence[Details]]) -> RenderableType:
    """Means over modules of the selected pairs, both directions of each.

    Args:
        selected: from ``select``, of the first λ.
        by_lam: the details of its rows for every λ.
    """
    first = next(iter(by_lam))
    names = [f"{row['source']} → {row['target']}" for row in selected.rows.to_dict("records")]
    means = [present(one.mean) for one in by_lam[first]]
    three = numbers_table(f"Table 3: mean normalised entropy{with_lambda(first)}", ("projection",), ENTROPIES)
    four = numbers_table(f"Table 4: mean metrics{with_lambda(first)}", ("projection",), METRICS)
    for name, mean in zip(names, means, strict=True):
        three.add_row(plain(name), *cells(mean, ENTROPIES))
        four.add_row(plain(name), *cells(mean, METRICS))
    six = numbers_table("Table 6: λ against the metrics", ("projection",), (("λ", "", ""), *ALONG_LAMBDA))
    for i, name in enumerate(names):
        for lam, details in by_lam.items():
            label = plain(name if lam == first else "")
            six.add_row(label, f"{lam:g}", *cells(present(details[i].mean), ALONG_LAMBDA))
        six.add_section()
    return Group(three, four, six, plain(NOTE))


def present(mean: Mapping[str, float]) -> dict[str, float]:
    """Every name that the tables ask for; NaN for a metric that the sweep left out."""
    return {name: mean.get(name, float("nan")) for _, name, _ in (*ENTROPIES, *METRICS, *ALONG_LAMBDA)}
