"""Projections of a result's pairs, computed again from the adapters' files: S₂ is not part of a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TaskvecError

if TYPE_CHECKING:
    from ..results.projection import Projection


def projections_of(
    paths: Sequence[Path], lam: float, reading: Mapping[str, Any]
) -> Callable[[Sequence[tuple[str, str]]], Mapping[tuple[str, str], Projection]]:
    """A function from pairs of names to their projections, both directions, at one λ.

    Raises (when it is called):
        TaskvecError: the paths, which must be those of the sweep, have no adapter of a name.
    """

    def projections(pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Projection]:
        from ..sweeps.options import make_solver
        from ..sweeps.pair import project_both
        from ..zoo import load_zoo

        adapters = {adapter.name: adapter for adapter in load_zoo(list(paths), **reading).adapters}
        for name in dict.fromkeys(name for pair in pairs for name in pair):
            if name not in adapters:
                some = ", ".join([*adapters][:5])
                fix = "give the paths that the sweep was given"
                raise TaskvecError("--adapters has no adapter of the result", got=some, expected=repr(name), fix=fix)
        found = {}
        for source, target in pairs:
            ((both,),) = project_both(adapters[source], adapters[target], [make_solver(lam=lam)])
            found[source, target], found[target, source] = both
        return found

    return projections
