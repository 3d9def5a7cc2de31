"""``taskvec query``: the pairs of one adapter in a result, or what a store has like a new one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import TaskvecError
from ..queries.lams import by_lam
from .common import AsJson, Result, Width, print_json, print_parts
from .files import Csv, Overwrite, Parquet, check_files, write_rows
from .like import like as compare_like
from .reading import reading_options

SCHEMA = "taskvec.query/1"
TOP = 10


@reading_options
def query(
    result: Result,
    reading: dict[str, Any],
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="A new adapter, compared with all of a store, or a result's.", show_default=False
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="What this adapter holds of the others.", show_default=False)
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the others hold of this adapter.", show_default=False)
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="Pairs shown.", show_default=f"{TOP}; all in a file")] = None,
    order: Annotated[
        str, typer.Option(metavar="NAME", help="Order: captured, rec, rec_z, q, l1, cosine, …")
    ] = "captured",
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="Modules of this kind: q, mlp, mlp.c_proj, …", show_default=False)
    ] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="A:B", help="Layers A up to, not with, B; 8: and :8 too.", show_default=False)
    ] = None,
    csv: Csv = None,
    parquet: Parquet = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    width: Width = None,
) -> None:
    """The pairs of one adapter in a result, best first: --source what it holds, --target what holds it.

    With --like, the adapters of a store, or of a result, that hold a new one or are held by it.
    """
    if like is not None:
        compare_like(result, like, top=top or TOP, as_json=as_json, reading=reading, width=width)
        return
    from ..queries.neighbours import neighbours
    from ..queries.stored import open_result
    from ..reports.neighbours import pairs_table

    asked: dict[str, Any] = {"source": source, "target": target, "order": order, "kind": kind, "layers": span(layers)}
    check_files(csv, parquet, overwrite=overwrite)
    found = {lam: neighbours(part, **asked) for lam, part in by_lam(open_result(result))}
    if csv is not None or parquet is not None:
        from ..queries.tables import one_frame

        write_rows(one_frame(found, top), csv, parquet)
    most = top or TOP
    if as_json:
        results = [
            {
                "lambda": lam,
                **asked,
                "layers": layers,
                "pairs": of.head(most).to_dict("records"),
                "left_out": max(0, len(of) - most),
            }
            for lam, of in found.items()
        ]
        print_json({"schema": SCHEMA, "results": results})
    elif csv is None and parquet is None:
        ends = " → ".join(name or "any adapter" for name in (source, target))
        only = [f"{name} {value}" for name, value in (("kind", kind), ("layers", layers)) if value]
        title = ", ".join([ends, *only])
        print_parts(
            (pairs_table(of.head(most), title, lam, max(0, len(of) - most)) for lam, of in found.items()), width
        )


def span(text: str | None) -> tuple[int, int] | None:
    """First and last of A:B, the last one not with it; a single number is that layer."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]*)(:?)([0-9]*)", text)
    if match is None or not text.strip(":"):
        raise TaskvecError("--layers is no range", got=text, expected="numbers such as 8:16, 8:, :8 or 8")
    first = int(match[1] or 0)
    return first, int(match[3]) if match[3] else 2**31 - 1 if match[2] else first + 1
