"""Stage 1: keep sources whose camera stands still, first by optical flow, then by a judge that looks.

What a reader gets wrong: both actors only measure; the thresholds are gates over the journaled columns.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from actors.base import Actor, Added, Sample, answered
from actors.ops.camera import MAX_CAMERA_DRIFT_PCT, MAX_CAMERA_STEP_PCT, camera_motion
from actors.roles import CameraRequest, SampleError
from schemas.config import ActorConfig


class CameraMotionFilterConfig(ActorConfig):
    max_camera_step_pct: float | None = Field(
        MAX_CAMERA_STEP_PCT, description="% of the diagonal, a quarter second"
    )
    max_camera_drift_pct: float | None = Field(
        MAX_CAMERA_DRIFT_PCT, description="% of the diagonal, to frame 0"
    )


class CameraMotionFilter(Actor[CameraMotionFilterConfig]):
    stage = 1
    keyed = "source"
    role = "FlowEstimator"
    reads = ("source_video",)
    adds = ("camera_step_pct", "camera_drift_pct")
    Config = CameraMotionFilterConfig

    def process(self, sample: Sample) -> Added:
        motion = camera_motion(sample.clip("source_video"), self.model)
        return {"camera_step_pct": motion.step_pct, "camera_drift_pct": motion.drift_pct}


class StaticCameraJudgeConfig(ActorConfig):
    min_static_camera: float | None = Field(1.0, description="1: the judge must find the camera static")


class StaticCameraJudge(Actor[StaticCameraJudgeConfig]):
    stage = 1
    keyed = "source"
    role = "VisionLanguageModel"
    reads = ("source_video",)
    adds = ("static_camera", "camera_reasoning")
    Config = StaticCameraJudgeConfig

    def process_batch(self, samples: Sequence[Sample]) -> list[Added | SampleError]:
        asked = [CameraRequest(sample.key, sample.clip("source_video")) for sample in samples]
        return answered(
            samples,
            self.model.judge_camera(asked),
            lambda sample, verdict: {"static_camera": verdict.static, "camera_reasoning": verdict.reasoning},
        )
