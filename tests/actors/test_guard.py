"""The guard: finished work is not done again, one bad sample spoils no other, and what kills workers is
named.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from actors.attempts import AttemptNotes
from actors.base import Actor, Added, Sample
from actors.guard import MAX_DEATHS, Guard, RunContext
from actors.journal import ActorJournal
from actors.roles import SampleError
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


def guard_for(root: Path, actor: type[Actor[Any]] = Describer, run: int = 1) -> Guard:
    open_root(str(root), create=True)
    Describer.calls.clear()
    return Guard(actor(ActorConfig(), None), context_for(root, actor, run))


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
    open_root(str(tmp_path), create=True)
    script = (
        "import sys; from pathlib import Path; from tests.actors.test_guard import *;"
        "guard_for(Path(sys.argv[1]))(rows_of('location', 'deadly', 'season'))"
    )
    codes = [
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode
        for _ in range(MAX_DEATHS + 3)
    ]
    assert codes[-1] == 0
    assert codes[:-1].count(-signal.SIGKILL) >= MAX_DEATHS
    rows = journaled(tmp_path)
    assert rows["Sparkle_deadly_000001"]["error_class"] == "WorkerDiedError"
    assert {row["outcome"] for key, row in rows.items() if "deadly" not in key} == {"ok"}


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
