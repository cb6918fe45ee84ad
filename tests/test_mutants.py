"""The suite's checks notice each mutant of our own writer, and find nothing wrong with the writer itself."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from actors.guard import Guard, RunContext
from actors.pipeline import resolve
from actors.s3_store import S3Store
from actors.store import LocalStore, Store, Stored, open_root
from ray_jobs.publish import publish
from ray_jobs.runs import newest_run
from ray_jobs.sealing import PublishError, newest_plan, planned_shards, sealed
from schemas.gates import GATES
from schemas.records import Row
from tests.crash_points import killed, overtaken
from tests.mutants import MUTANTS, mutate_this_process
from tests.ray_jobs.crash_campaigns import crash_everywhere, faults_of, power_lost
from tests.ray_jobs.crash_jobs import CONFIG, JOBS, STRICT, change_of_set, made, opened
from tests.s3_server import MIN_PART_BYTES, Fault, S3Server

A, B = b"a" * (2 * MIN_PART_BYTES + 17), b"b" * (2 * MIN_PART_BYTES)
"""Several parts in a bucket."""

Put = Callable[[Store, str, bytes], Stored]
Check = Callable[[Path, str], list[str]]
"""Of a place to work in and a mutant's name, empty for none; returns what is wrong."""


def put_bytes(store: Store, key: str, data: bytes) -> Stored:
    return store.put_bytes_if_absent(key, data)


def put_stream(store: Store, key: str, data: bytes) -> Stored:
    return store.put_stream_if_absent(key, [data[:700], data[700:]])


def put_file(store: Store, key: str, data: bytes) -> Stored:
    with store.scratch() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        return store.put_file_if_absent(key, path)


# checks


def one_writer_wins(folder: Path, mutant: str) -> list[str]:
    """A second writer comes in before each operation of the first."""
    store = LocalStore(folder)
    return _races(lambda at, first, second: overtaken(at, first, second), store, store)


def one_writer_wins_in_a_bucket(place: str, mutant: str) -> list[str]:
    """The same before each request that writes."""
    store, other = (S3Store(place, part_bytes=MIN_PART_BYTES) for _ in range(2))
    begun = {"at": 0, "seen": 0}
    waiting: list[Callable[[], object]] = []

    def before(request: Any, **rest: Any) -> None:
        if request.method in ("PUT", "POST"):
            begun["seen"] += 1
            if begun["seen"] == begun["at"] and waiting:
                waiting.pop()()

    store._client.meta.events.register("before-send.s3", before)

    def race(at: int, first: Callable[[], object], second: Callable[[], object]) -> bool:
        begun.update(at=at, seen=0)
        waiting.append(second)
        first()
        late = bool(waiting)
        if late:
            waiting.pop()()
        return not late

    return _races(race, store, other)


def _races(
    race: Callable[[int, Callable[[], object], Callable[[], object]], bool], one: Store, other: Store
) -> list[str]:
    faults = []
    for put in (put_bytes, put_stream, put_file):
        for at in itertools.count(1):
            key, told = f"{put.__name__}/{at}", list[Stored]()
            raced = race(
                at,
                lambda put=put, key=key, told=told: told.append(put(one, key, A)),  # type: ignore[misc]
                lambda put=put, key=key, told=told: told.append(put(other, key, B)),  # type: ignore[misc]
            )
            digest = hashlib.sha256(one.get_bytes(key)).hexdigest()
            if sum(stored.won for stored in told) != 1:
                faults.append(f"{key}: {sum(stored.won for stored in told)} writers were told that they won")
            if {stored.sha256 for stored in told} != {digest}:
                faults.append(f"{key}: a writer was told of other bytes than there are")
            if not raced:
                break
    return faults


def _put_all(folder: Path, mutant: str) -> None:
    if mutant:
        mutate_this_process(mutant)
    for put in (put_bytes, put_stream, put_file):
        put(LocalStore(folder), put.__name__, A)


def whole_or_not_at_all(folder: Path, mutant: str) -> list[str]:
    """A writer is killed before each operation, and after each file that it opens."""
    faults = []
    for at in itertools.count(1):
        root = folder / str(at)
        died = killed(_put_all, root, mutant, at=at)
        for path in root.glob("put_*"):
            if path.read_bytes() != A:
                faults.append(f"crash {at}: {path.name} has {path.stat().st_size} of {len(A)} bytes")
        if not died:
            break
    return faults


def calls_killed(folder: Path, mutant: str) -> list[str]:
    """A worker is killed before each operation of two calls; Ray makes the calls again."""
    return crash_everywhere(JOBS["calls"], folder, mutant=mutant).faults


def two_workers_with_one_sample(folder: Path, mutant: str) -> list[str]:
    """A worker takes a sample that another has in a batch, before each operation of the other's call."""
    faults = []
    for at in itertools.count(1):
        root = folder / str(at)
        opened(root)
        one, other = (_guard(root, word) for word in "ab")
        raced = overtaken(at, lambda: one(_sources(0, 1)), lambda: other(_sources(0)))  # noqa: B023 - now
        faults += [f"overtaken at {at}: {fault}" for fault in faults_of(root)]
        if not raced:
            break
    return faults


def _guard(root: Path, word: str) -> Guard:
    item = resolve(CONFIG)[0]
    record = newest_run(open_root(str(root), create=False))
    assert record is not None
    return Guard(
        made(item, root, word),
        RunContext(
            root=str(root),
            run=record.run,
            name="Sparkle",
            seed=42,
            thresholds={gate.name: None for gate in GATES},
            generations=record.generations,
            fingerprints={item.name: item.fingerprint},
        ),
    )


def _sources(*numbers: int) -> list[Row]:
    return [Row(f"{number:06d}", {"source_uri": f"/videos/{number}.mp4"}) for number in numbers]


def on_the_disk(folder: Path, mutant: str) -> list[str]:
    """Of every call of the store, whether it was on the disk when it returned."""
    jobs = {name: JOBS[name] for name in ("calls", "publish")}
    return [
        fault
        for name, job in jobs.items()
        for fault in power_lost(job, folder / name, mutant=mutant, disks=False).faults
    ]


def compaction_killed(folder: Path, mutant: str) -> list[str]:
    return crash_everywhere(JOBS["compact"], folder, mutant=mutant, place=of_one_actor).faults


def of_one_actor(path: str) -> bool:
    return "journal/Ingest/" in path


def publish_killed(folder: Path, mutant: str) -> list[str]:
    return crash_everywhere(JOBS["publish"], folder, mutant=mutant, place=of_one_part).faults


def of_one_part(path: str) -> bool:
    return "release/location_edited_video_part00.tar" in path


def publish_overtaken(folder: Path, mutant: str) -> list[str]:
    """Another publish, of another set, comes in before the plan of the first."""
    change_of_set(folder)

    def first() -> None:
        with suppress(PublishError):
            publish(str(folder), config=STRICT)

    def plan(path: str) -> bool:
        return "/journal/plan/" in path

    with patch.object(LocalStore, "clear_scratch"):  # as of a publish on another machine
        assert overtaken(1, first, lambda: publish(str(folder), config=CONFIG, repack=True), plan)
    store = open_root(str(folder), create=False)
    plan_of_second = newest_plan(store)
    assert plan_of_second is not None
    parts = planned_shards(plan_of_second)
    return [f"{part.path} is not what the plan says" for part in parts if sealed(store, part) is None]


CAUGHT_BY: dict[str, list[Check]] = {
    "overwrite": [one_writer_wins, two_workers_with_one_sample],
    "check then write": [one_writer_wins, two_workers_with_one_sample],
    "direct write": [whole_or_not_at_all],
    "names not synced": [on_the_disk],
    "folders above not synced": [on_the_disk],
    "deletions not synced": [on_the_disk],
    "record before artifact": [calls_killed],
    "return before record": [calls_killed],
    "no dedupe of calls": [calls_killed],
    "no dedupe of rows": [two_workers_with_one_sample],
    "pieces away first": [compaction_killed],
    "continue after a lost plan": [publish_overtaken],
    "complete meanwhile": [publish_killed],
}
IN_A_BUCKET = {"overwrite in a bucket", "check then write in a bucket", "believe a refusal"}
CASES = [(name, check) for name, checks in CAUGHT_BY.items() for check in checks]
CHECKS = sorted({check for _, check in CASES}, key=lambda check: check.__name__)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_writer_passes(check: Check, tmp_path: Path) -> None:
    assert check(tmp_path / "root", "") == []


@pytest.mark.parametrize(("name", "check"), CASES)
def test_a_mutant_is_noticed(name: str, check: Check, tmp_path: Path) -> None:
    with MUTANTS[name]():
        assert check(tmp_path / "root", name) != []


def test_in_a_bucket_the_writer_passes_and_mutants_are_noticed(prefix: str) -> None:
    assert one_writer_wins_in_a_bucket(f"{prefix}/real", "") == []
    for name in ("overwrite in a bucket", "check then write in a bucket"):
        with MUTANTS[name]():
            assert one_writer_wins_in_a_bucket(f"{prefix}/{name.replace(' ', '-')}", name) != []


def test_a_writer_that_believes_a_refusal_after_a_lost_reply_is_noticed(prefix: str, s3: S3Server) -> None:
    def won(key: str) -> bool:
        s3.fault(Fault("lost", f"^PUT .*/{key}$"))
        return S3Store(prefix).put_bytes_if_absent(key, A).won

    assert won("real")
    with MUTANTS["believe a refusal"]():
        assert not won("mutant")


def test_every_mutant_has_its_check() -> None:
    assert CAUGHT_BY.keys() | IN_A_BUCKET == MUTANTS.keys()
