"""Realistic zoos of any size, from a seed: as PEFT folders, or in memory."""

from .adapters import adapters
from .factors import factors
from .folders import write_folders
from .recipe import Base, Kind, Member, Recipe, members, mixed, small, square, square_base

__all__ = [
    "Base",
    "Kind",
    "Member",
    "Recipe",
    "adapters",
    "factors",
    "members",
    "mixed",
    "small",
    "square",
    "square_base",
    "write_folders",
]
