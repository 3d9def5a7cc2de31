"""``taskvec sweep``: every ordered pair of a zoo."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..documents import as_lines
from ..errors import TaskvecError, printable
from .common import Backend, Paths, Precision, Progress, Recursive, SkipBad, say, warn
from .estimate import say_estimate
from .ranking import check_shown, groups_of, print_result, ranking_options, shown_pairs
from .reading import reading_options
from .rules import RULED, check_rules, parsed, rule_options
from .solver import Lambda, Seed, one_or_several, solver_options
from .workers import engine_of, worker_options

TABLES = {".csv", ".tsv", ".parquet", ".json", ".xlsx", ".html", ".txt", ".nc", ".h5"}  # no names of a result


@reading_options
@solver_options
@rule_options
@ranking_options
@worker_options
def sweep(
    paths: Paths,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT.zarr", help="Folder of the result.", show_default=False)
    ],
    settings: dict[str, Any],
    reading: dict[str, Any],
    shown: dict[str, Any],
    rules: dict[str, Any],
    share: dict[str, Any],
    lam: Lambda = [0.0],  # noqa: B006  (typer copies it)
    seed: Seed = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the result at OUT.zarr, computing all anew.")
    ] = False,
    recursive: Recursive = False,
    skip_bad: SkipBad = False,
    precision: Precision = "highest",
    backend: Backend = None,
    device: Annotated[str, typer.Option(help="Device to compute on: cpu, cuda, cuda:1, …")] = "cpu",
    metrics: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME,…", help="Metrics of a pair, separated by commas.", show_default="all but lp"),
    ] = None,
    p: Annotated[float | None, typer.Option(help="Exponent p of the Lp metric.", show_default=False)] = None,
    baseline: Annotated[
        Literal["top", "all", "none"],
        typer.Option(help="Pairs that are also compared with other layers: those shown, all, or none."),
    ] = "top",
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="all: every module; reduced: sums over modules; top=K: of those the best of each adapter.",
            show_default="all up to 4 GiB",
        ),
    ] = None,
    keep_by: Annotated[
        str, typer.Option(metavar="NAME", help="Of --keep top=K: captured, rec, rec_z_raw, excess or cosine.")
    ] = "captured",
    approximate: Annotated[
        bool,
        typer.Option(
            "--approximate",
            help="Only pairs of which one holds --min-captured of the other (0.05), found by sketches; no --keep.",
        ),
    ] = False,
    sketch: Annotated[
        int | None, typer.Option(min=1, help="Of --approximate: size of the sketches.", show_default="48")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how large the result would be and how long it takes, and stop.")
    ] = False,
    progress: Progress = "auto",
) -> None:
    """Every ordered pair of a zoo, to a folder that xarray.open_zarr reads; the ranking at the end.

    The same command goes on with what was stopped, and computes what is new or has changed.
    """
    from ..sweeps.output import check_output

    if out.suffix.lower() in TABLES:
        fix = f"-o {out.with_suffix('.zarr')}, then taskvec query OUT.zarr --csv, --parquet or --json"
        raise TaskvecError("a result is a folder, a Zarr store, and no table", got=f"-o {out}", fix=fix)
    if approximate and (keep is not None or dry_run):
        raise TaskvecError("--approximate goes without --keep and --dry-run", fix="leave them out")
    check_output(out, overwrite=overwrite)
    chosen = None if metrics is None else metrics.split(",")
    if chosen is not None and (missing := [name for name in ("captured", "rec") if name not in chosen]):
        fix = f"--metrics {','.join([*chosen, *missing])}"
        raise TaskvecError("the ranking needs captured and rec", got=f"--metrics {metrics}", fix=fix)
    check_shown(shown)
    found = parsed(rules, RULED)
    engine = engine_of(share)
    from ..store.sketches import SIZE
    from ..sweeps.baseline import add_baseline
    from ..sweeps.inputs import as_factors, one_store
    from ..sweeps.keep import FLOOR, Keep
    from ..sweeps.options import DEFAULT, Options, make_solver
    from ..sweeps.run import given, sweep
    from ..sweeps.running import SweepInterrupted
    from ..zoo import load_zoo

    solver = make_solver(lam=one_or_several(lam), seed=seed, **settings)
    elsewhere = "scheduler" in share
    options = Options(tuple(chosen or DEFAULT), p, precision, backend, device, solver, elsewhere=elsewhere)
    inputs = {"recursive": recursive, "skip_bad": skip_bad, **reading}
    is_store = one_store(paths) is not None
    zoo = as_factors(paths, device) if is_store else load_zoo(paths, progress=progress, **inputs)
    skipped, warnings, factors = given(zoo, device)
    groups_of([entry.name for entry in factors.entries], shown)  # before the work, not after
    warn(f"left out: {item.reason}" for item in skipped)
    warn(warnings)
    kept = None if keep is None else Keep.of(keep, keep_by)
    if approximate:
        kept = Keep("approximate", floor=shown.get("min_captured", FLOOR), sketch=sketch or SIZE)
    elif dry_run or (progress != "off" and not elsewhere):
        say_estimate(factors.entries, options, keep, out, dry_run=dry_run, as_json=shown["as_json"], progress=progress)
    if dry_run:
        return
    try:
        dataset = sweep(
            zoo,
            out,
            keep=kept,
            inputs={"paths": list(map(str, paths)), **inputs},
            solver=solver,
            metrics=chosen or DEFAULT,
            p=p,
            precision=precision,
            backend=backend,
            device=device,
            overwrite=overwrite,
            progress=progress,
            engine=engine,
            shard=share.get("shard"),
            command=shlex.join(["taskvec", *sys.argv[1:]]) if sys.argv[1:2] == ["sweep"] else None,
        )
    except SweepInterrupted as interrupt:
        print(f"taskvec: interrupted: {printable(str(interrupt))}", file=sys.stderr)
        raise typer.Exit(128 + interrupt.signal) from None
    if not dataset.attrs["complete"]:
        say(f"part {share['shard']} is in {out}; the last part to end completes it")
        return
    if approximate:
        warn(as_lines(dataset.attrs["warnings"])[-1:])
    elif baseline != "none":
        pairs = None if baseline == "all" else shown_pairs(dataset, shown)
        try:
            dataset = add_baseline(dataset, factors, pairs, out=out, progress=progress)
        except KeyboardInterrupt:
            print(f"taskvec: interrupted: {printable(str(out))} is whole but for other layers", file=sys.stderr)
            raise typer.Exit(130) from None
    print_result(dataset, out, shown)
    if not shown["as_json"]:
        say(f"written to {out}")
    check_rules(found, dataset, out, shown, rules)
