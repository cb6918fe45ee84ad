"""A fixed camera passes and every way of moving it is seen, on clips the tests make: a textured place and a
textured subject that walks through it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from actors.backends.embedded.flow import DisFlow
from actors.ops.camera import (
    MAX_CAMERA_DRIFT_PCT,
    MAX_CAMERA_STEP_PCT,
    CameraMotion,
    camera_motion,
    corner_displacement_pct,
    judge_static_camera,
    pair_motion,
)
from actors.roles import FlowField, Frame

WIDTH, HEIGHT, FRAMES = 320, 180, 33
DIAGONAL = float(np.hypot(WIDTH, HEIGHT))


@dataclass(frozen=True)
class FramesInMemory:
    """A clip of frames; implements `actors.roles.Clip` without a file."""

    pictures: tuple[Frame, ...]
    fps: float = 16.0
    path: Path = Path("in-memory")

    @property
    def num_frames(self) -> int:
        return len(self.pictures)

    @property
    def width(self) -> int:
        return int(self.pictures[0].shape[1])

    @property
    def height(self) -> int:
        return int(self.pictures[0].shape[0])

    def frames(self, *, height: int | None = None) -> Iterator[Frame]:
        assert height in (None, self.height), "the test's clips are small already"
        yield from self.pictures

    def pick(self, indices: Sequence[int], *, height: int | None = None) -> list[Frame]:
        return [self.pictures[index] for index in indices]


def textured(height: int, width: int, seed: int) -> Frame:
    """Blobs of several sizes, as a room or a street has them."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 128.0, np.float32)
    for sigma, strength in ((2.0, 160.0), (6.0, 300.0), (20.0, 600.0)):
        noise = rng.normal(size=(height, width, 3)).astype(np.float32)
        picture += strength * cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.clip(picture, 0, 255).astype(np.uint8)


def clip_of(kind: str, amount_pct: float, *, plain: bool = False) -> FramesInMemory:
    """`amount_pct` of the diagonal over the clip: mean displacement of the corners, or the rms of the
    shake.
    """
    place = np.full((300, 480, 3), 90, np.uint8) if plain else textured(300, 480, 1)
    subject = textured(100, 70, 2)
    rng = np.random.default_rng(3)
    walk = rng.normal(size=(FRAMES, 2)).astype(np.float32)
    shake = np.asarray(cv2.GaussianBlur(walk, (1, 0), sigmaX=0.01, sigmaY=1.5), np.float32)
    shake = shake / np.sqrt((shake**2).sum(axis=1).mean())
    frames = []
    for index in range(FRAMES):
        done = index / (FRAMES - 1)
        far = amount_pct / 100 * DIAGONAL
        angle, scale, dx, dy = 0.0, 1.0, 0.0, 0.0
        match kind:
            case "pan":
                dx, dy = 0.9 * far * done, 0.436 * far * done
            case "zoom":
                scale += 2 * amount_pct / 100 * done
            case "rotation":
                angle = 2 * amount_pct / 100 * done
            case "shake":
                dx, dy = (float(value) * far for value in shake[index])
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        around = np.array([[c, -s], [s, c]])
        shift = np.array([WIDTH / 2 + dx, HEIGHT / 2 + dy]) - around @ np.array([240.0, 150.0])
        seen = place.copy()
        x = 200 + round(40 * np.sin(2 * np.pi * done))
        seen[120:220, x : x + 70] = subject
        matrix = np.hstack([around, shift[:, None]])
        frame = cv2.warpAffine(seen, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
        noise = rng.normal(0, 2.0, frame.shape)
        frames.append(np.clip(frame + noise, 0, 255).astype(np.uint8))
    return FramesInMemory(tuple(frames))


@pytest.fixture(scope="module")
def flow() -> DisFlow:
    return DisFlow()


def passes(motion: CameraMotion) -> bool:
    return motion.step_pct <= MAX_CAMERA_STEP_PCT and motion.drift_pct <= MAX_CAMERA_DRIFT_PCT


def test_a_fixed_camera_passes_although_its_subject_walks(flow: DisFlow) -> None:
    clip = clip_of("still", 0.0)
    motion = camera_motion(clip, flow)
    assert passes(motion), motion
    assert motion.measured_pairs == motion.pairs > 0
    assert judge_static_camera(clip).static


@pytest.mark.parametrize(
    ("kind", "amount_pct"), [("pan", 2.0), ("zoom", 2.0), ("rotation", 2.0), ("shake", 0.3)]
)
def test_every_camera_motion_is_rejected_by_the_filter_and_by_the_judge(
    flow: DisFlow, kind: str, amount_pct: float
) -> None:
    clip = clip_of(kind, amount_pct)
    motion = camera_motion(clip, flow)
    assert not passes(motion), motion
    verdict = judge_static_camera(clip)
    assert not verdict.static
    assert "not fixed" in verdict.reasoning


@pytest.mark.parametrize("kind", ["pan", "zoom", "rotation"])
def test_the_drift_measures_the_corners_displacement(flow: DisFlow, kind: str) -> None:
    motion = camera_motion(clip_of(kind, 2.0), flow)
    # The second largest of four pairs (frames 8, 16, 24, 32) is frame 24's: three quarters of 2 %.
    assert motion.drift_pct == pytest.approx(1.5, rel=0.15)


def test_a_plain_background_is_reported_as_nothing_measured(flow: DisFlow) -> None:
    plain = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    clip = FramesInMemory((plain,) * 17)
    motion = camera_motion(clip, flow)
    assert (motion.step_pct, motion.drift_pct, motion.measured_pairs) == (0.0, 0.0, 0)
    assert motion.pairs > 0
    verdict = judge_static_camera(clip)
    assert verdict.static
    assert "low confidence" in verdict.reasoning


def test_a_lamp_that_is_switched_on_is_no_motion(flow: DisFlow) -> None:
    clip = clip_of("still", 0.0)
    lit = tuple(
        np.clip(frame * (1.4 if index > 12 else 0.6), 0, 255).astype(np.uint8)
        for index, frame in enumerate(clip.pictures)
    )
    assert passes(camera_motion(FramesInMemory(lit), flow))
    assert judge_static_camera(FramesInMemory(lit)).static


def test_one_frame_shows_no_motion(flow: DisFlow) -> None:
    one = FramesInMemory(clip_of("still", 0.0).pictures[:1])
    assert camera_motion(one, flow) == CameraMotion(0.0, 0.0, 0, 0)
    assert judge_static_camera(one).static


def test_the_answers_are_the_same_twice(flow: DisFlow) -> None:
    clip = clip_of("shake", 0.1)
    assert camera_motion(clip, flow) == camera_motion(clip, DisFlow())
    assert judge_static_camera(clip) == judge_static_camera(clip)


def field(displacement: npt.NDArray[np.float32], reliable: npt.NDArray[np.bool_]) -> FlowField:
    return FlowField(displacement.astype(np.float32), reliable)


def test_a_minority_of_moving_points_does_not_move_the_camera() -> None:
    displacement = np.zeros((90, 160, 2), np.float32)
    displacement[:, :64] = (5.0, -3.0)
    motion = pair_motion(field(displacement, np.ones((90, 160), np.bool_)))
    assert motion is not None
    assert motion.displacement_pct < 0.01
    assert motion.inlier_share == pytest.approx(0.6, abs=0.05)


def test_unreliable_points_are_not_looked_at() -> None:
    displacement = np.zeros((90, 160, 2), np.float32)
    reliable = np.zeros((90, 160), np.bool_)
    reliable[:, 128:] = True
    displacement[:, :128] = (9.0, 9.0)
    motion = pair_motion(field(displacement, reliable))
    assert motion is not None
    assert motion.displacement_pct < 0.01
    assert pair_motion(field(displacement, np.zeros_like(reliable))) is None


def test_noise_in_one_corner_is_not_thrown_across_the_picture() -> None:
    rng = np.random.default_rng(5)
    displacement = rng.normal(0, 0.05, (180, 320, 2)).astype(np.float32)
    reliable = np.zeros((180, 320), np.bool_)
    reliable[:80, :110] = True
    motion = pair_motion(field(displacement, reliable))
    assert motion is not None
    assert motion.displacement_pct < MAX_CAMERA_STEP_PCT


def test_corner_displacement_of_a_shift_is_its_length() -> None:
    matrix = np.array([[1, 0, 3], [0, 1, 4], [0, 0, 1]], np.float64)
    assert corner_displacement_pct(matrix, 300, 400) == pytest.approx(1.0)
