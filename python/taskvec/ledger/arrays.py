"""Arrays of a Zarr v3 group: what their metadata say, and which chunks a part of one is cut into."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..storage import Storage
from .chunks import codecs, decode
from .seals import is_sealed, sealed

METADATA = "zarr.json"
WITHIN = "attributes"  # of the root's metadata, which hold its checksum


@dataclass(frozen=True)
class Array:
    """One array: its values are numbers, or text of a fixed length."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Any = np.nan
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def metadata(self) -> dict[str, Any]:
        """As its ``zarr.json`` has them."""
        fill = self.fill
        if isinstance(fill, float) and np.isnan(fill):
            fill = "NaN"
        text = {"name": "fixed_length_utf32", "configuration": {"length_bytes": self.dtype.itemsize}}
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": text if self.dtype.kind == "U" else self.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(self.chunks)}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": fill,
            "codecs": codecs(4 if self.dtype.kind == "U" else self.dtype.itemsize),
            "attributes": dict(self.attributes),
            "dimension_names": list(self.dims),
            "storage_transformers": [],
        }

    def file(self, index: Iterable[int]) -> str:
        """The name of a chunk."""
        return "/".join([self.name, "c", *map(str, index)])

    def cut(self, part: Part) -> Iterator[tuple[str, NDArray[Any]]]:
        """The chunks of a part, by name: the part begins with a chunk, and ends with one or with the array."""
        for index, where in self._grid(part.start, part.values.shape):
            values = part.values[where].astype(self.dtype, copy=False)
            if values.shape != self.chunks:
                whole = np.full(self.chunks, self.fill, self.dtype)
                whole[tuple(map(slice, values.shape))] = values
                values = whole
            yield self.file(index), values

    def read(self, folder: Storage, start: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[Any]:
        """A part from its chunks; it begins with a chunk. The fill value where there is no chunk."""
        values = np.full(shape, self.fill, self.dtype)
        for index, where in self._grid(start, shape):
            with suppress(FileNotFoundError):
                chunk = decode(folder.read(self.file(index)), self.chunks, self.dtype)
                values[where] = chunk[tuple(map(slice, values[where].shape))]
        return values

    def _grid(
        self, start: tuple[int, ...], shape: tuple[int, ...]
    ) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
        """Each chunk of a part: its index, and where it lies in the part."""
        first = [at // size for at, size in zip(start, self.chunks, strict=True)]
        counts = [-(-size // chunk) for size, chunk in zip(shape, self.chunks, strict=True)]
        for at in product(*map(range, counts)):
            where = tuple(slice(i * size, (i + 1) * size) for i, size in zip(at, self.chunks, strict=True))
            yield tuple(i + j for i, j in zip(first, at, strict=True)), where


@dataclass(frozen=True)
class Part:
    """Values of an array from ``start`` on."""

    array: str
    start: tuple[int, ...]
    values: NDArray[Any]


def write_group(
    folder: Storage,
    arrays: Mapping[str, Array],
    attributes: Mapping[str, Any],
    others: Mapping[str, dict[str, Any]] | None = None,
) -> None:
    """The metadata of a group: readers see the old ones until the last file, the root's, is replaced.

    The root's have a checksum of themselves, and say what the arrays' own must be.

    ``others`` are metadata of further arrays that are there.
    """
    metadata = {name: array.metadata() for name, array in arrays.items()} | dict(others or {})
    metadata = dict(sorted(metadata.items()))

    texts = {f"{name}/{METADATA}": json.dumps(one).encode() for name, one in metadata.items()}

    def is_there(file: str) -> bool:
        return (folder.tail(file) or (0,))[0] == len(texts[file]) and folder.read(file) == texts[file]

    folder.write_all({file: text for file, text in texts.items() if not is_there(file)})
    root = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": dict(attributes),
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": metadata},
    }
    folder.write(METADATA, sealed(root, WITHIN))


def is_group(data: bytes) -> bool:
    """Whether these are the root's metadata as ``write_group`` made them, every byte."""
    return is_sealed(data, WITHIN)


def read_attributes(folder: Storage) -> dict[str, Any]:
    """Of the group; empty where there is none."""
    try:
        found = json.loads(folder.read(METADATA)).get("attributes", {})
    except (OSError, ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}
