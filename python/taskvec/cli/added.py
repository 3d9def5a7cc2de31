"""Options that several commands have in common, added to each by a decorator, so that they are written once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import copy
from functools import wraps
from typing import Annotated, Any

Command = Callable[..., None]


def add_options(
    options: Mapping[str, Any], defaults: Mapping[str, Any], into: str, panel: str
) -> Callable[[Command], Command]:
    """Adds ``options``, annotations by name, to a command; it gets those that are not None as one mapping, ``into``.

    The help has them under ``panel``, unless they name another. An option of the command's own with the same name stays
    its own.
    """

    def decorate(command: Command) -> Command:
        shown = inspect.signature(command, eval_str=True)  # typer does not evaluate a signature that is given
        new = {name: placed(kind, panel) for name, kind in options.items() if name not in shown.parameters}

        @wraps(command)
        def run(**given: Any) -> None:
            settings = {name: given.pop(name) for name in new}
            command(**given, **{into: {name: value for name, value in settings.items() if value is not None}})

        own = [parameter for name, parameter in shown.parameters.items() if name != into]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=kind)
            for name, kind in new.items()
        ]
        kept = {name: kind for name, kind in command.__annotations__.items() if name != into}
        # typer reads both
        run.__signature__ = shown.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        run.__annotations__ = kept | new
        return run

    return decorate


def placed(kind: Any, panel: str) -> Any:
    """An annotated option under a title of the help, if it has none."""
    option = copy(kind.__metadata__[0])
    option.rich_help_panel = option.rich_help_panel or panel
    return Annotated[kind.__origin__, option]
