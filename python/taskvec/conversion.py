"""Any update that can be read, written as a PEFT folder that the peft package itself loads."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from taskvec_kernels import lowrank_svd

from .adapters import Adapter, Dense, Module
from .errors import TaskvecError
from .formats.algebra.lora import grouped_convolution
from .formats.recipe import Recipe
from .naming.dotted import dotted
from .paths import layer_and_kind
from .store.canonical import factors
from .version import __version__

PREFIX = "base_model.model."
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
EXPERT = re.compile(r"(.+)\[([0-9]+)\]")
EMBEDDINGS = {"embed_tokens", "wte", "word_embeddings", "token_embd", "tok_embeddings", "embed_in", "shared"}
# bare parameters of one module in the order in which transformers registers them: the first is wrapped innermost
ORDER = ("gate_up_proj", "gate_proj", "w1", "up_proj", "w3", "down_proj", "w2")


class Pair(NamedTuple):
    """B (m, r) and A (r, n), fp32, with the scale in B, and ‖τ − B·A‖ / ‖τ‖."""

    b: Tensor
    a: Tensor
    residual: float


@dataclass(frozen=True)
class Converted:
    """What was written: modules, the largest rank, and the largest relative residual of a module that was cut."""

    path: Path
    modules: int
    rank: int
    residual: float


def convert(adapter: Adapter, out: str | Path, *, rank: int | None = None) -> Converted:
    """Write the update of an adapter as a PEFT LoRA.

    Scales are in B (lora_alpha = r everywhere); experts become PEFT's ``target_parameters``; flattened paths get
    their dots again. The header of the weights says where it came from.

    Args:
        adapter: what ``load_adapter`` gives.
        out: a folder that does not exist, or is empty.
        rank: keep at most so many directions of a module, the largest; None: all. Dense updates have min(m, n).

    Raises:
        TaskvecError: the folder is not empty or cannot be written to; modules that PEFT cannot hold.
    """
    if rank is not None and rank < 1:
        raise TaskvecError("--rank is not usable", got=str(rank), expected="at least 1")
    folder = _empty(Path(out))
    names = _names(adapter)
    pairs = _of_one_rank(names, {path: factor_pair(module, rank) for path, module in adapter.modules.items()})
    tensors: dict[str, Tensor] = {}
    ranks: dict[str, int] = {}
    experts: dict[str, dict[int, Pair]] = defaultdict(dict)
    for path, pair in pairs.items():
        name = names[path]
        if match := EXPERT.fullmatch(name):
            experts[match[1]][int(match[2])] = pair
            continue
        owner, _, last = name.rpartition(".")
        if owner in names.values():  # PEFT adapts it with its owner, which it wraps
            name = f"{owner}.base_layer.{last}"
        else:
            ranks[name] = pair.a.shape[0]
        for role, tensor in _tensors(adapter.modules[path], pair, adapter.path):
            tensors[f"{PREFIX}{name}.{role}"] = tensor
    parameters = dict(_parameters(experts, adapter))
    for parameter, (place, b, a, r) in parameters.items():
        ranks[parameter] = r
        tensors |= {f"{PREFIX}{place}.lora_A.weight": a, f"{PREFIX}{place}.lora_B.weight": b}
    modules = [path for path in ranks if path not in parameters]
    _write(folder, tensors, config(adapter, ranks, modules, list(parameters)), provenance(adapter, rank))
    return Converted(folder, len(adapter.modules), max(ranks.values()), max(pair.residual for pair in pairs.values()))


def factor_pair(module: Module, rank: int | None) -> Pair:
    """A module's update as B and A of at most ``rank``, by its own factors where they are short enough."""
    update = module.update()
    limit = min(module.shape) if rank is None else min(rank, *module.shape)
    if not isinstance(update, Dense) and update.a.shape[0] <= limit:
        return Pair((update.b.double() * update.scale).float(), update.a.float(), 0.0)
    made_b, made_a, scale, whole = factors(update, min(limit, module.rank), rounding=False)
    svd = lowrank_svd(made_b, made_a, scale)
    kept = min(limit, max(1, int((svd.S > 0).sum())))
    root = svd.S[:kept].double().sqrt()
    norm = float(svd.S.double().norm()) if whole is None else whole
    lost = svd.S[kept:].double().square().sum() + max(0.0, norm * norm - float(svd.S.double().square().sum()))
    residual = float(lost) ** 0.5 / norm if norm else 0.0
    b, a = svd.U[:, :kept].double() * root, root[:, None] * svd.Vh[:kept].double()
    return Pair(b.float(), a.float(), residual)


def config(adapter: Adapter, ranks: Mapping[str, int], modules: list[str], parameters: list[str]) -> dict[str, Any]:
    """adapter_config.json for modules and bare parameters of these ranks, alpha = r."""
    common, _ = Counter(ranks.values()).most_common(1)[0]
    # PEFT takes the first pattern that ends a path: the longest paths first
    others = {re.escape(path): r for path, r in sorted(ranks.items(), key=lambda it: -len(it[0])) if r != common}
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": adapter.base_model,
        "r": common,
        "lora_alpha": common,
        "rank_pattern": others,
        "alpha_pattern": others,
        "target_modules": modules or None,
        **({"target_parameters": parameters} if parameters else {}),
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
    }


def provenance(adapter: Adapter, rank: int | None) -> dict[str, str]:
    """Where the update came from, for the header of the weights."""
    return {
        "format": "pt",
        "taskvec_version": __version__,
        "source": str(adapter.path),
        "source_format": adapter.format,
        "source_sha256": adapter.digest,
        "rank": "all" if rank is None else f"cut to {rank}",
        "left_out": json.dumps([item.tensor for item in adapter.left_out]),
        "warnings": json.dumps(list(adapter.warnings)),
    }


def _empty(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        fix = "choose another output path"
        raise TaskvecError(f"cannot write here ({error.strerror})", where=folder, fix=fix) from error
    if taken:
        raise TaskvecError("exists and is not empty", where=folder, fix="choose another output path")
    return folder


def _names(adapter: Adapter) -> dict[str, str]:
    """Paths with their dots; without the part of the pipeline where there is only one."""
    places = {path: dotted(path) for path in adapter.modules}
    parts = {part for part, _ in places.values()}
    names = {path: rest if len(parts) == 1 or not part else f"{part}.{rest}" for path, (part, rest) in places.items()}
    return names if len(set(names.values())) == len(names) else {path: path for path in names}


def _of_one_rank(names: Mapping[str, str], pairs: Mapping[str, Pair]) -> dict[str, Pair]:
    """The pairs, of layers inside another that is adapted too (an attention's out_proj) at the rank of both."""
    path_of = {name: path for path, name in names.items()}
    found = dict(pairs)
    for path, name in names.items():
        owner = path_of.get(name.rpartition(".")[0])
        if owner is not None:
            r = max(found[one].a.shape[0] for one in (path, owner))
            for one in (path, owner):
                b, a, residual = found[one]
                found[one] = Pair(_padded(b, r, 1), _padded(a, r, 0), residual)
    return found


def _tensors(module: Module, pair: Pair, where: Path) -> Iterator[tuple[str, Tensor]]:
    """PEFT's tensors of a layer by their names: of an embedding, a convolution, or a matrix."""
    b, a = pair.b.contiguous(), pair.a.contiguous()
    recipe = module.update if isinstance(module.update, Recipe) else None
    if recipe is not None and recipe.combine is grouped_convolution:
        if a.shape[0] < module.rank:
            what = f"has a convolution with groups, {module.path}, which PEFT holds at the rank of its training alone"
            raise TaskvecError(what, where=where, got=f"--rank {a.shape[0]}", fix=f"--rank {module.rank}, or none")
        b, a = map(recipe.file.tensor, recipe.names)
        yield from (("lora_A.weight", a.float()), ("lora_B.weight", (b.double() * recipe.scale).float()))
        return
    if is_embedding(module, recipe):
        yield from (("lora_embedding_A", a), ("lora_embedding_B", b))
        return
    kernel = () if recipe is None else recipe.kernel()
    if kernel:
        a, b = a.reshape(len(a), -1, *kernel), b.reshape(*b.shape, *(1 for _ in kernel))
    yield from (("lora_A.weight", a), ("lora_B.weight", b))


def is_embedding(module: Module, recipe: Recipe | None) -> bool:
    """Whether the module is an embedding, by its tensors' names or its own."""
    by_name = layer_and_kind(module.path)[1] in EMBEDDINGS
    return by_name or (recipe is not None and any("lora_embedding_" in name for name in recipe.names))


def _parameters(
    experts: Mapping[str, Mapping[int, Pair]], adapter: Adapter
) -> Iterator[tuple[str, tuple[str, Tensor, Tensor, int]]]:
    """Of each bare parameter of E experts: where PEFT has it, B (m, r·E), A (r·E, n) and r."""
    of_module: dict[str, list[str]] = defaultdict(list)
    for parameter in experts:
        of_module[parameter.rpartition(".")[0]].append(parameter.rpartition(".")[2])
    for parameter, pairs in experts.items():
        module, _, name = parameter.rpartition(".")
        if sorted(pairs) != list(range(len(pairs))):
            what = f"has {len(pairs)} experts of {parameter}, numbered to {max(pairs)}"
            raise TaskvecError(what, where=adapter.path, fix="PEFT holds all experts or none: leave it out")
        together = of_module[module]
        if len(together) > 1 and not all(one in ORDER for one in together):
            what = f"has several bare parameters of {module}, whose order in the model is not known"
            raise TaskvecError(what, where=adapter.path, got=", ".join(together), fix="convert them one by one")
        inside = sorted(together, key=lambda one: ORDER.index(one) if one in ORDER else 0)
        place = module + ".base_layer" * (len(together) - 1 - inside.index(name))
        r = max(pair.a.shape[0] for pair in pairs.values())
        b = torch.stack([_padded(pairs[e].b, r, 1) for e in range(len(pairs))], -1)  # [m, r, E]
        a = torch.stack([_padded(pairs[e].a, r, 0) for e in range(len(pairs))])  # [E, r, n]
        yield parameter, (place, b.flatten(1).contiguous(), a.flatten(0, 1).contiguous(), r)


def _padded(factor: Tensor, rank: int, dim: int) -> Tensor:
    shape = list(factor.shape)
    shape[dim] = rank - shape[dim]
    return torch.cat([factor, factor.new_zeros(shape)], dim)


def _write(folder: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any], header: dict[str, str]) -> None:
    try:
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / WEIGHTS, header)
        (folder / CONFIG).write_text(json.dumps(document, indent=2) + "\n")
    except OSError as error:
        fix = "choose another output path"
        raise TaskvecError(f"cannot be written ({error.strerror or error})", where=folder, fix=fix) from error
