"""Canonical forms give the task vectors back, of every kind of update, and are kept while the memory holds them."""

from __future__ import annotations

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

import taskvec.store.memory
from taskvec import load_zoo, sweep
from taskvec.adapters import Dense
from taskvec.errors import TaskvecError
from taskvec.store.canonical import canonical_forms
from taskvec.store.entry import form_bytes
from taskvec.store.kept import Kept
from taskvec.store.memory import AdapterFactors
from taskvec.sweeps.compute import compute
from taskvec.sweeps.options import Options
from taskvec.sweeps.plan import blocks_of
from taskvec.zoo import module_paths

SHAPE = (64, 48)


def spec(rank: int, modules: int = 3) -> dict[str, tuple[int, int, int]]:
    return {f"h.{layer}.q": (*SHAPE, rank) for layer in range(modules)}


def test_canonical_forms_give_the_task_vectors_back(adapter) -> None:
    """Mixed ranks and dtypes, in small stacks: U S Vh = scale · B A, with zero directions beyond the rank."""
    zoo = [adapter("a", spec(4), seed=1), adapter("b", spec(2), seed=2), adapter("c", spec(4), seed=3)]
    half = {path: (b.half(), a.bfloat16()) for path, (b, a) in ((p, m.update()[:2]) for p, m in zoo[2].modules.items())}
    double = {
        path: (b.double(), a.double()) for path, (b, a) in ((p, m.update()[:2]) for p, m in zoo[0].modules.items())
    }
    zoo = [adapter("a", double), zoo[1], adapter("c", half)]
    paths = module_paths(zoo)
    (U, S, Vh), _ = canonical_forms(zoo, paths, rank=5)
    assert (U.shape, S.shape, Vh.shape) == ((3, 3, 64, 5), (3, 3, 5), (3, 3, 5, 48))
    assert U.dtype == S.dtype == Vh.dtype == torch.float32 and U.mT.is_contiguous()
    for row, path in enumerate(paths):
        for i, one in enumerate(zoo):
            module = one.modules[path]
            b, a = (factor.double() for factor in module.update()[:2])
            tau = module.scale * b @ a
            error = tau - (U[row, i].double() * S[row, i].double()) @ Vh[row, i].double()
            assert error.norm() <= 1e-6 * tau.norm()
            assert (
                not S[row, i, module.rank :].any()
                and not U[row, i, :, module.rank :].any()
                and not Vh[row, i, module.rank :].any()
            )


def test_canonical_forms_in_small_stacks_are_the_same(adapter, monkeypatch) -> None:
    zoo = [adapter(f"{i}", spec(rank), seed=i) for i, rank in enumerate([4, 2, 4, 4])]
    whole, _ = canonical_forms(zoo, module_paths(zoo), rank=4)
    monkeypatch.setattr("taskvec.store.canonical.STACK_BYTES", 1)
    for one, other in zip(whole, canonical_forms(zoo, module_paths(zoo), rank=4)[0], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(12, 7), (7, 12)])
def test_a_dense_update_is_its_difference(adapter, shape) -> None:
    """A full fine-tune and a LoRA of one base compare with each other."""
    low = adapter("low", {"h.0.q": (*shape, 3)}, seed=1)
    b, a, scale = low.modules["h.0.q"].update()
    base = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    tuned = base + scale * b @ a
    module = replace(low.modules["h.0.q"], rank=min(shape), update=lambda: Dense(base, tuned))
    dense = replace(low, name="dense", modules={"h.0.q": module})
    result = sweep([low, dense]).isel(module=0)
    assert float(result["cosine"].sel(source="low", target="dense")) == pytest.approx(1, abs=1e-5)
    S = result["spectrum"].values
    assert S[1, :3] == pytest.approx(S[0, :3], rel=1e-5) and (S[1, 3:] < 1e-4 * S[1, 0]).all()


def test_forms_are_kept_while_the_memory_holds_them(adapter, monkeypatch) -> None:
    zoo = [adapter(f"{i}", spec(4, modules=2), seed=i) for i in range(8)]
    made = []
    make = taskvec.store.memory.canonical_forms

    def counted(adapters, modules, *rest):
        made.append((adapters[0].name, modules))
        return make(adapters, modules, *rest)

    monkeypatch.setattr(taskvec.store.memory, "canonical_forms", counted)
    one = ("h.0.q",)
    each = form_bytes(4, SHAPE)
    for memory, kept in ((8 * each, range(8)), (6 * each, [0, 3, 4, 5, 6, 7]), (1, [0, 5, 6, 7])):
        factors = Kept(AdapterFactors(zoo), memory)
        for i in range(1, 8):  # as a block does: the source, then a target
            factors.read(one, (0,), 4)
            factors.read(one, (i,), 4)
        made.clear()
        for i in kept:
            factors.read(one, (i,), 4)
        assert made == []
    factors.read(("h.1.q",), (0,), 4)
    factors.read(one, (0,), 4)
    assert made == [("0", ("h.1.q",)), ("0", one)]


def test_forms_that_two_ask_for_are_made_once(adapter, monkeypatch) -> None:
    """Whoever comes second waits, also for the error of the first; then they are made again."""
    factors = AdapterFactors([adapter("0", spec(4, modules=1), seed=0)])
    kept, calls, go = Kept(factors), [], threading.Event()
    read = AdapterFactors.read

    def slow(self, *asked):
        calls.append(asked)
        go.wait(10)
        if len(calls) == 1:
            raise TaskvecError("gone")
        return read(self, *asked)

    monkeypatch.setattr(AdapterFactors, "read", slow)
    asked = ("h.0.q",), (0,), 4
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(kept.read, *asked) for _ in range(2)]
        time.sleep(0.1)
        go.set()
        assert all("gone" in str(one.exception()) for one in both)
    assert len(calls) == 1
    assert kept.read(*asked) is kept.read(*asked)
    assert len(calls) == 2


def test_a_block_goes_to_another_process(zoo_folder) -> None:
    """What is pickled is where the files are, not what is in them; the result is the same, bit for bit."""
    zoo = load_zoo(zoo_folder)
    factors, options = AdapterFactors(zoo.adapters), Options()
    everyone = range(len(factors.entries))
    for block in blocks_of(factors.entries, module_paths(factors.entries), everyone, everyone):
        here = compute(block, factors, options)
        sent = pickle.dumps((block, factors, options))
        assert len(sent) < 20_000
        there = compute(*pickle.loads(sent))
        assert (there.sources == here.sources).all() and (there.targets == here.targets).all()
        assert here.forward.keys() == there.forward.keys() == set(options.metrics)
        for name, values in here.forward.items():
            assert torch.equal(values, there.forward[name])
