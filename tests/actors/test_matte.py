"""Soft mattes: exact where nothing is in doubt, no halo of the old background, steady over time;
relighting.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.ops.matte import REACH_IN, REACH_OUT, Cutout, MatteStream
from actors.ops.relight import Relight, composite, ground_shadow, match_relight, relight_toward
from actors.roles import Frame, Mask

H, W = 360, 640
SCALE = H / 720.0
NEW = np.full((H, W, 3), (20, 60, 30), dtype=np.uint8)


def _texture(colour: tuple[int, int, int], seed: int, spread: float = 12.0) -> Frame:
    noise = np.random.default_rng(seed).normal(0.0, spread, (H // 8, W // 8, 1)).astype(np.float32)
    return np.clip(np.array(colour) + cv2.resize(noise, (W, H))[..., None], 0, 255).astype(np.uint8)


def _ellipse(grow: int = 0) -> Mask:
    canvas = np.zeros((H, W), dtype=np.uint8)
    cv2.ellipse(canvas, (320, 220), (110 + grow, 130 + grow), 0, 0, 360, 1, -1)
    return canvas > 0


def _mix(alpha: npt.NDArray[np.float32], front: Frame, back: Frame) -> Frame:
    return np.rint(alpha[..., None] * front + (1 - alpha[..., None]) * back).astype(np.uint8)


@pytest.fixture(scope="module")
def soft_subject() -> tuple[Frame, Frame, npt.NDArray[np.float32]]:
    """A red subject with a soft edge before a bright wall: the frame, its own colours, its true alpha."""
    alpha = np.asarray(cv2.GaussianBlur(_ellipse().astype(np.float32), (0, 0), 1.5), dtype=np.float32)
    front = _texture((150, 40, 40), 1)
    return _mix(alpha, front, _texture((225, 220, 200), 2)), front, alpha


def _edge_error(result: Frame, truth: Frame, alpha: npt.NDArray[np.float32], reach: int = 8) -> float:
    mixed = ((alpha > 0.02) & (alpha < 0.98)).astype(np.uint8)
    edge = cv2.dilate(mixed, np.ones((reach, reach), np.uint8)) > 0
    return float(np.abs(result.astype(np.float64) - truth)[edge].mean())


@pytest.mark.parametrize("grow", [0, 3, -3])
def test_the_bright_wall_leaves_no_halo_even_if_the_mask_is_some_pixels_off(
    soft_subject: tuple[Frame, Frame, npt.NDArray[np.float32]], grow: int
) -> None:
    frame, front, alpha = soft_subject
    mask = _ellipse(grow)
    truth = _mix(alpha, front, NEW)
    hard = np.where(mask[..., None], frame, NEW)
    soft = MatteStream().cut(frame, mask).over(NEW)
    assert _edge_error(soft, truth, alpha) < 0.4 * _edge_error(hard, truth, alpha)


@settings(max_examples=8, deadline=None)
@given(x=st.integers(80, 560), y=st.integers(60, 300), rx=st.integers(25, 150), ry=st.integers(25, 120))
def test_the_inside_is_untouched_and_the_outside_empty(x: int, y: int, rx: int, ry: int) -> None:
    canvas = np.zeros((H, W), dtype=np.uint8)
    cv2.ellipse(canvas, (x, y), (rx, ry), 20, 0, 360, 1, -1)
    frame = np.random.default_rng(3).integers(0, 256, (H, W, 3), dtype=np.uint8)
    cutout = MatteStream().cut(frame, canvas > 0)
    deep = cv2.distanceTransform(canvas, cv2.DIST_L2, 5) > 2 * REACH_IN * SCALE
    far = cv2.distanceTransform(1 - canvas, cv2.DIST_L2, 5) > 2 * REACH_OUT * SCALE
    assert (cutout.alpha[deep] == 255).all()
    assert (cutout.foreground[deep] == frame[deep]).all()
    assert (cutout.alpha[far] == 0).all()
    assert (cutout.over(NEW)[far] == NEW[far]).all()


def test_an_empty_mask_gives_the_background_and_a_full_one_the_frame() -> None:
    frame = _texture((100, 120, 140), 4)
    empty, full = np.zeros((H, W), dtype=np.bool_), np.ones((H, W), dtype=np.bool_)
    assert (MatteStream().cut(frame, empty).over(NEW) == NEW).all()
    assert (MatteStream().cut(frame, full).over(NEW) == frame).all()


def test_a_flickering_mask_on_a_still_picture_is_calmed() -> None:
    frame = _texture((128, 128, 128), 5, spread=3.0)  # no colour to go by: alpha follows the mask
    masks = [_ellipse(2 * (i % 2)) for i in range(8)]
    stream = MatteStream()
    held = [stream.cut(frame, mask).alpha.astype(np.int16) for mask in masks]
    alone = [MatteStream().cut(frame, mask).alpha.astype(np.int16) for mask in masks]

    def flicker(alphas: list[npt.NDArray[np.int16]]) -> float:
        return float(np.mean([np.abs(b - a).mean() for a, b in itertools.pairwise(alphas[3:])]))

    assert flicker(held) < 0.6 * flicker(alone)


def test_alpha_does_not_lag_behind_a_subject_that_moves() -> None:
    front, back = _texture((160, 60, 60), 6), _texture((60, 90, 160), 7)
    stream = MatteStream()
    for dx in (0, 12, 24):
        mask = np.roll(_ellipse(), dx, axis=1)
        frame = np.where(mask[..., None], front, back)
        held, alone = stream.cut(frame, mask), MatteStream().cut(frame, mask)
        assert np.abs(held.alpha.astype(np.int16) - alone.alpha).mean() < 0.3
        assert ((held.alpha > 127) == mask).mean() > 0.995


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        MatteStream().cut(NEW, np.zeros((4, 4), dtype=np.bool_))


def test_a_dark_foreground_in_a_bright_warm_scene_becomes_brighter_and_warmer_but_stays_plausible() -> None:
    scene = _texture((240, 190, 120), 8)
    light = relight_toward(_texture((60, 60, 60), 9), _ellipse(), scene)
    red, _, blue = light.apply(np.full((1, 1, 3), 60, dtype=np.uint8))[0, 0].tolist()
    assert red > 60
    assert red > blue
    assert all(0.6 <= gain <= 1.45 for gain in light.gain)


def test_a_night_scene_darkens_the_foreground() -> None:
    frame = _texture((180, 170, 160), 10)
    light = relight_toward(frame, _ellipse(), _texture((15, 20, 45), 11, spread=4.0))
    assert light.apply(frame).mean() < 0.85 * frame.mean()


def test_relighting_toward_a_picture_like_itself_changes_little() -> None:
    frame = _texture((128, 128, 128), 12, spread=30.0)
    light = relight_toward(frame, _ellipse(), frame)
    assert np.abs(light.apply(frame).astype(np.int16) - frame).mean() < 8


@settings(max_examples=20, deadline=None)
@given(
    gain=st.tuples(*[st.floats(0.6, 1.2)] * 3),
    offset=st.tuples(*[st.floats(-10.0, 20.0)] * 3),
)
def test_the_light_of_the_first_frame_is_found_again_although_a_tenth_of_it_was_painted_over(
    gain: tuple[float, float, float], offset: tuple[float, float, float]
) -> None:
    frame = _texture((120, 110, 130), 13, spread=35.0)
    edited = Relight(gain, offset).apply(frame)
    edited[: H // 10] = (255, 0, 255)
    found = match_relight(frame, edited, np.ones((H, W), dtype=np.bool_))
    expected = Relight(gain, offset).apply(frame)[H // 10 :].astype(np.int16)
    assert np.abs(found.apply(frame)[H // 10 :] - expected).mean() < 2.0


def test_without_foreground_the_light_is_the_identity() -> None:
    nothing = np.zeros((H, W), dtype=np.bool_)
    assert relight_toward(NEW, nothing, NEW) == Relight()
    assert match_relight(NEW, NEW, nothing) == Relight()


def test_light_wrap_only_brightens_and_only_along_the_edge() -> None:
    mask = _ellipse()
    cutout = Cutout(mask.astype(np.uint8) * 255, _texture((60, 50, 50), 14))
    bright = _texture((240, 240, 230), 15)
    plain = composite(cutout, bright, Relight(), wrap=False).astype(np.int16)
    wrapped = composite(cutout, bright, Relight()).astype(np.int16)
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    assert (wrapped >= plain).all()
    assert wrapped[(depth > 0) & (depth < 2)].mean() > plain[(depth > 0) & (depth < 2)].mean() + 5
    assert (wrapped[(depth == 0) | (depth > 10 * SCALE)] == plain[(depth == 0) | (depth > 10 * SCALE)]).all()


def test_a_shadow_lies_at_the_feet_and_only_of_subjects_that_end_inside_the_frame() -> None:
    ground = np.full((H, W, 3), 150, dtype=np.uint8)
    standing, cut = np.zeros((H, W), dtype=np.bool_), np.zeros((H, W), dtype=np.bool_)
    standing[60:300, 300:340] = True
    cut[60:, 300:340] = True
    shaded = ground_shadow(ground, standing)
    assert shaded[300, 320, 0] < 110
    assert shaded[80, 320, 0] == 150
    assert (ground_shadow(ground, cut) == ground).all()
