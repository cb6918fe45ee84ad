"""Runs of a root: one holder at a time, recipes that do not change unnoticed, parts that count,
compaction.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.journal import ActorJournal
from actors.pipeline import STEPS, resolve, thresholds
from actors.store import Store, StoreError, open_root
from ray_jobs.plan import stream_rows, work_left
from ray_jobs.root import compact, read_root, write_samples
from ray_jobs.runs import (
    INITIAL_PID_NAMESPACE,
    RootBusyError,
    counting_parts,
    end_key,
    end_run,
    newest_run,
    open_run,
    record_key,
)
from ray_jobs.settings import apply
from ray_jobs.sources import SourceEntry, plan_samples
from schemas.config import ConfigError, RunConfig
from schemas.gates import gates_of, verdicts
from schemas.journal import part_schema
from schemas.records import Status
from tests.ray_jobs.small_root import make_root, state_of

CONFIG = apply({"themes": ["location"]}, ())
INGEST, FLOW = STEPS[0], STEPS[1]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_root(str(tmp_path / "root"), create=True)


def journal_row(key: str, run: int, **values: Any) -> dict[str, Any]:
    return {"key": key, "run": run, "attempt": 0, "generation": 0, "outcome": "ok", "artifacts": [], **values}


def write(store: Store, run: int, *keys: str, **values: Any) -> str:
    journal = ActorJournal(store, INGEST)
    part = journal.part_key(run, keys)
    journal.write(part, [journal_row(key, run, **values) for key in keys])
    return part.rsplit("/", 1)[1]


def test_runs_are_numbered_and_a_run_that_ended_makes_room(store: Store) -> None:
    first = open_run(store, "synthesize", CONFIG)
    end_run(store, first.run, {})
    assert open_run(store, "synthesize", CONFIG).run == 2
    newest = newest_run(store)
    assert newest is not None
    assert newest.run_config() == CONFIG


def test_a_root_held_by_a_living_process_is_refused_and_a_dead_holder_is_not(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    script = (
        "import sys, time; from actors.store import open_root; from ray_jobs.runs import open_run;"
        "from ray_jobs.settings import apply;"
        "open_run(open_root(sys.argv[1], create=True), 'synthesize', apply({'themes': ['location']}, ()));"
        "print('open', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, root], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    store = open_root(root, create=False)
    with pytest.raises(RootBusyError, match=f"process {holder.pid}"):
        open_run(store, "synthesize", CONFIG)
    holder.kill()
    holder.wait()
    assert open_run(store, "synthesize", CONFIG).run == 2


def test_another_recipe_on_the_same_root_is_refused_with_the_difference(store: Store) -> None:
    end_run(store, open_run(store, "synthesize", CONFIG).run, {})
    longer = apply({"themes": ["location"]}, ["Ingest.min_frames=33"])
    end_run(store, open_run(store, "synthesize", longer).run, {})  # nothing was made yet: no contradiction
    write(store, 2, "000000")
    with pytest.raises(ConfigError, match="min_frames: 33 -> 17"):
        open_run(store, "synthesize", CONFIG)


def test_redo_starts_a_generation_of_the_actor_and_of_all_after_it(store: Store) -> None:
    end_run(store, open_run(store, "synthesize", CONFIG).run, {})
    write(store, 1, "000000", num_frames=81)
    assert state_of(store).settled["Ingest"].num_rows == 1
    other = apply({"themes": ["location"]}, ["CameraMotionFilter.backend=raft"])
    redone = open_run(store, "synthesize", other, redo="CameraMotionFilter", planned=resolve(other))
    assert redone.generations["Ingest"] == 0
    assert {redone.generations[step.name] for step in STEPS[1:]} == {1}
    assert state_of(store).settled["Ingest"].num_rows == 1
    end_run(store, redone.run, {})
    with pytest.raises(ConfigError, match="no such actor"):
        open_run(store, "synthesize", other, redo="Nobody")


def test_a_part_that_an_older_run_writes_late_does_not_count(store: Store) -> None:
    first = open_run(store, "synthesize", CONFIG)
    early = write(store, first.run, "000000")
    end_run(store, first.run, {})
    second = open_run(store, "synthesize", CONFIG)
    late = write(store, first.run, "000001")
    own = write(store, second.run, "000002")
    assert set(counting_parts(store, INGEST, second)) == {early, own}
    assert late not in counting_parts(store, INGEST, second)


def test_compaction_keeps_every_row_once_whether_or_not_it_was_cut_short(store: Store) -> None:
    record = open_run(store, "synthesize", CONFIG)
    for number in range(12):
        write(store, record.run, f"{number:06d}", num_frames=17 + 4 * number)
    before = state_of(store).settled["Ingest"].sort_by("key").drop_columns(["part"])
    copies = {key: store.get_bytes(key) for key in ActorJournal(store, INGEST).parts()}
    compact(store, record, over=5)
    assert len(ActorJournal(store, INGEST).parts()) == 1
    for key, data in list(copies.items())[:4]:  # as if killed while it dropped the old parts
        store.put_bytes_if_absent(key, data)
    assert state_of(store).settled["Ingest"].sort_by("key").drop_columns(["part"]).equals(before)


def test_work_left_is_what_is_live_and_what_failed_less_often_than_the_limit(store: Store) -> None:
    record = open_run(store, "synthesize", CONFIG)
    entries = [SourceEntry(f"/{name}.mp4") for name in "abc"]
    rows, asked = plan_samples(entries, CONFIG, state_of(store).samples)
    write_samples(store, record.run, rows)
    write(store, record.run, "000000", num_frames=81)
    write(store, record.run, "000001", outcome="failed", error="truncated", error_class="SampleError")

    def left(config: RunConfig) -> list[str]:
        work = work_left(state_of(store), config, asked)
        return [str(key) for key in work.samples["source_key"].to_pylist()]

    assert left(CONFIG) == ["000000", "000001", "000002"]
    assert left(apply({"themes": ["location"]}, ["max_failures=1"])) == ["000000", "000002"]
    work = work_left(state_of(store), CONFIG, asked)
    (wave,) = work.waves(10)
    (row,) = [row for row in stream_rows(work.state, wave) if row.key == "000000"]
    assert row.done == ["Ingest"]
    assert row.values["num_frames"] == 81
    assert [sample.key for sample in row.samples] == ["Sparkle_location_000000"]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"pid_namespace": 1}, "another machine or container"),
        ({"host": "elsewhere"}, "another machine or container"),
        ({"boot_id": "another", "pid_namespace": 1}, "another machine or container"),
        ({"boot_id": ""}, None),  # of an older version: the process of that number began at another time
        ({}, None),
    ],
)
def test_a_holder_that_cannot_be_seen_from_here_is_taken_as_alive(
    store: Store, record: dict[str, Any], says: str | None
) -> None:
    dead = {"pid": 1, "pid_started": "never", **record}
    first = replace(open_run(store, "synthesize", CONFIG), **dead)
    store.delete(record_key(1))
    store.put_bytes_if_absent(record_key(1), first.to_json())
    if says is None:
        assert open_run(store, "synthesize", CONFIG).run == 2
        return
    with pytest.raises(RootBusyError, match=says) as refused:
        open_run(store, "synthesize", CONFIG)
    note = '{"error": "killed"}'
    assert f"create {end_key(1)} with `{note}`" in str(refused.value)
    store.put_bytes_if_absent(end_key(1), note.encode())
    assert open_run(store, "synthesize", CONFIG).run == 2


def test_the_same_machine_after_a_restart_holds_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = {"host": "a", "machine_id": "m", "pid_namespace": INITIAL_PID_NAMESPACE}
    monkeypatch.setattr("ray_jobs.runs._machine", lambda: {**machine, "boot_id": "first"})
    open_run(store, "synthesize", CONFIG)
    monkeypatch.setattr("ray_jobs.runs._machine", lambda: {**machine, "boot_id": "second"})
    assert open_run(store, "synthesize", CONFIG).run == 2


def test_a_run_that_a_newer_one_superseded_drops_no_parts(store: Store) -> None:
    old = open_run(store, "synthesize", CONFIG)
    for number in range(6):
        write(store, old.run, f"{number:06d}", num_frames=17)
    open_run(store, "synthesize", CONFIG)
    with pytest.raises(RootBusyError, match="held by run 2"):
        compact(store, old, over=5)
    assert len(ActorJournal(store, INGEST).parts()) == 6


def test_parts_of_compactions_are_left_alone_until_they_are_many(store: Store) -> None:
    record = open_run(store, "synthesize", CONFIG)
    journal = ActorJournal(store, INGEST)
    for wave in range(4):
        for number in range(3):
            write(store, record.run, f"{3 * wave + number:06d}", num_frames=17)
        compact(store, record, over=2)
        assert len(journal.parts()) == (wave + 1 if wave < 3 else 1)
    keys = journal.read(journal.parts(), columns={"key"})["key"].to_pylist()
    assert keys == sorted(keys) == [f"{number:06d}" for number in range(12)]


statuses = st.sampled_from(["missing", "failed", "low", "high", "nan"])


@settings(max_examples=50)
@given(st.lists(st.lists(statuses, min_size=len(STEPS), max_size=len(STEPS)), min_size=1, max_size=6))
def test_every_sample_that_entered_is_exactly_one_of_accepted_rejected_failed_removed_live(
    journal: list[list[str]],
) -> None:
    """Whatever the journals hold, also rows that no run would have made in that order."""
    ids = [f"Sparkle_location_{number:06d}" for number in range(len(journal))]
    planned = pa.table({"sample_id": ids, "source_key": [name[-6:] for name in ids]})
    values = {"low": 0.0, "high": 1e6, "nan": float("nan")}
    settled = {}
    for place, step in enumerate(STEPS):
        rows = []
        for name, fates in zip(ids, journal, strict=True):
            if fates[place] == "missing":
                continue
            row: dict[str, Any] = dict.fromkeys(part_schema(step).names)
            row["key"] = name if step.keyed == "sample" else name[-6:]
            row["outcome"] = "failed" if fates[place] == "failed" else "ok"
            row |= {"error_class": "SampleError", "error": "torn"} if fates[place] == "failed" else {}
            for gate in gates_of(step.name):
                value = values.get(fates[place], 0.0)
                kind = part_schema(step).field(gate.column).type
                row[gate.column] = {pa.int32(): int(value == 1e6), pa.bool_(): value == 1e6}.get(kind, value)
            rows.append(row)
        settled[step.name] = pa.Table.from_pylist(rows, schema=part_schema(step))
    found = verdicts(planned, settled, STEPS, thresholds(resolve(CONFIG))).to_pylist()
    assert [row["sample_id"] for row in found] == ids
    for row in found:
        assert row["status"] in get_args(Status)
        assert (row["gate"] is not None) == (row["status"] == "rejected")
        assert (row["error_class"] is not None) == (row["status"] == "failed")
        assert (row["actor"] is None) == (row["status"] == "accepted")


def test_the_holder_is_this_process_so_it_may_go_on(store: Store) -> None:
    record = open_run(store, "synthesize", CONFIG)
    assert record.pid == os.getpid()
    assert open_run(store, "publish", CONFIG).run == record.run + 1


@pytest.mark.parametrize("folder", ["VideoGenerator", "samples", "runs"])
def test_a_damaged_or_foreign_file_of_the_journal_is_named(tmp_path: Path, folder: str) -> None:
    make_root(tmp_path, sources=1)
    store = open_root(str(tmp_path), create=False)
    part = max((tmp_path / "journal" / folder).iterdir())
    whole = part.read_bytes()
    part.write_bytes(whole[:-7])
    with pytest.raises(StoreError, match=f"journal/{folder}/{part.name} is damaged: "):
        read_root(store)
    part.write_bytes(whole)
    (part.parent / f"{part.stem} (copy){part.suffix}").write_bytes(whole)
    with pytest.raises(StoreError, match=rf"journal/{folder}/.* \(copy\)\..* is not a file of the journal"):
        read_root(store)
