"""Names of the tensors in a weights file of any kind, told by its content: no tensor is read and no pickle run."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path

from ...errors import TaskvecError
from .files import file_errors, refuse_lfs_pointer, regular
from .gguf import GgufError, GgufFile
from .header import read_header

WEIGHTS = (".safetensors", ".sft", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".npz", ".nemo")
MAX_PICKLE_BYTES = 16 << 20
BARE_LIST = "[]"  # stands for tensors without names


def tensor_names(path: Path) -> frozenset[str]:
    """Names of the file's tensors; of a pickle every string in it, among which they are; "[]" for a list.

    Raises:
        TaskvecError: the file is unreadable or of no kind that holds tensors.
    """
    with file_errors(path), open(regular(path), "rb") as file:
        start = file.read(512)
    refuse_lfs_pointer(path, start[:64])
    if start[257:262] == b"ustar":
        what, fix = "is a tar archive, as NeMo's .nemo files are", "unpack it, and give the weights file that is in it"
        raise TaskvecError(what, where=path, fix=fix)
    if start.startswith(b"GGUF"):
        try:
            return frozenset(GgufFile(path).tensors)
        except GgufError as error:
            raise TaskvecError(str(error), where=path, fix="download it again, or convert it again") from error
    return _in_archive(path) if start.startswith(b"PK") else frozenset(read_header(path).layout.entries)


def _in_archive(path: Path) -> frozenset[str]:
    """Names in a zip: arrays of an ``.npz``, or the strings in the pickle of torch.save."""
    try:
        with file_errors(path), zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            arrays = [entry.filename.removesuffix(".npy") for entry in entries if entry.filename.endswith(".npy")]
            if arrays:
                return frozenset(arrays)
            pickle = next((entry for entry in entries if entry.filename.endswith("data.pkl")), None)
            if pickle is None or pickle.compress_type != zipfile.ZIP_STORED or pickle.file_size > MAX_PICKLE_BYTES:
                return frozenset()
            found = list(pickletools.genops(archive.read(pickle)))
            if [code.name for code, _, _ in found[:2]] == ["PROTO", "EMPTY_LIST"]:
                return frozenset([BARE_LIST])
            return frozenset(value for _, value, _ in found if isinstance(value, str))
    except (ValueError, RuntimeError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        raise TaskvecError(
            f"is a zip archive that cannot be read ({error})", where=path, fix="download it again"
        ) from error
