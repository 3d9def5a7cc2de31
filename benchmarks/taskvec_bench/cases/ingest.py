"""``taskvec.ingest`` of PEFT folders to a new store, beside the factorisation of the same adapters alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .case import Case, Provider, close
from .inputs import Model
from .loading import ALPHA, JSON, WEIGHTS, Root, folders

if TYPE_CHECKING:
    from taskvec.store.entry import Entry
    from taskvec.store.memory import AdapterFactors

AT_ONCE = 2**28  # bytes of factors in memory

Spectra = dict[str, Tensor]  # "S": (N, modules, r)


def ingest_case(model: Model, adapters: int, r: int, *, quick: bool = False) -> Case:
    """N folders of the model's modules in the page cache; factors are on the disk at the end, or in memory."""
    return Case(
        function="ingest",
        shape=model.shape(r, modules=model.modules, N=adapters),
        flop=0,
        bytes=0,
        inputs=lambda: folders(model, adapters, r),
        truth=truth,
        agrees=lambda result, expected: close(result, expected, relative=1e-3),
        providers={
            "ours/cpu": Provider(ours),
            "ours/factors alone": Provider(factors_alone, prepare=loaded),
            "torch/qr, svd and save_file": Provider(by_hand),
        },
        quick=quick,
    )


def ours(root: Root) -> Spectra:
    import taskvec

    with TemporaryDirectory(dir=Path(root.name).parent) as place:
        store = taskvec.ingest(root.name, f"{place}/zoo.zarr").store
        places = tuple(range(len(store.entries)))
        paths = tuple(store.entries[0].modules)
        return {"S": torch.stack([store.read((path,), places, rank_of(store.entries))[0].S[0] for path in paths], 1)}


def loaded(root: Root) -> AdapterFactors:
    import taskvec
    from taskvec.store.memory import AdapterFactors

    return AdapterFactors(taskvec.load_zoo(root.name).adapters)


def factors_alone(factors: AdapterFactors) -> Spectra:
    """Read from the files and factorised, as much at once as the memory holds; nothing is written."""
    from taskvec.store.entry import form_bytes

    entries = factors.entries
    modules = entries[0].modules
    each = sum(form_bytes(module.rank, module.shape) for module in modules.values())
    step = max(1, AT_ONCE // each)
    made = []
    for start in range(0, len(entries), step):
        some = tuple(range(start, min(start + step, len(entries))))
        made.append(factors.read(tuple(modules), some, rank_of(entries)).svd.S.transpose(0, 1))
    return {"S": torch.cat(made)}


def rank_of(entries: Iterable[Entry]) -> int:
    return max(module.rank for entry in entries for module in entry.modules.values())


def by_hand(root: Root) -> Spectra:
    """What one would write: a file of U, S, V for each adapter, by QR of both factors and an SVD of the core."""
    found = []
    with TemporaryDirectory(dir=Path(root.name).parent) as place:
        for folder in sorted(Path(root.name).iterdir()):
            scale = ALPHA / json.loads((folder / JSON).read_text())["r"]
            tensors = load_file(folder / WEIGHTS)
            b, a = (torch.stack([t for name, t in in_order(tensors) if f"lora_{side}" in name]) for side in "BA")
            q_b, r_b = torch.linalg.qr(b)
            q_a, r_a = torch.linalg.qr(a.mT)
            u, s, vh = torch.linalg.svd(scale * r_b @ r_a.mT)
            factors = {"U": (q_b @ u).mT.contiguous(), "S": s, "V": (vh @ q_a.mT).contiguous()}
            save_file(factors, f"{place}/{folder.name}.safetensors")
            found.append(s)
    return {"S": torch.stack(found)}


def truth(root: Root) -> Spectra:
    """Singular values of the whole products in fp64."""
    found = []
    for folder in sorted(Path(root.name).iterdir()):
        scale = ALPHA / json.loads((folder / JSON).read_text())["r"]
        tensors = load_file(folder / WEIGHTS)
        b, a = (torch.stack([t.double() for name, t in in_order(tensors) if f"lora_{side}" in name]) for side in "BA")
        r_b, r_a = torch.linalg.qr(b).R, torch.linalg.qr(a.mT).R
        found.append(torch.linalg.svdvals(scale * r_b @ r_a.mT))
    return {"S": torch.stack(found)}


def in_order(tensors: dict[str, Tensor]) -> list[tuple[str, Tensor]]:
    """Tensors by their names, which is the order of an adapter's modules."""
    return sorted(tensors.items())
