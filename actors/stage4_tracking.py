"""Stage 4, BAIT: every label located on frames at 2 FPS, one tracking pass from each, a pixel-wise majority
vote.

What a reader gets wrong: a pass is prompted on one frame only, and a pass without a box has no vote; it does
not vote for background.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from actors.base import Actor, Added, Sample, answered, objects_from, objects_to
from actors.ops.bait import NearVotes, VoteAccumulator, VoteResult, anchor_indices
from actors.ops.boxes import to_absolute
from actors.ops.mask_faults import mask_faults
from actors.ops.masks import mask_npz_bytes, mask_share, pack_video, unpack_video
from actors.roles import Anchor, Clip, LocatingRequest, SampleError
from schemas.config import ActorConfig


class AnchorGrounder(Actor[ActorConfig]):
    stage = 4
    role = "VisionLanguageModel"
    model_calls = 11.0
    reads = ("source_video", "round1_labels")
    adds = ("frame_objects",)

    def process_batch(self, samples: Sequence[Sample]) -> list[Added | SampleError]:
        asked = []
        for sample in samples:
            clip = sample.clip("source_video")
            frames = clip.pick(anchor_indices(clip.num_frames, clip.fps))
            asked.append(LocatingRequest(sample.key, tuple(frames), tuple(sample.value("round1_labels"))))
        return answered(
            samples,
            self.model.locate(asked),
            lambda sample, located: {"frame_objects": [objects_to(objects) for objects in located]},
        )


class ForegroundTrackerConfig(ActorConfig):
    min_vote_agreement: float | None = None
    max_mask_area_step: float | None = None
    max_mask_lost_share: float | None = None
    max_label_lost_share: float | None = None
    votes_per_frame: int | None = Field(
        None,
        ge=1,
        description="passes that decide a frame, of its nearest anchors, odd; None: all (the paper)",
    )
    extend_votes_below: float | None = Field(
        None, ge=0, le=1, description="a frame with less agreement hears further passes, two at a time"
    )
    ties: Literal["foreground", "background"] = Field(
        "foreground", description="a pixel on which an even number of passes is split evenly"
    )

    @field_validator("votes_per_frame")
    @classmethod
    def _odd(cls, votes: int | None) -> int | None:
        if votes is not None and votes % 2 == 0:
            raise ValueError("votes_per_frame must be odd, else near passes tie")
        return votes

    @model_validator(mode="after")
    def _can_disagree(self) -> Self:
        if self.votes_per_frame == 1 and self.extend_votes_below is not None:
            raise ValueError(
                "extend_votes_below needs votes_per_frame 3 or more: a single vote never disagrees"
            )
        return self


class ForegroundTracker(Actor[ForegroundTrackerConfig]):
    stage = 4
    role = "VideoTracker"
    reads = ("source_video", "frame_objects")
    adds = (
        "source_video_mask",
        "vote_agreement",
        "foreground_share",
        "mask_area_step",
        "mask_lost_share",
        "label_lost_share",
    )
    version = 2
    Config = ForegroundTrackerConfig

    def process(self, sample: Sample) -> Added:
        clip = sample.clip("source_video")
        anchors = anchors_from(sample.value("frame_objects"), clip)
        if not anchors:
            raise SampleError("no label was located on any anchor frame, so there is nothing to track")
        result = self._voted(clip, anchors)
        packed = pack_video(self.model.refine(clip, unpack_video(result.packed, clip.width)))
        share = float(mask_share(packed, clip.width).mean())
        if share == 0.0:
            raise SampleError("the vote left no foreground in any frame")
        faults = mask_faults(packed, clip.width, anchors)
        added: dict[str, Any] = {
            "source_video_mask": mask_npz_bytes(packed, clip.width),
            "vote_agreement": result.agreement,
            "foreground_share": share,
            "mask_area_step": faults.area_step,
            "mask_lost_share": faults.lost_share,
            "label_lost_share": faults.label_lost_share,
        }
        return added

    def _voted(self, clip: Clip, anchors: Sequence[Anchor]) -> VoteResult:
        """The passes as far as their votes count, and farther where they disagree."""
        ties = self.config.ties == "foreground"
        vote = VoteAccumulator(clip.num_frames, clip.height, clip.width, ties_are_foreground=ties)
        near = NearVotes(anchors, clip.num_frames, self.config.votes_per_frame)
        below = self.config.extend_votes_below

        def extend() -> list[Anchor] | None:
            more = below is not None and near.hear_more(vote.disputed(below))
            return near.anchors() if more else None

        for word in self.model.track(clip, near.anchors(), extend):
            vote.add(word)
        return vote.result()


def anchors_from(frame_objects: list[list[dict[str, Any]]], clip: Clip) -> list[Anchor]:
    """One anchor for each 2-FPS frame on which at least one label has a box."""
    return list(_anchors(frame_objects, clip))


def _anchors(frame_objects: list[list[dict[str, Any]]], clip: Clip) -> Iterator[Anchor]:
    indices = anchor_indices(clip.num_frames, clip.fps)
    for index, objects in zip(indices, frame_objects, strict=True):
        boxes = {
            item.label: to_absolute(item.bbox_2d, clip.width, clip.height)
            for item in objects_from(objects)
            if item.bbox_2d
        }
        if boxes:
            yield Anchor(index, boxes)
