"""The state of one output root: its runs, its planned samples, and what the journal says of them.

What a reader gets wrong: the newest run record is the truth about config and thresholds; there is no other
state. Parts that an older run wrote after the newest run opened are not in its sealed list and do not count.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actors.journal import ActorJournal, parquet_bytes
from actors.pipeline import STEPS, PlannedActor, resolve, thresholds
from actors.store import Store, StoreError
from schemas.config import ConfigError, RunConfig, validated
from schemas.gates import Rows, Step, rows_of, verdicts
from schemas.journal import SETTLING, part_schema, settle

SAMPLES = pa.schema(
    [
        ("sample_id", pa.string()),
        ("source_id", pa.int64()),
        ("source_key", pa.string()),
        ("source_uri", pa.string()),
        ("edit_type", pa.string()),
        ("chosen_keyword", pa.string()),
        ("given_prompt", pa.string()),
        ("licence", pa.string()),
        ("reference_edit_uri", pa.string()),
    ]
)
"""One row a planned sample, in `journal/samples/`; of two rows for one sample the first counts."""
READ_TRIES = 5
"""A compaction drops an actor's parts once; five in the time of one read do not happen."""
COMPACT_OVER = 200
"""Parts of one actor above which they are written as one; 20,000 parts read in 9 s, one file in 0.3 s."""


class RootBusyError(Exception):
    """Another run holds the root; the message says who."""


class RunFailedError(Exception):
    """An error that is not a sample's ended the run; what was journaled is kept."""


@dataclass(frozen=True)
class RunRecord:
    """`journal/runs/N.json`: what a run was, written once when it opens."""

    run: int
    job: str
    config: dict[str, Any]
    recipes: dict[str, dict[str, Any]]
    generations: dict[str, int]
    sealed: dict[str, list[str]]
    """By actor: the parts of older runs that count from now on."""
    opened_at: str
    host: str
    pid: int
    pid_started: str
    """Start time of the process as the kernel counts it, so that a reused pid is not taken for the holder."""
    redo: str | None = None
    """The actor with which this run's new generation began, if it began one."""

    def run_config(self) -> RunConfig:
        return validated(RunConfig, self.config, "")

    @classmethod
    def from_json(cls, data: bytes) -> RunRecord:
        return cls(**json.loads(data))

    def to_json(self) -> bytes:
        return json.dumps(self.__dict__, indent=1, sort_keys=True).encode()


def record_key(run: int) -> str:
    return f"journal/runs/{run:06d}.json"


def end_key(run: int) -> str:
    return f"journal/runs/{run:06d}.ended.json"


def newest_run(store: Store) -> RunRecord | None:
    """The record of the run that opened last; None on a new root."""
    names = [key for key in store.keys("journal/runs") if not key.endswith(".ended.json")]
    return RunRecord.from_json(store.get_bytes(names[-1])) if names else None


def all_records(store: Store) -> list[RunRecord]:
    """The records of all runs, oldest first."""
    names = [key for key in store.keys("journal/runs") if not key.endswith(".ended.json")]
    return [RunRecord.from_json(store.get_bytes(key)) for key in names]


def open_run(
    store: Store,
    job: str,
    config: RunConfig,
    *,
    redo: str | None = None,
    planned: Sequence[PlannedActor] = (),
) -> RunRecord:
    """Open the next run of a root: its lock, its config, and the list of older parts that count.

    Raises:
        RootBusyError: the newest run has not ended and its process lives.
        ConfigError: results of this root were made by another recipe and `redo` does not cover the
            difference; its samples have another name; `redo` names no actor.
    """
    before = newest_run(store)
    planned = planned or resolve(config)
    generations = check_run(store, before, config, planned, redo)
    recipes = {item.name: dict(item.recipe) for item in planned}
    return _open(store, before, job, config, recipes, generations, redo)


def open_deciding_run(store: Store, job: str, config: RunConfig) -> RunRecord:
    """Open a run that makes nothing and decides anew what is there: `regate`, `publish`.

    Recipes and generations stay those of the run before, so that a root of an older version of this software
    can still be decided and published.

    Raises:
        StoreError: the root holds no run yet.
        RootBusyError: the newest run has not ended and its process lives.
        ConfigError: `config` changes more than thresholds and release settings.
    """
    before = newest_run(store)
    if before is None:
        raise StoreError(f"{store.uri} holds no run yet")
    refuse_if_held(store, before)
    for old, new in zip(resolve(before.run_config()), resolve(config), strict=True):
        if changed := _differences(old.recipe, new.recipe):
            raise ConfigError(f"{job} changes thresholds only, found {new.name}: {changed}")
    return _open(store, before, job, config, before.recipes, before.generations, None)


def _open(
    store: Store,
    before: RunRecord | None,
    job: str,
    config: RunConfig,
    recipes: dict[str, dict[str, Any]],
    generations: dict[str, int],
    redo: str | None,
) -> RunRecord:
    record = RunRecord(
        run=before.run + 1 if before else 1,
        job=job,
        config=config.model_dump(mode="json"),
        recipes=recipes,
        generations=generations,
        sealed=_sealed(store, before),
        opened_at=datetime.now(UTC).isoformat(),
        host=platform.node(),
        pid=os.getpid(),
        pid_started=_process_start(os.getpid()),
        redo=redo,
    )
    if not store.put_bytes_if_absent(record_key(record.run), record.to_json()).won:
        raise RootBusyError(f"another run opened {store.uri} at the same moment")
    return record


@contextmanager
def ended(store: Store, record: RunRecord) -> Iterator[dict[str, Any]]:
    """Notes the end of a run with the summary that its body fills; with the error if one ends it.

    A run that a signal or an error stops leaves the root free for the next one, on any machine.
    """
    summary: dict[str, Any] = {}
    try:
        yield summary
    except BaseException as error:
        with suppress(OSError):  # a full disk says so by itself
            end_run(store, record.run, {"error": f"{type(error).__name__}: {error}"[:1000]})
        raise
    end_run(store, record.run, summary)


def check_run(
    store: Store,
    before: RunRecord | None,
    config: RunConfig,
    planned: Sequence[PlannedActor],
    redo: str | None,
) -> dict[str, int]:
    """Whether a run may open after the newest one, `before`; returns its generations, by actor.

    Raises:
        RootBusyError, ConfigError: as `open_run`.
    """
    if before is not None:
        refuse_if_held(store, before)
        name = before.config["name"]
        if name != config.name and read_samples(store).num_rows:
            raise ConfigError(
                f"name: the samples of {store.uri} are called {name}_..., found {config.name!r}. "
                "Use that name or another output root"
            )
    generations = _generations(store, before, planned, redo)
    if before is not None:
        _refuse_changed_recipes(store, before, planned, generations)
    return generations


def end_run(store: Store, run: int, summary: Mapping[str, Any]) -> None:
    """Note that a run ended, with what it did; a run without this note was broken off."""
    store.put_bytes_if_absent(end_key(run), json.dumps(summary, indent=1, sort_keys=True).encode())


def refuse_if_held(store: Store, record: RunRecord) -> None:
    if store.exists(end_key(record.run)):
        return
    if record.host != platform.node():
        raise RootBusyError(
            f"{store.uri} is held by run {record.run} ({record.job}) on {record.host}, process "
            f"{record.pid}, since {record.opened_at}; if that run is dead, note its end: "
            f"create {end_key(record.run)} with `{{}}`"
        )
    if record.pid != os.getpid() and _process_start(record.pid) == record.pid_started:
        raise RootBusyError(
            f"{store.uri} is held by run {record.run} ({record.job}), process {record.pid} on this machine, "
            f"since {record.opened_at}"
        )


def _process_start(pid: int) -> str:
    """Start time of a process in clock ticks since boot; empty when it does not live."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rsplit(")", 1)[1].split()[19]


def _generations(
    store: Store, before: RunRecord | None, planned: Sequence[PlannedActor], redo: str | None
) -> dict[str, int]:
    names = [item.name for item in planned]
    generations = {name: (before.generations.get(name, 0) if before else 0) for name in names}
    if redo is not None:
        if redo not in names:
            raise ConfigError(f"--redo {redo}: no such actor; actors are {', '.join(names)}")
        if before is None or before.redo != redo or finished(store, before):
            for name in names[names.index(redo) :]:
                generations[name] += 1
    return generations


def finished(store: Store, record: RunRecord) -> bool:
    """Whether a run came to its end; one that was broken off or failed did not."""
    if not store.exists(end_key(record.run)):
        return False
    return "error" not in json.loads(store.get_bytes(end_key(record.run)))


def _refuse_changed_recipes(
    store: Store, before: RunRecord, planned: Sequence[PlannedActor], generations: Mapping[str, int]
) -> None:
    for item in planned:
        old = before.recipes.get(item.name)
        if old is None or old == item.recipe or generations[item.name] != before.generations[item.name]:
            continue
        if not any(True for _ in store.keys(f"journal/{item.name}")):
            continue
        raise ConfigError(
            f"{item.name} has results in {store.uri} that were made otherwise "
            f"({_differences(old, item.recipe)}). "
            f"Use the old setting, another output root, or --redo {item.name} to make them and all that "
            "follows again"
        )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{knob}: {old.get(knob)!r} -> {new.get(knob)!r}"
        for knob in sorted({*old, *new})
        if old.get(knob) != new.get(knob)
    )


def _sealed(store: Store, before: RunRecord | None) -> dict[str, list[str]]:
    if before is None:
        return {step.name: [] for step in STEPS}
    return {step.name: counting_parts(store, step, before) for step in STEPS}


def counting_parts(store: Store, step: Step, record: RunRecord) -> list[str]:
    """Names of an actor's parts that count: those sealed when the newest run opened, and that run's own."""
    folder = f"journal/{step.name}"
    sealed = set(record.sealed.get(step.name, ()))
    names = [key.rsplit("/", 1)[1] for key in store.keys(folder)]
    return [name for name in names if name in sealed or int(name[:6]) >= record.run]


def compact(store: Store, record: RunRecord, steps: Iterable[Step] = STEPS, over: int = COMPACT_OVER) -> None:
    """Write an actor's many parts as one and drop them after; called while this run holds the root."""
    for step in steps:
        names = counting_parts(store, step, record)
        if len(names) <= over:
            continue
        journal = ActorJournal(store, step)
        keys = [f"{journal.folder}/{name}" for name in names]
        rows = _without_copies(journal.read(keys))
        # the name of the part that was last: it sorts with this run, and no later part can have it
        target = f"{journal.folder}/{record.run:06d}-compact-{len(names)}-{names[-1][7:15]}.parquet"
        if not store.put_bytes_if_absent(target, parquet_bytes(rows)).won:
            continue  # whatever is there is not known to hold these rows
        for key in keys:
            store.delete(key)


def _without_copies(rows: pa.Table) -> pa.Table:
    """Rows that a crash between compaction and dropping left twice, once."""
    if len(pc.unique(rows["key"])) == rows.num_rows:
        return rows
    identity = pc.binary_join_element_wise(
        rows["key"].cast(pa.string()), rows["run"].cast(pa.string()), rows["part"], "\0"
    )
    firsts = pc.index_in(pc.unique(identity), value_set=identity)
    return rows if len(firsts) == rows.num_rows else rows.take(firsts)


@dataclass(frozen=True)
class RootState:
    """Everything the root knows, read once."""

    store: Store
    record: RunRecord
    samples: pa.Table
    """Schema SAMPLES, by sample_id."""
    settled: Mapping[str, pa.Table] = field(repr=False)
    """By actor: one row a key (`schemas.journal.settle`)."""

    def verdicts(self, config: RunConfig | None = None) -> pa.Table:
        """`schemas.gates.VERDICT_SCHEMA`, in the order of `samples`, by the config's thresholds."""
        config = config or self.record.run_config()
        return verdicts(self.samples, self.settled, STEPS, thresholds(resolve(config)), self.rows)

    @cached_property
    def rows(self) -> Rows:
        """Where each sample is in `settled`."""
        return rows_of(self.samples, self.settled, STEPS)


def read_root(store: Store, *, without: Collection[str] = ()) -> RootState | None:
    """The state of a root; None if no run ever opened it. `without`: value columns that are not read.

    A run beside it may open or compact its parts meanwhile: what is listed and gone is listed again.
    """
    for tried in range(READ_TRIES):
        record = newest_run(store)
        if record is None:
            return None
        try:
            return RootState(store, record, read_samples(store), read_settled(store, record, without=without))
        except (KeyError, FileNotFoundError):
            if tried + 1 == READ_TRIES:
                raise
    return None


def read_settled(store: Store, record: RunRecord, *, without: Collection[str] = ()) -> dict[str, pa.Table]:
    return {
        step.name: read_actor(
            store, record, step, columns=[name for name in part_schema(step).names if name not in without]
        )
        for step in STEPS
    }


def read_actor(
    store: Store,
    record: RunRecord,
    step: Step,
    *,
    columns: Collection[str] | None = None,
    only: pa.Array | None = None,
) -> pa.Table:
    """One row a key of one actor (`schemas.journal.settle`).

    Args:
        columns: value columns to read; those that say which row counts are always read.
        only: keys to read.
    """
    journal = ActorJournal(store, step)
    keys = [f"{journal.folder}/{name}" for name in counting_parts(store, step, record)]
    wanted = None if columns is None else {*columns, *SETTLING}
    rows = journal.read(keys, columns=wanted, only=only)
    return settle(_without_copies(rows), record.generations.get(step.name, 0))


def read_samples(store: Store) -> pa.Table:
    """All planned samples, schema SAMPLES, by sample_id."""
    tables = [
        pq.read_table(store.local_path(key), partitioning=None) for key in store.keys("journal/samples")
    ]
    if not tables:
        return SAMPLES.empty_table()
    table = pa.concat_tables(tables).combine_chunks()
    unique = pc.unique(table["sample_id"])
    if len(unique) < table.num_rows:
        table = table.take(pc.index_in(unique, value_set=table["sample_id"]))
    return table.sort_by("sample_id")


def write_samples(store: Store, run: int, rows: list[dict[str, Any]]) -> None:
    """Plan samples; part of opening a run, so that a sample is known before anything is done for it."""
    if rows:
        table = pa.Table.from_pylist(rows, schema=SAMPLES)
        store.put_bytes_if_absent(f"journal/samples/{run:06d}.parquet", parquet_bytes(table))
