"""``make plot``: the rows to pictures in docs/ and to the marked blocks of the documents."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..measure.fingerprints import fingerprints
from ..measure.rows import read_csv
from .gpus import FOLDER, gpus
from .tables import Tables, joined

DATA = Path("benchmarks/data")
README, PERFORMANCE = Path("README.md"), Path("docs/PERFORMANCE.md")
CPU, GPU = Path("docs/performance/cpu.md"), Path("docs/performance/gpu.md")
DOCUMENTS = README, PERFORMANCE, CPU, GPU
CAPTIONS = {
    "speed.png": "Every case: time of the fastest and the slowest other way over ours, on a logarithmic axis",
    "roofline.png": "Flop a second against flop a byte, under the machine's rates of products and copies",
    "growth.png": "Time a module against N, r, m and threads",
    "memory.png": "Peak memory above the inputs",
}
BLOCK = re.compile(r"(<!-- bench:(\w+) -->\n)(.*?)(<!-- /bench -->)", re.DOTALL)


class PublishError(Exception):
    """The rows cannot be published; the message says what is wrong and the fix, in one line."""


def published(root: Path) -> Path:
    """The CSV that the documents of ``root`` are made from: of several machines the one that the README names."""
    found, text = sorted((root / DATA).glob("*.csv")), (root / README).read_text()
    named = [path for path in found if len(found) == 1 or (DATA / path.name).as_posix() in text]
    if len(named) != 1:
        raise PublishError(f"{root / DATA}: {len(found)} files of rows, the README names {len(named)}; use --csv")
    return named[0]


def digest(csv: Path) -> str:
    """In a picture's metadata: the rows that it was drawn from."""
    return f"sha256 {hashlib.sha256(csv.read_bytes()).hexdigest()}"


def documents(root: Path, csv: Path, kernels: Mapping[str, str]) -> dict[Path, str]:
    """Each document of ``root`` as it is to be. Raises PublishError for a block that nobody knows how to fill."""
    rows = [*read_csv(csv).values()]
    if not rows:
        raise PublishError(f"{csv} has no rows; run make bench")
    tables = Tables(rows, kernels)

    def blocks(document: Path) -> dict[str, Callable[[], str]]:
        """What each block is filled with in this document, from whose folder links lead."""

        def link(path: Path) -> str:
            return Path(os.path.relpath(path, document.parent)).as_posix()

        def picture(name: str) -> str:
            path = Path("docs") / name
            return f"![{CAPTIONS[name]}]({link(path)})" if (root / path).exists() else ""

        def machine() -> str:
            return tables.machine(f"Rows: [{csv.name}]({link(DATA / csv.name)}).")

        return {
            "readme": lambda: joined(machine(), tables.telling(), picture("speed.png"), tables.slower_count()),
            "machine": machine,
            "targets": tables.promised,
            "slower": tables.slower,
            "different": tables.different,
            "shares": lambda: joined(picture("roofline.png"), tables.shares()),
            "growth": lambda: joined(picture("growth.png"), tables.slopes()),
            "memory": lambda: joined(picture("memory.png"), tables.memory()),
            "gpu": lambda: gpus(root / DATA, link(DATA / FOLDER), kernels),
            "rows": tables.everything,
        }

    texts = {path: (root / path).read_text() for path in DOCUMENTS}
    there, wanted = [match[2] for text in texts.values() for match in BLOCK.finditer(text)], blocks(README)
    if sorted(there) != sorted(wanted):
        raise PublishError(f"{' and '.join(map(str, texts))} have the blocks {there}, expected {[*wanted]}")
    return {path: filled(text, blocks(path)) for path, text in texts.items()}


def filled(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """A document with the marked blocks that it has."""
    return BLOCK.sub(lambda match: f"{match[1]}{blocks[match[2]]()}\n{match[4]}", text)


def publish(root: Path, csv: Path, kernels: Mapping[str, str]) -> None:
    """Draws the pictures and rewrites the documents of ``root``."""
    from .plots import draw  # matplotlib is an extra

    documents(root, csv, kernels)  # what is wrong with a document is said before a picture is drawn
    draw([*read_csv(csv).values()], root / "docs", digest(csv))
    for path, text in documents(root, csv, kernels).items():
        (root / path).write_text(text)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="taskvec_bench.publish", description=__doc__)
    parser.add_argument("--csv", type=Path, help="rows to publish; default: the ones that the README names")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[3], help="the tree of the documents")
    options = parser.parse_args(arguments)
    try:
        publish(options.root, options.csv or published(options.root), fingerprints(options.root))
    except (PublishError, ValueError, OSError) as error:
        print(f"publish: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
