"""The layer baseline of a result, next to the pairs that it is for.

Adapters of one model share directions across layers and tasks. What two of them have in common is more than that only
where it is more than what they have when the modules of one change places with others of their kind and shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import xarray as xr

from taskvec_kernels import Solver

from ..documents import as_lines
from ..errors import TaskvecError
from ..ledger.checked import open_dataset
from ..progress import Mode, progress_bar
from ..store.entry import MEMORY_BYTES
from ..store.factors import Factors
from .extend import add_variables
from .inputs import Given, as_factors
from .layout import MEANINGS
from .options import Options, device_here
from .shifted import Pair, Shifted, shifted_pairs


def add_baseline(
    dataset: xr.Dataset,
    zoo: Given | Factors,
    pairs: Iterable[tuple[str, str]] | None = None,
    *,
    out: str | Path | None = None,
    progress: Mode = "off",
    memory: int = MEMORY_BYTES,
) -> xr.Dataset:
    """A sweep's result with the layer baseline of some of its pairs, both directions of each.

    Args:
        dataset: from ``sweep``.
        zoo: the adapters of that sweep, and maybe others, or their factors.
        pairs: names of two adapters each; None: every pair.
        out: the folder of the result, to which the baseline is added; None: in memory alone.
        progress: "auto", "off" or "json", on stderr.
        memory: bytes for canonical forms and for copies with the layers shifted.

    Returns:
        The dataset, with dimensions ``pair`` (ordered: P), ``shift`` (n + 1) and

        - ``pair_source``, ``pair_target`` (pair): positions in ``source``;
        - ``shifted_captured``, ``shifted_captured_cut`` (pair, shift), ``shifted_rec``, ``shifted_rec_z``
          (pair[, lam], shift): over the modules that can be shifted, shift 0 being the pair itself;
        - ``captured_cut`` (pair, module): with both cut to the smaller rank, where ranks differ.

        Without any pair it is what was given. Of a dense target the leading directions are shifted, not all of τ:
        shift 0 is then that of those directions too (docs/METHOD.md).

    Raises:
        TaskvecError: the adapters are not those of the result, or a name is none of theirs.

    Cost:
        At most 39 times ``pairwise`` of these pairs, twice that where ranks differ, one pair at a time.
    """
    options = options_of(dataset)
    factors = as_factors(zoo, options.device)
    names = list(dataset["source"].values)
    place = {entry.name: i for i, entry in enumerate(factors.entries)}
    if missing := [name for name in names if name not in place]:
        what = "the adapters are not those of the result"
        raise TaskvecError(what, got=f"none named {missing[0]}", fix="give the zoo that was swept")
    wanted = positions(names, pairs)
    if not wanted:
        return dataset
    with progress_bar(progress, "other layers", len(wanted)) as advance:
        asked = [(place[names[i]], place[names[j]]) for i, j in wanted]
        by_place = shifted_pairs(factors, asked, options, memory=memory, advance=advance)
    found = {way: by_place[place[names[way[0]]], place[names[way[1]]]] for i, j in wanted for way in ((i, j), (j, i))}
    baseline = variables(found, dataset, None if "lam" in dataset.dims else 0).assign_attrs(dataset.attrs)
    if out is None:
        return dataset.assign(baseline)
    dataset.close()
    add_variables(out, baseline)
    return open_dataset(out)


def positions(names: Sequence[str], pairs: Iterable[tuple[str, str]] | None) -> list[Pair]:
    """Each unordered pair once; every one of them without ``pairs``."""
    if pairs is None:
        return list(combinations(range(len(names)), 2))
    position = {name: i for i, name in enumerate(names)}
    found: set[Pair] = set()
    for pair in pairs:
        if unknown := [name for name in pair if name not in position]:
            raise TaskvecError(f"no adapter {unknown[0]!r} in the result", expected=f"names among {', '.join(names)}")
        i, j = sorted(position[name] for name in pair)
        found.add((i, j))
    return sorted(found)


def options_of(dataset: xr.Dataset) -> Options:
    """How a result was computed; on the CPU where its GPU is not here."""
    attributes = dataset.attrs
    device = device_here(attributes["device"])
    backend = None if attributes["backend"] == "auto" or device != attributes["device"] else attributes["backend"]
    solver = Solver.from_dict(attributes)
    return Options(
        metrics=tuple(as_lines(attributes["metrics"])),
        p=attributes.get("p"),
        precision=attributes["precision"],
        backend=backend,
        device=device,
        solver=solver,
    )


def variables(found: Mapping[Pair, Shifted], dataset: xr.Dataset, lam: int | None) -> xr.Dataset:
    """The arrays of ``add_baseline``, padded with NaN to the pair of most shifts; ``lam``: one λ, or all as an axis."""
    shifts = max(len(one.captured.value) for one in found.values())

    def padded(values: Iterable[np.ndarray]) -> np.ndarray:
        rows = [
            np.pad(v, [(0, 0)] * (v.ndim - 1) + [(0, shifts - v.shape[-1])], constant_values=np.nan) for v in values
        ]
        return np.array(rows, np.float32)

    of_shift: tuple[str, ...] = ("pair", "shift")
    by_lam, which = (("pair", "lam", "shift"), slice(None)) if lam is None else (of_shift, lam)
    some = found.values()
    ends = np.array([*found], np.int32).reshape(-1, 2)
    modules = dataset["module"].values
    cut = [[one.of_cut.get(path, np.nan) for path in modules] for one in some]
    arrays = {
        "pair_source": ("pair", ends[:, 0]),
        "pair_target": ("pair", ends[:, 1]),
        "shifted_captured": (of_shift, padded(one.captured.value for one in some)),
        "shifted_captured_cut": (of_shift, padded(one.cut.value for one in some)),
        "shifted_rec": (by_lam, padded(one.rec.value[which] for one in some)),
        "shifted_rec_z": (by_lam, padded(one.rec_z.value[which] for one in some)),
        "captured_cut": (("pair", "module"), np.array(cut, np.float32).reshape(len(some), len(modules))),
    }
    return xr.Dataset({name: (*array, {"long_name": MEANINGS[name]}) for name, array in arrays.items()})
