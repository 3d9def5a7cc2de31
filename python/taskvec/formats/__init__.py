"""The formats of adapters: one module or package each behind the protocol ``Format``; this is their registry."""

from __future__ import annotations

from pathlib import Path

from ..adapters import Adapter
from .foreign import DIFFUSERS, MLX, UNKNOWN, NoFormat, no_adapter
from .format import Dora, Format, Location, ReadOptions
from .peft import Peft
from .reading.files import file_errors

__all__ = ["FORMATS", "Dora", "Format", "Location", "ReadOptions", "discover", "no_adapter", "read"]

# asked in this order: the narrower answer comes first
FORMATS: tuple[Format, ...] = (MLX, Peft(), DIFFUSERS, UNKNOWN, NoFormat())


def discover(path: Path) -> list[Location]:
    """The adapters at ``path``, a folder or a file, by the first format that knows any."""
    with file_errors(path):
        return next((found for format in FORMATS if (found := format.discover(path))), [])


def read(location: Location, options: ReadOptions) -> list[Adapter]:
    """The adapters at a location, each read once for NaN and once for its hash.

    Raises:
        TaskvecError: anything that is wrong with the files, in one line with the fix.
    """
    return location.format.read(location, options)
