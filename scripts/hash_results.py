"""Hashes of what every function returns on seeded inputs: two revisions that agree here give the same bits.

    python scripts/hash_results.py -o before.json           # at one revision
    python scripts/hash_results.py --against before.json    # at the other; prints what differs, exit status 1 if any

Every SIMD level that the CPU has runs in a process of its own. ``TASKVEC_TEST_ADAPTERS`` adds a sweep of real adapters.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

import taskvec_kernels as tk

ROOT = Path(__file__).parents[1]
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
SHAPES = ((1, 1, 1), (5, 3, 8), (64, 48, 4), (257, 130, 8), (384, 384, 16), (300, 200, 33), (200, 160, 128))
METRICS = (
    "l1", "l2", "linf", "lp", "rec", "entropy_projected", "cosine", "residual", "energy", "excess", "overlap_u",
    "overlap_v",
)  # fmt: skip
SPECTRAL = ("l1", "l2", "linf", "lp", "rec", "entropy", "entropy_projected")
# keyword arguments of step 3
SOLVERS: dict[str, dict[str, Any]] = {
    "exact": {"method": "exact"},
    "squared": {"method": "exact", "norm": "squared"},
    "adam": {"method": "adam", "steps": 50},
    "adam-squared-paper": {"method": "adam", "norm": "squared", "steps": 40, "units": "paper", "schedule": "constant"},
    "adam-normal": {"method": "adam", "steps": 30, "start": "normal", "seed": 7, "tol": 1e-3},
    "adam-softplus": {"method": "adam", "steps": 30, "positive": "softplus", "start": "normal", "seed": 7},
    "adam-exp": {"method": "adam", "steps": 30, "positive": "exp", "units": "paper", "lr": 0.05},
    "adam-zeros": {"method": "adam", "steps": 30, "start": "zeros", "betas": (0.8, 0.99), "lr": 0.05, "eps": 1e-6},
}


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def digest(*tensors: Any) -> str:
    found = hashlib.sha256()
    for t in tensors:
        array = (
            t.detach().contiguous().view(torch.uint8).numpy()
            if isinstance(t, torch.Tensor)
            else np.ascontiguousarray(t)
        )
        found.update(repr((str(t.dtype), tuple(t.shape))).encode() + array.tobytes())
    return found.hexdigest()[:16]


def zoo(batch: tuple[int, ...], adapters: int, m: int, n: int, r: int, dtype: torch.dtype, seed: int) -> Any:
    b, a = draw(*batch, adapters, m, r, seed=seed), draw(*batch, adapters, r, n, seed=seed + 1)
    common = draw(m, r, seed=99)
    b = b * 0.7 ** torch.arange(r) + common * (torch.arange(adapters) % 3 == 0)[:, None, None]
    svd = tk.lowrank_svd(b, a, backend="cpu")
    return tk.LowRankSVD(svd.U.mT.to(dtype).contiguous().mT, svd.S.to(dtype), svd.Vh.to(dtype))


def kernels() -> Iterator[tuple[str, str]]:
    for dtype, (m, n, r), batch in product(
        DTYPES,
        ((1, 1, 1), (5, 3, 8), (64, 48, 4), (257, 130, 8), (384, 384, 16), (300, 200, 33), (200, 160, 128)),
        ((), (3,), (2, 5)),
    ):
        name = f"{str(dtype)[6:]}/{m}x{n}r{r}/{'x'.join(map(str, batch))}"
        b, a = draw(*batch, m, r, seed=1).to(dtype), draw(*batch, r, n, seed=2).to(dtype)
        svd = tk.lowrank_svd(b, a, 0.5)
        yield f"lowrank_svd/{name}", digest(*svd)
        if r > 1:
            graded = (b.double() * 10.0 ** -torch.linspace(0, 7, r)).to(dtype)
            yield f"lowrank_svd/graded/{name}", digest(*tk.lowrank_svd(graded, a))
            yield f"lowrank_svd/deficient/{name}", digest(*tk.lowrank_svd(b * (torch.arange(r) % 2), a, 2.0))
        U, Vh = svd.U.to(dtype), svd.Vh.to(dtype)
        other, more = draw(*batch, m, 4, seed=3).to(dtype), draw(*batch, 4, n, seed=4).to(dtype)
        for clip in (True, False):
            yield f"project/{clip}/{name}", digest(tk.project(U, Vh, other, more, 0.25, clip=clip))
            tau = draw(*batch, m, n, seed=5).to(dtype)
            yield f"project_dense/{clip}/{name}", digest(tk.project_dense(U, Vh, tau, clip=clip))
            yield (
                f"project_dense/columns/{clip}/{name}",
                digest(tk.project_dense(U, Vh, tau.mT.contiguous().mT, clip=clip)),
            )
    for dtype, N, (m, n, r), batch in product(
        DTYPES, (1, 2, 9, 33), ((16, 12, 3), (130, 257, 8), (96, 64, 40)), ((), (2,))
    ):
        x, y = zoo(batch, N, m, n, r, dtype, 10), zoo(batch, 7, m, n, min(r, 5), dtype, 20)
        for precision in ("highest", "high", "medium"):
            name = f"{str(dtype)[6:]}/N{N}/{m}x{n}r{r}/{len(batch)}/{precision}"
            for what, other in (("self", None), ("both", y)):
                pairs = tk.pairwise(x, other, metrics=METRICS, spectra=True, precision=precision, p=3.0)
                for way, values in zip(("forward", "backward"), pairs, strict=True):
                    for key, value in (values or {}).items():
                        yield f"pairwise/{what}/{name}/{way}/{key}", digest(value)
    x = zoo((2,), 70, 200, 150, 8, torch.float32, 30)
    yield "pairwise/N70", digest(*tk.pairwise(x, metrics=METRICS, p=1.5).forward.values())
    for dtype, (name, solver) in product(DTYPES, SOLVERS.items()):
        x, y = zoo((2,), 9, 40, 30, 6, dtype, 40), zoo((2,), 4, 40, 30, 3, dtype, 50)
        for what, other in (("self", None), ("both", y)):
            several = tk.Solver([0.0, 0.01, 0.3], **solver)
            pairs = tk.pairwise(x, other, metrics=METRICS, spectra=True, p=2.0, solver=several)
            for way, values in zip(("forward", "backward"), pairs, strict=True):
                for key, value in (values or {}).items():
                    yield f"pairwise/{name}/{str(dtype)[6:]}/{what}/{way}/{key}", digest(value)
        one = tk.pairwise(x, metrics=("rec", "l1"), solver=tk.Solver(0.05, **solver))
        yield f"pairwise/{name}/{str(dtype)[6:]}/one", digest(*one.forward.values())
        for r in (1, 5, 8, 33):
            d = draw(50, r, seed=60).to(dtype)
            norm = (d.double().norm(dim=-1) * 1.3).to(dtype)
            for lam in (0.0, 0.2, [0.0, 0.1, 1.5]):
                S, info = tk.sparsify(d, norm, lam, return_info=True, **solver)
                yield f"sparsify/{name}/{str(dtype)[6:]}/r{r}/{lam}", digest(S, *info)
    for dtype, k in product(DTYPES, (1, 2, 8, 31)):
        s1 = draw(4, 33, k, seed=70).abs().sort(-1, descending=True).values.to(dtype)
        s2 = draw(4, 33, k, seed=71).clamp(min=0).to(dtype)
        for key, value in tk.compare_spectra(s1, s2, metrics=SPECTRAL, p=2.5).items():
            yield f"compare_spectra/{str(dtype)[6:]}/k{k}/{key}", digest(value)


def reference() -> Iterator[tuple[str, str]]:
    from taskvec_kernels import reference as slow

    x, y = zoo((2,), 5, 20, 30, 4, torch.float32, 80), zoo((2,), 3, 20, 30, 2, torch.float32, 81)
    yield "reference/lowrank_svd", digest(*slow.lowrank_svd(draw(3, 20, 4, seed=1), draw(3, 4, 30, seed=2), 0.5))
    for name, solver in SOLVERS.items():
        pairs = slow.pairwise(x, y, metrics=METRICS, spectra=True, p=3.0, solver=tk.Solver([0.0, 0.1], **solver))
        for way, values in zip(("forward", "backward"), pairs, strict=True):
            for key, value in values.items():
                yield f"reference/pairwise/{name}/{way}/{key}", digest(value)
    U, _, Vh = slow.lowrank_svd(draw(20, 4, seed=1), draw(4, 30, seed=2))
    yield "reference/project", digest(slow.project(U, Vh, draw(20, 3, seed=3), draw(3, 30, seed=4)))


def sweeps() -> Iterator[tuple[str, str]]:
    import taskvec

    folders = {"zoo": ROOT / "examples/zoo"}
    if os.environ.get("TASKVEC_TEST_ADAPTERS"):
        folders["gpt2"] = Path(os.environ["TASKVEC_TEST_ADAPTERS"]) / "gpt2"
    for name, folder in folders.items():
        zoo = taskvec.load_zoo([folder], skip_bad=True)
        for lam in (0.0, [0.0, 0.05]):
            result = taskvec.sweep(zoo, lam=lam)
            for key in [*result.data_vars, *result.coords]:
                values = result[key].values
                if values.dtype.kind in "OUT":
                    values = np.array([hash_text(value) for value in values.ravel()], dtype=np.uint64)
                yield f"sweep/{name}/{lam}/{key}", digest(values)


def hash_text(value: object) -> int:
    return int.from_bytes(hashlib.sha256(str(value).encode()).digest()[:8])


def levels() -> list[str]:
    from taskvec_kernels import _C

    return _C.available_simd_levels().split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, help="write the hashes there")
    parser.add_argument("--against", type=Path, help="compare with the hashes of another revision")
    parser.add_argument("--level", help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", metavar="REGEX", help="names that have this")
    options = parser.parse_args()
    wanted = re.compile(options.only).search
    if options.level:
        parts = [kernels()] if options.level != "sweeps" else [reference(), sweeps()]
        json.dump(dict(pair for part in parts for pair in part), sys.stdout)
        return 0
    found: dict[str, str] = {}
    for level in [*levels(), "sweeps"]:
        # BLAS, under the reference alone, is asked for the same bits whatever the alignment of its operands
        environment = os.environ | {"MKL_CBWR": "COMPATIBLE", "OMP_NUM_THREADS": "1"}
        environment |= {"TASKVEC_SIMD": level} if level != "sweeps" else {}
        run = subprocess.run(
            [sys.executable, __file__, "--level", level], env=environment, stdout=subprocess.PIPE, check=True
        )
        every = {f"{level}/{name}": value for name, value in json.loads(run.stdout).items()}
        found |= {name: value for name, value in every.items() if wanted(name)}
        print(f"{level}: {len(found)} hashes so far", file=sys.stderr)
    if options.out:
        options.out.write_text(json.dumps(found, indent=0, sort_keys=True))
    if options.against is None:
        return 0
    before = {name: value for name, value in json.loads(options.against.read_text()).items() if wanted(name)}
    differ = sorted(name for name in before.keys() & found.keys() if before[name] != found[name])
    print(*(f"differs: {name}" for name in differ), sep="\n")
    for what, names in (("gone", before.keys() - found.keys()), ("new", found.keys() - before.keys())):
        print(*(f"{what}: {name}" for name in sorted(names)), sep="\n")
    print(f"{len(before.keys() & found.keys()) - len(differ)} equal, {len(differ)} differ, of {len(found)}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
