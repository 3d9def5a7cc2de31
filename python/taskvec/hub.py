"""Adapters of the Hugging Face Hub by their ids: only the files that are needed, from the cache where they are there.

Needs huggingface_hub (``pip install taskvec[hub]``), which also finds the cache, the token and HF_HUB_OFFLINE.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .errors import TaskvecError

ID = re.compile(
    r"(?P<scheme>hf:/{1,2})?(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)"
    r"(?:@(?P<revision>refs/[^/]+/[^/]+|[^/@]+))?(?P<below>(?:/[^/]+)*)/?"
)
CONFIGS = ("adapter_config.json", "config.json", "*.index.json")
WEIGHTS = ("*.safetensors", "*.sft", "*.gguf", "*.npz")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
# states of a trainer, and weights in the formats of other libraries
NEVER = ("optimizer*", "scheduler*", "training_args*", "rng_state*", "scaler*", "tf_model*", "flax_model*", "*.onnx")
STATE = re.compile(r"(?:^|/)checkpoint-\d+/")  # of transformers' Trainer
INSTALL = "install huggingface_hub: pip install 'taskvec[hub]'"


class HubId(NamedTuple):
    """A repository, a revision (None: the default branch) and a folder in it."""

    repo: str
    revision: str | None
    below: str

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{self.repo}{at}{self.below}"


def hub_id(text: str | Path) -> HubId | None:
    """The id that ``org/name``, ``org/name@revision`` or ``hf://org/name/folder`` is; None for a path of this machine.

    What exists here, or begins with a folder that does, is a path, and without ``hf://`` there is no folder in it.
    """
    match = ID.fullmatch(str(text))
    if match is None or (match["below"] and not match["scheme"]):
        return None
    if not match["scheme"] and (Path(text).exists() or Path(text).parent.exists()):
        return None
    return HubId(match["repo"], match["revision"], match["below"])


def local(text: str | Path, *, one: bool = False) -> Path:
    """The path itself, or the folder of the cache that a Hub id is fetched to.

    Args:
        text: a path or an id.
        one: only the folder itself is wanted, not those in it, where it has weights.

    Raises:
        TaskvecError: the Hub cannot be reached or does not have it, and the cache neither; huggingface_hub is missing.
    """
    found = hub_id(text)
    return Path(text) if found is None else fetch(found, one)


def fetch(wanted: HubId, one: bool) -> Path:
    """The folder of the cache with the files that are needed of a repository."""
    try:
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        what = "no such file or directory; if it is an id of the Hugging Face Hub"
        raise TaskvecError(f"{what}, it cannot be fetched", where=str(wanted), fix=INSTALL) from error
    reason: Exception
    try:
        try:
            files = HfApi().list_repo_files(wanted.repo, revision=wanted.revision)
            patterns = needed_files(files, wanted.below.strip("/"), one=one)
            folder = snapshot_download(wanted.repo, revision=wanted.revision, allow_patterns=patterns)
            return _inside(Path(folder), wanted)
        except (HFValidationError, HfHubHTTPError) as error:
            # the Hub answered: it does not have it, or does not give it
            if getattr(error, "response", None) is not None:
                raise
            reason = error
        except OSError as error:
            reason = error
        folder = snapshot_download(wanted.repo, revision=wanted.revision, local_files_only=True)
        return _inside(Path(folder), wanted)
    except (HFValidationError, HfHubHTTPError) as error:
        what = f"no such file or directory, and the Hugging Face Hub does not give it ({_first_line(error)})"
        raise TaskvecError(what, where=str(wanted), fix="check the id, or log in with `hf auth login`") from error
    except (LocalEntryNotFoundError, OSError) as error:
        why = _first_line(reason)
        what = f"no such file or directory, nor in the Hugging Face cache, and the Hub cannot be reached ({why})"
        raise TaskvecError(what, where=str(wanted), fix="check the path, or go online once") from error


def cached(repo: str, name: str) -> Path | None:
    """A file of a repository that is in the cache, None if it is not; nothing is fetched."""
    try:
        from huggingface_hub import constants

        folder = constants.REPO_ID_SEPARATOR.join(["models", *repo.split("/")])
        if not Path(constants.HF_HUB_CACHE, folder).is_dir():
            return None  # the client of the Hub, which looks closer, takes a third of a second to import

        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        found = try_to_load_from_cache(repo, name)
    except (HFValidationError, OSError):
        return None
    return Path(found) if isinstance(found, str) else None


def needed_files(files: Sequence[str], below: str = "", *, one: bool = False) -> list[str]:
    """Of a repository's files those that adapters, or a model, are read from.

    In each folder configs and safetensors, GGUF or npz files, pickles only where there is no other. Where the folder
    asked for has weights of its own, a trainer's checkpoints in it are left out, and with ``one`` all its folders.
    """
    some = [name for name in files if not below or name.startswith(f"{below}/")]
    some = [name for name in some if not _fits(PurePosixPath(name).name, NEVER)]
    here = [name for name in some if str(PurePosixPath(name).parent) == (below or ".")]
    if any(_fits(PurePosixPath(name).name, (*WEIGHTS, *PICKLES)) for name in here):
        some = here if one else [name for name in some if not STATE.search(name.removeprefix(below))]
    chosen = []
    for folder in sorted({str(PurePosixPath(name).parent) for name in some}):
        names = [name for name in some if str(PurePosixPath(name).parent) == folder]
        weights = [name for name in names if _fits(PurePosixPath(name).name, WEIGHTS)]
        weights = weights or [name for name in names if _fits(PurePosixPath(name).name, PICKLES)]
        chosen += weights + [name for name in names if weights and _fits(PurePosixPath(name).name, CONFIGS)]
    return chosen


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _inside(folder: Path, wanted: HubId) -> Path:
    path = folder / wanted.below.strip("/") if wanted.below else folder
    if not path.exists():
        raise TaskvecError("the repository has no such folder", where=str(wanted), fix="check the id")
    return path


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
