"""What the page shows, as one JSON document and the arrays beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ...chance.means import nan_mean
from ...documents import as_lines
from ...errors import printable
from ...queries.answers import Answer
from ...queries.clustering import DISTANCE, LINKAGE
from ...queries.details import Details
from ...queries.flags import adapter_flags, meaning
from ...queries.kept import kept
from ...queries.labels import Labels
from ...queries.mapping import MAPS, Plane
from ...queries.slices import slices
from ...results.projection import Projection
from .methods import methods
from .packing import FINE, Arrays, Pack
from .paper import missing
from .read import Read
from .sentences import sentence, warnings
from .tables import adapter_sheet

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]
    import xarray as xr

SCHEMA = "taskvec.report/1"
MOST_PROJECTED = 50  # pairs whose S₂ is computed again
# of pairs of names, their projections in both directions
Projections = Callable[[Sequence[tuple[str, str]]], Mapping[tuple[str, str], Projection]]
BY_CLUSTER = 1000  # adapters beyond which the matrix is drawn by cluster
CLUSTERS = 200
FINEST = 1200  # adapters up to which captured keeps 16 bits
SLICE_BYTES = 3 * 10**6
MOST_SPECTRA = 2 * 10**6  # singular values
# of a pair's modules: what the page draws and lists
OF_MODULE = (
    "captured", "captured_out", "captured_in", "rec", "rec_chance", "rec_chance_sd", "l1", "l2", "entropy_projected",
    "residual", "energy", "excess", "cosine", "overlap_u", "overlap_v",
)  # fmt: skip


def matrix(read: Read, pack: Pack) -> dict[str, Any]:
    """The heat map: pooled numbers of every pair, the tree, and the modules between clusters."""
    N = len(read.names)
    pack.add("matrix.captured", read.matrices.values["captured"], None if N * N <= FINE or N > FINEST else "root16")
    for name in ("rec", "above_chance", "cosine"):
        pack.add(f"matrix.{name}", read.matrices.values[name])
    q = read.matrices.values["q"]
    with np.errstate(divide="ignore"):
        pack.add("matrix.log_q", np.minimum(-np.log10(q), 300.0), "root16" if q.size <= 2**16 else "root8")
    pack.add("tree.merges", read.tree.merges, "i32")
    pack.add("tree.heights", read.tree.heights, "f32")
    pack.add("tree.order", read.tree.order, "i32")
    many = N > BY_CLUSTER
    pack.add("tree.clusters", read.tree.cut(CLUSTERS) if many else np.arange(N + 1), "i32")
    found = slices(read.dataset, read.tree, SLICE_BYTES)
    if found is not None:
        pack.add("slices.ends", found.ends, "i32")
        pack.add("slices.weight", found.weight, "f32")
        for name, values in found.values.items():
            pack.add(f"slices.{name}", values)
    return {
        "linkage": LINKAGE,
        "distance": DISTANCE,
        "known": [name for name in ("captured", "rec", "above_chance", "cosine", "q") if read.matrices.known(name)],
        "slices": [] if found is None else list(found.values),
        "by_cluster": many,
    }


def pairs(
    dataset: xr.Dataset, rows: pd.DataFrame, details: Sequence[Details], arrays: Arrays, *, by_module: bool = True
) -> list[dict[str, Any]]:
    """Verdicts on pairs, the rows of a ranking; ``by_module``: with what their modules say."""
    of = kept(dataset)
    position = {name: i for i, name in enumerate(of.names.tolist())}
    source, target = (np.array([position[name] for name in rows[end]], np.intp) for end in ("source", "target"))
    values = of.by_module(source, target) if by_module and of.every_module else {}
    ends = zip(source.tolist(), target.tolist(), strict=True)
    for name in filter(values.__contains__, OF_MODULE):
        arrays.add(f"pairs.{name}", values[name].T, "root16" if values[name].size > FINE else "f32")  # [P, L]
    return [
        {
            "source": i,
            "target": j,
            "sentence": sentence(row, one),
            "verdict": one.direction.verdict,
            "words": one.direction.words(printable(row["source"]), printable(row["target"])),
            "ratio": [one.direction.ratio, one.direction.low, one.direction.high],
            "over": [one.direction.count, one.direction.over],
            "warnings": warnings(one),
            **{name: row[name] for name in ("captured", "captured_back", "rec", "rec_chance", "rec_z", "q", "cosine")},
            "other_layers": {
                name: {"mean": float(of.mean), "sd": float(of.sd), "t": float(of.t), "n": int(of.n)}
                for name, of in one.other_layers.items()
            },
        }
        for (i, j), row, one in zip(ends, rows.to_dict("records"), details, strict=True)
    ]


def modules(dataset: xr.Dataset) -> dict[str, Any]:
    """What is along ``module``: paths, layers, kinds, and the share that random directions would hold, r²/(m n), of r =
    1."""
    return {
        "path": [printable(str(path)) for path in dataset["module"].values],
        "layer": dataset["layer"].values.tolist(),
        "kind": [printable(str(kind)) for kind in dataset["kind"].values],
        "size": (dataset["rows"].values.astype(float) * dataset["columns"].values).tolist(),
    }


def adapters(dataset: xr.Dataset, arrays: Arrays) -> None:
    """Of each adapter and module: ‖τ‖, the participation ratio and the spectrum; of very many numbers their means."""
    spectrum, norm = (dataset[name].values for name in ("spectrum", "norm"))  # [L, N, k], [L, N]
    if spectrum.size > MOST_SPECTRA:
        spectrum = nan_mean(spectrum)[0][None]
    arrays.add("adapters.spectrum", spectrum, "f32" if spectrum.size <= FINE else "root8")
    arrays.add("adapters.norm", norm)
    arrays.add("adapters.participation", dataset["participation"].values)


def cautions(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """What to know before any number is read: of the sweep, then of each adapter."""
    attributes = dataset.attrs
    found: list[dict[str, Any]] = []
    if not attributes["complete"]:
        found.append({"adapter": None, "text": "The sweep is not complete: some of its modules are missing."})
    skipped = zip(*(as_lines(attributes[name]) for name in ("skipped_paths", "skipped")), strict=True)
    found += [{"adapter": None, "text": printable(f"left out: {path}: {reason}")} for path, reason in skipped]
    found += [{"adapter": None, "text": printable(text)} for text in as_lines(attributes["warnings"])]
    norm, ratio = (dataset[name].values for name in ("norm", "participation"))
    for i, start in enumerate(as_lines(attributes["starts"])):
        for flag in adapter_flags(norm[:, i], ratio[:, i], start):
            found.append({"adapter": i, "text": f"{flag}: {meaning(flag)}"})
    return found


def left_out(dataset: xr.Dataset) -> dict[str, str]:
    """What adapters hold that is no part of a task vector, by position; of those of which the sweep says so."""
    lines = as_lines(str(dataset.attrs.get("left_out", "")))
    return {str(i): printable(line) for i, line in enumerate(lines) if line}


def summary(dataset: xr.Dataset) -> str:
    N, L = dataset.sizes["source"], dataset.sizes["module"]
    lam = float(dataset["lam"]) if "lam" in dataset.coords else float(dataset.attrs["lambda"])
    return f"{N:,} adapters, {N * (N - 1):,} ordered pairs, {L:,} modules, λ = {lam:g}"


def labels_document(labels: Labels, names: Sequence[str]) -> dict[str, list[str]]:
    """By column, a label for each adapter; empty for none."""
    return {printable(column): [printable(labels.of(column, name)) for name in names] for column in labels.columns}


def plane(found: Plane, arrays: Arrays) -> dict[str, Any]:
    """The map."""
    arrays.add("map.points", found.points, "f32")
    return {"method": found.method, "explained": found.explained}


def projected(read: Read, pack: Pack, projections: Projections) -> None:
    """S₂ of the first pairs, [P, L, k], NaN beyond the rank and for modules that are not shared."""
    some = 2 * MOST_PROJECTED
    ends = list(zip(read.rows["source"][:some], read.rows["target"][:some], strict=True))
    found = projections(ends[::2])
    modules = {path: at for at, path in enumerate(read.dataset["module"].values.tolist())}
    values = np.full((len(ends), len(modules), read.dataset.sizes["component"]), np.nan, np.float32)
    for p, pair in enumerate(ends):
        for one in found[pair].modules:
            if one.module in modules:
                values[p, modules[one.module], : len(one.s2)] = one.s2
    pack.add("pairs.projected", values)


def built(
    read: Read, pack: Pack, answers: Sequence[Answer], commands: Sequence[str], mapped: str = "mds"
) -> dict[str, Any]:
    """The whole document; arrays go to ``pack``. ``mapped``: one of MAPS."""
    points = MAPS[mapped](read.matrices.values["cosine"])
    adapters(read.dataset, pack)
    of_pairs = pairs(read.dataset, read.rows, read.details, pack)
    document = {
        "schema": SCHEMA,
        "summary": summary(read.dataset),
        "adapters": [printable(name) for name in read.names],
        "modules": modules(read.dataset),
        "pair_metrics": [name for name in OF_MODULE if f"pairs.{name}" in pack.index],
        "matrix": matrix(read, pack),
        "pairs": of_pairs,
        "cautions": cautions(read.dataset),
        "left_out": left_out(read.dataset),
        "labels": labels_document(read.labels, read.names),
        "map": plane(points, pack),
        "summaries": adapter_sheet(read.summaries).document(),
        "tables": [sheet.document() for sheet in read.paper],
        "no_tables": missing(read.paper),
        "answers": [{name: printable_lines(text) for name, text in asdict(answer).items()} for answer in answers],
        "methods": methods(
            read.dataset.attrs, read.names, read.dataset.sizes["module"], read.sigma0, commands, points.method
        ),
    }
    return {**document, "arrays": pack.index}


def printable_lines(text: str) -> str:
    """Text with nothing in it but characters to read and the ends of its lines."""
    return "\n".join(printable(line) for line in text.splitlines())
