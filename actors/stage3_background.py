"""Stage 3, individual background generation: find what was kept, erase it, score the clean image, animate it.

What a reader gets wrong: boxes are on the SOURCE's first frame; they hold for the edited one because the edit
keeps the foreground where it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import Field

from actors.base import Actor, Added, Sample, answered, objects_to
from actors.ops.dynamics import background_dynamics
from actors.ops.editscore import evaluate_record
from actors.ops.video import VideoClip, encode_video
from actors.prompts import removal_text
from actors.roles import (
    EraseRequest,
    GroundedObject,
    GroundingRequest,
    SampleError,
    ScorePass,
    ScoreRequest,
)
from actors.stage2_first_frame import FirstFrameEditor
from schemas.config import ActorConfig


class ForegroundGrounderConfig(ActorConfig):
    min_round1_count: float | None = Field(1.0, description="objects with a box; published: at least one")


class ForegroundGrounder(Actor[ForegroundGrounderConfig]):
    stage = 3
    role = "VisionLanguageModel"
    reads = ("source_frame0", "edited_frame0", "prompt")
    adds = ("round1_labels", "round1_objects", "round1_count")
    Config = ForegroundGrounderConfig

    def process_batch(self, samples: Sequence[Sample]) -> list[Added | SampleError]:
        asked = [
            GroundingRequest(
                sample.key,
                sample.frame("source_frame0"),
                sample.frame("edited_frame0"),
                sample.text("prompt"),
            )
            for sample in samples
        ]
        return answered(samples, self.model.ground(asked), self._added)

    def _added(self, sample: Sample, found: list[GroundedObject]) -> Added:
        return {
            "round1_labels": [item.label for item in found],
            "round1_objects": objects_to(found),
            "round1_count": sum(bool(item.bbox_2d) for item in found),
        }


class ForegroundRemover(Actor[ActorConfig]):
    stage = 3
    role = "ImageEditor"
    seeded = True
    reads = ("edited_frame0", "prompt", "round1_labels", "round1_objects")
    adds = ("removal_prompt", "edited_frame0_foreground_removed")

    def process(self, sample: Sample) -> Added:
        prompt = removal_text(sample.value("round1_labels"))
        clean = self.model.erase(
            EraseRequest(
                image=sample.frame("edited_frame0"),
                objects=sample.objects("round1_objects"),
                removal_prompt=prompt,
                seed=sample.seed,
                edit_prompt=sample.text("prompt"),
                edit_seed=sample.seed_of(FirstFrameEditor.__name__),
            )
        )
        return {"removal_prompt": prompt, "edited_frame0_foreground_removed": clean}


class CleanBackgroundScorerConfig(ActorConfig):
    min_foreground_removed_overall: float | None = Field(
        8.5, description="published: overall < 8.5 is dropped"
    )


class CleanBackgroundScorer(Actor[CleanBackgroundScorerConfig]):
    stage = 3
    role = "EditScorer"
    seeded = True
    reads = ("edited_frame0", "edited_frame0_foreground_removed", "removal_prompt", "round1_objects")
    adds = ("edited_frame0_foreground_removed_score", "edited_frame0_foreground_removed_overall")
    Config = CleanBackgroundScorerConfig

    def process_batch(self, samples: Sequence[Sample]) -> list[Added | SampleError]:
        asked = [
            ScoreRequest(
                key=sample.key,
                source=sample.frame("edited_frame0"),
                edited=sample.frame("edited_frame0_foreground_removed"),
                prompt=sample.text("removal_prompt"),
                task="foreground_removal",
                seed=sample.seed,
                objects=sample.objects("round1_objects"),
            )
            for sample in samples
        ]
        return answered(samples, self.model.score(asked), self._added)

    def _added(self, sample: Sample, passes: list[ScorePass]) -> Added:
        record = evaluate_record(passes)
        return {
            "edited_frame0_foreground_removed_score": json.dumps(record),
            "edited_frame0_foreground_removed_overall": record["overall"],
        }


class BackgroundAnimatorConfig(ActorConfig):
    num_frames: int = Field(81, ge=5, description="frames of the background video, whatever the source's T")
    fps: int = Field(16, ge=1)
    min_background_dynamics: float | None = Field(1.5, description="ours: 8-bit levels; a still scores 0.3")


class BackgroundAnimator(Actor[BackgroundAnimatorConfig]):
    stage = 3
    role = "ImageToVideo"
    seeded = True
    reads = ("edited_frame0_foreground_removed", "prompt")
    adds = ("edited_background_video", "background_dynamics")
    Config = BackgroundAnimatorConfig

    def process(self, sample: Sample) -> Added:
        frames = self.model.animate(
            sample.frame("edited_frame0_foreground_removed"),
            sample.text("prompt"),
            num_frames=self.config.num_frames,
            fps=self.config.fps,
            seed=sample.seed,
            edit_seed=sample.seed_of(FirstFrameEditor.__name__),
        )
        path = sample.scratch / "edited_background_video.mp4"
        encode_video(frames, path, fps=self.config.fps)
        dynamics = background_dynamics(VideoClip(path).frames(height=180))
        return {"edited_background_video": path, "background_dynamics": dynamics}
