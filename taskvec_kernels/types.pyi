"""What type checkers see of types.py: the same records, generic in the kind of array; a tensor unless one says more."""

from typing import Any, Generic, NamedTuple, Protocol

from torch import Tensor
from typing_extensions import TypeVar

class DLPackArray(Protocol):
    def __dlpack__(self, *args: Any, **options: Any) -> Any: ...

ArrayT = TypeVar("ArrayT", bound=DLPackArray, default=Tensor)

class LowRankSVD(NamedTuple, Generic[ArrayT]):
    U: ArrayT
    S: ArrayT
    Vh: ArrayT

class Adapters(NamedTuple):
    U: Tensor
    S: Tensor
    Vh: Tensor
    norm: Tensor | None = None
    seed: Tensor | None = None

class SparseInfo(NamedTuple, Generic[ArrayT]):
    objective: ArrayT
    steps: ArrayT
    converged: ArrayT

class Pairwise(NamedTuple, Generic[ArrayT]):
    forward: dict[str, ArrayT]
    backward: dict[str, ArrayT] | None
