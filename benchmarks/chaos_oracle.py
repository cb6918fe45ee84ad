"""The oracle of `benchmarks.chaos`: what a root acknowledged, and what became of it.

What a reader gets wrong: a result is acknowledged when its journal part is there, since an actor's call
returns only after that. What is read here between a kill and the next start must be there for ever, and no
later run may make it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc

from actors.journal import ActorJournal
from actors.pipeline import STEPS
from actors.store import Store, is_root, open_store
from ray_jobs.publish import root_manifest
from ray_jobs.root import RootState, read_root

Result = tuple[str, str]
"""Actor and key."""
UNTIMED = ["sample_id", "source_id", "edit_type", "status", "gate", "prompt", "chosen_keyword", "licence"]
"""Columns of the manifest that two runs of the same have alike; others hold times, runs and nodes."""


@dataclass(frozen=True)
class Acknowledged:
    """The good results that a root had at one moment: run, part and artifacts' digests of each."""

    run: int
    results: dict[Result, tuple[int, str, tuple[str, ...]]]


@dataclass
class Losses:
    """What went wrong, in words; empty lists are what is wanted."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)

    def __iadd__(self, other: Losses) -> Losses:
        self.lost += other.lost
        self.doubled += other.doubled
        self.differing += other.differing
        return self


def acknowledged(root: str) -> Acknowledged:
    """What the root's journal says now."""
    state = _state(root)
    if state is None:
        return Acknowledged(0, {})
    return Acknowledged(state.record.run, _good(state))


def judge(root: str, moments: list[Acknowledged]) -> Losses:
    """What of the acknowledged results is gone, was made again, or is not what its row says."""
    losses = Losses()
    state = _state(root)
    if state is None:
        losses.lost += [f"{actor} of {key}" for moment in moments for actor, key in moment.results]
        return losses
    now = _good(state)
    for moment in moments:
        for result, was in moment.results.items():
            if now.get(result) != was:
                losses.lost.append(f"{' of '.join(result)}: {was} is now {now.get(result)}")
    for actor, key, run in _rows(state.store):
        for moment in moments:
            if run > moment.run and (actor, key) in moment.results:
                losses.doubled.append(f"{actor} of {key}: run {run} made what run {moment.run} had")
                break
    ids = state.verdicts()["sample_id"]
    if len(pc.unique(ids)) != len(ids):
        losses.doubled.append("a sample has two verdicts")
    losses.differing += _untrue(state)
    return losses


def compare(root: str, undisturbed: str) -> list[str]:
    """What of release, manifest, verdicts and artifacts differs from a run that nobody disturbed."""
    mine, other = _content(root), _content(undisturbed)
    return [
        f"{name} differs from the undisturbed run"
        for name in sorted({*mine, *other})
        if mine.get(name) != other.get(name)
    ]


def accepted(root: str) -> int:
    state = _state(root)
    if state is None:
        return 0
    return int(pc.sum(pc.equal(state.verdicts()["status"], "accepted")).as_py() or 0)


def _state(root: str) -> RootState | None:
    store = open_store(root)
    return read_root(store) if is_root(store) else None


def _good(state: RootState) -> dict[Result, tuple[int, str, tuple[str, ...]]]:
    return {
        (name, row["key"]): (row["run"], row["part"], tuple(item["sha256"] for item in row["artifacts"]))
        for name, settled in state.settled.items()
        for row in settled.to_pylist()
        if row["outcome"] == "ok"
    }


def _rows(store: Store) -> Iterator[tuple[str, str, int]]:
    """Actor, key and run of every good row in any part, those that do not count included."""
    for step in STEPS:
        journal = ActorJournal(store, step)
        for row in journal.read(journal.parts(), columns={"key", "run", "outcome"}).to_pylist():
            if row["outcome"] == "ok":
                yield step.name, row["key"], row["run"]


def _untrue(state: RootState) -> list[str]:
    """Artifacts that are not what their journal row says."""
    faults = []
    for settled in state.settled.values():
        for row in settled.to_pylist():
            for item in row["artifacts"] or ():
                try:
                    digest = hashlib.sha256(state.store.get_bytes(item["path"])).hexdigest()
                except KeyError:
                    digest = "gone"
                if digest != item["sha256"]:
                    faults.append(f"{item['path']} is {digest}, its row says {item['sha256']}")
    return faults


def _content(root: str) -> dict[str, Any]:
    state = _state(root)
    if state is None:
        return {}
    store = state.store
    found: dict[str, Any] = {
        key: hashlib.sha256(store.get_bytes(key)).hexdigest()
        for key in store.keys("release")
        if not key.startswith("release/manifest/")  # has times
    }
    verdicts = state.verdicts()
    manifest = root_manifest(state, verdicts, state.record.run_config())
    found["manifest"] = manifest.select(UNTIMED).to_pylist()
    found["verdicts"] = verdicts.select(["sample_id", "status", "gate", "actor"]).to_pylist()
    for (actor, key), (_, _, digests) in _good(state).items():
        found[f"artifacts of {actor} of {key}"] = digests
    return found
