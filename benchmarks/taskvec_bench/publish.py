"""``make plot``: the rows to pictures in docs/ and to the marked blocks of README.md and docs/PERFORMANCE.md."""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from . import tables
from .fingerprints import fingerprints
from .rows import Row, read_csv
from .stale import Kernels

DATA = Path("benchmarks/data")
README, PERFORMANCE = Path("README.md"), Path("docs/PERFORMANCE.md")
CAPTIONS = {
    "speed.png": "Every case: the fastest and the slowest other way over ours, on a logarithmic axis",
    "roofline.png": "Flop a second against flop a byte, under the machine's rates of products and copies",
    "growth.png": "Time a module against N, r, m and threads",
    "memory.png": "Peak memory above the inputs",
}
BLOCK = re.compile(r"(<!-- bench:(\w+) -->\n)(.*?)(<!-- /bench -->)", re.DOTALL)


class PublishError(Exception):
    """The rows cannot be published; the message says what is wrong and the cure, in one line."""


def published(root: Path) -> Path | None:
    """The CSV that the documents of ``root`` are made from; None before there is one.

    Of several machines it is the one that the README names already. Raises PublishError where it names none of them.
    """
    found = sorted((root / DATA).glob("*.csv"))
    if len(found) < 2:
        return found[0] if found else None
    text = (root / README).read_text()
    named = [path for path in found if (DATA / path.name).as_posix() in text]
    if len(named) != 1:
        raise PublishError(
            f"{root / DATA}: {len(found)} machines, and the README names {len(named)}; choose one by --csv"
        )
    return named[0]


def digest(csv: Path) -> str:
    return hashlib.sha256(csv.read_bytes()).hexdigest()


def pictures(rows: Sequence[Row], csv: Path, folder: Path) -> list[str]:
    """Draws into ``folder``, and removes pictures that these rows have no data for. Names of those drawn."""
    from .plots import draw  # matplotlib is an extra

    folder.mkdir(parents=True, exist_ok=True)
    drawn = [path.name for path in draw(rows, folder, f"sha256 {digest(csv)}")]
    for name in CAPTIONS.keys() - set(drawn):
        (folder / name).unlink(missing_ok=True)
    return drawn


def documents(root: Path, csv: Path | None, kernels: Kernels) -> dict[Path, str]:
    """Each document of ``root`` with its blocks as they are to be; empty ones without a CSV.

    ``kernels`` are the fingerprints of today's tree: rows of another are marked. Raises PublishError for a block that
    nobody knows how to fill, ValueError for a CSV that ``read_csv`` refuses.
    """
    rows = read_csv(csv) if csv else []
    texts = {}
    for path, make in ((README, readme_blocks), (PERFORMANCE, performance_blocks)):
        blocks = make(root, csv, rows, kernels) if csv and rows else {}
        texts[path] = filled(root / path, blocks)
    return texts


def filled(path: Path, blocks: dict[str, str]) -> str:
    text = path.read_text()
    there = [match[2] for match in BLOCK.finditer(text)]
    if blocks and sorted(there) != sorted(blocks):
        raise PublishError(f"{path}: blocks {', '.join(sorted(there)) or 'none'}, expected {', '.join(sorted(blocks))}")
    return BLOCK.sub(lambda match: f"{match[1]}{blocks[match[2]] + chr(10) if blocks else ''}{match[4]}", text)


def readme_blocks(root: Path, csv: Path, rows: Sequence[Row], kernels: Kernels) -> dict[str, str]:
    link = f"Rows of [{DATA.name}/{csv.name}]({(DATA / csv.name).as_posix()})."
    parts = (
        f"{tables.machine(rows)}\n{link}",
        tables.telling(rows, kernels),
        picture(root, "speed.png", "docs/"),
        tables.slower_count(rows),
    )
    return {"readme": tables.joined(*parts)}


def performance_blocks(root: Path, csv: Path, rows: Sequence[Row], kernels: Kernels) -> dict[str, str]:
    link = f"Rows of [{DATA.name}/{csv.name}](../{(DATA / csv.name).as_posix()})."
    return {
        "machine": f"{tables.machine(rows)}\n{link}",
        "targets": tables.promised(rows, kernels),
        "slower": tables.slower(rows, kernels),
        "different": tables.different(rows),
        "shares": tables.joined(picture(root, "roofline.png"), tables.shares(rows)),
        "growth": tables.joined(picture(root, "growth.png"), tables.slopes(rows)),
        "memory": tables.joined(picture(root, "memory.png"), tables.memory(rows)),
        "rows": tables.everything(rows, kernels),
    }


def picture(root: Path, name: str, folder: str = "") -> str:
    return f"![{CAPTIONS[name]}]({folder}{name})" if (root / "docs" / name).exists() else ""


def publish(root: Path, csv: Path, kernels: Kernels) -> list[Path]:
    """Draws the pictures and rewrites the documents of ``root``; paths of what was written."""
    rows = read_csv(csv)
    if not rows:
        raise PublishError(f"{csv}: no rows; run make bench")
    documents(root, csv, kernels)  # what is wrong with a document is said before a picture is drawn
    written = [root / "docs" / name for name in pictures(rows, csv, root / "docs")]
    for path, text in documents(root, csv, kernels).items():
        (root / path).write_text(text)
        written.append(root / path)
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="taskvec_bench.publish", description=__doc__)
    parser.add_argument("--csv", type=Path, help="rows to publish; default: the ones that the README names")
    parser.add_argument(
        "--root", type=Path, default=Path(__file__).parents[2], help="the tree whose documents to write"
    )
    options = parser.parse_args(arguments)
    try:
        csv = options.csv or published(options.root)
        if csv is None:
            raise PublishError(f"{options.root / DATA}: no CSV; run make bench")
        for path in publish(options.root, csv, fingerprints(options.root)):
            print(path)
    except (PublishError, ValueError, OSError) as error:
        print(f"publish: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
