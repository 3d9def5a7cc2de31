"""`make cuda-check`: the CUDA kernels compile for every architecture they are promised for, within their registers.

Needs nvcc and no GPU; without nvcc it says so and passes. Every kernel must have a stack frame of 0 bytes and no
spills; those that read the factors must use the fp64 matrix instruction, and those that write U and V must write 16
bytes at once. The test that runs on a GPU must compile.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
ARCHITECTURES = ("80", "90a", "100")
RESOURCES = re.compile(
    r"Compiling entry function '(?P<kernel>\w+)' for '(?P<architecture>\w+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers",
    re.DOTALL,
)


def compiled(nvcc: str, source: Path, folder: Path) -> tuple[str, str]:
    """What ptxas says of ``source``, and its PTX for the oldest architecture."""
    flags = [nvcc, "-std=c++17", "-O3", f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'csrc/include'}"]
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in ARCHITECTURES]
    made = folder / source.stem
    run = subprocess.run(
        [*flags, *targets, "-Xptxas", "-v", "-c", str(source), "-o", f"{made}.o"], capture_output=True, text=True
    )
    if run.returncode:
        raise SystemExit(f"cuda-check: {source.name} does not compile:\n{run.stderr}")
    warnings = [line for line in run.stderr.splitlines() if "warning" in line]
    if warnings:
        raise SystemExit(f"cuda-check: {source.name}: {warnings[0]}")
    subprocess.run([*flags, f"-arch=compute_{ARCHITECTURES[0]}", "-ptx", str(source), "-o", f"{made}.ptx"], check=True)
    return run.stderr, Path(f"{made}.ptx").read_text()


def check(source: Path, log: str, ptx: str) -> list[str]:
    """A line a kernel and architecture; SystemExit where one is not as it must be."""
    lines = []
    kernels = list(RESOURCES.finditer(log))
    for found in kernels:
        known = "Gram|Rotate|Core|Orthonormalise|Householder"
        name = re.sub(rf".*run_body\w*?\d({known})(\w*)E\w*", r"\1 \2", found["kernel"])
        what = f"{source.name} {name} {found['architecture']}"
        if int(found["stack"]) or int(found["stores"]) or int(found["loads"]):
            raise SystemExit(f"cuda-check: {what} spills: stack {found['stack']}, stores {found['stores']} bytes")
        lines.append(f"{what}: {found['registers']} registers")
    entries = ptx.count(".visible .entry")
    if len(kernels) != entries * len(ARCHITECTURES):
        raise SystemExit(f"cuda-check: {source.name}: {len(kernels)} reports of {entries} kernels")
    if source.stem.startswith("factors_"):
        bodies = ptx.split(".visible .entry")[1:]
        if not bodies or not all("mma.sync.aligned.m8n8k4.row.col.f64" in body for body in bodies):
            raise SystemExit(f"cuda-check: {source.name}: a kernel without the fp64 matrix instruction")
        writers = [body for body in bodies if "Rotate" in body.split("(")[0]]
        wide = "st.global.wb.v2.f64" if source.stem == "factors_f64" else "st.global.wb.v4.f32"
        if not writers or not all(wide in body for body in writers):
            raise SystemExit(f"cuda-check: {source.name}: a rotation that stores its results one by one")
    return lines


def main() -> None:
    nvcc = os.environ.get("CUDACXX") or shutil.which("nvcc")
    if nvcc is None:
        print("cuda-check: skipped, no nvcc (CUDACXX names one)")
        return
    sources, test = sorted((ROOT / "csrc/cuda").glob("*.cu")), ROOT / "csrc/tests/test_cuda_device.cu"
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        built = pool.submit(compiled, nvcc, test, Path(folder))
        logs = pool.map(lambda source: compiled(nvcc, source, Path(folder)), sources)
        built.result()
        lines = [line for source, log in zip(sources, logs, strict=True) for line in check(source, *log)]
    if "-v" in sys.argv[1:]:
        print(*lines, sep="\n")
    print(f"cuda-check: {len(lines)} kernels for sm_{', sm_'.join(ARCHITECTURES)}: no stack frame, no spills")


if __name__ == "__main__":
    main()
