"""``python -m taskvec_bench.zoos FOLDER``: a zoo as PEFT folders."""

from __future__ import annotations

import argparse
from pathlib import Path

from .folders import write_folders
from .recipe import mixed, small, square

RECIPES = {"square": square, "small": small, "mixed": mixed}


def main() -> None:
    parser = argparse.ArgumentParser("python -m taskvec_bench.zoos", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipe", choices=RECIPES, default="mixed", help="default: mixed")
    parser.add_argument("--adapters", type=int, default=100, help="default: 100")
    parser.add_argument("--broken", type=float, default=0.0, help="share of broken ones (default: 0)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    recipe = RECIPES[options.recipe](options.adapters, broken=options.broken, seed=options.seed)
    written = write_folders(options.folder, recipe)
    print(
        f"{len(written)} adapters in {options.folder}, {sum(who.fault is not None for who in written)} of them broken"
    )


if __name__ == "__main__":
    main()
