"""What every PEFT method says of itself: its tensors, its config fields, and how an update comes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ...adapters import LeftOut
from ...errors import TaskvecError
from ..checkpoint import Weight
from ..format import ReadOptions
from ..reading.tensors import TensorFile
from ..recipe import SAVE_AGAIN, Recipe, check_indices, check_values, number
from .replication import of_base
from .scale import Scale

if TYPE_CHECKING:
    from torch import Tensor

    from .config import PeftConfig
    from .keys import ModuleTensors

    Factors = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Contents:
    """A PEFT folder, opened and sorted."""

    config: PeftConfig
    file: TensorFile
    modules: Sequence[ModuleTensors]
    shared: Mapping[str, str]
    options: ReadOptions = field(default_factory=ReadOptions)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.file.shapes[name]

    def alphas(self) -> dict[str, float]:
        """The numbers in .alpha tensors that other tools put beside PEFT's, by path."""
        found = {}
        for module in self.modules:
            if "alpha" in module.names:
                found[module.path] = number(self.file, module.names["alpha"])
        return found

    def needed(self, module: ModuleTensors, *roles: str) -> tuple[str, ...]:
        """Names of the tensors of a module by role; an error that names the missing one."""
        for role in roles:
            if role not in module.names:
                there = next(iter(module.names.values()))
                what = f"has {there} but no {role} of that module"
                raise TaskvecError(what, where=self.file.path, fix=SAVE_AGAIN)
        return tuple(module.names[role] for role in roles)

    def needed_of_file(self, *roles: str, reason: str) -> tuple[str, ...]:
        """Names of the tensors that all modules share, checked; an error with the reason why they are missing."""
        for role in roles:
            if role not in self.shared:
                what = f"is saved without {role}: {reason}"
                raise TaskvecError(what, where=self.file.path, fix="leave it out, or save it with its projections")
            check_values(self.file, self.shared[role])
        return tuple(self.shared[role] for role in roles)

    def weight(self, module: ModuleTensors, *, turned: bool | None = None) -> Weight:
        """The base's weight of a module; a Conv1D of GPT-2 is known by fan_in_fan_out too."""
        path = of_base(module.path.replace(".base_layer", ""), self.config)
        return self.options.weights.weight(path, turned=turned or self.config.flag("fan_in_fan_out") or None)

    def sides(self, path: str) -> tuple[int, int] | None:
        """Outputs and inputs of a module, from the base where it is given."""
        found = None if self.options.base is None else self.options.weights.find(of_base(path, self.config))
        return None if found is None else found.shape

    def recipe(
        self,
        names: tuple[str, ...],
        combine: Callable[..., Factors | Tensor],
        *,
        indices: Mapping[str, int] | None = None,
        weight: Weight | None = None,
    ) -> Recipe:
        """How named tensors make an update, their values checked: floats, or indices below a size.

        ``weight`` is that of the base, where the update is a function of it.
        """
        for name in names:
            if indices and name in indices:
                check_indices(self.file, name, indices[name])
            elif name not in self.shared.values():
                check_values(self.file, name)
        return Recipe(self.file, names, combine, weight=weight)


@dataclass(frozen=True)
class Found:
    """One module's update."""

    path: str  # as the file has it; of a bare parameter what it is called
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
        on_base: why the update is a function of the base weight; None: it is none.
        training_only: tensors that the client's update does not contain.
        fields: config fields, beyond those of every method, that are read or change no update.
    """

    title: str
    prefix: str
    roles: frozenset[str]
    read: Read
    shared: frozenset[str] = frozenset()
    numbered: frozenset[str] = frozenset()
    on_base: str | None = None
    training_only: frozenset[str] = frozenset()
    fields: frozenset[str] = field(default=frozenset())

    @cached_property
    def known(self) -> frozenset[str]:
        """Every role."""
        return (self.roles - {"alpha"}) | self.shared | self.training_only


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())
