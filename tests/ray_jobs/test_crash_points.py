"""Whole jobs, killed with SIGKILL or by a loss of power at chosen operations; `python -m
tests.ray_jobs` takes all of them.

Compaction and the guard's calls have theirs in `tests/test_mutants.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.store import open_root
from benchmarks.chaos_oracle import Losses
from benchmarks.chaos_publish import judge_release, sealed_parts
from tests.crash_points import Place
from tests.crash_requests import KILL, LOST
from tests.ray_jobs.crash_campaigns import crash_everywhere, power_lost
from tests.ray_jobs.crash_grounds import Bucket
from tests.ray_jobs.crash_jobs import JOBS, two_released
from tests.s3_server import S3Server


def changing_the_set(path: str) -> bool:
    """The plan, a file of words, a part with its note, the index."""
    return any(word in path for word in ("/plan/", ".csv", "_mask_part", "/shards.parquet"))


def opening(path: str) -> bool:
    """A run's opening, its samples, an actor's parts, its end."""
    return any(path.startswith(f"journal/{name}/") for name in ("runs", "samples", "VideoGenerator"))


def taking_down(path: str) -> bool:
    """The record, an artifact, the plan, the index."""
    return any(word in path for word in ("removed/", "/plan/", "/shards.parquet")) or (
        path.startswith("artifacts/") and "edited_frame0/" in path
    )


def making_again(path: str) -> bool:
    """An artifact that is made, one that the release had, the index."""
    return any(word in path for word in ("artifacts/intermediate", "/shards.parquet"))


@pytest.mark.parametrize(
    ("name", "place", "least"),
    [
        ("synthesize", opening, 5),
        ("publish", changing_the_set, 6),
        ("remove", taking_down, 4),
        ("regenerate", making_again, 4),
    ],
)
def test_a_job_killed_before_any_of_these_operations_ends_at_the_same_place(
    name: str, place: Place, least: int, tmp_path: Path
) -> None:
    found = crash_everywhere(JOBS[name], tmp_path, place=place)
    assert found.faults == []
    assert found.points >= least


@pytest.mark.parametrize(("name", "every"), [("publish", 24)])
def test_after_a_loss_of_power_nothing_is_claimed_that_is_not_there_and_the_next_call_completes_it(
    name: str, every: int, tmp_path: Path
) -> None:
    found = power_lost(JOBS[name], tmp_path, every=every)
    assert found.faults == []
    assert found.points > 3


@pytest.mark.parametrize(
    ("name", "kind", "points"),
    [
        (
            "calls",
            KILL,
            (5, 8),
        ),  # before an artifact, and after a journal part
        ("publish", LOST, (1,)),
    ],
)
def test_in_a_bucket_a_job_killed_or_without_answers_ends_at_the_same_place(
    name: str, kind: str, points: tuple[int, ...], s3: S3Server, tmp_path: Path
) -> None:
    found = crash_everywhere(JOBS[name], Bucket(s3, tmp_path / "machine", kind), points=points)
    assert found.faults == []
    assert found.points == len(points)


def test_the_oracle_of_killed_publishes_notices_lost_rewritten_and_false_parts(tmp_path: Path) -> None:
    two_released(tmp_path)
    store = open_root(str(tmp_path), create=False)
    kept = sealed_parts(store)
    assert len(kept) == 8
    assert judge_release(store, kept) == Losses()
    again, false, lost = list(kept)[:3]
    content = (tmp_path / again).read_bytes()
    store.delete(again)
    store.put_bytes_if_absent(again, content)
    store.delete(false)
    store.put_bytes_if_absent(false, b"other")
    store.delete(lost)
    found = judge_release(store, kept)
    assert found.lost == [f"{lost} was there with its note"]
    assert found.doubled == [f"{again} was written again", f"{false} was written again"]
    assert {words.split()[2] for words in found.differing} == {f"{false},", f"{lost},"}
