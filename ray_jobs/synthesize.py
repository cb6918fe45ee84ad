"""The job `synthesize`: from a list of sources to journaled samples, and on to `publish`.

What a reader gets wrong: there is no resume flag. The job plans what is left from the journal, so running it
again continues, and with nothing left Ray is not even started.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table

from actors.attempts import forget
from actors.guard import RunContext
from actors.pipeline import PlannedActor, resolve, thresholds
from actors.store import Store, open_root, root_to_be
from ray_jobs.gpus import nodes_known
from ray_jobs.licences import backend_licence
from ray_jobs.models import require_weights, say_unpinned
from ray_jobs.phases import Phase, cut, entering, measured_seconds, undone
from ray_jobs.pins import pin_weights
from ray_jobs.plan import Work, deadly, stream_rows, work_left
from ray_jobs.progress import ActorCount, Progress
from ray_jobs.root import SAMPLES, RootState, compact, read_root, read_samples, read_settled, write_samples
from ray_jobs.runs import PUBLISHES, RunRecord, check_redo, check_run, ended, newest_run, open_run
from ray_jobs.sources import SourceEntry, plan_samples, planned_otherwise
from schemas.config import ConfigError, RunConfig


@dataclass(frozen=True)
class RunResult:
    """What one run did, and where all samples of the root stand after it."""

    state: RootState
    asked: set[str]
    counts: dict[str, ActorCount]


def synthesize(
    root: str,
    entries: Sequence[SourceEntry],
    config: RunConfig,
    console: Console,
    *,
    redo: str | None = None,
    publishes: bool = False,
) -> RunResult:
    """Run every sample of the list as far as it gets.

    Args:
        publishes: the caller publishes afterwards; a redo is under way until that came to its end too.

    Raises:
        ConfigError: the root's results were made otherwise, or weights are missing.
        RootBusyError: another run holds the root.
        StoreError: the root is not ours or cannot be written.
    """
    planned = resolve(config)
    check_redo(redo, planned)
    plan_samples(
        entries, config, SAMPLES.empty_table()
    )  # what is wrong with the list is said before any work
    known = nodes_known(config)
    if known is None and redo is not None:
        from ray_jobs.stream import (
            start_ray_for,  # a redo gives results up when it opens, so Ray is asked now
        )

        known = start_ray_for(config)
    if known is not None:
        cut(planned, known)  # a plan that cannot be placed is refused before anything is written
    before = newest_run(root_to_be(root))
    config = _as_before(config, before, root, console)
    planned = resolve(config)
    # of a root that has runs there may be nothing left that needs weights
    if (redo is not None or before is None) and not os.environ.get("RAY_ADDRESS"):
        require_weights(planned)
    store = open_root(root, create=True)
    record = open_run(store, "synthesize", config, redo=redo, planned=planned)
    with ended(store, record) as summary:
        result = _fill(store, record, entries, planned, config, console)
        summary["counts"] = _plain(result.counts)
        summary[PUBLISHES] = publishes
    return result


def _as_before(config: RunConfig, before: RunRecord | None, root: str, console: Console) -> RunConfig:
    """The config with what the root's newest run had and this config leaves open: revisions of weights, and
    the licences that the release may hold.
    """
    recorded = before.run_config() if before else None
    if recorded and recorded.release.allow is not None and config.release.allow is None:
        console.print(
            f"the release holds these licences only, as before: {', '.join(recorded.release.allow)}; "
            f"`publish {root} --allow all` changes that",
            markup=False,
            highlight=False,
        )
        release = config.release.model_copy(update={"allow": recorded.release.allow})
        config = config.model_copy(update={"release": release})
    return pin_weights(config, recorded)


def _fill(
    store: Store,
    record: RunRecord,
    entries: Sequence[SourceEntry],
    planned: Sequence[PlannedActor],
    config: RunConfig,
    console: Console,
) -> RunResult:
    """What a run does between its opening and its end."""
    store.clear_scratch()
    work, asked = plan(store, record, entries, config)
    _say_what_stays(entries, config, work.state.samples, console)
    if not work.samples.num_rows:
        console.print("nothing left to do: every sample is decided")
        return RunResult(work.state, asked, {item.name: ActorCount() for item in planned})
    counts = run_work(store, record, work, planned, config, console)
    del work  # of a large root one state is enough
    return RunResult(_state(store), asked, counts)


def plan(
    store: Store, record: RunRecord, entries: Sequence[SourceEntry], config: RunConfig
) -> tuple[Work, set[str]]:
    """Plan the samples of a list: what is left of them to do, and the ids of all that it asks for."""
    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps 400 MB more of 14 million rows
    samples = read_samples(store)
    new, asked = plan_samples(entries, config, samples)
    if new:
        write_samples(store, record.run, new)
        samples = read_samples(store)
    compact(store, record)
    state = RootState(store, record, samples, read_settled(store, record, deciding=True))
    return work_left(state, config, asked), asked


def run_work(
    store: Store,
    record: RunRecord,
    work: Work,
    planned: Sequence[PlannedActor],
    config: RunConfig,
    console: Console,
) -> dict[str, ActorCount]:
    """Stream samples through all actors, by the run that holds the root; returns what each actor did."""
    from ray_jobs.stream import start_ray_for, stream  # with nothing to do Ray is not loaded

    limits = thresholds(tuple(planned))
    context = RunContext(
        root=store.uri,
        run=record.run,
        name=config.name,
        seed=config.seed,
        thresholds=limits,
        generations=record.generations,
        fingerprints={item.name: item.fingerprint for item in planned},
        deaths=deadly(work.state),
    )
    say_unpinned(planned, console)
    if not os.environ.get("RAY_ADDRESS"):
        require_weights(planned)  # on a cluster they lie on its nodes, and each worker looks before it loads
    phases = cut(planned, start_ray_for(config), measured_seconds(work.state))
    with Progress(store, record.run, planned, limits, work.todo(), console) as watch:
        for wave in work.waves(config.wave_sources):
            done = 0
            for phase in phases:
                rows = undone(entering(stream_rows(work.state, wave), planned[:done], limits), phase)
                if rows:
                    _say_phase(phase, phases, console)
                    stream(rows, phase, config, context)
                with watch.paused():  # no worker writes between two phases
                    compact(store, record)
                done += len(phase.actors)
    forget(store)
    return watch.counts


def _say_phase(phase: Phase, phases: Sequence[Phase], console: Console) -> None:
    if len(phases) > 1:
        names = ", ".join(item.name for item in phase.actors)
        console.print(f"phase {phases.index(phase) + 1} of {len(phases)}: {names}", highlight=False)


def _say_what_stays(
    entries: Sequence[SourceEntry], config: RunConfig, samples: pa.Table, console: Console
) -> None:
    ids = planned_otherwise(entries, config, samples)
    if ids:
        listed = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
        console.print(
            f"{len(ids)} samples are listed again with another prompt, keyword, licence or reference edit; a "
            f"sample is one source with one theme, so the first line stays: {listed}",
            markup=False,
            highlight=False,
        )


def _state(store: Store) -> RootState:
    state = read_root(store, deciding=True)
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
    store = root_to_be(root)
    state = read_root(store)
    config = _as_before(config, state.record if state else None, root, console)
    planned = resolve(config)
    if state is not None:
        generations = check_run(store, state.record, config, planned, redo)
        record = replace(state.record, generations=generations)
        state = RootState(store, record, state.samples, read_settled(store, record, deciding=True))
    else:
        check_redo(redo, planned)
    known = state.samples if state else SAMPLES.empty_table()
    new, asked = plan_samples(entries, config, known)
    added = pa.Table.from_pylist(new, schema=SAMPLES)
    left = work_left(state, config, asked).samples.num_rows if state else 0
    sources = len({entry.uri for entry in entries})
    lines = [
        f"{sources} {'source' if sources == 1 else 'sources'}, {len(asked)} "
        f"{'sample' if len(asked) == 1 else 'samples'}: {len(new)} new, {left} begun and unfinished",
        f"output {store.uri}, themes {', '.join(config.themes)}, run seed {config.seed}",
    ]
    if redo:
        lines.append(f"--redo {redo}: its results and those of all actors after it are made again")
    for line in lines:
        console.print(line, markup=False)
    _say_what_stays(entries, config, pa.concat_tables([known, added]), console)
    _print_phases(planned, config, state, console)


def _print_phases(
    planned: Sequence[PlannedActor], config: RunConfig, state: RootState | None, console: Console
) -> None:
    """Each phase with why it was cut, and a table of its actors."""
    nodes = nodes_known(config)
    if nodes is None:
        from ray_jobs.stream import start_ray_for

        nodes = start_ray_for(config)
    phases = cut(planned, nodes, measured_seconds(state) if state else None)
    say_unpinned(planned, console)
    mode = "one pool each" if config.execution == "pools" else "without GPU as functions that Ray Data fuses"
    console.print(f"{len(planned)} actors, {mode}; {sum(nodes)} GPUs to plan with", highlight=False)
    for number, phase in enumerate(phases, 1):
        console.print(
            f"phase {number} of {len(phases)}, {phase.gpus:g} GPUs, cut here because: {phase.why}"
            if number > 1
            else f"phase 1 of {len(phases)}, {phase.gpus:g} GPUs",
            markup=False,
            highlight=False,
        )
        console.print(_phase_table(phase, config, state), markup=False)
    if not os.environ.get("RAY_ADDRESS"):
        try:
            require_weights(planned)
        except ConfigError as error:
            console.print(f"a run on this machine would be refused: {error}", style="yellow", markup=False)


def _phase_table(phase: Phase, config: RunConfig, state: RootState | None) -> Table:
    table = Table("stage", "actor", "backend", "licence", "GPUs", "pool", "batch", "gates", "done", box=None)
    for item, workers in zip(phase.actors, phase.workers, strict=True):
        limits = item.actor.thresholds(item.config)
        gates = [f"{name} {limit}" for name, limit in limits.items() if limit is not None]
        if None in limits.values():
            gates.append(f"{list(limits.values()).count(None)} off")
        done = pc.sum(pc.equal(state.settled[item.name]["outcome"], "ok")).as_py() or 0 if state else 0
        table.add_row(
            str(item.actor.stage or "-"),
            item.name,
            item.backend.name if item.backend else "-",
            backend_licence(item.recipe) or "-",
            f"{item.num_gpus:g}",
            str(workers) if config.execution == "pools" or item.num_gpus else "-",
            str(item.config.batch_size),
            ", ".join(gates) or "-",
            str(done),
        )
    return table
