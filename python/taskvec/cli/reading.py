"""The options of reading adapters, the same in every command that reads them: ``formats.ReadOptions``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .added import add_options

UNSHOWN: dict[str, Any] = {"show_default": False}
Option = typer.Option
OPTIONS: dict[str, Any] = {
    "dora": Annotated[
        Literal["refuse", "low-rank"], Option(help="Without --base: refuse DoRA adapters, or take their low-rank part.")
    ],
    "base": Annotated[
        Path | None,
        Option(
            metavar="PATH",
            help="The base model, for updates that depend on its weights and for full checkpoints.",
            show_default=False,
        ),
    ],
    "alpha": Annotated[
        str | None,
        Option(metavar="A[,MODULE=A]", help="alpha of adapters whose files lack it.", show_default=False),
    ],
    "scale": Annotated[
        str | None, Option(metavar="S[,MODULE=S]", help="Scale of B·A, in place of --alpha.", show_default=False)
    ],
    "heads": Annotated[
        str | None,
        Option(metavar="n[,g]", help="Query and key-value heads of the base model.", show_default="its config.json"),
    ],
    "split_fused": Annotated[bool, Option("--split-fused", help="Split fused projections into q, k, v or gate, up.")],
    "rank": Annotated[
        int | None,
        Option(min=1, help="Directions of a full fine-tune's modules that are used. [128 of large ones]", **UNSHOWN),
    ],
    "exact": Annotated[bool | None, Option("--exact", help="Use all of them, by whole SVDs.", **UNSHOWN)],
}
reading_options = add_options(OPTIONS, {"dora": "refuse", "split_fused": False}, "reading", "Reading adapters")
