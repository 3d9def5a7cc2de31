"""A zoo's adapters brought to one spelling of their modules, fused projections split where others have them split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import gcd

from ..adapters import Adapter, Described
from ..errors import TaskvecError
from ..formats.heads import Heads, heads_of_base
from ..formats.language_names import of_format
from ..formats.rotary import UNTURNED
from . import fused
from .match import Shape, Unclear, differences, renames

# what a part of a fused projection is called in models that have it apart
SIBLINGS = {
    "q_proj": ("q", "query", "to_q", "q_lin", "wq"),
    "k_proj": ("k", "key", "to_k", "k_lin", "wk"),
    "v_proj": ("v", "value", "to_v", "v_lin", "wv"),
    "gate_proj": ("w1", "gate"),
    "up_proj": ("w3", "up"),
}
MOST_SHOWN = 3


def align(
    adapters: Sequence[Adapter], heads: Heads | None = None, known: Mapping[str, Shape] | None = None
) -> tuple[tuple[Adapter, ...], tuple[str, ...]]:
    """The adapters under one spelling of their modules, and lines that say what was renamed and what is unclear.

    The spelling of adapters with dotted paths and few fused modules, among them of the most adapters, stays; the
    modules of others are renamed where exactly one fits.

    Args:
        adapters: with distinct names.
        heads: of the base model, for fused projections.
        known: modules of earlier adapters, whose spelling stays.

    Cost:
        The paths of each distinct set of modules; no tensor is read.
    """
    sets: dict[tuple[tuple[str, Shape], ...], list[int]] = {}
    for i, adapter in enumerate(adapters):
        sets.setdefault(tuple((path, module.shape) for path, module in adapter.modules.items()), []).append(i)
    spelled = dict(known or {})
    if len(sets) == 1 and not spelled:
        return tuple(adapters), ()
    if len({adapter.format for adapter in adapters}) > 1:
        adapters = [_renamed(adapter, _of_format(adapter)) for adapter in adapters]
    order = sorted(sets.values(), key=lambda some: (*_oddity(adapters[some[0]]), -len(some), some[0]))
    made = list(adapters)
    lines: list[str] = []
    for some in order:
        for i in some:
            made[i], notes = _to(spelled, made[i], heads)
            lines += notes if i == some[0] else []
        for i in some:
            spelled |= {path: module.shape for path, module in made[i].modules.items() if path not in spelled}
    return tuple(made), tuple(lines)


def no_common_module(adapters: Sequence[Described]) -> TaskvecError:
    """The error for adapters of which no two have a module of one path and shape, with what differs in their paths."""
    first, second = adapters[:2]
    found = differences(shapes(first), shapes(second))
    some = f"{first.name} and {second.name}" if len(adapters) == 2 else f"no two of the {len(adapters)} adapters"
    what = f"{some} have {'no' if len(adapters) == 2 else 'a'} module in common"
    paths = [next(iter(adapter.modules)) for adapter in (first, second)]
    got = str(found[0]) if found else f"for example {paths[0]} and {paths[1]}"
    return TaskvecError(what, got=got, fix="compare adapters of one base model")


def shapes(adapter: Described) -> dict[str, Shape]:
    return {path: module.shape for path, module in adapter.modules.items()}


def _oddity(adapter: Adapter) -> tuple[bool, int]:
    """Whether paths are flattened, and how many modules are fused: the least is the spelling that others get."""
    paths = adapter.modules
    return not any("." in path for path in paths), sum(fused.layout_of(path) is not None for path in paths)


def _to(known: Mapping[str, Shape], adapter: Adapter, heads: Heads | None) -> tuple[Adapter, list[str]]:
    """The adapter with the paths that ``known`` has for its modules."""
    if not known or shapes(adapter).items() <= known.items():
        return adapter, []
    given = adapter.modules
    adapter = _split_like(known, adapter, heads)
    own = shapes(adapter)
    found = renames(own, known)
    notes = []
    if apart := [path for path in given if path not in own]:
        notes.append(f"{adapter.name}: {len(apart)} fused modules split, as another adapter has them ({apart[0]})")
    if found:
        path, name = next(iter(found.items()))
        notes.append(f"{adapter.name}: {len(found)} of {len(own)} modules matched under other names ({path} is {name})")
    if not found and known.keys().isdisjoint(own):
        unclear: list[Unclear] = differences(own, known)
        notes += [f"{adapter.name}: not matched: {item}" for item in unclear[:MOST_SHOWN]]
    return _renamed(adapter, found), notes


def _renamed(adapter: Adapter, new: Mapping[str, str]) -> Adapter:
    """The adapter with other paths for some of its modules."""
    modules = (fused.renamed(module, new.get(path, path)) for path, module in adapter.modules.items())
    return replace(adapter, modules={module.path: module for module in modules})


def _of_format(adapter: Adapter) -> dict[str, str]:
    """Paths as transformers spells them; not of modules whose rows are in another order."""
    return {
        path: path if UNTURNED in module.warnings else of_format(path, adapter.format)
        for path, module in adapter.modules.items()
    }


def _split_like(known: Mapping[str, Shape], adapter: Adapter, heads: Heads | None) -> Adapter:
    """The adapter with those fused modules in parts of which ``known`` has a part, and not the whole."""
    model = heads or heads_of_base(adapter.base_model) or _ratio(known, adapter)
    wanted: dict[str, str] = {}  # path of a part, or of a module that cannot be split → its path in ``known``
    whole: dict[str, str] = {}  # path of a part → of its fused module
    elsewhere: dict[str, Shape] = {}
    for path, module in adapter.modules.items():
        layout = fused.layout_of(path)
        if layout is None or path in known:
            continue
        parts = fused.split(module, model)
        made: dict[str, Shape | None] = dict.fromkeys(fused.part_names(path, layout.parts))
        if isinstance(parts, list):
            made = {part.path: part.shape for part in parts}
        for (part, shape), role in zip(made.items(), layout.parts, strict=True):
            whole[part] = path
            name = _sibling(part, role, shape, known)
            if name is not None:
                wanted[part] = name
            elif shape is not None:
                elsewhere[part] = shape
    wanted |= renames(elsewhere, known)
    if not wanted:
        return adapter
    split = {whole[part] for part in wanted}
    return _renamed(fused.split_some(adapter, split, model), wanted)


def _ratio(known: Mapping[str, Shape], adapter: Adapter) -> Heads | None:
    """Heads in the ratio of queries to keys that ``known`` shows, where rows are q · k · v, which need no more."""
    for path, module in adapter.modules.items():
        layout = fused.layout_of(path)
        if layout is None or layout.spans is not fused.one_after_the_other:
            continue
        names = zip(fused.part_names(path, layout.parts), layout.parts, strict=True)
        q, k, v = (None if (name := _sibling(*it, None, known)) is None else known[name][0] for it in names)
        keys = k or v or (None if q is None else (module.shape[0] - q) // 2)
        if keys and 0 < 2 * keys < module.shape[0]:
            queries = module.shape[0] - 2 * keys
            return Heads(queries // gcd(queries, keys), keys // gcd(queries, keys))
    return None


def _sibling(path: str, role: str, shape: Shape | None, known: Mapping[str, Shape]) -> str | None:
    """The path beside a fused module that ``known`` has for a part of it, of its shape where that is known."""
    before = path.removesuffix(role)
    names = (f"{before}{name}" for name in (role, *SIBLINGS.get(role, ())))
    return next((name for name in names if name in known and shape in (None, known[name])), None)
