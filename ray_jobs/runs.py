"""Runs of a root: who holds it, by which config and recipes, and which journal parts count for it.

What a reader gets wrong: the record of a run is written once, when it opens, and is its lock; the newest one
is the truth about config and thresholds. Parts that an older run writes after the newest run opened are not
in its sealed list and do not count.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from actors.base import fingerprint
from actors.journal import journal_keys
from actors.pipeline import STEPS, PlannedActor, resolve
from actors.store import NotARootError, Store, StoreError
from schemas.config import ConfigError, RunConfig, nearest, validated
from schemas.gates import Step

SAMPLES_FOLDER = "journal/samples"
PUBLISHES = "publishes"
"""In the note of a run's end: that a publish belongs to it, which comes after that note."""
INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""PROC_PID_INIT_INO of the Linux kernel: the namespace outside all containers."""


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
    boot_id: str = ""
    """Of the running system; empty in a record of a version that did not note it."""
    machine_id: str = ""
    pid_namespace: int = 0
    """Inode of the namespace in which `pid` is counted: every container has its own, and its own pid 1."""

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
    keys = _record_keys(store)
    return _record(store, keys[-1]) if keys else None


def all_records(store: Store) -> list[RunRecord]:
    """The records of all runs, oldest first."""
    return [_record(store, key) for key in _record_keys(store)]


def _record_keys(store: Store) -> list[str]:
    return [key for key in journal_keys(store, "journal/runs") if not key.endswith(".ended.json")]


def _record(store: Store, key: str) -> RunRecord:
    try:
        return RunRecord.from_json(store.get_bytes(key))
    except (ValueError, TypeError) as error:
        raise StoreError(f"{store.uri}/{key} is damaged: {error}") from None


def recipes(store: Store) -> dict[str, dict[str, Any]]:
    """Every recipe that a run of this root had, by fingerprint."""
    return {
        fingerprint(recipe): recipe for record in all_records(store) for recipe in record.recipes.values()
    }


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
        NotARootError: the root holds no run yet.
        RootBusyError: the newest run has not ended and its process lives.
        ConfigError: `config` changes more than thresholds and release settings.
    """
    before = newest_run(store)
    if before is None:
        raise NotARootError(f"{store.uri} holds no run yet")
    refuse_if_held(store, before)
    _refuse_other_name(store, before, config)
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
        pid=os.getpid(),
        pid_started=_process_start(os.getpid()),
        redo=redo,
        **_machine(),
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
        with suppress(OSError, StoreError):  # a full disk or a lost bucket says so by itself
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

    A redo of the same actor by the same recipes that did not come to its end goes on; it does not begin once
    more.

    Raises:
        RootBusyError, ConfigError: as `open_run`.
    """
    if before is not None:
        refuse_if_held(store, before)
        _refuse_other_name(store, before, config)
    check_redo(redo, planned)
    generations = _generations(store, before, planned, redo)
    if before is not None:
        _refuse_changed_recipes(store, before, planned, generations)
    return generations


def check_redo(redo: str | None, planned: Sequence[PlannedActor]) -> None:
    """ConfigError unless `redo` names an actor, or nothing."""
    names = [item.name for item in planned]
    if redo is not None and redo not in names:
        raise ConfigError(f"--redo {redo}: no such actor{nearest(redo, names)}")


def end_run(store: Store, run: int, summary: Mapping[str, Any]) -> None:
    """Note that a run ended, with what it did; a run without this note was broken off."""
    store.put_bytes_if_absent(end_key(run), json.dumps(summary, indent=1, sort_keys=True).encode())


def refuse_if_superseded(store: Store, record: RunRecord) -> None:
    """RootBusyError if a newer run opened: somebody noted this run's end while it lived."""
    newest = newest_run(store)
    if newest is not None and newest.run > record.run:
        raise RootBusyError(
            f"{store.uri} is held by run {newest.run} ({newest.job}) since {newest.opened_at}; "
            f"this is run {record.run}, which ends here"
        )


def refuse_if_held(store: Store, record: RunRecord) -> None:
    """RootBusyError unless the run ended or its process is known to be dead.

    A process in another container or on another machine cannot be seen from here, so its run holds the root
    until its end is noted.
    """
    if store.exists(end_key(record.run)):
        return
    where = _where(record, _machine())
    by = f"{store.uri} is held by run {record.run} ({record.job})"
    if where == "elsewhere":
        raise RootBusyError(
            f"{by} on {record.host}, process {record.pid} of another machine or container, since "
            f"{record.opened_at}; if that run is dead, note its end: create {end_key(record.run)} with "
            '`{"error": "killed"}`'
        )
    lives = where == "here" and _process_start(record.pid) == record.pid_started
    if lives and record.pid != os.getpid():
        raise RootBusyError(f"{by}, process {record.pid} on this machine, since {record.opened_at}")


def _where(record: RunRecord, machine: Mapping[str, Any]) -> Literal["here", "before a restart", "elsewhere"]:
    """Whether this process could see the record's process if it lived."""
    if record.host != machine["host"]:
        return "elsewhere"
    if not record.boot_id:  # of an older version: the host's name is all there is
        return "here"
    if record.boot_id == machine["boot_id"]:
        return "here" if record.pid_namespace == machine["pid_namespace"] else "elsewhere"
    outside = record.pid_namespace == machine["pid_namespace"] == INITIAL_PID_NAMESPACE
    if outside and record.machine_id and record.machine_id == machine["machine_id"]:
        return "before a restart"
    return "elsewhere"


def _machine() -> dict[str, Any]:
    """What tells this process's machine and container from others."""
    return {
        "host": platform.node(),
        "boot_id": _text("/proc/sys/kernel/random/boot_id"),
        "machine_id": _text("/etc/machine-id"),
        "pid_namespace": Path("/proc/self/ns/pid").stat().st_ino if Path("/proc/self/ns/pid").exists() else 0,
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _process_start(pid: int) -> str:
    """Start time of a process in clock ticks since boot; empty when it does not live."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rsplit(")", 1)[1].split()[19]


def _refuse_other_name(store: Store, before: RunRecord, config: RunConfig) -> None:
    name = before.config["name"]
    if name != config.name and any(True for _ in store.keys(SAMPLES_FOLDER)):
        raise ConfigError(
            f"name: the samples of {store.uri} are called {name}_..., found {config.name!r}. "
            "Use that name or another output root"
        )


def _generations(
    store: Store, before: RunRecord | None, planned: Sequence[PlannedActor], redo: str | None
) -> dict[str, int]:
    names = [item.name for item in planned]
    generations = {name: (before.generations.get(name, 0) if before else 0) for name in names}
    if redo is not None:
        again = planned[names.index(redo) :]
        same = before is not None and all(before.recipes.get(item.name) == item.recipe for item in again)
        if not (same and _redo_under_way(store) == redo):
            for item in again:
                generations[item.name] += 1
    return generations


def _redo_under_way(store: Store) -> str | None:
    """The actor of a redo that did not come to its end, its own publish included; runs of other jobs leave
    it under way.
    """
    published = False
    for key in reversed(_record_keys(store)):
        record = _record(store, key)
        if record.job == "publish":
            published = published or finished(store, record)
        elif record.job == "synthesize":
            if finished(store, record) and (published or not _end(store, record).get(PUBLISHES)):
                return None
            if record.redo is not None:
                return record.redo
    return None


def finished(store: Store, record: RunRecord) -> bool:
    """Whether a run came to its end; one that was broken off or failed did not."""
    return "error" not in _end(store, record)


def _end(store: Store, record: RunRecord) -> dict[str, Any]:
    """The note of a run's end; of a run without one, that it was broken off."""
    if not store.exists(end_key(record.run)):
        return {"error": "broken off"}
    return dict(json.loads(store.get_bytes(end_key(record.run))))


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
    names = [key.rsplit("/", 1)[1] for key in journal_keys(store, folder)]
    return [name for name in names if name in sealed or int(name[:6]) >= record.run]
