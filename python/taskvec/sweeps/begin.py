"""The beginning and the end of a sweep to disk: its plan, its metadata, and what says that it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..ledger.arrays import METADATA, read_attributes, write_group
from ..ledger.chunks import write_chunks
from ..ledger.lease import STALE
from ..storage import UNFINISHED, Folder, open_storage, remote_url
from ..store.factors import Factors
from .extend import add_variables
from .job import Job, Ordered, state_file
from .keep import Keep
from .layout import coordinate_arrays, coordinates_of, unit_bytes
from .options import Options
from .output import (
    PLAN,
    RESULT,
    Stored,
    check_options,
    check_output,
    extra_arrays,
    make_folder,
    move_away,
    order_of,
    remove_result,
    stored,
)
from .plan import plan_sweep
from .search import Search, cut_for_sketches

COORDINATES, LISTED = "coordinates", "listed"  # units of the ledger


def job_of(
    out: str | Path,
    factors: Factors,
    options: Options,
    keep: Keep,
    *,
    several: bool,
    overwrite: bool,
    memory: int,
    inputs: Mapping[str, Any] | None = None,
) -> Job:
    """The job of a sweep to ``out``: of what is there already, if that was computed in the same way.

    Nothing is written, but with ``overwrite`` a result of other options or adapters, or one that is complete, is
    given another name.

    Raises:
        TaskvecError: nothing may be written there; it has a result of other options, or of adapters that are not given.
    """
    check_output(out, overwrite=overwrite)
    storage = open_storage(out)
    before, replaces = stored(storage), ""
    if (
        overwrite
        and remote_url(out) is None
        and Path(out).exists()
        and not goes_on(out, factors, options, keep, several)
    ):
        replaces, before = move_away(Path(out)), None
    order = order_of(factors.entries, before, str(out))
    ordered = factors if order == tuple(range(len(factors.entries))) else Ordered(factors, order)
    plan = plan_sweep(
        ordered.entries,
        unit_bytes(factors.entries, options, keep),
        None if before is None else before.plan,
        all_modules=keep.how != "all",
    )
    if keep.how == "approximate" and before is None:
        plan = cut_for_sketches(plan)
    job = kind_of(keep)(
        out, ordered, plan, options, keep, several, memory, replaces or (before.replaces if before else ""), inputs
    )
    if before is not None:
        check_options(before, job.context, told(options, keep, several), str(out))
    return job


def goes_on(out: str | Path, factors: Factors, options: Options, keep: Keep, several: bool) -> bool:
    """Whether a result that is not complete is of these very adapters and options."""
    storage = open_storage(out)
    before = stored(storage)
    if before is None or read_attributes(storage).get("complete") == 1:
        return False
    job = kind_of(keep)(out, factors, replace(before.plan, entries=factors.entries), options, keep, several)
    return job.context == before.context and {entry.identity for entry in factors.entries} == set(before.identities)


def kind_of(keep: Keep) -> type[Job]:
    """Of the job that keeps this."""
    return Search if keep.how == "approximate" else Job


def told(options: Options, keep: Keep, several: bool) -> dict[str, Any]:
    """Options for people."""
    solver = options.solver.to_dict()
    return {
        "metrics": ",".join(options.metrics), "precision": options.precision, "backend": options.backend or "auto",
        "p": options.p, **keep.told(), "several": several, **solver,
    }  # fmt: skip


def begin(job: Job, attributes: Mapping[str, Any]) -> None:
    """Write the plan and the metadata of a result that is not complete yet; what is computed stays.

    Whoever opens it sees the old shapes until the last of these files is replaced.
    """
    if isinstance(job.storage, Folder):
        make_folder(job.storage.root)
    entries, storage = job.plan.entries, job.storage
    before = stored(storage)
    names, identities = (tuple(getattr(entry, name) for entry in entries) for name in ("name", "identity"))
    options = told(job.options, job.keep, job.several)
    text = Stored(names, identities, job.plan, job.context, options, job.replaces, job.inputs).text()
    for name in (PLAN, state_file(job.state)):
        storage.write(name, text)
    lams = job.options.solver.lams if job.several else None
    arrays, parts = coordinate_arrays(coordinates_of(job.plan, job.keep, lams))
    chunks = write_chunks(storage, (chunk for part in parts for chunk in arrays[part.array].cut(part)))
    job.ledger.refresh()
    job.ledger.append(COORDINATES, job.state, chunks, {"state": job.state})
    same = before is not None and (before.names, before.identities) == (names, identities)
    known = arrays | job.arrays
    others = extra_arrays(storage, known) if same else {}
    write_group(storage, known, {**attributes, "taskvec": RESULT, "complete": 0}, others)


def finish(job: Job, attributes: Mapping[str, Any]) -> None:
    """Say that a result is complete, and remove the older one that it replaces; of the best pairs, list them first."""
    job.storage.tidy()
    if job.keep.lists:
        listed, attributes = job.listed(attributes)
        add_variables(job.out, listed, LISTED, job.state)
    lams = job.options.solver.lams if job.several else None
    arrays = coordinate_arrays(coordinates_of(job.plan, job.keep, lams))[0] | job.arrays
    others = extra_arrays(job.storage, arrays)
    write_group(job.storage, arrays, {**attributes, "taskvec": RESULT, "complete": 1}, others)
    if job.replaces and isinstance(job.storage, Folder):
        remove_result(job.storage.root.with_name(job.replaces))
    if isinstance(job.storage, Folder):
        remove_partial(job.storage.root)


def remove_partial(root: Path) -> None:
    """What processes that were killed had begun to write."""
    now = (root / METADATA).stat().st_mtime  # by the clock of the file system
    for path in root.rglob(f".*{UNFINISHED}"):
        with suppress(FileNotFoundError):
            if now - path.stat().st_mtime > STALE:
                path.unlink()


def is_current(job: Job) -> bool:
    """Whether the metadata on the disk are those of this job."""
    before = stored(job.storage)
    job.ledger.refresh()
    coordinates = job.ledger.newest.get(COORDINATES)
    return (
        before is not None
        and coordinates is not None
        and coordinates.key == job.state
        and not job.ledger.damaged(coordinates)
        and (before.names, before.identities)
        == tuple(zip(*((e.name, e.identity) for e in job.plan.entries), strict=True))
        and before.replaces == job.replaces
        and "complete" in read_attributes(job.storage)
    )


def is_complete(job: Job) -> bool:
    """Whether nothing is to be done but what ``Job.pending`` says."""
    if not is_current(job) or read_attributes(job.storage)["complete"] != 1:
        return False
    if not job.keep.lists:
        return True
    listed = job.ledger.newest.get(LISTED)
    return listed is not None and listed.key == job.state and not job.ledger.damaged(listed)
