"""What a folder was made with: another plan may add adapters to it, not change how they are made."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from .files import read_json, write_json
from .plan import Plan, PlanError

OF_THE_LIST = ("adapters", "snapshots", "instructions")  # of a base: which adapters there are, not how they are made


def keep_settings(plan: Plan, out: Path) -> None:
    """Written to an empty folder, compared with what is in a used one.

    Raises:
        PlanError: the folder was made with other settings.
    """
    parts = {"corpus", "training", "measure", "instructions"}
    ours = {name: table for name, table in asdict(plan).items() if name in parts}
    ours["base"] = {name: asdict(base) | dict.fromkeys(OF_THE_LIST) for name, base in plan.base.items()}
    ours = json.loads(json.dumps(ours))
    path = out / "settings.json"
    if not path.exists():
        write_json(path, ours)
        return
    theirs = read_json(path)
    for name, table in ours.items():
        for key, value in (table or {}).items():
            if (theirs.get(name) or {}).get(key, value) != value:
                what = f"{out} was made with another [{name}] {key}: {theirs[name][key]}, not {value}"
                raise PlanError(f"{what}; fix: another --out")
