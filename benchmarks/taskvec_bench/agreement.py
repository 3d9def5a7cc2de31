"""When two results are the same: one tolerance for each kind, far below what would matter to a reader."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .case import DisagreementError

# metrics of spectra near 1: fp32 of any order of summation passes, a wrong formula does not
ABSOLUTE, RELATIVE = 1e-4, 1e-4


def close(what: str, value: Tensor, truth: Tensor, *, absolute: float = ABSOLUTE, relative: float = RELATIVE) -> None:
    """Raise ``DisagreementError`` unless |value − truth| ≤ absolute + relative·|truth|; NaN belongs where NaN is."""
    value, truth = value.double(), truth.double()
    if value.shape != truth.shape:
        raise DisagreementError(f"{what} has shape {tuple(value.shape)}, the reference {tuple(truth.shape)}")
    over = (value - truth).abs() - absolute - relative * truth.abs()
    bad = ~((over <= 0) | (value.isnan() & truth.isnan()) | (value == truth))
    if bad.any():
        worst = int(torch.where(bad, over.nan_to_num(torch.inf), -torch.inf).argmax())
        at = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), value.shape))
        raise DisagreementError(
            f"{what}{list(at)} is {float(value[at]):.9g}, the reference says {float(truth[at]):.9g}"
        )


def all_close(
    values: Mapping[str, Tensor],
    truths: Mapping[str, Tensor],
    *,
    absolute: float = ABSOLUTE,
    relative: float = RELATIVE,
) -> None:
    """``close`` for every name of ``truths``."""
    for name, truth in truths.items():
        if name not in values:
            raise DisagreementError(f"{name} is missing")
        close(name, values[name], truth, absolute=absolute, relative=relative)
