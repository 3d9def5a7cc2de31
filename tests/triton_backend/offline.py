"""Compile every variant of the Triton kernels for sm_80, sm_90 and sm_100, with no GPU, and read the result.

    python -m tests.triton_backend.offline [words that a variant's name must contain]

Prints one line a kernel and exits 1 when one of them breaks a promise: spills, too much shared memory, no matrix
instructions or serialised ones, loads of single elements, TF32 where docs/NUMERICS.md has none.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from .variants import Launch, Variant, recorded, variants

ARCHS = (80, 90, 100)
SHARED = {80: 166912, 90: 232448, 100: 232448}
WITHOUT_TMA = 101376  # the smaller GPUs of the generation that the sm_80 tiles are for
TOOLS = Path(triton.__file__).parent / "backends/nvidia/bin"
MATRIX = ("HGMMA", "UTCHMMA", "UTCMMA", "HMMA", "DMMA")


@dataclass(frozen=True)
class Report:
    variant: str
    kernel: str
    arch: int
    registers: int
    stack: int
    shared: int
    counts: dict[str, int]  # of instructions
    seconds: float
    broken: tuple[str, ...]

    def line(self) -> str:
        matrix = " ".join(f"{name}:{n}" for name, n in self.counts.items() if n)
        return (
            f"{self.variant:36} {self.kernel:16} sm_{self.arch:<4} {self.registers:4} {self.stack:5} {self.shared:7} "
            f"{self.seconds:5.1f}s  {matrix}{'  BROKEN: ' + '; '.join(self.broken) if self.broken else ''}"
        )


def build(variant: Variant, launch: Launch) -> Report:
    started = time.perf_counter()
    source = ASTSource(
        fn=launch.kernel, signature=launch.signature, constexprs=launch.constants, attrs=launch.attributes
    )
    compiled = triton.compile(source, target=GPUTarget("cuda", variant.arch, 32), options=launch.options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage = tool("cuobjdump", "--dump-resource-usage", file.name)
        sass = tool("nvdisasm", file.name)
    registers, stack = map(int, re.search(r"REG:(\d+) STACK:(\d+)", usage).groups())  # type: ignore[union-attr]
    counts = {name: len(re.findall(rf"\b{name}\b", sass)) for name in (*MATRIX, "UTMALDG", "LDGSTS", "STL", "LDL")}
    shared = compiled.metadata.shared
    broken = tuple(promises(variant, launch, stack, shared, counts, sass, compiled.asm["ptx"]))
    name = launch.kernel.__name__
    return Report(
        variant.name, name, variant.arch, registers, stack, shared, counts, time.perf_counter() - started, broken
    )


def tool(name: str, *arguments: str) -> str:
    return subprocess.run([TOOLS / name, *arguments], capture_output=True, text=True, check=True).stdout


def promises(
    variant: Variant, launch: Launch, stack: int, shared: int, counts: dict[str, int], sass: str, ptx: str
) -> list[str]:
    """What a compiled kernel breaks, in words."""
    arch, kernel = variant.arch, launch.kernel.__name__
    spilled = stack or counts["STL"] or counts["LDL"]
    limit = min(SHARED[arch], WITHOUT_TMA) if arch == 80 else SHARED[arch]
    found = [f"{stack} bytes of stack"] if spilled else []
    found += [f"{shared} bytes of shared memory, limit {limit}"] if shared > limit else []
    tf32 = "tf32" in ptx
    three = tf32 and "cvt.rna.tf32" in ptx
    if kernel == "project_part" and variant.dtype != torch.float64:
        found += [] if three else ["no 3xTF32"]
    elif tf32 and not (kernel == "capture_pairs" and three):
        found.append("TF32")
    if kernel == "gram":
        found += gram_promises(variant, counts, sass, ptx)
        found += [] if resident(launch, arch, shared) else ["too large for its number on a multiprocessor"]
    if kernel in ("project_part", "project_pairs", "pack_rows"):
        found += load_promises(kernel, ptx)
    return found


def resident(launch: Launch, arch: int, shared: int) -> bool:
    """Whether as many programs as the launch limits its registers for have their shared memory, 1 KiB the GPU's own."""
    threads, registers = 32 * launch.options["num_warps"], launch.options["maxnreg"]
    programs = 1 if registers is None else 65536 // (threads * registers)
    return programs * (shared + 1024) <= SHARED[arch] + 1024


def load_promises(kernel: str, ptx: str) -> list[str]:
    """Aligned factors are read in 8 bytes or more at a time, by asynchronous copies where a loop reads them."""
    single = re.findall(r"ld\.global(?:\.\w+::\w+|\.nc)*\.[bfu](?:8|16|32)\b", ptx)
    found = [f"{len(single)} loads of single elements"] if single else []
    copies = [int(size, 16) for size in re.findall(r"cp\.async\.c[ag]\..*?, (0x\w+)", ptx)]
    if kernel != "pack_rows" and (not copies or min(copies) < 8):
        found.append(f"asynchronous copies of {sorted(set(copies))} bytes")
    return found


def gram_promises(variant: Variant, counts: dict[str, int], sass: str, ptx: str) -> list[str]:
    arch = variant.arch
    if variant.dtype == torch.float64:
        return [] if counts["DMMA"] or arch == 100 else ["no DMMA"]
    found = []
    if arch == 80:
        found += [] if counts["HMMA"] else ["no mma"]
        found += [] if counts["LDGSTS"] else ["no asynchronous copies"]
    else:
        found += [] if counts["UTMALDG"] else ["no TMA"]
        found += ["mma of the generation before"] if counts["HMMA"] else []
    if arch == 90:
        found += wgmma_promises(sass)
    if arch == 100 and not (counts["UTCHMMA"] or counts["UTCMMA"]):
        found.append("no tcgen05")
    if re.search(r"mma\S*\.f16\.f16\.f16", ptx):
        found.append("sums in fp16")
    return found


def wgmma_promises(sass: str) -> list[str]:
    """In the loop over k: wgmma, one group in flight while the next is issued, no spills."""
    loops = [body for body in innermost_loops(sass) if any("HGMMA" in line for line in body)]
    found = [] if loops else ["no wgmma in a loop"]
    for body in loops:
        groups = [line for line in body if "HGMMA" in line]
        closed = sum("gsb0" in line for line in groups)
        if len(groups) < 2 or closed == len(groups):
            found.append(f"{closed} of {len(groups)} wgmma wait alone")
        if not any(re.search(r"DEPBAR\.LE gsb0, 0x[1-9]", line) for line in body):
            found.append("wgmma serialised: no group stays in flight")
        if any(re.search(r"\b(LDL|STL)\b", line) for line in body):
            found.append("spills in the loop")
    return found


def innermost_loops(sass: str) -> list[list[str]]:
    """Instructions between a label and a later branch back to it that contain no other such pair."""
    labels: dict[str, int] = {}
    code: list[str] = []
    spans: list[tuple[int, int]] = []
    for line in sass.splitlines():
        if label := re.match(r"^(\.L_x_\d+):", line):
            labels[label[1]] = len(code)
        elif ";" in line:
            code.append(line)
            back = re.search(r"BRA.*`\((\.L_x_\d+)\)", line)
            if back and back[1] in labels:
                spans.append((labels[back[1]], len(code)))
    inner = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    return [code[start:stop] for start, stop in inner]


def check(arch: int, index: int) -> list[Report]:
    """Every kernel that the variant launches, each specialisation once."""
    variant = variants(arch)[index]
    with recorded(arch) as launches:
        variant.call()
    assert launches, f"{variant.name} launches nothing"
    different = {str((one.kernel.__name__, one.signature, one.constants, one.options)): one for one in launches}
    kept = [one for one in different.values() if variant.precision is None or belongs(variant, one)]
    return [build(variant, launch) for launch in kept]


def belongs(variant: Variant, launch: Launch) -> bool:
    """``metrics`` variants stand for the element-wise kernels of pairwise, the others for the Gram kernel."""
    return (launch.kernel.__name__ == "gram") != variant.name.startswith("metrics")


def main(words: list[str]) -> int:
    os.environ.setdefault("TRITON_CACHE_DIR", str(Path("build/triton-cache").resolve()))
    work = [
        (arch, index)
        for arch in ARCHS
        for index, variant in enumerate(variants(arch))
        if all(word in f"{variant.name} sm_{arch}" for word in words)
    ]
    print(f"Triton {triton.__version__}, {len(work)} variants")
    print(f"{'variant':36} {'kernel':16} {'arch':7} {'regs':>4} {'stack':>5} {'shared':>7}")
    reports: list[Report] = []
    with ProcessPoolExecutor(max_workers=2) as pool:
        for found in pool.map(check, *zip(*work, strict=True)):
            reports += found
            for report in found:
                print(report.line(), flush=True)
    broken = [report for report in reports if report.broken]
    print(f"{len(reports)} kernels compiled, {len(broken)} break a promise")
    return 1 if broken or not reports else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
