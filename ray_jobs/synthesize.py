"""The job `synthesize`: from a list of sources to journaled samples, and on to `publish`.

What a reader gets wrong: there is no resume flag. The job plans what is left from the journal, so running it
again continues, and with nothing left Ray is not even started.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from actors.guard import RunContext
from actors.pipeline import PlannedActor, resolve, thresholds
from actors.store import MARKER, Store, open_root, open_store
from ray_jobs.plan import Work, work_left
from ray_jobs.progress import ActorCount, Progress
from ray_jobs.root import (
    SAMPLES,
    RootState,
    RunRecord,
    compact,
    end_run,
    newest_run,
    open_run,
    read_root,
    read_samples,
    refuse_if_held,
    write_samples,
)
from ray_jobs.sources import SourceEntry, plan_samples
from schemas.config import RunConfig


@dataclass(frozen=True)
class RunResult:
    """What one run did, and where all samples of the root stand after it."""

    state: RootState
    asked: set[str]
    counts: dict[str, ActorCount]


def synthesize(
    root: str, entries: Sequence[SourceEntry], config: RunConfig, console: Console, *, redo: str | None = None
) -> RunResult:
    """Run every sample of the list as far as it gets.

    Raises:
        ConfigError: the root's results were made otherwise.
        RootBusyError: another run holds the root.
        StoreError: the root is not ours or cannot be written.
    """
    planned = resolve(config)
    store = open_root(root, create=True)
    record = open_run(store, "synthesize", config, redo=redo, planned=planned)
    new, asked = plan_samples(entries, config, read_samples(store))
    store.clear_scratch()
    write_samples(store, record.run, new)
    compact(store, record)
    work = work_left(_state(store), config, asked)
    counts = {item.name: ActorCount() for item in planned}
    if work.samples.num_rows:
        counts = _run(store, record, work, planned, config, console)
        compact(store, record)
    else:
        console.print("nothing left to do: every sample is decided")
    state = _state(store)
    end_run(store, record.run, {"samples": work.samples.num_rows, "counts": _plain(counts)})
    return RunResult(state, asked, counts)


def _run(
    store: Store,
    record: RunRecord,
    work: Work,
    planned: Sequence[PlannedActor],
    config: RunConfig,
    console: Console,
) -> dict[str, ActorCount]:
    from ray_jobs.stream import start_ray, stream  # a run with nothing to do need not load Ray

    limits = thresholds(tuple(planned))
    context = RunContext(
        root=store.uri,
        run=record.run,
        name=config.name,
        seed=config.seed,
        thresholds=limits,
        generations=record.generations,
        fingerprints={item.name: item.fingerprint for item in planned},
    )
    start_ray()
    with Progress(
        store, record.run, planned, limits, work.num_sources, work.samples.num_rows, console
    ) as watch:
        for rows in work.waves(config.wave_sources):
            stream(rows, planned, config, context)
    return watch.counts


def _state(store: Store) -> RootState:
    state = read_root(store)
    if state is None:
        raise AssertionError("a run was opened, so there is a state")
    return state


def _plain(counts: dict[str, ActorCount]) -> dict[str, dict[str, float]]:
    return {
        name: {"entered": count.entered, "failed": count.failed, "cpu_s": round(count.cpu_s, 3)}
        for name, count in counts.items()
    }


def print_plan(
    root: str, entries: Sequence[SourceEntry], config: RunConfig, console: Console, *, redo: str | None = None
) -> None:
    """What `--dry-run` shows; writes nothing and starts nothing."""
    planned = resolve(config)
    store = open_store(root)
    state = read_root(store) if store.exists(MARKER) else None
    known = state.samples if state else SAMPLES.empty_table()
    new, asked = plan_samples(entries, config, known)
    if state is not None:
        newest = newest_run(store)
        if newest is not None:
            refuse_if_held(store, newest)
    left = work_left(state, config, asked).samples.num_rows if state else 0
    console.print(
        f"{len(entries)} sources, {len(asked)} samples: {len(new)} new, {left} begun and unfinished"
    )
    console.print(f"output {Path(store.uri)}, themes {', '.join(config.themes)}, run seed {config.seed}")
    if redo:
        console.print(f"--redo {redo}: its results and those of all actors after it are made again")
    mode = "functions that Ray Data fuses" if config.execution == "functions" else "one pool each"
    console.print(f"one phase, {len(planned)} actors as {mode}")
    table = Table("stage", "actor", "backend", "licence", "GPUs", "pool", "batch", "gates", "done", box=None)
    for item in planned:
        limits = item.actor.thresholds(item.config)
        gates = ", ".join(f"{name} {'off' if limit is None else limit}" for name, limit in limits.items())
        done = state.settled[item.name].num_rows if state else 0
        table.add_row(
            str(item.actor.stage or "-"),
            item.name,
            item.backend.name if item.backend else "-",
            item.backend.licence if item.backend else "-",
            f"{item.backend.num_gpus:g}" if item.backend else "0",
            str(item.config.pool_size) if config.execution == "pools" else "-",
            str(item.config.batch_size),
            gates or "-",
            str(done),
        )
    console.print(table)
