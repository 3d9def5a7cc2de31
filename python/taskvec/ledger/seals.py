"""JSON documents that hold a checksum of themselves, so that one file says whether it is as it was written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .chunks import checksum

SEAL = "checksum"  # the key of the CRC-32C, in hexadecimal


def sealed(document: Mapping[str, Any], within: str = "") -> bytes:
    """A document as JSON, with the checksum of all else in it as its last entry.

    Args:
        document: of what JSON has.
        within: a key of the document, whose mapping gets the entry; empty: the document itself.
    """
    bare = dict(document)
    holder = dict(bare[within]) if within else bare
    holder.pop(SEAL, None)
    if within:
        bare[within] = holder
    mark = {SEAL: checksum(json.dumps(bare).encode()).hex()}
    return json.dumps({**bare, within: {**holder, **mark}} if within else {**bare, **mark}).encode()


def is_sealed(data: bytes, within: str = "") -> bool:
    """Whether every byte is as ``sealed`` made it."""
    try:
        return sealed(json.loads(data), within) == data
    except (ValueError, TypeError, KeyError):
        return False
