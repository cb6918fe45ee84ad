"""The embedded VisionLanguageModel: detectors, segmenters and written rules behind the role's five questions.

What a reader gets wrong: there is no language model in here. Each answer is a measurement put into words, and
says so in the manifest through the backend's name.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.backends.embedded.grounding import describe_scene, ground, judge_static_camera, locate
from actors.backends.embedded.writer import write_instruction
from actors.roles import CameraVerdict, Clip, Frame, GroundedObject


class EmbeddedLanguageModel:
    """See `actors.roles.VisionLanguageModel` for what each answer means."""

    def judge_camera(self, clip: Clip) -> CameraVerdict:
        return judge_static_camera(clip)

    def describe_scene(self, frame: Frame) -> str:
        return describe_scene(frame)

    def write_instruction(
        self, original_scene: str, edit_type: str, chosen_keyword: str, *, seed: int
    ) -> str:
        return write_instruction(original_scene, edit_type, chosen_keyword, seed=seed)

    def ground(self, source: Frame, edited: Frame, prompt: str) -> list[GroundedObject]:
        return ground(source, edited, prompt)

    def locate(self, frames: Sequence[Frame], labels: Sequence[str]) -> list[list[GroundedObject]]:
        return locate(frames, labels)
