"""``make plot``: the rows to pictures in docs/ and to the marked blocks of README.md and docs/PERFORMANCE.md."""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..measure.fingerprints import fingerprints
from ..measure.rows import read_csv
from .gpus import FOLDER, gpus
from .tables import Tables, joined

DATA = Path("benchmarks/data")
README, PERFORMANCE = Path("README.md"), Path("docs/PERFORMANCE.md")
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
    tables, data = Tables(rows, kernels), (DATA / csv.name).as_posix()

    def picture(name: str, folder: str = "") -> str:
        return f"![{CAPTIONS[name]}]({folder}{name})" if (root / "docs" / name).exists() else ""

    machine = tables.machine(f"Rows: [{csv.name}]({data}).")
    readme = machine, tables.telling(), picture("speed.png", "docs/"), tables.slower_count()
    blocks = {
        "readme": joined(*readme),
        "machine": machine.replace(f"({data})", f"(../{data})"),
        "targets": tables.promised(),
        "slower": tables.slower(),
        "different": tables.different(),
        "shares": joined(picture("roofline.png"), tables.shares()),
        "growth": joined(picture("growth.png"), tables.slopes()),
        "memory": joined(picture("memory.png"), tables.memory()),
        "gpu": gpus(root / DATA, f"../{DATA.as_posix()}/{FOLDER}", kernels),
        "rows": tables.everything(),
    }
    texts = {path: (root / path).read_text() for path in (README, PERFORMANCE)}
    there = [match[2] for text in texts.values() for match in BLOCK.finditer(text)]
    if sorted(there) != sorted(blocks):
        raise PublishError(f"{' and '.join(map(str, texts))} have the blocks {there}, expected {[*blocks]}")
    return {
        path: BLOCK.sub(lambda match: f"{match[1]}{blocks[match[2]]}\n{match[4]}", text) for path, text in texts.items()
    }


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
