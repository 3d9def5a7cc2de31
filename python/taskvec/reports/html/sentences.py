"""What the numbers of a pair say, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...errors import printable
from ...queries.details import Details
from ...queries.flags import meaning

# of directions on the output side of the update, and on the input side
SIDES = (("overlap_u", "left"), ("overlap_v", "right"))
UNBROKEN = "\N{NO-BREAK SPACE}%"  # a number and its sign stay on one line


def percent(share: float) -> str:
    """50 %, 3.2 %, 0.041 %; a dash for NaN."""
    if math.isnan(share):
        return "-"
    value = 100 * share
    return f"{value:.0f} %" if value >= 9.95 else f"{value:.2g} %"


def sentence(row: Mapping[str, Any], details: Details) -> str:
    """Of the pair of a ranking's row: the shares both ways, other layers, the verdict."""
    source, target = printable(row["source"]), printable(row["target"])
    other = float(details.other_layers["captured"].mean)
    against = "" if math.isnan(other) else f" ({percent(other)} of its other layers)"
    held = f"{source} holds {percent(row['captured'])} of {target}'s update{against}"
    back = f"{target} holds {percent(row['captured_back'])} of {source}'s"
    verdict = details.direction.words(source, target) or "nothing to compare"
    return f"{held}; {back}: {verdict}.".replace(" %", UNBROKEN)


def warnings(details: Details) -> list[str]:
    """The flags of a pair, each with its reason in numbers where there are some."""
    return [shared_start(details) if flag == "shared start" else f"{flag}: {meaning(flag)}" for flag in details.flags]


def shared_start(details: Details) -> str:
    overlaps = [(details.mean.get(name, math.nan), side) for name, side in SIDES]
    most, side = max(overlaps, key=lambda pair: -1.0 if math.isnan(pair[0]) else pair[0])
    return f"{side} directions {percent(most)} shared: the same random start? {meaning('shared start')}"
