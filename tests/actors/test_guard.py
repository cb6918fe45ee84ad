"""The guard: finished work is not done again, one bad sample spoils no other, and what kills workers is
named.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from actors.attempts import AttemptNotes, Fate, deaths_left_behind, forget
from actors.base import Actor, Added, Sample
from actors.guard import MAX_DEATHS, TIMED_OUT, Guard, RunContext, stop_key
from actors.journal import ActorJournal
from actors.roles import BackendError, SampleError
from actors.store import open_root
from schemas.config import ActorConfig
from schemas.gates import GATES
from schemas.records import Row


class Describer(Actor[ActorConfig]):
    """Writes a description from the theme; behaves as the theme's name says."""

    stage = 2
    reads = ("edit_type",)
    adds = ("original_scene",)
    calls: ClassVar[list[str]] = []

    def process(self, sample: Sample) -> Added:
        self.calls.append(sample.key)
        theme = sample.text("edit_type")
        if theme == "unlucky":
            raise SampleError("the frame is black")
        if theme == "buggy":
            raise ZeroDivisionError("float division")
        if theme == "leaving":
            sys.exit(7)
        if theme == "full":
            raise OSError(28, "No space left on device")
        if theme == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        if theme == "unserved":
            raise BackendError("the endpoint does not answer")
        if theme == "hungry":
            raise MemoryError("512 GiB")
        if theme == "hanging":
            time.sleep(1000)
        if theme == "hanging in C":
            re.match(r"(a+)+$", "a" * 40 + "b")  # never lets the interpreter's lock go
        return {"original_scene": f"a scene of {theme}"}


class Together(Describer):
    """Takes all samples at once; one unforeseen error takes the call down."""

    def process_batch(self, samples: Sequence[Sample]) -> list[Added | SampleError]:
        return [self.process(sample) for sample in samples]


def context_for(root: Path, actor: type[Actor[Any]], run: int = 1) -> RunContext:
    name = actor.__name__
    return RunContext(
        root=str(root),
        run=run,
        name="Sparkle",
        seed=42,
        thresholds={gate.name: None for gate in GATES},
        generations={name: 0},
        fingerprints={name: "f" * 16},
    )


def guard_for(
    root: Path,
    actor: type[Actor[Any]] = Describer,
    run: int = 1,
    timeout_s: float | None = None,
    deaths: dict[str, int] | None = None,
) -> Guard:
    open_root(str(root), create=True)
    Describer.calls.clear()
    context = replace(context_for(root, actor, run), deaths={actor.__name__: deaths or {}})
    return Guard(actor(ActorConfig(sample_timeout_s=timeout_s), None), context)


def rows_of(*themes: str) -> list[Row]:
    return [Row(f"Sparkle_{theme}_{i:06d}", {"edit_type": theme}) for i, theme in enumerate(themes)]


def journaled(root: Path, actor: type[Actor[Any]] = Describer) -> dict[str, dict[str, Any]]:
    journal = ActorJournal(open_root(str(root), create=False), actor.step())
    return {row["key"]: row for row in journal.read(journal.parts()).to_pylist()}


def test_a_good_row_goes_on_with_what_was_added_and_is_in_the_journal(tmp_path: Path) -> None:
    (row,) = guard_for(tmp_path)(rows_of("location"))
    assert row.values["original_scene"] == "a scene of location"
    assert row.done == ["Describer"]
    assert journaled(tmp_path)[row.key]["outcome"] == "ok"


def test_a_retried_call_finds_its_part_and_calls_no_model(tmp_path: Path) -> None:
    guard = guard_for(tmp_path)
    guard(rows_of("location", "season"))
    again = guard_for(tmp_path)(rows_of("location", "season"))
    assert Describer.calls == []
    assert [row.values["original_scene"] for row in again] == ["a scene of location", "a scene of season"]


def test_a_row_that_is_done_passes_without_a_call(tmp_path: Path) -> None:
    row = rows_of("location")[0]
    row.done.append("Describer")
    assert guard_for(tmp_path)([row]) == [row]
    assert Describer.calls == []


@pytest.mark.parametrize("actor", [Describer, Together])
@pytest.mark.parametrize(
    ("theme", "error_class", "message"),
    [
        ("unlucky", "SampleError", "the frame is black"),
        ("buggy", "ZeroDivisionError", "float division"),
        ("leaving", "ExitCalledError", "sys.exit(7) was called"),
    ],
)
def test_one_bad_sample_fails_with_its_reason_and_the_others_go_on(
    tmp_path: Path, actor: type[Actor[Any]], theme: str, error_class: str, message: str
) -> None:
    went_on = guard_for(tmp_path, actor)(rows_of("location", theme, "season"))
    assert [row.values["edit_type"] for row in went_on] == ["location", "season"]
    failed = journaled(tmp_path, actor)[f"Sparkle_{theme}_000001"]
    assert (failed["outcome"], failed["error_class"], failed["error"]) == ("failed", error_class, message)


def test_a_full_disk_is_no_fault_of_the_sample(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        guard_for(tmp_path)(rows_of("full"))
    assert journaled(tmp_path) == {}


def test_a_backend_that_cannot_work_ends_the_run_and_fails_no_sample(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="does not answer"):
        guard_for(tmp_path)(rows_of("unserved"))
    assert journaled(tmp_path) == {}


def test_equal_inputs_of_an_unseeded_actor_are_worked_on_once(tmp_path: Path) -> None:
    guard = guard_for(tmp_path)
    first, second = (
        Row("Sparkle_location_000000", {"edit_type": "x"}),
        Row("Sparkle_time_000000", {"edit_type": "x"}),
    )
    guard([first])
    guard([second])
    assert Describer.calls == ["Sparkle_location_000000"]
    assert journaled(tmp_path)[second.key]["original_scene"] == "a scene of x"


def test_a_sample_that_kills_its_workers_is_named_and_its_neighbours_finish(tmp_path: Path) -> None:
    """Each process dies with the poison in hand; the next takes the batch row by row until the limit."""
    codes = [in_a_process(tmp_path, "location", "deadly", "season") for _ in range(MAX_DEATHS + 3)]
    assert codes[-1] == 0
    assert codes[:-1].count(-signal.SIGKILL) >= MAX_DEATHS
    rows = journaled(tmp_path)
    assert rows["Sparkle_deadly_000001"]["error_class"] == "WorkerDiedError"
    assert {row["outcome"] for key, row in rows.items() if "deadly" not in key} == {"ok"}


def in_a_process(root: Path, *themes: str, timeout_s: float | None = None) -> int:
    """Exit code of a worker that takes these samples as one call."""
    script = (
        "import sys; from pathlib import Path; import actors.guard; from tests.actors.test_guard import *;"
        "actors.guard.TIMEOUT_GRACE_S = 0.5; limit = float(sys.argv[2]) or None;"
        "guard_for(Path(sys.argv[1]), timeout_s=limit)(rows_of(*sys.argv[3:]))"
    )
    arguments = [str(root), str(timeout_s or 0.0), *themes]
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], check=False, capture_output=True
    ).returncode


@pytest.mark.parametrize("theme", ["hanging", "hanging in C"])
def test_a_sample_that_hangs_is_failed_after_its_time_though_no_call_returns(
    tmp_path: Path, theme: str
) -> None:
    codes = [in_a_process(tmp_path, "location", theme, "season", timeout_s=0.5)]
    while codes[-1] and len(codes) < 5:
        codes.append(in_a_process(tmp_path, "location", theme, "season", timeout_s=0.5))
    assert (codes[-1], len(codes)) == (0, 2 if theme == "hanging" else 4)
    rows = journaled(tmp_path)
    failed = rows.pop(f"Sparkle_{theme}_000001")
    assert (failed["error_class"], failed["attempt"]) == ("TimeoutError", 1 if theme == "hanging" else 2)
    assert failed["error"].startswith("no result after 0.5 s")
    assert {row["outcome"] for row in rows.values()} == {"ok"}


def test_a_sample_whose_worker_is_replaced_late_has_not_run_out_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its node was taken away, and loading the model elsewhere took longer than a sample may."""
    guard = guard_for(tmp_path, timeout_s=60.0)
    with monkeypatch.context() as long_ago:
        long_ago.setattr("time.time", lambda: 1e9)
        guard.notes.begin(["Sparkle_location_000000"])
    assert len(guard(rows_of("location"))) == 1
    (row,) = journaled(tmp_path).values()
    assert (row["outcome"], row["attempt"]) == ("ok", 1)


def test_a_sample_without_memory_ends_workers_and_keeps_its_class(tmp_path: Path) -> None:
    notes = guard_for(tmp_path).notes
    for _ in range(MAX_DEATHS):
        notes.begin(["Sparkle_hungry_000000"])
    assert in_a_process(tmp_path, "hungry") == TIMED_OUT
    assert guard_for(tmp_path)(rows_of("hungry")) == []
    assert Describer.calls == []
    (row,) = journaled(tmp_path).values()
    assert (row["error_class"], row["attempt"]) == ("MemoryError", MAX_DEATHS + 1)
    assert row["error"].endswith(": 512 GiB")


def test_what_took_long_is_journaled_before_the_rest_of_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.guard.ALONE_S", 0.0)
    with pytest.raises(OSError, match="No space left"):
        guard_for(tmp_path)(rows_of("location", "season", "full"))
    assert {row["outcome"] for row in journaled(tmp_path).values()} == {"ok"}
    guard_for(tmp_path)(rows_of("location", "season"))
    assert len(guard_for(tmp_path)(rows_of("location", "season"))) == 2
    assert Describer.calls == [], "a call made again finds results of both kinds"


def test_a_batch_taken_row_by_row_and_made_again_calls_nothing(tmp_path: Path) -> None:
    guard = guard_for(tmp_path)
    guard.notes.begin([row.key for row in rows_of("location", "season")])
    assert len(guard(rows_of("location", "season"))) == 2
    assert len(guard_for(tmp_path)(rows_of("location", "season"))) == 2
    assert Describer.calls == []


def test_what_killed_workers_in_an_earlier_run_gets_one_try_alone_and_last(tmp_path: Path) -> None:
    deaths = {"Sparkle_unlucky_000000": MAX_DEATHS + 1}
    guard = guard_for(tmp_path, run=2, deaths=deaths)
    guard(rows_of("unlucky", "location", "season"))
    assert Describer.calls[-1] == "Sparkle_unlucky_000000", "it may be good now"
    other = guard_for(tmp_path, run=3, deaths=deaths)
    other.notes.begin(["Sparkle_unlucky_000000"])
    other(rows_of("unlucky", "location"))
    assert "Sparkle_unlucky_000000" not in Describer.calls, "one more death is enough"
    assert journaled(tmp_path)["Sparkle_unlucky_000000"]["error"].startswith("4 workers died")


def test_no_call_begins_in_a_run_that_is_asked_to_stop(tmp_path: Path) -> None:
    guard = guard_for(tmp_path)
    done = guard(rows_of("location"))
    guard.store.put_bytes_if_absent(stop_key(1), b"")
    assert guard([*done, *rows_of("time", "season")]) == done
    assert Describer.calls == ["Sparkle_location_000000"]
    assert journaled(tmp_path).keys() == {"Sparkle_location_000000"}


def test_deaths_of_a_run_that_broke_off_are_told_from_what_was_in_hand(tmp_path: Path) -> None:
    store = open_root(str(tmp_path), create=True)
    notes = AttemptNotes(store, "Describer", 1)
    notes.begin(["in hand"])
    for _ in range(3):
        notes.begin(["poison"])
    notes.condemn("hung", Fate("TimeoutError", "no result after 1 s"))
    for _ in range(2):
        notes.begin(["one of them", "poison"])
    assert deaths_left_behind(store) == {"Describer": {"poison": 2, "hung": 1, "one of them": 0}}
    forget(store)
    assert deaths_left_behind(store) == {}


def test_attempts_are_counted_until_the_call_ends(tmp_path: Path) -> None:
    notes = AttemptNotes(open_root(str(tmp_path), create=True), "Describer", 1)
    assert [notes.begin(["a"]), notes.begin(["a"]), notes.begin(["b"])] == [0, 1, 0]
    notes.end(["a"], 1)
    assert notes.begin(["a"]) == 0


def test_a_gate_stops_a_sample_and_an_open_gate_lets_it_on(tmp_path: Path) -> None:
    class EditedVideoScorer(Actor[ActorConfig]):
        stage = 5
        reads = ("prompt",)
        adds = ("frame_indices", "edited_video_score", "edited_video_overall")
        Config = type(
            "Config",
            (ActorConfig,),
            {"__annotations__": {"min_edited_video_overall": float | None}, "min_edited_video_overall": 8.0},
        )

        def process(self, sample: Sample) -> Added:
            score = float(sample.text("prompt"))
            return {"frame_indices": [1], "edited_video_score": "[]", "edited_video_overall": score}

    open_root(str(tmp_path), create=True)
    context = context_for(tmp_path, EditedVideoScorer)
    rows = [Row("a", {"prompt": "7.99"}), Row("b", {"prompt": "8"})]
    closed = {**context.thresholds, "min_edited_video_overall": 8.0}
    context = RunContext(**{**context.__dict__, "thresholds": closed})
    guard = Guard(EditedVideoScorer(EditedVideoScorer.Config(), None), context)
    assert [row.key for row in guard(rows)] == ["b"]
