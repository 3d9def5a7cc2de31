"""A model's own weights by module path, read one at a time: the base of adapters, or a full fine-tune of it."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import TaskvecError
from ..paths import flat, unwrapped
from .algebra.basics import as_matrix
from .reading.files import digest, file_errors, member, read_json
from .reading.held import hash_along
from .reading.quantised import quantised_by
from .reading.shards import model_file, open_model
from .spelling import spelling

# what embeddings are called: stored as (vocabulary, width), compared as out × in like every other module
EMBEDDING = re.compile(
    r"^(?:embed_tokens|embed_in|embed_positions|wte|wpe|shared|(?:tok|word|position|token_type)_embeddings?"
    r"|token_embedding|position_embedding|embeddings?|tokens_embed|positions_embed)$"
)
# modules of transformers' Conv1D, stored as (in, out), and the models that have them
CONV1D = re.compile(r"^(?:c_attn|c_proj|c_fc|q_attn)$")
CONV1D_MODELS = ("gpt2", "imagegpt", "openai-gpt", "decision_transformer")
TOOLS = re.compile(r"^(?:lora_unet|lora_te[123]?|lora_transformer|lora_prior_(?:te|unet)|lycoris)_")
# what versions of transformers, and models with a head or an encoder of images, put before the same modules
WRAPPING = re.compile(r"^(?:(?:model|language_model|text_model|transformer|bert|roberta|distilbert|electra|deberta)_)+")
UNQUANTISED = "give the checkpoint that it was quantised from"


@dataclass(frozen=True)
class Weight:
    """One weight of a model, out × in, read when it is called."""

    checkpoint: Checkpoint
    name: str
    shape: tuple[int, int]
    turned: bool  # stored as in × out

    def __call__(self) -> Tensor:
        """(m, n) in the file's dtype.

        Raises:
            TaskvecError: no floats, NaN or Inf.
        """
        return self.checkpoint.matrix(self.name, turned=self.turned)


class Checkpoint:
    """A model's weights, by the path of the module that they belong to.

    Args:
        path: a model's folder, one of its files, or the index of its shards.

    Raises:
        TaskvecError: nothing there that can be read, or a quantised model.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.file = open_model(self.path)
        refuse_quantised(self.path, self.file.shapes)
        self.config = model_config(self.file.files[0].parent)

    @cached_property
    def digest(self) -> str:
        """sha256 of the weights."""
        return digest(*self.file.files)

    def matrix(self, name: str, *, turned: bool = False) -> Tensor:
        """A tensor by its own name, (m, n); TaskvecError for other dtypes than floats, NaN and Inf."""
        return read_matrix(self.file.path, name, self.file.tensor(name), turned)

    def rows(self, name: str, count: int, turned: bool) -> Tensor:
        """The first rows of a matrix, as stored."""
        return read_matrix(self.file.path, name, self.file.rows(name, 0, count), turned)

    def expert(self, name: str, e: int, turned: bool) -> Tensor:
        """One of a stack of matrices."""
        return read_matrix(self.file.path, name, self.file.rows(name, e, e + 1)[0], turned)

    def hash_along(self) -> None:
        """Hash the files while their tensors are read, in ``read_once``, unless that was done."""
        if "digest" not in vars(self):
            for path in self.file.files:
                with file_errors(path):
                    hash_along(path)

    @cached_property
    def places(self) -> dict[str, int]:
        """The order in which the files hold the tensors."""
        return {name: place for place, name in enumerate(self.file.shapes)}

    @cached_property
    def names(self) -> dict[str, str]:
        """The tensor of each module, by path without wrappers."""
        matrices = [name for name, shape in self.file.shapes.items() if len(shape) > 1]
        return {unwrapped(name.removesuffix(".weight")): name for name in sorted(matrices)}

    @cached_property
    def conv1d(self) -> bool:
        """Whether the modules that GPT-2 names c_… are stored as in × out."""
        shapes = self.file.shapes
        fused = (shapes[name] for path, name in self.names.items() if path.endswith("c_attn"))
        is_thrice = any(len(shape) == 2 and shape[1] == 3 * shape[0] for shape in fused)
        return self.config.get("model_type") in CONV1D_MODELS or is_thrice

    def find(self, path: str, shape: tuple[int, int] | None = None, *, turned: bool | None = None) -> Weight | None:
        """The weight of the module at ``path``, None if there is none or if several fit.

        Args:
            path: a module's path, or one that a tool wrote with underscores for dots.
            shape: (m, n) of the update, where the adapter tells it.
            turned: whether it is stored as in × out, where the adapter tells it; else by names and shapes.
        """
        name = self.names.get(path) or self._flattened(path) or self._renamed(path)
        if name is None:
            return None
        rows, *others = self.file.shapes[name]
        stored = (rows, math.prod(others))
        if shape is not None and stored[0] != stored[1] and set(shape) == set(stored):
            turned = shape != stored
        elif turned is None:
            turned = self.is_turned(name)
        return Weight(self, name, stored[::-1] if turned else stored, turned)

    def weight(self, path: str, shape: tuple[int, int] | None = None, *, turned: bool | None = None) -> Weight:
        """As ``find``; TaskvecError if there is none."""
        found = self.find(path, shape, turned=turned)
        if found is None:
            got = ", ".join(list(self.names)[:3]) + ", ..."
            what = f"has no weight of {path}, or several that may be"
            raise TaskvecError(what, where=self.path, got=got, fix="give the base that the adapter was trained on")
        return found

    def is_turned(self, name: str) -> bool:
        """Whether a tensor is stored as in × out: an embedding, or a Conv1D of GPT-2."""
        last = name.removesuffix(".weight").rpartition(".")[2]
        if len(self.file.shapes[name]) != 2:
            return False
        return bool(EMBEDDING.match(last) or (CONV1D.match(last) and self.conv1d))

    def _flattened(self, path: str) -> str | None:
        """The tensor of the one module whose path, dots or underscores, ends as this one or the other way round."""
        spelt = flat(TOOLS.sub("", path))
        longer = self._ends.get(spelt, [])
        whole = [name for name in longer if flat(unwrapped(name.removesuffix(".weight"))) == spelt]
        if longer:
            return next(iter(whole or longer)) if len(whole or longer) == 1 else None
        parts = spelt.split("_")
        for start in range(1, len(parts)):
            shorter = [name for name in self._ends.get("_".join(parts[start:]), []) if self._is_whole(name, parts)]
            if shorter:
                return shorter[0] if len(shorter) == 1 else None
        return None

    def _is_whole(self, name: str, parts: list[str]) -> bool:
        """Whether the whole path of a tensor, of several parts, ends a longer one."""
        own = unwrapped(name.removesuffix(".weight"))
        return "." in own and "_".join(parts).endswith("_" + flat(own))

    @cached_property
    def _ends(self) -> dict[str, list[str]]:
        """Tensors by every end of their modules' paths, dots written as underscores."""
        ends: dict[str, list[str]] = defaultdict(list)
        for path, name in self.names.items():
            parts = path.split(".")
            for start in range(len(parts)):
                ends["_".join(parts[start:])].append(name)
        return ends

    def _renamed(self, path: str) -> str | None:
        """The tensor of the one module that another version of a library, or another tool, calls by this path."""
        part, core = _core(path)
        fits = [name for other, name in self._cores.get(core, []) if part == other or not part or not other]
        return fits[0] if len(fits) == 1 else None

    @cached_property
    def _cores(self) -> dict[str, list[tuple[str, str]]]:
        """Tensors, with the part of a pipeline that they are of, by what all versions call their modules."""
        cores: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for path, name in self.names.items():
            part, core = _core(path)
            cores[core].append((part, name))
        return cores

    def __reduce__(self) -> tuple[Any, ...]:
        return open_checkpoint, (self.path.absolute(),)


def _core(path: str) -> tuple[str, str]:
    """The part of a pipeline that a path names, and the rest in one spelling without what wraps a whole model."""
    part, spelled = spelling(path)
    return part, WRAPPING.sub("", spelled)


def open_checkpoint(path: str | Path) -> Checkpoint:
    """The checkpoint at a path, whose headers are read once however many adapters need it, until its file changes."""
    file = model_file(Path(path))
    with file_errors(Path(path)):
        state = None if file is None else os.stat(file)
    return _opened(Path(path), state and (state.st_mtime_ns, state.st_size, state.st_ino))


@lru_cache(maxsize=64)
def _opened(path: Path, state: tuple[int, int, int] | None) -> Checkpoint:
    return Checkpoint(path)


def read_matrix(where: Path, name: str, tensor: Tensor, turned: bool = False) -> Tensor:
    """A tensor of floats as an out × in matrix; TaskvecError for other dtypes, NaN and Inf."""
    if not tensor.is_floating_point():
        what = f"has {name} of {tensor.dtype}: it is quantised, or no weight"
        raise TaskvecError(what, where=where, fix=UNQUANTISED)
    matrix = as_matrix(tensor)
    if matrix.dtype.itemsize == 1:
        matrix = matrix.float()  # fp8 has no arithmetic of its own
    if matrix.numel() and not torch.isfinite(torch.stack(matrix.aminmax())).all():
        raise TaskvecError(f"has NaN or Inf in {name}", where=where, fix="download it again, or use another checkpoint")
    return matrix.mT if turned else matrix


def refuse_quantised(where: Path, names: Any) -> None:
    """Raise for a quantised model."""
    method = quantised_by(names)
    if method is not None:
        what = f"is quantised ({method}): its tensors are not the weights of the model"
        raise TaskvecError(what, where=where, fix=UNQUANTISED)


def model_config(folder: Path) -> dict[str, Any]:
    """The model's config.json, empty without one or where it is not readable."""
    try:
        path = member(folder, "config.json")
        return {} if path is None else read_json(path)
    except TaskvecError:
        return {}
