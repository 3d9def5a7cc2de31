"""From rows to what people see: the committed documents are the rows', and each table and curve says what it should."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from taskvec_bench import plots, publish, stale, tables, targets
from taskvec_bench.fingerprints import fingerprint, fingerprints, of_a_row
from taskvec_bench.growth import curves, slope, upper
from taskvec_bench.registry import CASES
from taskvec_bench.results import by_case, figure, ratio, slower_than_torch, spread
from taskvec_bench.rows import Row, read_csv, write_csv

ROOT = Path(__file__).parents[2]
TODAY = "0123456789ab"
KERNELS = {"": TODAY}
GPT2 = "pairwise gpt2-c_attn modules={} N={} m=2304 n=768 r=8"
GPT2_MODULES = {2: 12, 8: 12, 64: 3, 256: 1}
GEMM, COPY = "limit float32 m=4096 n=4096", "limit copy n=67108864"
PLOT = "the rows and the documents are not of one making: run `make plot` (or `make bench`, for new rows) and commit"


def row(name: str, provider: str, *seconds: float, **also: Any) -> Row:
    """A row as a run would write it; ``seconds`` are the minima of its processes."""
    case = CASES[name]
    shape = {key: case.shape.get(key) for key in ("modules", "N", "m", "n", "r")}
    taken: dict[str, Any] = {"min": min(seconds), "median": min(seconds), "q20": min(seconds), "q80": max(seconds)}
    values: dict[str, Any] = {
        "case": name, "function": case.function, "variant": case.variant, "model": case.shape.get("model", ""),
        "provider": provider, "computes": "", "unit": "s", "minima": " ".join(map(str, seconds)), "rounds": 9,
        "part": 1.0, "flop": case.flop, "bytes": case.bytes, "precision": case.precision, "share_of_limit": 0.5,
        "share_of_matmul": 0.5, "share_of_copy": 0.1, "peak_memory": None, "threads": case.threads or 2, "simd": "avx2",
        "processor": "Some CPU", "cores": "2", "python": "3.11", "torch": "2.13", "version": "1", "commit": "abc1234",
        "kernels": TODAY, "date": "2030-01-02",
    }  # fmt: skip
    return Row(**shape | taken | values | also)


def some_rows() -> list[Row]:
    """Limits, a curve against N, a pair of thread numbers, and a case in which torch is faster."""
    rows = [row(GEMM, "torch/mm", 0.5, 0.5), row(COPY, "torch/copy", 0.05, 0.05)]
    for N, modules in GPT2_MODULES.items():
        rows.append(row(GPT2.format(modules, N), "ours/cpu", modules * 1e-6 * N**2))
        rows.append(row(GPT2.format(modules, N), "torch/panels", modules * 1e-5 * N**1.5))
        rows.append(row(GPT2.format(modules, N), "torch/loop", modules * 5e-5 * N**2))
    for suffix, ours in (("", 0.2), (" threads=1", 0.4)):
        rows.append(row(targets.PAIRWISE + suffix, "ours/cpu", ours, ours * 1.1))
        rows.append(row(targets.PAIRWISE + suffix, "torch/panels", ours * 1.5, ours * 2.2))
    return rows


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the project's documents, blocks empty, and a CSV of ``some_rows``."""
    (tmp_path / "docs").mkdir()
    for path, text in publish.documents(ROOT, None, KERNELS).items():
        (tmp_path / path).write_text(text)
    write_csv(tmp_path / publish.DATA / "some-cpu.csv", some_rows())
    return tmp_path


# the committed documents


def test_documents_are_what_the_rows_say() -> None:
    wanted = publish.documents(ROOT, publish.published(ROOT), fingerprints(ROOT))
    assert [str(path) for path, text in wanted.items() if (ROOT / path).read_text() != text] == [], PLOT


def test_pictures_are_drawn_from_the_rows() -> None:
    csv = publish.published(ROOT)
    there = [ROOT / "docs" / name for name in publish.CAPTIONS if (ROOT / "docs" / name).exists()]
    if csv is None:
        assert there == [], "pictures without rows: remove them"
    else:
        assert there, PLOT
        digest = publish.digest(csv).encode()
        assert [path.name for path in there if digest not in path.read_bytes()] == [], PLOT


def test_rows_are_of_declared_cases() -> None:
    csv = publish.published(ROOT)
    gone = stale.undeclared(read_csv(csv)) if csv else []
    assert gone == [], "rows of cases or providers that the registry no longer has: remove them, or run `make bench`"


def test_named_cases_and_providers_are_declared() -> None:
    named = [(target.case, way) for target in targets.TARGETS for way in (target.provider, target.other) if way]
    for name, provider in [*named, *tables.TELLING]:
        assert provider in CASES[name].providers


# publishing


def test_publish_fills_the_documents_and_is_then_at_rest(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    csv = publish.published(tree)
    assert csv is not None
    drawn = {path.name: path.read_bytes() for path in publish.publish(tree, csv, KERNELS) if path.suffix == ".png"}
    assert drawn.keys() == {"speed.png", "roofline.png", "growth.png"}  # nobody measured memory
    assert all(publish.digest(csv).encode() in data for data in drawn.values())
    readme, performance = ((tree / path).read_text() for path in (publish.README, publish.PERFORMANCE))
    assert "| `pairwise` 4096 × 4096, N = 256, r = 8 | 200 ms | 0.50 matmul | `torch/panels` | 1.50 to 2.0 |" in readme
    assert "](docs/speed.png)" in readme and "](benchmarks/data/some-cpu.csv)" in readme
    assert "](growth.png)" in performance and "memory.png" not in performance
    assert stale.MARK not in readme + performance
    assert "**GPU.**" in readme and "## What limits `pairwise`" in performance
    assert publish.documents(tree, csv, KERNELS) == {publish.README: readme, publish.PERFORMANCE: performance}
    monkeypatch.setattr(plots, "PICTURES", {"speed.png": plots.speed})
    assert publish.pictures(read_csv(csv), csv, tree / "docs") == ["speed.png"]
    assert (tree / "docs/speed.png").read_bytes() == drawn["speed.png"]
    assert not (tree / "docs/growth.png").exists()  # of rows that are no more


def test_memory_is_drawn_where_it_was_measured() -> None:
    rows = [dataclasses.replace(one, peak_memory=3.0 * i) for i, one in enumerate(some_rows())]
    picture = plots.memory(rows)
    assert [label.get_text() for label in picture.axes[0].get_yticklabels()] == ["ours/cpu", "torch/panels"]
    plots.plt.close(picture)
    assert "`torch/panels` 45" in tables.memory(rows)
    assert tables.memory(some_rows()) == "Not measured."


def test_other_kernels_mark_their_rows_and_the_documents_are_out_of_date(tree: Path) -> None:
    rows = some_rows()
    rows[-2] = dataclasses.replace(rows[-2], kernels="old", commit="0ldc0de")  # ours, one thread
    text = tables.everything(rows, KERNELS)
    assert "| 4096 × 4096, N = 256, r = 8, 1 thread | 400 ms † |" in text
    assert "| 4096 × 4096, N = 256, r = 8 | 200 ms |" in text
    assert "† measured before the kernels changed: commit 0ldc0de; run `make bench`." in text
    csv = publish.published(tree)
    before = publish.documents(tree, csv, KERNELS)
    after = publish.documents(tree, csv, {"": "ffffffffffff"})
    assert all(stale.MARK in after[path] and after[path] != text for path, text in before.items())


def test_undeclared_rows_are_named() -> None:
    rows = some_rows()
    rows[0] = dataclasses.replace(rows[0], case="pairwise of old")
    rows[1] = dataclasses.replace(rows[1], provider="torch/gone")
    assert stale.undeclared(rows) == ["pairwise of old: torch/mm", f"{COPY}: torch/gone"]
    assert curves([dataclasses.replace(one, case=f"old {one.case}") for one in rows]) == []


# the command


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda tree: shutil.rmtree(tree / "benchmarks"), "no CSV; run make bench"),
        (lambda tree: write_csv(tree / publish.DATA / "other.csv", some_rows()), "2 machines, and the README names 0"),
        (lambda tree: write_csv(tree / publish.DATA / "some-cpu.csv", []), "no rows; run make bench"),
        (lambda tree: (tree / publish.DATA / "some-cpu.csv").write_text("case,unit\na,s\n"), "no column function"),
        (lambda tree: (tree / "README.md").write_text("# nothing\n"), "blocks none, expected readme"),
        (lambda tree: (tree / "README.md").unlink(), "README.md"),
    ],
)
def test_command_says_what_is_wrong(tree: Path, capsys: pytest.CaptureFixture[str], spoil: Any, said: str) -> None:
    spoil(tree)
    assert publish.main(["--root", str(tree)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("publish: ") and said in error and error.count("\n") == 1
    assert not (tree / "docs/speed.png").exists()


def test_of_several_machines_the_one_that_the_readme_names(tree: Path) -> None:
    write_csv(tree / publish.DATA / "other.csv", some_rows())
    (tree / "README.md").write_text("[data](benchmarks/data/other.csv)")
    assert publish.published(tree) == tree / publish.DATA / "other.csv"


# figures


def test_slopes_are_those_of_a_module() -> None:
    by_label = {(one.axis, one.label): one for one in curves(some_rows())}
    assert list(by_label) == [
        ("N", "pairwise gpt2-c_attn 2304 × 768, r = 8"),
        ("threads", "pairwise 4096 × 4096, N = 256, r = 8"),
    ]
    against_n, threads = by_label.values()
    assert [x for x, _ in against_n.ours] == [2, 8, 64, 256]
    assert slope(against_n.ours) == pytest.approx(2) and slope(against_n.torch) == pytest.approx(1.5)
    assert threads.ours == ((1, 0.4), (2, 0.2)) and slope(threads.ours) == pytest.approx(-1)


def test_slope_of_the_upper_half() -> None:
    points = ((1.0, 1.0), (2.0, 1.0), (4.0, 1.0), (8.0, 8.0), (16.0, 64.0))
    assert slope(upper(points)) == pytest.approx(3)
    assert slope(points[:1]) is None and slope(((2.0, 1.0), (2.0, 3.0))) is None


def test_ratios_are_of_one_process() -> None:
    ours, torch = row(targets.PAIRWISE, "ours/cpu", 1.0, 2.0), row(targets.PAIRWISE, "torch/panels", 3.0, 2.0)
    assert ratio(torch, ours) == (1.0, 3.0)
    assert [figure(x) for x in (0.0123, 0.996, 1.094, 3.84, 37.6, 726_123)] == [
        "0.012", "1.00", "1.09", "3.8", "38", "730,000",
    ]  # fmt: skip
    assert spread((3.81, 3.84)) == "3.8" and spread((3.8, 6.1)) == "3.8 to 6.1"


def test_slower_than_torch_is_said_plainly() -> None:
    rows = some_rows()
    assert [name for name, ways in by_case(rows).items() if slower_than_torch(ways)] == [GPT2.format(1, 256)]
    text = tables.slower(rows, KERNELS)
    assert "1 of 6 cases" in text
    assert "| `pairwise` gpt2-c_attn 2304 × 768, N = 256, r = 8 | 65.5 ms | `torch/panels` 41 ms | 1.60 |" in text
    assert tables.everything(rows, KERNELS).count("**slower than torch**") == 1
    assert "In 1 of 6 cases torch is faster" in tables.slower_count(rows)
    # what computes something else is never beside ours
    other = [dataclasses.replace(one, computes="less") if one.provider == "torch/panels" else one for one in rows]
    assert tables.slower(other, KERNELS) == "None of 6 cases."
    assert tables.different(other) == (
        "| provider | computes | cases | times as long as ours |\n| --- | --- | --- | --- |\n"
        "| `torch/panels` | less | 6 | 0.63 to 7.1 |"
    )


def test_rows_under_their_limit_are_counted() -> None:
    rows = some_rows()
    rows[2] = dataclasses.replace(rows[2], share_of_limit=0.9)
    assert "| `pairwise` | 6 | 5 | 0.50 | 0.90 | 0.5: " in tables.shares(rows)


def test_targets_are_judged_by_the_worst_process() -> None:
    sparse = targets.SPARSE_PAIRWISE
    rows = [
        row(GEMM, "torch/mm", 0.5, 0.5),
        row(targets.PAIRWISE, "ours/cpu", 0.125, 0.1388),  # as much of torch's product takes 0.125
        row(targets.PAIRWISE, "ours/cpu medium", 0.078, 0.08),
        row(sparse, "ours/cpu", 1.1, 1.1),
        row(sparse, "ours/cpu λ=0", 1.0, 0.9, computes="the projection without λ"),
        row(targets.EXACT, "ours/cpu", 0.1, 0.16),
    ]
    reached = {(target.case, target.provider): target.reached(rows) for target in targets.TARGETS}
    assert reached[targets.PAIRWISE, "ours/cpu"] == "yes: 0.90 to 1.00"
    assert reached[targets.PAIRWISE, "ours/cpu medium"] == "yes: 1.60 to 1.74"
    assert reached[sparse, "ours/cpu"] == "**missed**: 1.10 to 1.22"
    assert reached[targets.EXACT, "ours/cpu"] == "yes: 25 to 40"
    assert reached[targets.ADAM, "ours/cpu"] == "not measured"
    assert "**missed**" in tables.promised(rows, KERNELS)


# the fingerprint of the kernels


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    (tmp_path / "csrc/cpu").mkdir(parents=True)
    (tmp_path / "taskvec_kernels/triton").mkdir(parents=True)
    (tmp_path / "csrc/cpu/gram.h").write_text("// packs\nint f(int x) { return x; }\n")
    (tmp_path / "taskvec_kernels/pairs.py").write_text(
        '"""Pairs."""\n\n\ndef f(x, y=()):\n    """Adds."""\n    return x\n'
    )
    (tmp_path / "taskvec_kernels/triton/gram.py").write_text("a = 1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text", "same"),
    [
        ("csrc/cpu/gram.h", "/* sums\n*/\nint f(int x)\n{\n  return x;  // x\n}\n", True),
        ("csrc/cpu/gram.h", "// packs\nint f(int x) { return x + 1; }\n", False),
        ("csrc/cpu/new.cpp", "int g();\n", False),
        ("taskvec_kernels/pairs.py", "# two\ndef f(\n    x, y=()\n):\n    return x  # it\n", True),
        ("taskvec_kernels/pairs.py", '"""Pairs."""\n\n\ndef f(x, y=()):\n    """Adds."""\n    return -x\n', False),
        ("taskvec_kernels/pairs.py", "def f(x, y=None):\n    return x\n", False),
        ("taskvec_kernels/triton/gram.py", "a = 2\n", True),
    ],
)
def test_fingerprint_is_of_code_alone(kernels: Path, file: str, text: str, same: bool) -> None:
    before = fingerprint(kernels)
    (kernels / file).write_text(text)
    assert (fingerprint(kernels) == before) is same


def test_fingerprint_is_the_same_in_every_python(kernels: Path) -> None:
    assert fingerprint(kernels) == "57126fbec166"


def test_a_function_depends_on_its_own_files_and_on_everyones(kernels: Path) -> None:
    (kernels / "csrc/cpu/lowrank_svd.cpp").write_text("int one;")
    before = fingerprints(kernels)
    (kernels / "csrc/cpu/pairwise-inl.h").write_text("int other;")
    after = fingerprints(kernels)
    assert {name for name in before if before[name] != after[name]} == {"", "pairwise"}
    assert of_a_row(after, "pairwise", "") == after["pairwise"] != after[""]
    assert of_a_row(after, "pairwise", "peers") == of_a_row(after, "sweep", "real adapters") == after[""]
    for file, functions in {
        "project_dense-inl.h": {"", "project_dense"},
        "project-inl.h": {"", "project", "project_dense"},
    }.items():
        before = fingerprints(kernels)
        (kernels / "csrc/cpu" / file).write_text("int other;")
        after = fingerprints(kernels)
        assert {name for name in before if before[name] != after[name]} == functions
    (kernels / "csrc/cpu/common.h").write_text("int all;")
    assert not after.items() & fingerprints(kernels).items()
