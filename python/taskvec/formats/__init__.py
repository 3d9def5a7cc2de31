"""The formats of adapters: one module or package each behind the protocol ``Format``; this is their registry."""

from __future__ import annotations

import os
import re
from collections.abc import Set
from pathlib import Path

from ..adapters import Adapter
from ..errors import TaskvecError
from .adapterhub import ADAPTERHUB
from .cloneofsimo import CLONEOFSIMO
from .dense import Checkpoints
from .diffusers import DIFFUSERS
from .foreign import FOREIGN, Closed, NoFormat, no_adapter
from .format import Dora, Format, Location, PassedOver, Reading, ReadOptions
from .gguf import GGUF
from .kohya import KOHYA
from .lora_vit import LORA_VIT
from .loralib import LORALIB
from .mlx import MLX
from .nemo import NEMO
from .others import Claiming, others
from .peft import CONFIG, WHOLE, Peft
from .reading.files import member, read_json
from .reading.held import read_once
from .reading.names import WEIGHTS as SUFFIXES
from .reading.names import tensor_names
from .torchtune import TORCHTUNE
from .xlabs import XLABS

__all__ = [
    "SINGLE",
    "Checkpoints",
    "Dora",
    "Format",
    "Location",
    "NoFormat",
    "PassedOver",
    "ReadOptions",
    "Reading",
    "discover",
    "no_adapter",
    "read",
]

PEFT = Peft()
# formats of one file, asked in this order
SINGLE: tuple[Claiming, ...] = (
    KOHYA, DIFFUSERS, XLABS, GGUF, TORCHTUNE, MLX, ADAPTERHUB, CLONEOFSIMO, LORA_VIT, NEMO, LORALIB,
)  # fmt: skip
BESIDE = "it lies beside a PEFT adapter, which is read"
DISTRIBUTED = (
    "a shard of torch's distributed checkpoints, as NeMo and Megatron write them: export it to PEFT with "
    "Megatron-Bridge, or to one file with torch.distributed.checkpoint.format_utils"
)
NONE = "no adapter that can be told from its tensors' names"
CHECKPOINT = re.compile(r"\d+_(adapters\.safetensors)$")  # mlx-lm's, beside the last one


def discover(path: Path) -> tuple[list[Location], list[PassedOver]]:
    """The adapters at ``path``, a folder or a file, and what in the folder was passed over.

    A folder of PEFT is one adapter; in any other each file whose tensors' names a format knows is one. A file given
    is read whatever its name. Nothing that lies in a folder is an error: what cannot be read is passed over too, and a
    folder that cannot be entered is a location that says so when it is read.
    """
    if os.path.isdir(path):
        try:
            os.stat(os.path.join(path, "."))  # may be entered
            return _in_folder(path)
        except OSError as error:
            return [Location(str(path), path, path, Closed(error.strerror or str(error)))], []
    if path.name in WHOLE:
        return PEFT.discover(path), []
    return _in_file(path), []


def read(location: Location, options: ReadOptions) -> list[Adapter]:
    """The adapters at a location; a small file is read once, for its tensors, for NaN and for its hash.

    Raises:
        TaskvecError: anything that is wrong with the files, in one line with the fix.
    """
    with read_once():
        return location.format.read(location, options)


def _in_file(path: Path) -> list[Location]:
    try:
        format = _format_of(tensor_names(path), _beside_peft(path.parent))
    except TaskvecError:
        format = None  # reading it says what is wrong
    if (format is None or format is FOREIGN) and (found := PEFT.discover(path)):
        return found
    return [Location(str(path), path, path, format or NoFormat())]


def _in_folder(folder: Path) -> tuple[list[Location], list[PassedOver]]:
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    shards = [Path(entry.path) for entry in entries if entry.name.endswith(".distcp")][:1]
    files = [Path(entry.path) for entry in entries if entry.name.endswith(SUFFIXES) and not entry.name.startswith(".")]
    if any(os.path.lexists(folder / name) for name in WHOLE):
        return PEFT.discover(folder), [PassedOver(file, BESIDE) for file in files if _may_be_another(file)]
    beside_peft = bool(files) and _beside_peft(folder)
    found: list[tuple[Path, Claiming]] = []
    passed_over = [PassedOver(file, DISTRIBUTED) for file in shards]
    for file in files:
        try:
            format = _format_of(tensor_names(member(folder, file.name) or file), beside_peft)
        except TaskvecError as error:
            passed_over.append(PassedOver(file, error.what))
            continue
        earlier = CHECKPOINT.match(file.name)
        if format is None:
            passed_over.append(PassedOver(file, NONE))
        elif earlier and os.path.lexists(folder / earlier[1]):
            passed_over.append(PassedOver(file, f"an earlier state of {earlier[1]}"))
        else:
            found.append((file, format))
    if not found and os.path.lexists(folder / CONFIG):
        return PEFT.discover(folder), []
    alone = len(found) == 1 and not any(entry.is_dir(follow_symlinks=False) for entry in entries)
    places = [(folder if alone else file, file, format) for file, format in found]
    return [Location(str(path), path, file, format) for path, file, format in places], passed_over


def _may_be_another(file: Path) -> bool:
    """Whether a file beside PEFT's may be another adapter, and not the state of a trainer."""
    return file.suffix in (".safetensors", ".npz", ".gguf") and not file.name.startswith("adapter_model")


def _format_of(names: Set[str], beside_peft: bool) -> Claiming | None:
    """Ours first, then those of other packages, last what names the styles that are not read."""
    return next((format for format in (*SINGLE, *others(), FOREIGN) if format.claims(names, beside_peft)), None)


def _beside_peft(folder: Path) -> bool:
    """Whether the folder has a config of PEFT; of one that cannot be read the reader will say so."""
    try:
        config = member(folder, CONFIG)
        return config is not None and "peft_type" in read_json(config)
    except TaskvecError:
        return True
