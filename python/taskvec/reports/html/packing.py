"""Arrays of numbers as text in the page: quantised where they are many, compressed, in base64."""

from __future__ import annotations

import base64
import gzip
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Encoding = Literal["f32", "root16", "root8", "i32"]
FINE = 2**17  # numbers up to which fp32 is kept
MIDDLE = 2**19  # and 16 bits
MISSING = {"root16": -(2**15), "root8": -(2**7)}
LIMIT = {"root16": 2**15 - 1, "root8": 2**7 - 1}
TYPES = {"f32": np.float32, "i32": np.int32, "root16": np.int16, "root8": np.int8}


class Arrays(Protocol):
    """Where the arrays of a document go."""

    def add(self, name: str, values: NDArray[Any], encoding: Encoding | None = None) -> None:
        """Keep an array; NaN is kept."""


class Pack:
    """Arrays by name; ``index`` says where each is in ``text``."""

    def __init__(self) -> None:
        self.index: dict[str, dict[str, Any]] = {}
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, name: str, values: NDArray[Any], encoding: Encoding | None = None) -> None:
        """Keep an array.

        Args:
            name: by which the page asks for it.
            values: numbers; NaN is kept.
            encoding: "f32", "i32", or the root of the number, so that small ones keep their digits, on 16 or 8 bits:
                x = scale · sign(u) · (u / limit)². None: by the size of the array.
        """
        if encoding is None:
            encoding = "f32" if values.size <= FINE else "root16" if values.size <= MIDDLE else "root8"
        scale = 1.0
        if encoding in LIMIT:
            finite = np.abs(values[np.isfinite(values)])
            scale = float(finite.max(initial=0.0)) or 1.0
            data = rooted(values, encoding, scale)
        else:
            data = np.ascontiguousarray(values, TYPES[encoding])
        padding = b"\0" * (-self.size % 4)
        raw = padding + data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes()
        self.index[name] = {
            "encoding": encoding,
            "shape": list(values.shape),
            "offset": self.size + len(padding),
            "scale": scale,
        }
        self.parts.append(raw)
        self.size += len(raw)

    def text(self, level: int = 6) -> str:
        """Everything, compressed (0: not), in base64."""
        return base64.b64encode(gzip.compress(b"".join(self.parts), level, mtime=0)).decode()


def rooted(values: NDArray[Any], encoding: str, scale: float) -> NDArray[Any]:
    """The nearest u for each number; the smallest u that there is for NaN and infinities."""
    limit = LIMIT[encoding]
    with np.errstate(invalid="ignore"):
        u = np.sign(values) * np.rint(np.sqrt(np.abs(values) / scale) * limit)
    return np.where(np.isfinite(u), u, MISSING[encoding]).astype(TYPES[encoding])
