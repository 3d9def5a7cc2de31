"""What is true of the adapters of a plan by construction, in the form that `taskvec score --truth` reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from .plan import Adapter, Merged, Scaled, Trained
from .tasks import LABEL_TASKS, MIXTURES

CONTROL = "ten"
SKILLS = ("sum", "ner", *LABEL_TASKS)  # none of them is a part of the control, nor the control of them


def group_of(adapter: Adapter) -> str:
    """Adapters that differ in nothing but the seed."""
    return adapter.name.replace(f"-s{adapter.seed}", "")


def truth(adapters: Sequence[Adapter]) -> dict[str, Any]:
    """Of the adapters that are there. Whether sum and ner are related is not known, and nothing is said of it."""
    groups, seeds = defaultdict(list), defaultdict(list)
    for adapter in adapters:
        groups[group_of(adapter)].append(adapter.name)
        seeds[str(adapter.seed)].append(adapter.name)
    contains = [
        *nested(groups),
        *(entry for adapter in adapters for entry in made_of(adapter)),
    ]
    return {
        "schema": "taskvec.truth/1",
        "groups": dict(groups),
        "seeds": dict(seeds),
        "contains": list({(e["container"], e["part"]): e for e in contains}.values()),
        "same": list(same(groups, adapters)),
        "unrelated": list(unrelated(groups)),
    }


def nested(groups: dict[str, list[str]]) -> Iterator[dict[str, str]]:
    """Tasks whose answers are part of another's, and tasks that are taught together."""
    parts = {"ner": LABEL_TASKS} | MIXTURES
    for whole, inner in parts.items():
        for part in inner:
            if whole in groups and part in groups:
                yield {"container": whole, "part": part, "relation": f"{whole} ⊃ {part}"}


def made_of(adapter: Adapter) -> Iterator[dict[str, str]]:
    """A snapshot on the way is part of the last step; what was added is part of the sum."""
    if isinstance(adapter, Trained) and adapter.snapshot:
        yield {"container": adapter.run, "part": adapter.name, "relation": "last step ⊃ half-way"}
    if isinstance(adapter, Merged):
        relation = "merge ⊃ part" if adapter.cut is None else f"merge cut to rank {adapter.cut} ⊃ part"
        for part in adapter.parts:
            yield {"container": adapter.name, "part": part, "relation": relation}


def same(groups: dict[str, list[str]], adapters: Sequence[Adapter]) -> Iterator[dict[str, Any]]:
    """One task: of other seeds, of other ranks, with longer task vectors."""
    for task, names in groups.items():
        if len(names) > 1 and task in (*SKILLS, CONTROL):
            yield {"among": [task], "relation": "same task, other seed"}
    for adapter in adapters:
        if isinstance(adapter, Scaled):
            relation = f"same task, norm × {adapter.factor:g}"
            yield {"among": [adapter.of, adapter.name], "relation": relation}
    ranks = defaultdict[str, list[str]](list)
    for adapter in adapters:
        if isinstance(adapter, Trained) and not adapter.snapshot and not adapter.shared_start:
            ranks[f"{adapter.task}-s{adapter.seed}"].append(adapter.name)
    for names in ranks.values():
        if len(names) > 1:
            yield {"among": names, "relation": "same task, other rank"}


def unrelated(groups: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    for suffix, relation in (("", "unrelated"), ("-shared", "unrelated, shared start")):
        for skill in SKILLS:
            pair = [skill + suffix, CONTROL + suffix]
            if all(name in groups for name in pair):
                yield {"between": pair, "relation": relation}
