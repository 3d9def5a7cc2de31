"""What a comparison does not use, in one counted line: nothing is left out in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from .adapters import Described

MOST_REASONS = 3


def left_out(adapters: Sequence[Described]) -> list[str]:
    """One line for tensors that are no part of a task vector and modules that one adapter alone has; none for none.

    It ends with the largest share of an adapter's trained parameters that this is, and the adapter.
    """
    reasons = Counter(item.reason for adapter in adapters for item in adapter.left_out)
    concerned = sum(bool(adapter.left_out) for adapter in adapters)
    owners = Counter(site for adapter in adapters for site in _sites(adapter))
    apart = [adapter for adapter in adapters if all(owners[site] == 1 for site in _sites(adapter))]  # said elsewhere
    alone = {site for site, count in owners.items() if count == 1} - {site for one in apart for site in _sites(one)}
    told = []
    if reasons:
        total = sum(reasons.values())
        kinds = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(MOST_REASONS))
        more = "; ..." if len(reasons) > MOST_REASONS else ""
        told.append(f"{_counted(total, 'tensor')} of {concerned} of {len(adapters)} adapters ({kinds}{more})")
    if alone:
        first = min(path for path, _ in alone)
        told.append(
            f"{_counted(len(alone), 'module')} that one adapter alone has ({first}{', ...' * (len(alone) > 1)})"
        )
    if not told:
        return []
    shares = {adapter.name: share(adapter, alone) for adapter in adapters if adapter.parameters}
    most = max(shares, key=shares.__getitem__, default=None)
    up_to = "" if most is None else f": up to {shares[most]:.1%} of the trained parameters (of {most})"
    return [f"not compared: {' and '.join(told)}{up_to}"]


def left_out_of(adapter: Described) -> str:
    """What one adapter holds that is no part of its task vector, on a line; empty for nothing."""
    reasons = Counter(item.reason for item in adapter.left_out)
    if not reasons:
        return ""
    kinds = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common(MOST_REASONS))
    more = "; ..." if len(reasons) > MOST_REASONS else ""
    part = f": {share(adapter):.1%} of its trained parameters" if adapter.parameters else ""
    return f"{_counted(len(adapter.left_out), 'tensor')} ({kinds}{more}){part}"


def share(adapter: Described, alone: Collection[tuple[str, tuple[int, int]]] = ()) -> float:
    """The share of an adapter's parameters that is in what was left out, and in the modules that it has alone."""
    unused = sum(item.parameters for item in adapter.left_out)
    for path, module in adapter.modules.items():
        if (path, module.shape) in alone:
            m, n = module.shape
            unused += min(module.rank * (m + n), m * n)
    return min(1.0, unused / adapter.parameters) if adapter.parameters else 0.0


def _sites(adapter: Described) -> list[tuple[str, tuple[int, int]]]:
    return [(path, module.shape) for path, module in adapter.modules.items()]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
