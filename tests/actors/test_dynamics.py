"""Liveness: what lives counts, grain and a picture that slides do not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from actors.ops.dynamics import background_dynamics
from actors.roles import Frame, Mask

H, W = 180, 320
COUNT = 13


def picture(height: int = H, width: int = W) -> Frame:
    """Blobs and corners, so that there is something to follow."""
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)).astype(np.float32), (0, 0), 3)
    return np.clip(128 + noise * 300, 0, 255).astype(np.uint8)


def clip(draw: Callable[[int], Frame]) -> list[Frame]:
    return [draw(t) for t in range(COUNT)]


def grainy(t: int) -> Frame:
    grain = np.random.default_rng(t).normal(0, 4, (H, W, 3))
    return np.clip(picture() + grain, 0, 255).astype(np.uint8)


def sliding(t: int) -> Frame:
    wide = picture(H + 60, W + 60)
    return wide[t : t + H, 2 * t : 2 * t + W]


def waving(t: int, weight: float = 1.0) -> Frame:
    """Every part bends its own way."""
    y, x = np.mgrid[0:H, 0:W].astype(np.float32)
    bend = (7 * np.sin(x / 17 + 0.4 * t) * np.sin(y / 11 - 0.3 * t) * weight).astype(np.float32)
    return np.asarray(cv2.remap(picture(), x + bend, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def test_a_still_picture_has_none_and_grain_gives_it_hardly_any() -> None:
    assert background_dynamics(clip(lambda t: picture())) == 0
    assert background_dynamics(clip(grainy)) < 0.8


def test_a_sliding_still_does_not_pass_for_life() -> None:
    before = np.abs(sliding(4).astype(int) - sliding(0)).mean()
    assert before > 10
    assert background_dynamics(clip(sliding)) < 0.8


def test_a_picture_whose_parts_move_by_themselves_passes_the_gate() -> None:
    assert background_dynamics(clip(waving)) > 1.5


def test_more_motion_scores_higher() -> None:
    scores = [background_dynamics(clip(partial(waving, weight=k))) for k in (0.0, 0.3, 0.6, 1.0)]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]


def test_what_the_mask_covers_does_not_count() -> None:
    subject: Mask = np.zeros((H, W), bool)
    subject[40:, 110:210] = True

    def restless(t: int) -> Frame:
        frame = picture()
        frame[subject] = np.random.default_rng(t).integers(0, 256, (int(subject.sum()), 3))
        return frame

    frames = clip(restless)
    assert background_dynamics(frames) > 1.5
    assert background_dynamics(frames, [subject] * COUNT) < 0.1


def test_the_size_of_the_frames_hardly_matters() -> None:
    large = [
        np.asarray(cv2.resize(frame, (2 * W, 2 * H), interpolation=cv2.INTER_CUBIC), np.uint8)
        for frame in clip(waving)
    ]
    small = background_dynamics(clip(waving))
    assert abs(background_dynamics(large) - small) < 0.15 * small


def test_a_clip_of_four_frames_or_none_has_no_pair_to_compare() -> None:
    assert background_dynamics([]) == 0
    assert background_dynamics(clip(waving)[:4]) == 0
    assert background_dynamics(clip(waving)[:5]) > 0


def test_a_mask_over_everything_leaves_nothing_to_measure() -> None:
    assert background_dynamics(clip(waving), [np.ones((H, W), bool)] * COUNT) == 0
