"""``compare_spectra``: the metrics of two spectra."""

from __future__ import annotations

from torch import Tensor

from .metrics import Compared, metric
from .rule import Arguments, Formula, Wanted


def compare_spectra(arguments: Arguments, wanted: Wanted) -> list[Tensor]:
    s1, s2, metrics, p, _ = arguments
    compared = Compared(s1, s2, p)
    return [metric("compare_spectra", metrics[i], compared) for i in wanted]


COMPARE_SPECTRA = Formula(compare_spectra)
