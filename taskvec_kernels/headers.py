"""Where the C++ headers are."""

from __future__ import annotations

from pathlib import Path


def get_include() -> str:
    """Folder of the native core's headers: ``#include "taskvec/taskvec.h"``.

    In a wheel it is inside the package, in a checkout ``csrc/include``. ``cmake --install`` makes the library that goes
    with the headers (docs/ARCHITECTURE.md).
    """
    package = Path(__file__).parent
    installed = package / "include"
    return str(installed if installed.is_dir() else package.parent / "csrc/include")
