"""Which fine-tuned tasks include which: task vectors of LoRA adapters, projected on each other and compared.

``load_adapter`` and ``load_zoo`` read adapters, ``project`` compares two of them, ``lambda_path`` two along λ,
``sweep`` every ordered pair, ``add_baseline`` some of them with their layers shifted. ``open_result`` opens a stored
sweep, ``report`` writes it as one HTML file, and the package ``plot`` draws its figures. ``ingest`` factorises adapters
into a store, once. ``convert`` writes an adapter as PEFT.
``score`` says what each metric of a sweep is worth where the truth about the tasks is known.
``Solver`` says how the sparse projection is solved.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from taskvec_kernels import Solver

    from .adapters import Adapter, Module
    from .conversion import convert
    from .errors import TaskvecError
    from .ingestion import ingest
    from .queries.ranking import ranking
    from .queries.score import score
    from .queries.stored import open_result
    from .reports.html.report import report
    from .sources import load_adapter
    from .sweeps.baseline import add_baseline
    from .sweeps.curve import lambda_path
    from .sweeps.pair import project
    from .sweeps.run import sweep
    from .zoo import Zoo, load_zoo

__all__ = [
    "Adapter",
    "Module",
    "Solver",
    "TaskvecError",
    "Zoo",
    "__version__",
    "add_baseline",
    "convert",
    "ingest",
    "lambda_path",
    "load_adapter",
    "load_zoo",
    "open_result",
    "project",
    "ranking",
    "report",
    "score",
    "sweep",
]

# loaded on first use: `taskvec --help` must not wait for torch
_HOME = {
    "Adapter": "taskvec.adapters",
    "Module": "taskvec.adapters",
    "Solver": "taskvec_kernels",
    "TaskvecError": "taskvec.errors",
    "Zoo": "taskvec.zoo",
    "add_baseline": "taskvec.sweeps.baseline",
    "convert": "taskvec.conversion",
    "ingest": "taskvec.ingestion",
    "lambda_path": "taskvec.sweeps.curve",
    "load_adapter": "taskvec.sources",
    "load_zoo": "taskvec.zoo",
    "open_result": "taskvec.queries.stored",
    "project": "taskvec.sweeps.pair",
    "ranking": "taskvec.queries.ranking",
    "report": "taskvec.reports.html.report",
    "score": "taskvec.queries.score",
    "sweep": "taskvec.sweeps.run",
}


def __getattr__(name: str) -> Any:
    if name == "plot":  # a package: `taskvec.plot.heatmap` needs no import of its own
        return import_module("taskvec.plot")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
