"""From rows to what people see: the committed documents are the rows', and each table and curve says what it should."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from taskvec_bench.cases import CASES
from taskvec_bench.measure.fingerprints import fingerprints
from taskvec_bench.measure.rows import Row, Sample, read_csv, to_row, write_csv
from taskvec_bench.publish import __main__ as publish
from taskvec_bench.publish import plots, targets
from taskvec_bench.publish.growth import curves, slope
from taskvec_bench.publish.tables import TELLING, Tables
from taskvec_bench.publish.ways import figure, ratios, spread

ROOT = Path(__file__).parents[2]
MACHINE = {"simd": "avx2", "processor": "Some CPU", "cores": "2", "python": "3.11", "torch": "2.13", "version": "1"}
MACHINE |= {"commit": "abc1234", "kernels": "0123456789ab", "date": "2030-01-02"}
KERNELS = {"cpu": MACHINE["kernels"]}
GPT2 = "pairwise gpt2-c_attn modules={} N={} m=2304 n=768 r=8"
GPT2_MODULES = {2: 12, 8: 12, 64: 3, 256: 1}
GEMM, COPY = "limit float32 m=4096 n=4096", "limit copy n=67108864"
PLOT = "the rows and the documents are not of one making: run `make plot` (or `make bench`, for new rows) and commit"


def row(name: str, provider: str, *seconds: float, **also: Any) -> Row:
    """A row as a run would write it; ``seconds`` are the minima of its processes."""
    if provider not in CASES[name].providers:
        return row(name, next(iter(CASES[name].providers)), *seconds, **also) | {"provider": provider}
    samples = [Sample(name, provider, CASES[name].threads or 2, [time]) for time in seconds]
    return (
        to_row((name, provider), {(name, provider): samples}, MACHINE)
        | {"share_of_limit": 0.5, "share_of_matmul": 0.5, "share_of_copy": 0.1}
        | also
    )


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


def tables(rows: list[Row] | None = None) -> Tables:
    return Tables(some_rows() if rows is None else rows, KERNELS)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the project's documents and a CSV of ``some_rows``."""
    (tmp_path / "docs/performance").mkdir(parents=True)
    for path in publish.DOCUMENTS:
        shutil.copy(ROOT / path, tmp_path / path)
    (tmp_path / publish.DATA).mkdir(parents=True)
    write_csv(tmp_path / publish.DATA / "some-cpu.csv", some_rows())
    return tmp_path


# the committed documents


def test_documents_are_what_the_rows_say() -> None:
    wanted = publish.documents(ROOT, publish.published(ROOT), fingerprints(ROOT))
    assert [str(path) for path, text in wanted.items() if (ROOT / path).read_text() != text] == [], PLOT


def test_pictures_are_drawn_from_the_rows() -> None:
    digest = publish.digest(publish.published(ROOT)).encode()
    assert [name for name in plots.PICTURES if digest not in (ROOT / "docs" / name).read_bytes()] == [], PLOT


def test_rows_are_of_declared_cases() -> None:
    rows = [key for key, row in read_csv(publish.published(ROOT)).items() if row["function"] != "sweep"]
    gone = [key for key in rows if key[0] not in CASES or key[1] not in CASES[key[0]].providers]
    assert gone == [], "rows of cases or providers that the registry no longer has: remove them, or run `make bench`"


def test_named_cases_and_providers_are_declared() -> None:
    named = [(target.case, way) for target in targets.TARGETS for way in (target.provider, target.other) if way]
    assert all(provider in CASES[name].providers for name, provider in [*named, *TELLING])


# publishing


def test_publish_fills_the_documents_and_is_then_at_rest(tree: Path) -> None:
    csv = publish.published(tree)
    (tree / "docs/memory.png").write_text("of rows that are no more")
    publish.publish(tree, csv, KERNELS)
    drawn = sorted((tree / "docs").glob("*.png"))
    assert [path.name for path in drawn] == ["growth.png", "roofline.png", "speed.png"]  # nobody measured memory
    assert all(publish.digest(csv).encode() in path.read_bytes() for path in drawn)
    texts = {path: (tree / path).read_text() for path in publish.DOCUMENTS}
    readme, performance, cpu, _ = texts.values()
    assert "| `pairwise` 4096 × 4096, N = 256, r = 8 | 200 ms | 0.50 matmul | `torch/panels` | 1.50 to 2.0 |" in readme
    assert "](docs/speed.png)" in readme and "](benchmarks/data/some-cpu.csv)" in readme
    assert "](../benchmarks/data/some-cpu.csv)" in performance and "## How to measure" in performance
    assert "](../growth.png)" in cpu and "memory.png" not in cpu
    assert "measured with earlier kernels" not in readme + performance
    assert publish.documents(tree, csv, KERNELS) == texts


def test_memory_is_drawn_where_it_was_measured() -> None:
    rows = [one | {"peak_memory": 3.0 * i} for i, one in enumerate(some_rows())]
    picture = plots.memory(rows)
    assert [label.get_text() for label in picture.axes[0].get_yticklabels()] == ["ours/cpu", "torch/panels"]
    plots.plt.close(picture)
    assert "`torch/panels` 45" in tables(rows).memory() and tables().memory() == "Not measured."


def test_rows_of_other_kernels_are_marked_and_one_sentence_says_it_of_all() -> None:
    rows = some_rows()
    rows[-2] |= {"kernels": "old", "commit": "0ldc0de"}  # ours, one thread
    some, none, every = tables(rows), tables(), Tables(rows, {"cpu": "ffffffffffff"})
    assert "| 4096 × 4096, N = 256, r = 8, 1 thread | 400 ms † |" in some.everything()
    assert "| 4096 × 4096, N = 256, r = 8 | 200 ms |" in some.everything()
    assert "Rows marked † were measured with earlier kernels (commit 0ldc0de)." in some.machine("")
    assert "earlier" not in none.machine("")
    assert "All rows were measured with earlier kernels (commit 0ldc0de, abc1234)." in every.machine("")
    assert "†" not in every.everything()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda tree: shutil.rmtree(tree / "benchmarks"), "0 files of rows"),
        (lambda tree: write_csv(tree / publish.DATA / "other.csv", some_rows()), "the README names 0"),
        (lambda tree: write_csv(tree / publish.DATA / "some-cpu.csv", []), "no rows; run make bench"),
        (lambda tree: (tree / publish.DATA / "some-cpu.csv").write_text("case,unit\na,s\n"), "no column function"),
        (lambda tree: (tree / "README.md").write_text("# nothing\n"), "have the blocks ['machine'"),
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
    against_n, threads = curves(some_rows())
    assert (against_n.axis, against_n.label) == ("N", "pairwise gpt2-c_attn 2304 × 768, r = 8")
    assert (threads.axis, threads.label) == ("threads", "pairwise 4096 × 4096, N = 256, r = 8")
    assert [x for x, _ in against_n.ours] == [2, 8, 64, 256]
    assert (slope(against_n.ours), slope(against_n.torch)) == ("2.00", "1.50")
    assert threads.ours == [(1, 0.4), (2, 0.2)] and slope(threads.ours) == "−1.00"
    assert slope([(2, 1)]) == slope([(2, 1), (2, 3)]) == "—"
    assert curves([one | {"case": f"old {one['case']}"} for one in some_rows()]) == []


def test_ratios_are_of_one_process() -> None:
    ours, torch = row(targets.PAIRWISE, "ours/cpu", 1.0, 2.0), row(targets.PAIRWISE, "torch/panels", 3.0, 2.0)
    assert ratios(torch, ours) == [3.0, 1.0] and spread([3.84, 3.81]) == "3.8" and spread([3.8, 6.1]) == "3.8 to 6.1"
    wanted = {0.0123: "0.012", 0.996: "1.00", 1.094: "1.09", 3.84: "3.8", 37.6: "38", 726_123: "730,000"}
    assert {value: figure(value) for value in wanted} == wanted


def test_slower_than_torch_is_said_plainly() -> None:
    text = tables().slower()
    assert "1 of 6 cases" in text
    assert "| `pairwise` gpt2-c_attn 2304 × 768, N = 256, r = 8 | 65.5 ms | `torch/panels` 41 ms | 1.60 |" in text
    assert tables().everything().count("**slower than torch**") == 1
    assert "torch is faster in 1 of 6 cases" in tables().slower_count()
    # what computes something else is never next to ours
    other = [one | {"computes": "less" if one["provider"] == "torch/panels" else ""} for one in some_rows()]
    assert tables(other).slower() == "None of 6 cases."
    assert "| `torch/panels` | less | 6 | 0.63 to 7.1 |" in tables(other).different()


def test_rows_under_their_limit_are_counted() -> None:
    rows = some_rows()
    rows[2] |= {"share_of_limit": 0.9}
    assert "| `pairwise` | 6 | 5 | 0.50 | 0.90 | 0.5: " in tables(rows).shares()


def test_targets_are_judged_by_the_worst_process() -> None:
    sparse = targets.SPARSE_PAIRWISE
    found = tables(
        [
            row(GEMM, "torch/mm", 0.5, 0.5),
            row(targets.PAIRWISE, "ours/cpu", 0.125, 0.1388),  # as much of torch's product takes 0.125
            row(targets.PAIRWISE, "ours/cpu medium", 0.078, 0.08),
            row(sparse, "ours/cpu", 1.1, 1.1),
            row(sparse, "ours/cpu λ=0", 1.0, 0.9, computes="the projection without λ"),
            row(targets.EXACT, "ours/cpu", 0.1, 0.16),
        ]
    )
    reached = {
        (target.case, target.provider): target.reached(found.cases.get(target.case, {}), found.rows)
        for target in targets.TARGETS
    }
    assert reached[targets.PAIRWISE, "ours/cpu"] == "yes: 0.90 to 1.00"
    assert reached[targets.PAIRWISE, "ours/cpu medium"] == "yes: 1.60 to 1.74"
    assert reached[sparse, "ours/cpu"] == "**missed**: 1.10 to 1.22"
    assert reached[targets.EXACT, "ours/cpu"] == "yes: 25 to 40"
    assert reached[targets.ADAM, "ours/cpu"] == "not measured" and "**missed**" in found.promised()
