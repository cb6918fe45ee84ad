"""Stage 5, decoupled guidance: fused edges, the edited video synthesised under their control, and its score.

What a reader gets wrong: edges are found on the full frames first and cut by the mask afterwards, so the
mask's outline never becomes an edge.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import Field

from actors.base import Actor, Added, Sample, answered
from actors.ops.canny import fuse_edge_frames
from actors.ops.editscore import frame_indices, frame_record, mean_o_score
from actors.ops.masks import unpack_video
from actors.ops.video import CRF_LINES, PRESET_LINES, encode_video
from actors.roles import Clip, ControlRequest, SampleError, ScorePass, ScoreRequest
from schemas.config import ActorConfig


class GuidanceComposerConfig(ActorConfig):
    canny_low: int = Field(
        100, ge=0, description="hysteresis thresholds; those of VideoX-Fun's own Canny node"
    )
    canny_high: int = Field(200, ge=0)


class GuidanceComposer(Actor[GuidanceComposerConfig]):
    stage = 5
    reads = ("source_video", "edited_background_video", "source_video_mask")
    adds = ("edited_video_canny",)
    Config = GuidanceComposerConfig

    def process(self, sample: Sample) -> Added:
        source = sample.clip("source_video")
        edges = fuse_edge_frames(
            source.frames(),
            sample.clip("edited_background_video").frames(),
            unpack_video(sample.masks("source_video_mask"), source.width),
            low=self.config.canny_low,
            high=self.config.canny_high,
        )
        path = sample.scratch / "edited_video_canny.mp4"
        encode_video(edges, path, fps=round(source.fps), crf=CRF_LINES, preset=PRESET_LINES)
        return {"edited_video_canny": path}


class VideoGenerator(Actor[ActorConfig]):
    stage = 5
    role = "ControlToVideo"
    seeded = True
    reads = (
        "edited_video_canny",
        "edited_frame0",
        "prompt",
        "source_video",
        "edited_background_video",
        "source_video_mask",
    )
    adds = ("edited_video",)

    def process(self, sample: Sample) -> Added:
        source = sample.clip("source_video")
        frames = self.model.synthesize(
            ControlRequest(
                start_image=sample.frame("edited_frame0"),
                control=sample.clip("edited_video_canny"),
                prompt=sample.text("prompt"),
                seed=sample.seed,
                num_frames=source.num_frames,
                source=source,
                background=sample.clip("edited_background_video"),
                masks=sample.masks("source_video_mask"),
            )
        )
        path = sample.scratch / "edited_video.mp4"
        encode_video(frames, path, fps=round(source.fps))
        return {"edited_video": path}


class EditedVideoScorerConfig(ActorConfig):
    min_edited_video_overall: float | None = Field(
        8.0, description="published: a mean O_score < 8 is dropped"
    )


class EditedVideoScorer(Actor[EditedVideoScorerConfig]):
    stage = 5
    role = "EditScorer"
    seeded = True
    model_calls = 4.0
    reads = ("source_video", "edited_video", "prompt")
    adds = ("frame_indices", "edited_video_score", "edited_video_overall")
    Config = EditedVideoScorerConfig

    def process_batch(self, samples: Sequence[Sample]) -> list[Added | SampleError]:
        indices: dict[str, tuple[int, ...]] = {}
        asked: list[ScoreRequest] = []
        for sample in samples:
            edited = sample.clip("edited_video")
            indices[sample.key] = frame_indices(edited.num_frames)
            asked += self._requests(sample, edited, indices[sample.key])
        marks = self.model.score(asked)
        return answered(
            samples,
            {key: _of_frames([marks[_frame_key(key, index)] for index in indices[key]]) for key in indices},
            lambda sample, passes: self._added(indices[sample.key], passes),
        )

    def _requests(self, sample: Sample, edited: Clip, indices: Sequence[int]) -> list[ScoreRequest]:
        pairs = zip(indices, sample.clip("source_video").pick(indices), edited.pick(indices), strict=True)
        return [
            ScoreRequest(
                key=_frame_key(sample.key, index),
                source=before,
                edited=after,
                prompt=sample.text("prompt"),
                task="video_frame",
                seed=sample.seed,
            )
            for index, before, after in pairs
        ]

    def _added(self, indices: Sequence[int], passes: list[list[ScorePass]]) -> Added:
        records = [frame_record(of_frame) for of_frame in passes]
        return {
            "frame_indices": list(indices),
            "edited_video_score": json.dumps(records),
            "edited_video_overall": mean_o_score(records),
        }


def _frame_key(key: str, index: int) -> str:
    return f"{key}#{index}"


def _of_frames(answers: list[list[ScorePass] | SampleError]) -> list[list[ScorePass]] | SampleError:
    """All judged frames of a sample, or what went wrong with the first that could not be judged."""
    judged = []
    for answer in answers:
        if isinstance(answer, SampleError):
            return answer
        judged.append(answer)
    return judged
