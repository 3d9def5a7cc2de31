"""What is in an adapter: the document of ``taskvec inspect``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from taskvec_kernels import lowrank_svd

from .adapters import Adapter, Module
from .chance.spectra import participation
from .progress import Mode, progress_bar
from .store.canonical import factors


def inspect_adapters(adapters: Sequence[Adapter], *, progress: Mode | None = None) -> dict[str, Any]:
    """Modules, ranks, scales and spectra of adapters as plain Python values; what is undefined is NaN."""
    documents = []
    with progress_bar(progress, "inspecting", sum(len(adapter.modules) for adapter in adapters)) as advance:
        for adapter in adapters:
            modules = []
            for module in adapter.modules.values():
                modules.append(inspect_module(module))
                advance(1)
            documents.append(
                {
                    "name": adapter.name,
                    "path": str(adapter.path),
                    "format": adapter.format,
                    "base_model": adapter.base_model,
                    "modules": modules,
                    "left_out": [{"tensor": item.tensor, "reason": item.reason} for item in adapter.left_out],
                }
            )
    return {"adapters": documents}


def inspect_module(module: Module) -> dict[str, Any]:
    """One module: what the file and the config say of it, and what its spectrum does."""
    b, a, scale, norm = factors(module.update(), module.rank, rounding=False)
    spectrum = lowrank_svd(b, a, scale).S.double()
    warnings = list(module.warnings)
    if norm is not None:
        share = float(spectrum.square().sum()) / (norm * norm or 1)
        warnings.append(f"cut to {len(spectrum)} directions, which hold {share:.2%} of ‖τ‖²")
    return {
        "module": module.path,
        "kind": module.kind,
        "layer": module.layer,
        "shape": list(module.shape),
        "rank": module.rank,
        "alpha": module.alpha,
        "scale": module.scale,
        "scale_source": module.scale_source,
        "norm": float(spectrum.norm()) if norm is None else norm,
        "spectrum": spectrum.tolist(),
        **describe_spectrum(spectrum),
        "start": module.start,
        "warnings": warnings,
    }


def describe_spectrum(spectrum: Tensor) -> dict[str, float]:
    """Numbers of a spectrum (k,), descending, of which only what is not zero counts.

    - ``effective_rank``: exp of the Shannon entropy of S / ΣS; NaN for a zero spectrum;
    - ``participation``: (ΣS²)² / ΣS⁴, which a few large ones decide; NaN for a zero spectrum;
    - ``entropy``: that entropy over the largest possible, ln r; 0 for one component, NaN for a zero spectrum;
    - ``min_gap``: the smallest (S_k − S_{k+1}) / S_1, NaN with fewer than two components. An error of relative size ε
      in τ turns the directions at that gap by about ε / min_gap.
    """
    values = spectrum[spectrum > 0]
    if not len(values):
        return {"effective_rank": math.nan, "participation": math.nan, "entropy": math.nan, "min_gap": math.nan}
    shares = values / values.sum()
    entropy = float(torch.special.entr(shares).sum())
    return {
        "effective_rank": math.exp(entropy),
        "participation": float(participation(values.numpy())),
        "entropy": entropy / math.log(len(values)) if len(values) > 1 else 0.0,
        "min_gap": float(-values.diff().max() / values[0]) if len(values) > 1 else math.nan,
    }
