"""The kinds of model that actors need: one small Protocol a role, numpy and dataclasses at the seam.

What a reader gets wrong: domain logic (which frames anchor, how passes vote, which threshold) is not here and
not in a backend; it lives in the actor and in `actors/ops/`. Frames are always RGB, never OpenCV's BGR.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
"""(H, W, 3) RGB, 0..255."""
Mask = npt.NDArray[np.bool_]
"""(H, W), True on the foreground."""
Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 with x1 <= x2 and y1 <= y2; the unit is said where it is used."""


class SampleError(Exception):
    """This sample cannot be processed; its message says what was found and what would be right.

    Journaled as `failed`; the others go on. Anything else that escapes an actor is a crash.
    """


class BackendError(Exception):
    """A backend cannot work at all: weights, a GPU, an endpoint. The worker's or the installation's fault,
    never a sample's: it ends the run, and what was journaled stays.
    """


@dataclass(frozen=True)
class GroundedObject:
    """One located label. `bbox_2d` is (x1, y1, x2, y2) in 0..1000 of the frame, or empty: not found on this
    frame.
    """

    label: str
    bbox_2d: tuple[int, ...] = ()


@dataclass(frozen=True)
class FlowField:
    """Motion from one frame to another.

    `displacement`: (h, w, 2) float32, dx and dy in pixels of this grid; `reliable`: (h, w) bool, False where
    the estimate is not trusted (fails the forward/backward check) or where the scene's own subject moves. (h,
    w) may be smaller than the frame.
    """

    displacement: npt.NDArray[np.float32]
    reliable: Mask


@dataclass(frozen=True)
class CameraVerdict:
    static: bool
    reasoning: str


class Clip(Protocol):
    """A video that is decoded while it is read. Implemented by `actors.ops.video.VideoClip`."""

    @property
    def path(self) -> Path: ...
    @property
    def num_frames(self) -> int: ...
    @property
    def fps(self) -> float: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    def frames(self, *, height: int | None = None) -> Iterator[Frame]:
        """Every frame in order, scaled to `height` rows (same aspect, even width) while decoding if given."""
        ...

    def pick(self, indices: Sequence[int], *, height: int | None = None) -> list[Frame]:
        """The frames at these 0-based indices, in the order asked for, in one pass over the file."""
        ...


class FlowEstimator(Protocol):
    def estimate(self, first: Frame, second: Frame) -> FlowField:
        """Motion that carries `first` onto `second`."""
        ...


class Keyed(Protocol):
    """A request that says whose it is."""

    @property
    def key(self) -> str: ...


Asked = TypeVar("Asked", bound=Keyed)
Answered = TypeVar("Answered")
Answers = dict[str, Answered | SampleError]
"""By the request's key: what was answered, or why it could not be. Never by place, so that answers that come
in another order than the requests cannot reach the wrong sample."""


def one_by_one(requests: Sequence[Asked], answer: Callable[[Asked], Answered]) -> Answers[Answered]:
    """The answers of a model that takes one request a call."""
    answers: Answers[Answered] = {}
    for request in requests:
        try:
            answers[request.key] = answer(request)
        except SampleError as error:
            answers[request.key] = error
    return answers


@dataclass(frozen=True)
class CameraRequest:
    key: str
    clip: Clip


@dataclass(frozen=True)
class SceneRequest:
    key: str
    frame: Frame


@dataclass(frozen=True)
class InstructionRequest:
    key: str
    original_scene: str
    edit_type: str
    chosen_keyword: str
    seed: int


@dataclass(frozen=True)
class GroundingRequest:
    """Round 1: two pictures of one sample."""

    key: str
    source: Frame
    edited: Frame
    prompt: str


@dataclass(frozen=True)
class LocatingRequest:
    """Round 2: the anchor frames of one sample, and the labels of round 1."""

    key: str
    frames: tuple[Frame, ...]
    labels: tuple[str, ...]


class VisionLanguageModel(Protocol):
    """Every question takes the requests of several samples, with different keys, and answers each key."""

    def judge_camera(self, requests: Sequence[CameraRequest]) -> Answers[CameraVerdict]:
        """Is the camera fixed over the whole clip?"""
        ...

    def describe_scene(self, requests: Sequence[SceneRequest]) -> Answers[str]:
        """One sentence about the place in the frame (`original_scene`)."""
        ...

    def write_instruction(self, requests: Sequence[InstructionRequest]) -> Answers[str]:
        """One or two sentences, 151-466 characters, that ask for the new background and say nothing of the
        foreground.
        """
        ...

    def ground(self, requests: Sequence[GroundingRequest]) -> Answers[list[GroundedObject]]:
        """Round 1: what was kept. Labels are lower case, boxes on the source frame; empty list when nothing
        was found.
        """
        ...

    def locate(self, requests: Sequence[LocatingRequest]) -> Answers[list[list[GroundedObject]]]:
        """Round 2: every label on every frame, in the order of `labels`; a label not found keeps an empty
        box.
        """
        ...


@dataclass(frozen=True)
class EraseRequest:
    """What an eraser may know: the picture, what to take out of it, and how the picture was made."""

    image: Frame
    objects: tuple[GroundedObject, ...]
    removal_prompt: str
    seed: int
    edit_prompt: str
    """The instruction that made `image`."""
    edit_seed: int
    """The seed with which `FirstFrameEditor` made `image`."""


class ImageEditor(Protocol):
    def edit(self, image: Frame, prompt: str, *, seed: int) -> Frame:
        """The same picture with its background replaced as `prompt` says; same shape."""
        ...

    def erase(self, request: EraseRequest) -> Frame:
        """`request.image` without the objects; same shape."""
        ...


class ImageToVideo(Protocol):
    def animate(
        self, image: Frame, prompt: str, *, num_frames: int, fps: int, seed: int, edit_seed: int
    ) -> Iterator[Frame]:
        """`num_frames` frames of the shape of `image` that start at it and move as `prompt` says.

        `edit_seed` is the seed with which `FirstFrameEditor` made the picture; generative models ignore it.
        """
        ...


@dataclass(frozen=True)
class Anchor:
    """The prompt of one tracking pass: the boxes of one frame, in absolute pixels of the clip, none empty."""

    frame_index: int
    boxes: dict[str, Box]
    """By label; labels are united within a pass."""
    first_frame: int = 0
    last_frame: int | None = None
    """The frames on which this pass's vote counts, both included; None: to the end of the clip."""

    def span(self, num_frames: int) -> tuple[int, int]:
        """`first_frame` and `last_frame` within a clip of so many frames."""
        end = num_frames - 1
        return max(self.first_frame, 0), end if self.last_frame is None else min(self.last_frame, end)


@dataclass(frozen=True)
class PassMask:
    """What one pass says of one frame; a frame that a pass does not reach gets no PassMask and no vote."""

    anchor_index: int
    """Into the list of anchors given to `track`."""
    frame_index: int
    mask: Mask
    """Union of the labels, at the clip's size."""


Extend = Callable[[], Sequence[Anchor] | None]
"""Asked when all passes have covered their spans: the same anchors with wider spans, or None for the end."""


class VideoTracker(Protocol):
    def track(
        self, clip: Clip, anchors: Sequence[Anchor], extend: Extend | None = None
    ) -> Iterator[PassMask]:
        """One pass per anchor, forward and backward from it over its span, in any order that saves work.

        A pass that is extended goes on from where it stopped and repeats no frame.
        """
        ...

    def refine(self, clip: Clip, masks: Iterator[Mask]) -> Iterator[Mask]:
        """Last touch on the voted masks, one per frame in order; trackers with sharp masks return them as
        they are.
        """
        ...


@dataclass(frozen=True)
class ControlRequest:
    """What a control-guided generator gets. Generative models use the first four fields only."""

    start_image: Frame
    control: Clip
    prompt: str
    seed: int
    num_frames: int
    source: Clip
    background: Clip
    masks: npt.NDArray[np.uint8]
    """Bit-packed along the last axis (`np.unpackbits(row, axis=-1, count=W)`): (T, H, ceil(W / 8))."""


class ControlToVideo(Protocol):
    def synthesize(self, request: ControlRequest) -> Iterator[Frame]:
        """`num_frames` frames of the edited video, in order."""
        ...


ScoreTask = Literal["background_replacement", "foreground_removal", "video_frame"]


@dataclass(frozen=True)
class ScoreRequest:
    key: str
    source: Frame
    edited: Frame
    prompt: str
    task: ScoreTask
    seed: int
    objects: tuple[GroundedObject, ...] = ()
    """Boxes of the foreground where the pipeline has them (`foreground_removal`); generative judges ignore
    them.
    """


@dataclass(frozen=True)
class ScorePass:
    """One judgement on EditScore's scale: integers 0..25; `semantic` = (prompt_following, consistency)."""

    semantic: tuple[int, int]
    perceptual: tuple[int, ...]
    semantic_reasoning: str
    perceptual_reasoning: str
    semantic_raw: str
    perceptual_raw: str


class EditScorer(Protocol):
    def score(self, requests: Sequence[ScoreRequest]) -> Answers[list[ScorePass]]:
        """For each request its passes (EditScore: four, with seeds seed + i; a deterministic judge: one)."""
        ...
