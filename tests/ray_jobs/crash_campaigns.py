"""Campaigns over `tests.ray_jobs.crash_jobs`: kill a job at each operation, or lose the power, and judge.

What a reader gets wrong: the oracle does not ask the job. It reads the root as any later job would, and knows
from outside what was acknowledged.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from actors.journal import ActorJournal
from actors.pipeline import STEPS
from actors.store import Store, is_root, open_root, open_store
from ray_jobs.removals import read_removed
from ray_jobs.root import read_root
from ray_jobs.runs import counting_parts, newest_run
from tests.crash_points import Place, anywhere
from tests.mutants import mutate_this_process
from tests.power_loss import disks_left, early_returns, recorded, written
from tests.ray_jobs.crash_grounds import Folders, Ground
from tests.ray_jobs.crash_jobs import CrashJob, Root, calls_of, note, notes

INDEX = "release/shards.parquet"

# the oracle


def faults_of(root: Root) -> list[str]:
    """What must hold at every moment and does not."""
    return look(root).faults


@dataclass
class Look:
    """What an onlooker sees at one moment."""

    faults: list[str]
    good: dict[tuple[str, str], str] = field(default_factory=dict)
    """Good results that count, by actor and key: their artifacts' digests."""


def look(root: Root) -> Look:
    """Read the whole root as every job does, and judge it."""
    store = open_store(str(root))
    if not is_root(store) or newest_run(store) is None:
        return Look([f"acknowledged without a root: {words}" for words in notes(root, "acknowledged")])
    state = read_root(store)
    assert state is not None
    seen = Look([])
    verdicts = state.verdicts()
    if len(set(verdicts["sample_id"].to_pylist())) != state.samples.num_rows:
        seen.faults.append("a planned sample has no verdict, or two")
    gone = {key for key, away in zip(_keys(state.samples), state.removed.tolist(), strict=True) if away}
    gone |= read_removed(store).sources
    for name, settled in state.settled.items():
        for key, count in Counter(settled["key"].to_pylist()).items():
            if count > 1:
                seen.faults.append(f"{name} has {count} rows for {key}")
        for row in settled.to_pylist():
            if row["outcome"] == "ok":
                seen.good[name, row["key"]] = _media(row)
    for step in STEPS:
        journal = ActorJournal(store, step)
        parts = [f"{journal.folder}/{name}" for name in counting_parts(store, step, state.record)]
        for row in journal.read(parts, columns=["key", "outcome", "artifacts"]).to_pylist():
            if row["outcome"] == "ok" and row["key"] not in gone:  # a row that another beats is true as well
                seen.faults += _untrue(store, row)
    for actor, key, said in notes(root, "acknowledged"):
        if (found := seen.good.get((actor, key))) != said:
            seen.faults.append(f"acknowledged and lost: {actor} of {key}: {said} is now {found}")
    seen.faults += _false_claims(store)
    return seen


def _keys(samples: Any) -> list[str]:
    keys: list[str] = samples["sample_id"].to_pylist()
    return keys


def _media(row: Mapping[str, Any]) -> str:
    return json.dumps({item["column"]: item["sha256"] for item in row["artifacts"]}, sort_keys=True)


def _untrue(store: Store, row: Mapping[str, Any]) -> list[str]:
    """Artifacts of a good row that are not what it says."""
    faults = []
    for item in row["artifacts"]:
        digest = _digest(store, item["path"])
        if digest is None:
            faults.append(f"{item['path']} is in the journal and not there")
        elif digest != item["sha256"]:
            faults.append(f"{item['path']} has other bytes than the journal says")
    return faults


def _digest(store: Store, key: str) -> str | None:
    try:
        return hashlib.sha256(store.get_bytes(key)).hexdigest()
    except KeyError:
        return None


def _index(store: Store) -> list[dict[str, Any]]:
    """Rows of `shards.parquet`; none where it is not there."""
    if not store.exists(INDEX):
        return []
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(store.get_bytes(INDEX))).to_pylist()
    return rows


def _false_claims(store: Store) -> list[str]:
    """Parts that the index names and that are not there with its digest."""
    parts = {row["shard"]: row["sha256"] for row in _index(store)}
    return [
        f"shards.parquet claims {part}, which is not there with these bytes"
        for part, digest in parts.items()
        if _digest(store, f"release/{part}") != digest
    ]


def repeated_calls(root: Root) -> list[str]:
    """Models that were called for what was acknowledged before."""
    known: set[tuple[str, ...]] = set()
    faults = []
    for line in calls_of(root).read_text().splitlines() if calls_of(root).exists() else ():
        kind, *words = line.split("\t")
        if kind == "acknowledged":
            known.add(tuple(words[:2]))
        elif tuple(words[:2]) in known:
            faults.append(f"{words[0]} was called again for {words[1]}")
    return faults


VOLATILE = {
    "run",
    "attempt",
    "part",
    "elapsed_s",
    "cpu_s",
    "peak_rss_bytes",
    "finished_at",
    "node",
    "failures",
    "artifacts",
}
"""Columns of a journal row that may differ between two runs that do the same."""


def outcome(root: Root) -> dict[str, object]:
    """What must come out the same, however often the job was killed: what counts in the journal, the files of
    the release but for the manifest, which has times, and all artifacts by their digests.
    """
    state = read_root(open_root(str(root), create=False))
    assert state is not None
    found: dict[str, object] = {
        key: state.store.get_bytes(key) for key in state.store.keys("release") if not key.endswith(".parquet")
    }
    for name, settled in state.settled.items():
        for row in settled.to_pylist():
            found[f"{name} {row['key']}"] = (
                {column: value for column, value in row.items() if column not in VOLATILE},
                [(item["column"], item["sha256"]) for item in row["artifacts"]],
            )
    found["parts"] = [
        {column: row[column] for column in ("shard", "size_bytes", "sha256")} for row in _index(state.store)
    ]
    found["statuses"] = state.verdicts().select(["sample_id", "status"]).to_pylist()
    return found


# campaigns


@dataclass
class Found:
    """What a campaign found; `points` crashes, each followed by one clean run."""

    points: int = 0
    faults: list[str] = field(default_factory=list)


def crash_everywhere(
    job: CrashJob,
    where: Path | Ground,
    *,
    place: Place = anywhere,
    mutant: str = "",
    points: Sequence[int] | None = None,
) -> Found:
    """Kill the job at each of its points, look, let it run to its end, compare.

    Args:
        where: a folder, in which a point is an operation on a file, or a bucket, in which it is a request.
        place: which operations; all by default.
        mutant: of `tests.mutants`, in the processes that are killed; its first fault is enough.
        points: which of these operations; all by default.
    """
    ground = Folders(where) if isinstance(where, Path) else where
    before = ground.prepared(job.prepare)
    excused = set(faults_of(before))
    whole = ground.root("whole")
    ground.copy(before, whole)
    ground.killed(run_mutated, whole, mutant, job.run, at=0)
    expected = outcome(whole)
    found = Found()
    for at in points if points is not None else itertools.count(1):
        root = ground.root(f"at {at}")
        ground.copy(before, root)
        if not ground.killed(run_mutated, root, mutant, job.run, at=at, place=place):
            ground.drop(root)
            break
        found.points += 1
        seen = look(root)
        found.faults += [f"crash {at}: {fault}" for fault in sorted(set(seen.faults) - excused)]
        if not job.makes_again:
            for (actor, key), media in seen.good.items():  # from now on it must stay, and no model be called
                note(root, "acknowledged", actor, key, media)
        found.faults += [f"crash {at}: {fault}" for fault in _continued(job, ground, root, expected, mutant)]
        ground.drop(root)
        if mutant and found.faults:
            break
    return found


def _continued(
    job: CrashJob, ground: Ground, root: Root, expected: Mapping[str, object], mutant: str = ""
) -> list[str]:
    """What is wrong after one clean run, or without it where the job came to its end already."""
    faults = []
    if ground.deadly:
        ground.killed(run_mutated, root, mutant, job.run, at=0)
        faults += ground.left(root) if job.sweeps else []
    faults += [*faults_of(root), *repeated_calls(root)]
    result = outcome(root)
    differs = sorted(name for name in {*result, *expected} if result.get(name) != expected.get(name))
    return [*faults, *(f"{name} differs from a run that was not killed" for name in differs)]


def run_mutated(root: Root, mutant: str, job: Callable[[Root], None]) -> None:
    """The job, in a process that ends with it."""
    if mutant:
        mutate_this_process(mutant)
    job(root)


def power_lost(job: CrashJob, folder: Path, *, every: int = 1, mutant: str = "", disks: bool = True) -> Found:
    """Lose the power after each `every`-th operation of the job, look at what the disk may have, let the job
    run to its end, compare. A call of the store that returns too early is a fault by itself.

    Args:
        disks: False: only calls that return too early.
    """
    ground = Folders(folder)
    before = ground.prepared(job.prepare)
    before.mkdir(exist_ok=True)
    excused = set(faults_of(before))
    whole = ground.root("whole")
    ground.copy(before, whole)
    ground.killed(run_recorded, whole, mutant, job.run, at=0)
    found = Found(faults=early_returns(before, whole))
    if not disks:
        return found
    expected = outcome(whole)
    for when, names in disks_left(before, whole, every):
        root = written(names, folder / "left")
        found.points += 1
        faults = sorted(set(faults_of(root)) - excused)
        found.faults += [f"{when}: {fault}" for fault in faults]
        found.faults += [f"{when}: {fault}" for fault in _continued(job, ground, root, expected, mutant)]
        ground.drop(root)
    return found


def run_recorded(root: Path, mutant: str, job: Callable[[Path], None]) -> None:
    """The job with its operations noted, in a process that ends with it."""
    if mutant:
        mutate_this_process(mutant)
    recorded(root, job)
