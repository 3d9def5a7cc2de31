"""Numbers of ``taskvec inspect`` against a dense SVD and against spectra whose answers are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from make_adapters import pair, pairs, write_adapter
from taskvec import load_adapter
from taskvec.inspect import describe_spectrum, inspect_adapters, inspect_module


def test_spectrum_and_norm_are_those_of_the_dense_matrix(tmp_path: Path) -> None:
    module = load_adapter(write_adapter(tmp_path, pair("h.3.q", m=9, n=7, r=4), r=4, lora_alpha=6)).modules["h.3.q"]
    found = inspect_module(module)
    b, a = (factor.double().numpy() for factor in module.update()[:2])
    tau = 1.5 * b @ a
    np.testing.assert_allclose(found["spectrum"], np.linalg.svd(tau, compute_uv=False)[:4], rtol=1e-6)
    assert found["norm"] == pytest.approx(np.linalg.norm(tau), rel=1e-6)
    assert {
        key: found[key] for key in ("module", "kind", "layer", "shape", "rank", "alpha", "scale", "scale_source")
    } == {
        "module": "h.3.q",
        "kind": "q",
        "layer": 3,
        "shape": [9, 7],
        "rank": 4,
        "alpha": 6.0,
        "scale": 1.5,
        "scale_source": "alpha/r",
    }


def test_equal_singular_values() -> None:
    found = describe_spectrum(torch.full((4,), 2.5, dtype=torch.float64))
    four = pytest.approx(4)
    assert found == {"effective_rank": four, "participation": four, "entropy": pytest.approx(1), "min_gap": 0}


def test_known_spectrum_with_zeros() -> None:
    found = describe_spectrum(torch.tensor([4.0, 3.0, 1.0, 0.0], dtype=torch.float64))
    entropy = -sum(p * math.log(p) for p in (4 / 8, 3 / 8, 1 / 8))
    assert found["effective_rank"] == pytest.approx(math.exp(entropy))
    assert found["entropy"] == pytest.approx(entropy / math.log(3))
    assert found["participation"] == pytest.approx((16 + 9 + 1) ** 2 / (256 + 81 + 1))
    assert found["min_gap"] == pytest.approx(1 / 4)


def test_one_component() -> None:
    found = describe_spectrum(torch.tensor([3.0, 0.0], dtype=torch.float64))
    assert found["effective_rank"] == 1 and found["entropy"] == 0 and math.isnan(found["min_gap"])


def test_zero_update(tmp_path: Path) -> None:
    tensors = {name: tensor * ("lora_A" in name) for name, tensor in pairs().items()}
    found = inspect_module(load_adapter(write_adapter(tmp_path, tensors)).modules["h.0.q"])
    assert found["spectrum"] == [0, 0] and found["norm"] == 0
    assert all(math.isnan(found[key]) for key in ("effective_rank", "participation", "entropy", "min_gap"))


def test_document_lists_what_was_left_out(tmp_path: Path) -> None:
    tensors = pairs() | {"base_model.model.score.weight": torch.ones(2, 3)}
    document = inspect_adapters([load_adapter(write_adapter(tmp_path, tensors), name="me")])
    (adapter,) = document["adapters"]
    assert (adapter["name"], adapter["path"], adapter["format"], adapter["base_model"]) == (
        "me",
        str(tmp_path),
        "peft",
        "tiny",
    )
    assert [module["module"] for module in adapter["modules"]] == ["h.0.q", "h.1.q"]
    assert [item["tensor"] for item in adapter["left_out"]] == ["base_model.model.score.weight"]
