"""``taskvec sweep --approximate`` and ``taskvec query ZOO.zarr --like NEW``."""

from __future__ import annotations

import json

import numpy as np
import pytest

from taskvec import sweep
from taskvec.cli import main
from taskvec.ingestion import ingest
from taskvec.sweeps.like import like
from taskvec.zoo import load_zoo
from tests.taskvec.conftest import make_adapter, random_factors, save_adapter

SPEC = {f"h.{layer}.q": (24, 20, 4) for layer in range(6)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Four adapters, and a new one that is near the third; the store of the four."""
    root = tmp_path_factory.mktemp("zoo")
    for i in range(4):
        save_adapter(root / "zoo" / f"a{i}", random_factors(SPEC, i), 4)
    near, other = random_factors(SPEC, 2), random_factors(SPEC, 9)
    new = {path: (b + 0.2 * other[path][0], a) for path, (b, a) in near.items()}
    save_adapter(root / "new", new, 4)
    ingest([root / "zoo"], root / "zoo.zarr", sketch=16)
    return root


def test_a_new_adapter_against_a_store_is_its_row_and_column_of_a_sweep(folders) -> None:
    (new,) = load_zoo([folders / "new"]).adapters
    found = like(folders / "zoo.zarr", new)
    whole = sweep([*load_zoo([folders / "zoo"]).adapters, new], keep="reduced")
    i, j = found["listed_source"].values, found["listed_target"].values
    assert found.sizes["listed"] == 8 and ((i == 4) | (j == 4)).all()
    for name in ("captured", "rec", "l1", "rec_z_raw", "used"):
        np.testing.assert_allclose(found[name].values, whole[name].values[i, j], rtol=1e-4, atol=1e-5)
    for name in ("norm", "spectrum"):
        np.testing.assert_allclose(found[name].values, whole[name].values, rtol=1e-5)


def test_a_name_that_the_store_has_already(folders) -> None:
    same = make_adapter("a2", random_factors(SPEC, 2))
    assert like(folders / "zoo.zarr", same)["source"].values[-1] == "a2 (new)"


def test_query_like(folders, capsys) -> None:
    arguments = ["query", str(folders / "zoo.zarr"), "--like", str(folders / "new"), "--top", "1"]
    assert main([*arguments, "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert len(result["ranking"]) == 2 and result["left_out"] == 3
    assert {"a2", str(folders / "new")} == {result["ranking"][0]["source"], result["ranking"][0]["target"]}
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "a2" in printed and "3 more adapters not shown." in printed


def test_query_like_of_a_result_reads_what_that_was_swept_from(folders, tmp_path, capsys) -> None:
    printed = []
    for place in ("zoo", "zoo.zarr"):
        out = str(tmp_path / f"of-{place}.zarr")
        assert main(["sweep", str(folders / place), "-o", out]) == 0
        capsys.readouterr()
        assert main(["query", out, "--like", str(folders / "new"), "--json"]) == 0
        (result,) = json.loads(capsys.readouterr().out)["results"]
        printed.append([(row["source"], row["target"]) for row in result["ranking"]])
    assert len(printed[0]) == 8 and printed[0] == printed[1]


def test_query_like_without_a_common_module(folders, capsys) -> None:
    save_adapter(folders / "other", random_factors({"g.0.q": (24, 20, 4)}, 1), 4)
    assert main(["query", str(folders / "zoo.zarr"), "--like", str(folders / "other")]) == 2
    assert "has no module in common" in capsys.readouterr().err


def test_sweep_approximate(folders, capsys) -> None:
    arguments = ["sweep", str(folders / "zoo.zarr"), str(folders / "new"), "--approximate", "--min-captured", "0.5"]
    assert main([*arguments, "-o", str(folders / "out.zarr"), "--top", "2"]) == 0
    told = capsys.readouterr()
    assert "9 pairs that the result does not keep: they are absent, not 0." in told.out
    assert "approximate: " in told.err and "about 0 ± 0 above the floor missed" in told.err
    assert main(["show", str(folders / "out.zarr"), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert len(result["ranking"]) == 2 and result["left_out"] == 9
    assert main([*arguments, "-o", str(folders / "b.zarr"), "--keep", "all"]) == 2
    assert "goes without --keep" in capsys.readouterr().err
