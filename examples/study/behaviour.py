"""What an adapter does to other tasks than its own: the loss reduction that it gives, and forgetting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .plan import Adapter, Merged
from .tasks import parts_of

Losses = Mapping[str, float]  # by task


def own_tasks(adapter: Adapter) -> tuple[str, ...]:
    """What an adapter was trained on; a merge, on the tasks of its parts."""
    if isinstance(adapter, Merged):
        return tuple(part.partition("-s")[0] for part in adapter.parts)
    return parts_of(adapter.task)


def loss_on(losses: Losses, tasks: Sequence[str]) -> float:
    """The mean over the parts of a mixture."""
    return sum(losses[task] for task in tasks) / len(tasks)


def behaviour(
    adapters: Sequence[Adapter], losses: Mapping[str, Losses], base: Losses
) -> Iterator[tuple[str, str, float]]:
    """(C, A, share): of the loss that A takes off its own task, what C takes off it. 1: as much; below 0: C harms.

    A pair is left out where A itself takes nothing off.
    """
    for target in adapters:
        tasks = own_tasks(target)
        before, after = loss_on(base, tasks), loss_on(losses[target.name], tasks)
        if after < before:
            for source in adapters:
                if source.name != target.name:
                    share = (before - loss_on(losses[source.name], tasks)) / (before - after)
                    yield source.name, target.name, share


def forgetting(
    adapters: Sequence[Adapter], losses: Mapping[str, Losses], base: Losses
) -> Iterator[tuple[str, str, float, float]]:
    """(adapter, task, loss of the base, loss under the adapter), of tasks that the adapter was not trained on."""
    for adapter in adapters:
        for task, before in base.items():
            if task not in own_tasks(adapter):
                yield adapter.name, task, before, losses[adapter.name][task]
