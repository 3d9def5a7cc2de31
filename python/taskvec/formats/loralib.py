"""State dicts of Microsoft's loralib: ``PATH.lora_A`` and ``PATH.lora_B``, whose alpha is in no file.

Linear layers and embeddings have (r, n) and (m, r). MergedLinear has r rows of A for each part of a fused projection
that was trained; which parts is in no file. Convolutions have (r·k, n·k) and (m·k, r·k), which are matrices too: the
base's weight tells them, else their name, and then the usual k = 3 is assumed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Set
from functools import partial

from torch import Tensor

from ..adapters import LeftOut
from .algebra.lora import linear, loralib_convolution, merged_parts
from .format import ReadOptions
from .reading.tensors import TensorFile
from .recipe import Recipe
from .single import Content, Piece, SingleFile, needed, put
from .unscaled import given_scale

NAME = re.compile(r"^(.+)\.(lora_[AB])$")
PARTS = {2: (True, False, True), 3: (True, True, True)}
ASSUMED_PARTS = "two parts of a fused projection were trained; assumed that they are q and v: the file does not say"
ONE_PART = "one part in {0} of a fused projection was trained; assumed that it is the first: the file does not say"
ASSUMED_KERNEL = "assumed a {0}×{0} convolution by the module's name: the file does not say; the base tells it (--base)"
MOST_PARTS = 8
KERNELS = (3, 5, 7)  # the first that fits


def claims(names: Set[str], beside_peft: bool) -> bool:
    return not beside_peft and any(NAME.match(name) for name in names)


def content(file: TensorFile, options: ReadOptions) -> Content:
    """alpha / r · B·A, or the convolution that it is viewed as."""
    modules: dict[str, dict[str, str]] = defaultdict(dict)
    left_out = []
    for name in sorted(file.shapes):
        if match := NAME.match(name):
            put(modules[match[1]], match[2], name, file.path)
        else:
            left_out.append(LeftOut(name, "no factor of an update"))
    pieces = []
    for path, names in modules.items():
        pair = needed(file, names, "lora_B", "lora_A")
        combine, rank, notes = _form(file, path, pair, options)
        scale = given_scale(options, rank, path, file.path, "loralib")
        recipe = Recipe(file, pair, combine, scale.value, "A (r, n) and B (m, r)")
        pieces.append(Piece(path, recipe, scale.source, scale.alpha, notes))
    return Content(pieces, left_out)


def _form(
    file: TensorFile, path: str, pair: tuple[str, ...], options: ReadOptions
) -> tuple[Callable[..., tuple[Tensor, Tensor]], int, tuple[str, ...]]:
    """How the factors multiply out, the rank that alpha is divided by, and what was assumed."""
    b, a = (file.shapes[name] for name in pair)
    if len(a) != 2 or len(b) not in (2, 3) or 0 in (*a, *b):
        return linear, 1, ()  # which does not fit, and says so
    parts = a[0] // b[1]
    if parts in PARTS and a[0] == parts * b[1]:
        return partial(merged_parts, enabled=PARTS[parts]), b[1], (ASSUMED_PARTS,) if parts == 2 else ()
    rows = 0 if options.base is None or (weight := options.weights.find(path)) is None else weight.shape[0]
    if parts == 1 and rows > b[0] and rows % b[0] == 0 and rows // b[0] <= MOST_PARTS:
        enabled = (True, *[False] * (rows // b[0] - 1))
        return partial(merged_parts, enabled=enabled), b[1], (ONE_PART.format(len(enabled)),)
    kernel = _kernel(path, options)
    if kernel is not None:
        fits = all(size % kernel == 0 for size in (a[0], a[1], b[0]))
        return (
            (partial(loralib_convolution, kernel=(kernel, kernel)), a[0] // kernel, ()) if fits else (linear, a[0], ())
        )
    sizes = [size for size in KERNELS if all(length % size == 0 for length in (a[0], a[1], b[0]))]
    if "conv" in path.rpartition(".")[2].lower() and sizes:
        k = sizes[0]
        return partial(loralib_convolution, kernel=(k, k)), a[0] // k, (ASSUMED_KERNEL.format(k),)
    return linear, a[0], ()


def _kernel(path: str, options: ReadOptions) -> int | None:
    """The size of the base's kernel, 1 for a matrix; None without a base that has the module."""
    weight = None if options.base is None else options.weights.find(path)
    if weight is None:
        return None
    shape = options.weights.file.shapes[weight.name]
    return shape[-1] if len(shape) == 4 else 1


LORALIB = SingleFile("loralib", claims, content)
