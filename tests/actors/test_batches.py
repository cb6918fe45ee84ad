"""Several samples a call: in whatever order a model answers, every sample gets what was said of it.

The model here says of each request what only that request shows: the grey level of its pictures.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.base import Actor, Sample, answered
from actors.ops.video import encode_video
from actors.roles import (
    Answers,
    CameraRequest,
    CameraVerdict,
    Clip,
    Frame,
    GroundedObject,
    GroundingRequest,
    InstructionRequest,
    LocatingRequest,
    SampleError,
    SceneRequest,
    ScorePass,
    ScoreRequest,
)
from actors.stage1_camera import StaticCameraJudge
from actors.stage2_first_frame import EditedFrameScorer, InstructionWriter
from actors.stage3_background import CleanBackgroundScorer, ForegroundGrounder
from actors.stage4_tracking import AnchorGrounder
from actors.stage5_synthesis import EditedVideoScorer

T = TypeVar("T")
LEVELS = (20, 60, 100, 140, 180, 220)


def level_of(picture: Frame) -> int:
    """The level of `LEVELS` that a picture shows; video coding moves it by one or two."""
    return min(LEVELS, key=lambda level: abs(level - float(picture.mean())))


def level_of_clip(clip: Clip) -> int:
    return level_of(clip.pick([0])[0])


class OutOfOrderModel:
    """Answers in an order of its own, and says of some levels that they cannot be done."""

    def __init__(self, order: int, unable: frozenset[int]) -> None:
        self.order = random.Random(order)
        self.unable = unable

    def _answers(
        self, requests: Sequence[Any], level: Callable[[Any], int], answer: Callable[[int], T]
    ) -> Answers[T]:
        shuffled = list(requests)
        self.order.shuffle(shuffled)
        return {
            asked.key: SampleError(f"level {level(asked)}")
            if level(asked) in self.unable
            else answer(level(asked))
            for asked in shuffled
        }

    def judge_camera(self, requests: Sequence[CameraRequest]) -> Answers[CameraVerdict]:
        return self._answers(
            requests, lambda asked: level_of_clip(asked.clip), lambda level: CameraVerdict(True, str(level))
        )

    def describe_scene(self, requests: Sequence[SceneRequest]) -> Answers[str]:
        return self._answers(requests, lambda asked: level_of(asked.frame), str)

    def write_instruction(self, requests: Sequence[InstructionRequest]) -> Answers[str]:
        return self._answers(requests, lambda asked: int(asked.original_scene), lambda level: f"to {level}")

    def ground(self, requests: Sequence[GroundingRequest]) -> Answers[list[GroundedObject]]:
        return self._answers(
            requests,
            lambda asked: level_of(asked.source),
            lambda level: [GroundedObject(str(level), (0, 0, 1, 1))],
        )

    def locate(self, requests: Sequence[LocatingRequest]) -> Answers[list[list[GroundedObject]]]:
        return self._answers(
            requests, lambda asked: level_of(asked.frames[0]), lambda level: [[GroundedObject(str(level))]]
        )

    def score(self, requests: Sequence[ScoreRequest]) -> Answers[list[ScorePass]]:
        return self._answers(
            requests,
            lambda asked: level_of(asked.source),
            lambda level: [ScorePass((level // 10, 25), (25,), str(level), "", "", "")],
        )


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("levels")
    for level in LEVELS:
        encode_video([np.full((64, 64, 3), level, np.uint8)] * 9, folder / f"{level}.mp4", fps=16)
    return {level: folder / f"{level}.mp4" for level in LEVELS}


def sample_of(level: int, clip: Path, scratch: Path) -> Sample:
    picture = np.full((64, 64, 3), level, np.uint8)
    frames = ("source_frame0", "edited_frame0", "edited_frame0_foreground_removed")
    words = {"edit_type": "location", "chosen_keyword": "rural: old barn", "given_prompt": None}
    values = {**words, "prompt": "p", "removal_prompt": "r", "round1_labels": ["it"], "round1_objects": []}
    files = {name: lambda: clip for name in ("source_video", "edited_video")}
    return Sample(f"s{level}", 1, "It", values, files, scratch, {name: picture for name in frames})


SAID: dict[type[Actor[Any]], Callable[[dict[str, Any]], str]] = {
    StaticCameraJudge: lambda added: str(added["camera_reasoning"]),
    InstructionWriter: lambda added: str(added["prompt"]).removeprefix("to "),
    ForegroundGrounder: lambda added: str(added["round1_labels"][0]),
    AnchorGrounder: lambda added: str(added["frame_objects"][0][0]["label"]),
    EditedFrameScorer: lambda added: str(json.loads(added["edited_frame0_score"])["SC_reasoning"]),
    CleanBackgroundScorer: lambda added: str(
        json.loads(added["edited_frame0_foreground_removed_score"])["SC_reasoning"]
    ),
    EditedVideoScorer: lambda added: str(json.loads(added["edited_video_score"])[3]["SC_score_reasoning"]),
}


@pytest.mark.parametrize("actor", SAID, ids=lambda actor: actor.__name__)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    levels=st.permutations(LEVELS).flatmap(lambda all_: st.integers(1, 6).map(lambda n: all_[:n])),
    order=st.integers(0, 1000),
    unable=st.frozensets(st.sampled_from(LEVELS), max_size=3),
)
def test_no_answer_reaches_another_sample(
    clips: dict[int, Path],
    tmp_path: Path,
    actor: type[Actor[Any]],
    levels: list[int],
    order: int,
    unable: frozenset[int],
) -> None:
    samples = [sample_of(level, clips[level], tmp_path) for level in levels]
    results = actor(actor.Config(), OutOfOrderModel(order, unable)).process_batch(samples)
    assert len(results) == len(levels)
    for level, result in zip(levels, results, strict=True):
        if level in unable:
            assert isinstance(result, SampleError)
            assert str(result) == f"level {level}"
        else:
            assert not isinstance(result, SampleError)
            assert set(result) == set(actor.adds)
            assert SAID[actor](result) == str(level)


@pytest.mark.parametrize("keys", [(), ("s20",), ("s20", "s60", "s100"), ("s20", "other")])
def test_answers_that_are_not_one_for_each_sample_are_the_backends_fault(
    clips: dict[int, Path], tmp_path: Path, keys: tuple[str, ...]
) -> None:
    samples = [sample_of(level, clips[level], tmp_path) for level in (20, 60)]
    with pytest.raises(ValueError, match="asked for"):
        answered(samples, dict.fromkeys(keys, "x"), lambda sample, answer: {"prompt": answer})
