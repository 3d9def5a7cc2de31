"""Where adapters are: the paths someone typed, searched in a bounded way, and a name for each adapter found."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Unpack

from .adapters import Adapter
from .errors import TaskvecError, printable
from .formats import Checkpoints, Location, NoFormat, PassedOver, Reading, ReadOptions, discover, no_adapter, read
from .formats.reading.held import read_once
from .hub import local
from .naming.fused import split_all
from .naming.match import renames
from .store.stored import SEPARATOR, stored

STATE = re.compile(r"checkpoint-\d+$")  # what transformers' Trainer calls a state of the training
BETWEEN = re.compile(r"(?<=[^/.])\.\.(?=.)")  # of BASE..TUNED, and not of a path that climbs: ../x, a/../b
EARLIER = "a state of the training of the adapter above it; --recursive reads it too"
MOST_REASONS, VARIOUS = 10, "for various reasons"
MOST_THREADS = 8  # of reading: hashing is the most of it, the rest is Python's
AHEAD = 4  # adapters a thread
LINK = "symbolic links to folders are not followed; give their targets"


def load_adapter(path: str | Path, *, name: str | None = None, **reading: Unpack[Reading]) -> Adapter:
    """Read one adapter: its config, the shapes of its factors, their scales. Factors stay in the file.

    A file is read once: to look for NaN and Inf, and to hash it.

    Args:
        path: an adapter's folder, its weights file with the config next to it, or an id of the Hugging Face Hub
            (``org/name``, ``org/name@revision``, ``hf://org/name/folder``), or an adapter of a store, ``STORE::NAME``.
        name: what to call it; the path as given if None.
        reading: what its files do not say or a reader has to be told, ``dora``, ``base``, ``alpha``, ``scale``,
            ``heads`` and ``split_fused``, as ``formats.ReadOptions`` takes them.

    Raises:
        TaskvecError: anything that is wrong with the files, in one line with the fix.
    """
    options = ReadOptions(**reading)
    typed = path
    at = stored(path) or checkpoints(path)
    path = local(path, one=True) if at is None else at.path
    found, passed_over = ([at], []) if at else _discover(existing(path), options)
    if not found:
        raise _nothing(path, passed_over) if passed_over else no_adapter(path)
    if len(found) > 1:
        got = _some([at.file for at in found])
        raise TaskvecError(f"holds {len(found)} adapters", where=path, got=got, fix="give the file of one of them")
    adapters = read_at(replace(found[0], name=printable(str(typed) if name is None else name)), options)
    if len(adapters) > 1:
        what, fix = f"holds {len(adapters)} adapters", f"name one: {typed}{SEPARATOR}{adapters[0].name}"
        raise TaskvecError(what, where=path, fix=fix)
    return adapters[0]


def read_at(location: Location, options: ReadOptions) -> list[Adapter]:
    """The adapters at a location, their fused projections in parts where that is asked for."""
    adapters = read(location, options)
    return [split_all(adapter, options.attention) for adapter in adapters] if options.split_fused else adapters


def read_each(
    locations: Sequence[Location], options: ReadOptions, *, keep: bool = False
) -> Iterator[list[Adapter] | TaskvecError]:
    """``read_at`` for each location, in order, or why it cannot be read; threads are a bounded number ahead.

    With ``keep``, adapters have the content of small files with them: their tensors are not read again.
    """

    def one(location: Location) -> list[Adapter] | TaskvecError:
        try:
            with read_once(keep=keep):
                return read_at(location, options)
        except TaskvecError as error:
            return error

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(MOST_THREADS, cores, len(locations))
    if threads <= 1:
        yield from map(one, locations)
        return
    pool = ThreadPoolExecutor(threads, "taskvec-read")
    try:
        waiting: deque[Future[list[Adapter] | TaskvecError]] = deque()
        for location in locations:
            waiting.append(pool.submit(one, location))
            if len(waiting) > AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def checkpoints(typed: str | Path) -> Location | None:
    """The full fine-tune that BASE..TUNED means, two paths or ids of the Hub; None for any other path."""
    match = BETWEEN.search(str(typed))
    if match is None or os.path.lexists(typed):
        return None
    parts = str(typed)[: match.start()], str(typed)[match.end() :]
    before, after = (existing(local(part, one=True)) for part in parts)
    found = Checkpoints(before, renames).discover(after)
    if not found:
        what, expected = "holds no weights of a model", "model.safetensors, pytorch_model.bin, or shards with an index"
        raise TaskvecError(what, where=after, expected=expected, fix="check the path")
    return replace(found[0], name=str(typed))


def _discover(path: Path, options: ReadOptions) -> tuple[list[Location], list[PassedOver]]:
    """As ``formats.discover``; with a base, a model's own weights are found too where there is no adapter."""
    found, passed_over = discover(path)
    if options.base is not None and all(isinstance(at.format, NoFormat) for at in found):
        models = Checkpoints(match=renames).discover(path)
        if models and (path.is_file() or os.path.lexists(path / "config.json")):
            return models, []
    return found, passed_over


def find(
    paths: Iterable[str | Path], recursive: bool = False, options: ReadOptions | None = None
) -> tuple[tuple[Location, ...], tuple[str, ...]]:
    """The adapters at and below ``paths``, in the order given and by name within a folder, and warnings.

    A path is an adapter's folder, its weights file, a folder of them, an id of the Hugging Face Hub, or a store of
    factors (``STORE::NAME`` for one of its adapters). Adapters inside
    an adapter's folder are found too, but a trainer's checkpoints of it (``checkpoint-100``) only if ``recursive``;
    files in a folder that are one adapter each are all found. What is passed over is named in a warning. Hidden folders
    are not searched and symbolic links to folders not followed.

    Raises:
        TaskvecError: a path with no adapter, or one adapter reached twice.
    """
    locations: list[Location] = []
    warnings: list[str] = []
    for typed in map(Path, paths):
        if (at := stored(typed) or checkpoints(typed)) is not None:
            locations.append(at)
            continue
        given = local(typed)
        found, passed_over = _search(given, recursive, options or ReadOptions())
        locations += [replace(at, name=str(typed) if at.path == given else _proposed(given, at)) for at in found]
        warnings += _told(passed_over)
    if not locations:
        raise TaskvecError("no path given", fix="give an adapter's folder or a folder of adapters")
    _refuse_twice(locations)
    names = _distinct_names(locations)
    return tuple(replace(at, name=name) for at, name in zip(locations, names, strict=True)), tuple(warnings)


def existing(path: Path) -> Path:
    """``path``; TaskvecError if nothing is there, or if the system does not let us see it."""
    try:
        os.stat(path)
    except FileNotFoundError as error:
        raise TaskvecError("no such file or directory", where=path, fix="check the path") from error
    except OSError as error:
        what, fix = f"cannot be read ({error.strerror or error})", "check the path and its permissions"
        raise TaskvecError(what, where=path, fix=fix) from error
    return path


def _some(paths: list[Path]) -> str:
    return f"{paths[0]} and {len(paths) - 1} more" if len(paths) > 1 else str(paths[0])


def _told(passed_over: list[PassedOver]) -> list[str]:
    """One line for each reason, with the first file and the number of others, and one for reasons beyond the tenth."""
    by_reason: dict[str, list[Path]] = defaultdict(list)
    for path, reason in passed_over:
        by_reason[reason if reason in by_reason or len(by_reason) < MOST_REASONS else VARIOUS].append(path)
    return [f"{_some(paths)} passed over: {reason}" for reason, paths in by_reason.items()]


def _nothing(path: Path, passed_over: list[PassedOver]) -> TaskvecError:
    """The error for a folder with weights files none of which is an adapter's."""
    what = f"holds no adapter; {'; '.join(_told(passed_over)[:3])}"
    return TaskvecError(what, where=path, fix="give one of these files itself to see more")


def _search(path: Path, recursive: bool, options: ReadOptions) -> tuple[list[Location], list[PassedOver]]:
    """Adapters at or below ``path``, and what was passed over."""
    if not existing(path).is_dir():
        return _discover(path, options)[0], []
    found: list[Location] = []
    passed_over: list[PassedOver] = []
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        here, others = _discover(folder, options)
        found += here
        passed_over += others
        is_adapter = any(at.path == folder for at in here)
        try:
            with os.scandir(folder) as scan:
                visible = sorted((entry for entry in scan if not entry.name.startswith(".")), key=attrgetter("name"))
        except OSError:
            continue  # its location says why
        for entry in reversed(visible):
            if entry.is_symlink() and os.path.isdir(entry.path):
                passed_over.append(PassedOver(Path(entry.path), LINK))
            elif entry.is_dir(follow_symlinks=False):
                if is_adapter and not recursive and STATE.match(entry.name):
                    passed_over.append(PassedOver(Path(entry.path), EARLIER))
                else:
                    waiting.append(Path(entry.path))
    passed_over.sort()
    if not found and passed_over:
        raise _nothing(path, passed_over)
    if not found:
        fix = "give a folder with adapter_config.json and adapter_model.safetensors in or below it"
        raise TaskvecError("holds no adapter", where=path, fix=fix)
    return found, passed_over


def _proposed(given: Path, at: Location) -> str:
    """The name of an adapter: its path below the folder that was given, a file's without suffix, or as given."""
    below = at.path.relative_to(given)
    return (below.with_suffix("") if at.path == at.file else below).as_posix()


def _refuse_twice(locations: list[Location]) -> None:
    """Raise if two of the locations lead to the same file."""
    seen: dict[str, Path] = {}
    for at in locations:
        real = os.path.realpath(at.file)
        if real in seen:
            got = f"{seen[real]} and {at.path}"
            raise TaskvecError("the same adapter is given twice", got=got, fix="give it once")
        seen[real] = at.path


def _distinct_names(locations: list[Location]) -> list[str]:
    """The names proposed, those that collide replaced by the shortest end of their paths that nothing else has."""
    parts = [Path(os.path.abspath(at.path)).parts for at in locations]
    used = [0] * len(locations)  # trailing parts of the path in the name; 0: the name proposed
    while True:
        names = [
            printable("/".join(all_parts[-count:]) if count else at.name)
            for at, all_parts, count in zip(locations, parts, used, strict=True)
        ]
        counts = Counter(names)
        clashes = [i for i, name in enumerate(names) if counts[name] > 1]
        if not clashes:
            return names
        for i in clashes:
            used[i] += 1
            if used[i] > len(parts[i]):
                raise TaskvecError("two adapters have the same name", where=names[i], fix="rename one of the folders")
