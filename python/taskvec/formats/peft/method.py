"""What every PEFT method says of itself: its tensors, its config fields, and how an update comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...adapters import LeftOut
from ...errors import TaskvecError
from ..reading.tensors import TensorFile
from ..recipe import SAVE_AGAIN, Recipe
from .scale import Scale

if TYPE_CHECKING:
    from .config import PeftConfig
    from .keys import ModuleTensors


@dataclass(frozen=True)
class Contents:
    """A PEFT folder, opened and sorted."""

    config: PeftConfig
    file: TensorFile
    modules: list[ModuleTensors]
    shared: Mapping[str, str]

    def shape(self, name: str) -> tuple[int, ...]:
        return self.file.shapes[name]

    def needed(self, module: ModuleTensors, *roles: str) -> tuple[str, ...]:
        """Names of the tensors of a module by role; an error that names the missing one."""
        for role in roles:
            if role not in module.names:
                there = next(iter(module.names.values()))
                what = f"has {there} but no {role} of that module"
                raise TaskvecError(what, where=self.file.path, fix=SAVE_AGAIN)
        return tuple(module.names[role] for role in roles)

    def shared_needed(self, *roles: str, reason: str) -> tuple[str, ...]:
        """Names of the tensors that all modules share; an error with the reason why there is no update without."""
        for role in roles:
            if role not in self.shared:
                what = f"has no {role}: {reason}"
                raise TaskvecError(what, where=self.file.path, fix="leave it out, or save it with its projections")
        return tuple(self.shared[role] for role in roles)


@dataclass(frozen=True)
class Found:
    """One module's update."""

    path: str  # as the file has it, or what it is called if ``named``
    recipe: Recipe
    scale: Scale
    warnings: tuple[str, ...] = ()


Read = Callable[[Contents], Iterator[Found | list[LeftOut]]]


@dataclass(frozen=True)
class Method:
    """How adapters of one peft_type are read.

    Args:
        title: its name, as its paper has it.
        prefix: what the names of all its tensors begin with.
        roles: tensors of a module.
        read: the updates, module by module, and what has none with the reason.
        shared: tensors of the whole file.
        numbered: shared tensors of which there are several, numbered in their names.
        training_only: tensors that the client's update does not contain.
        fields: config fields, beyond those of every method, that are read or change no update.
    """

    title: str
    prefix: str
    roles: frozenset[str]
    read: Read
    shared: frozenset[str] = frozenset()
    numbered: frozenset[str] = frozenset()
    training_only: frozenset[str] = frozenset()
    fields: frozenset[str] = field(default=frozenset())

    @property
    def known(self) -> frozenset[str]:
        """Every role."""
        return (self.roles - {"alpha"}) | self.shared | self.training_only


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())
