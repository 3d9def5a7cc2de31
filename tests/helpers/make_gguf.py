"""Small GGUF files."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np


def gguf(tensors: Mapping[str, np.ndarray], **metadata: str | float) -> bytes:
    """A GGUF file as llama.cpp's converter writes one: fp32 or fp16 tensors, strings and fp32 numbers."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        head += text(key)
        head += struct.pack("<I", 8) + text(value) if isinstance(value, str) else struct.pack("<If", 6, value)
    data = b""
    for name, tensor in tensors.items():
        kind = {"float32": 0, "float16": 1}[tensor.dtype.name]
        head += text(name) + struct.pack(f"<I{tensor.ndim}Q", tensor.ndim, *reversed(tensor.shape))
        head += struct.pack("<IQ", kind, len(data))
        data += tensor.tobytes() + bytes(-tensor.nbytes % 32)
    return head + bytes(-len(head) % 32) + data
