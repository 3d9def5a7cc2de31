"""Made zoos: the same from the same seed, readable as PEFT folders, and related as they say."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import taskvec
from taskvec_bench.zoos import Kind, Recipe, adapters, factors, members, mixed, recipe, square, write_folders

TINY = dataclasses.replace(square(24, width=48, layers=3), ranks=(4, 8))
PLACES = [part.name for part in recipe.FAMILY]


def test_the_first_of_a_larger_zoo_are_the_smaller_one() -> None:
    few, many = list(members(TINY)), list(members(dataclasses.replace(TINY, adapters=40)))
    assert many[: len(few)] == few
    assert [who.name for who in many] == sorted({who.name for who in many})
    for who in (few[9], few[14]):
        more = factors(dataclasses.replace(TINY, adapters=40), who)
        for path, (b, a) in factors(TINY, who).items():
            assert np.array_equal(b, more[path][0])
            assert np.array_equal(a, more[path][1])
    other = factors(dataclasses.replace(TINY, seed=1), few[9])
    assert all(not np.array_equal(b, other[path][0]) for path, (b, _) in factors(TINY, few[9]).items())


def test_folders_hold_what_is_in_memory(tmp_path: Path) -> None:
    written = write_folders(tmp_path, TINY, range(8, 16))
    zoo = taskvec.load_zoo(tmp_path)
    made = {adapter.name: adapter for adapter in adapters(TINY)}
    assert [adapter.name for adapter in zoo.adapters] == [who.name for who in written] == list(made)[8:16]
    for adapter in zoo.adapters:
        for path, module in adapter.modules.items():
            own = made[adapter.name].modules[path]
            assert (module.shape, module.rank, module.scale) == (own.shape, own.rank, own.scale)
            assert all(torch.equal(x, y) for x, y in zip(module.update()[:2], own.update()[:2], strict=True))


def test_a_mixed_zoo_has_bases_shapes_ranks_and_dtypes() -> None:
    found = list(members(mixed(800)))
    assert {who.base.name for who in found} == {"llama-like-512", "other-llama-like-384", "gpt2-like"}
    assert len({kind[1:] for who in found for kind in who.kinds}) >= 7
    assert {who.rank for who in found} == {4, 8, 16, 32, 64, 128, 256}
    assert {who.dtype for who in found} == {"float32", "bfloat16", "float16"}
    own = next(who for who in found if who.base.name == "gpt2-like" and who.dtype == "float32")
    b, a = factors(mixed(800), own)["transformer.h.2.attn.c_attn"]
    assert (b.shape, a.shape) == ((2304, own.rank), (own.rank, 768))
    assert isinstance(own.kinds[0], Kind)


@pytest.mark.parametrize("fault", recipe.FAULTS)
def test_every_broken_one_is_left_out_by_its_name(fault: str, tmp_path: Path) -> None:
    spoilt = dataclasses.replace(TINY, adapters=200, broken=0.2)
    broken = [who for who in members(spoilt) if who.fault == fault]
    assert 0 < len(broken) < 40
    write_folders(tmp_path, spoilt, [broken[0].number, 0, 1])
    zoo = taskvec.load_zoo(tmp_path, skip_bad=True)
    assert [item.path.name for item in zoo.skipped] == [broken[0].name]
    assert len(adapters(spoilt)) == 200 - sum(who.fault is not None for who in members(spoilt))


def test_relations_are_those_of_their_names() -> None:
    zoo = adapters(square(24, width=96, layers=4))
    captured = taskvec.sweep(zoo)["captured"].mean("module").values
    first, again, wide, early, late, part, merge, stranger = (
        PLACES.index(name)
        for name in ("seed0", "seed1", "seed2-wide", "seed0-step0300", "seed0-step0700", "part", "merge", "other")
    )
    unrelated = captured[:8, 16:].max()
    assert captured[stranger, :stranger].max() < 2 * unrelated
    assert captured[first, [again, wide, early, late, part, merge]].min() > 2 * unrelated
    assert captured[first, late] > captured[first, early] > unrelated
    assert captured[merge, 8] > 2 * unrelated  # half of it is the next family's
    norm = taskvec.sweep(zoo[:3])["norm"].mean("module").values
    assert norm[early] < norm[late] < norm[first] * 1.05


def test_the_command_writes_a_zoo(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "taskvec_bench.zoos", str(tmp_path), "--recipe", "small", "--adapters", "3"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert (
        subprocess.check_output(command, text=True, env=environment) == f"3 adapters in {tmp_path}, 0 of them broken\n"
    )
    assert isinstance(recipe.small(3), Recipe)
    assert len(taskvec.load_zoo(tmp_path).adapters) == 3
