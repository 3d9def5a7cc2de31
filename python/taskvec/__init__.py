"""Which fine-tuned tasks include which: task vectors of LoRA adapters, projected on each other and compared.

``load_adapter`` and ``load_zoo`` read adapters, ``project`` compares two of them, ``lambda_path`` two along λ,
``sweep`` every ordered pair.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .adapters import load_adapter
    from .adapters.model import Adapter, Module
    from .errors import TaskvecError
    from .lambda_path import lambda_path
    from .projection import project
    from .sweeping import sweep
    from .zoo import Zoo, load_zoo

__all__ = [
    "Adapter",
    "Module",
    "TaskvecError",
    "Zoo",
    "__version__",
    "lambda_path",
    "load_adapter",
    "load_zoo",
    "project",
    "sweep",
]

# loaded on first use: `taskvec --help` must not wait for torch
_HOME = {
    "Adapter": ".adapters.model",
    "Module": ".adapters.model",
    "TaskvecError": ".errors",
    "Zoo": ".zoo",
    "lambda_path": ".lambda_path",
    "load_adapter": ".adapters",
    "load_zoo": ".zoo",
    "project": ".projection",
    "sweep": ".sweeping",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
