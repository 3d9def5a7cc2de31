"""Who computes a sweep: this process, workers of a Dask cluster, or one of many processes that share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import TaskvecError
from .added import add_options
from .common import warn
from .without_dask import let_dask_in

if TYPE_CHECKING:
    from ..workers.dask import Dask

Option = typer.Option
OPTIONS: dict[str, Any] = {
    "workers": Annotated[
        int | None,
        Option(min=1, metavar="N", help="Processes of a Dask cluster on this machine.", show_default="this process"),
    ],
    "scheduler": Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            help="A running Dask cluster: tcp://HOST:8786 or its scheduler file.",
            show_default=False,
        ),
    ],
    "shard": Annotated[
        str | None,
        Option(metavar="K/N", help="One of N parts, without Dask: the rest is for others.", show_default=False),
    ],
}
worker_options = add_options(OPTIONS, {}, "share", "Many processes")


def engine_of(share: dict[str, Any]) -> Dask | None:
    """What computes the units in the place of this process; None: this one.

    Raises:
        TaskvecError: options that exclude each other, or a part that is none.
    """
    from ..sweeps.shard import Shard

    if len(share) > 1:
        fix = "give one of them"
        raise TaskvecError("who computes is said twice", got=" and ".join(f"--{name}" for name in share), fix=fix)
    if "shard" in share:
        Shard.parse(share["shard"])
    if not {"workers", "scheduler"} & share.keys():
        return None
    let_dask_in()
    from ..workers.dask import Dask

    return Dask(**share, say=lambda message: warn([message]))
