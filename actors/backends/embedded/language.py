"""The embedded VisionLanguageModel: detectors, segmenters and written rules behind the role's five questions.

What a reader gets wrong: there is no language model in here. Each answer is a measurement put into words, and
says so in the manifest through the backend's name.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.backends.embedded.grounding import describe_scene, ground, judge_static_camera, locate
from actors.backends.embedded.writer import write_instruction
from actors.roles import (
    Answers,
    CameraRequest,
    CameraVerdict,
    GroundedObject,
    GroundingRequest,
    InstructionRequest,
    LocatingRequest,
    SceneRequest,
    one_by_one,
)


class EmbeddedLanguageModel:
    """See `actors.roles.VisionLanguageModel` for what each answer means."""

    def judge_camera(self, requests: Sequence[CameraRequest]) -> Answers[CameraVerdict]:
        return one_by_one(requests, lambda asked: judge_static_camera(asked.clip))

    def describe_scene(self, requests: Sequence[SceneRequest]) -> Answers[str]:
        return one_by_one(requests, lambda asked: describe_scene(asked.frame))

    def write_instruction(self, requests: Sequence[InstructionRequest]) -> Answers[str]:
        return one_by_one(
            requests,
            lambda asked: write_instruction(
                asked.original_scene, asked.edit_type, asked.chosen_keyword, seed=asked.seed
            ),
        )

    def ground(self, requests: Sequence[GroundingRequest]) -> Answers[list[GroundedObject]]:
        return one_by_one(requests, lambda asked: ground(asked.source, asked.edited, asked.prompt))

    def locate(self, requests: Sequence[LocatingRequest]) -> Answers[list[list[GroundedObject]]]:
        return one_by_one(requests, lambda asked: locate(asked.frames, asked.labels))
