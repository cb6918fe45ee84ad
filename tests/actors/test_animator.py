"""The animator: a painted scene goes on as itself, patches and foreign pictures keep what does not move."""

from __future__ import annotations

from itertools import islice

import cv2
import numpy as np
import pytest

from actors.backends.embedded import scenes
from actors.backends.embedded.animator import SceneAnimator, patch_of
from actors.backends.embedded.picture_motion import PictureMotion, regions
from actors.backends.embedded.writer import write_instruction
from actors.ops.dynamics import background_dynamics
from actors.roles import Frame
from schemas.taxonomy import all_scenes

W, H = 320, 180
EDIT_SEED = 11
SPEC = next(spec for spec in all_scenes() if spec.builder == "field")
PROMPT = write_instruction("a man in an office", SPEC.theme, SPEC.chosen_keyword, seed=4)


def animated(image: Frame, prompt: str, count: int = 9, seed: int = 1) -> list[Frame]:
    frames = SceneAnimator().animate(image, prompt, num_frames=count, fps=16, seed=seed, edit_seed=EDIT_SEED)
    return list(frames)


@pytest.fixture(scope="module")
def painted() -> Frame:
    return scenes.build(SPEC, EDIT_SEED, W, H).frame(0)


def foreign() -> Frame:
    """A sky with a cloud, a grey building, a lawn: nothing that we painted."""
    rng = np.random.default_rng(2)
    picture = np.zeros((H, W, 3), np.float32)
    picture[:] = (120, 170, 225)
    clouds = cv2.GaussianBlur(rng.normal(0, 1, (H, W)).astype(np.float32), (0, 0), 9)
    picture += np.clip(clouds * 500, 0, 60)[..., None]
    picture[80:] = (70, 130, 50)
    picture[80:] += rng.normal(0, 28, (H - 80, W, 1))
    picture[50:130, 120:220] = (122, 118, 116)
    return np.clip(picture, 0, 255).astype(np.uint8)


def test_frame_zero_is_the_picture_to_the_byte(painted: Frame) -> None:
    for image in (painted, foreign()):
        frames = animated(image, PROMPT, 3)
        assert len(frames) == 3
        np.testing.assert_array_equal(frames[0], image)
        assert all(frame.shape == image.shape and frame.dtype == np.uint8 for frame in frames)


def test_a_picture_of_the_scene_goes_on_as_the_scene_does(painted: Frame) -> None:
    frames = animated(painted, PROMPT)
    scene = scenes.build(SPEC, EDIT_SEED, W, H)
    for t, frame in enumerate(frames):
        np.testing.assert_array_equal(frame, scene.frame(t))


def test_a_patch_stays_as_it_is_and_the_rest_moves(painted: Frame) -> None:
    image = painted.copy()
    image[70:150, 130:190] = (128, 96, 80)
    frames = animated(image, PROMPT)
    core = (slice(72, 148), slice(132, 188))
    moved = np.abs(frames[8].astype(int) - image).max(axis=2)
    assert moved[core].max() <= 6  # the soft edge of the patch lies just inside
    away = np.ones((H, W), bool)
    away[40:, 90:230] = False
    assert moved[away].mean() > 2
    np.testing.assert_array_equal(frames[8][away], scenes.build(SPEC, EDIT_SEED, W, H).frame(8)[away])


def test_another_picture_is_not_taken_for_the_scene(painted: Frame) -> None:
    assert patch_of(foreign(), painted) is None
    none_differs = patch_of(painted, painted)
    assert none_differs is not None
    assert not none_differs.any()
    coded = np.clip(painted.astype(int) + 3, 0, 255).astype(np.uint8)
    little = patch_of(coded, painted)
    assert little is not None
    assert not little.any()


def test_a_foreign_picture_moves_only_in_plants_water_and_sky() -> None:
    image = foreign()
    frames = animated(image, "Replace the background with a garden where the grass sways.", 17)
    moved = np.max([np.abs(frame.astype(int) - image).max(axis=2) for frame in frames], axis=0)
    building = (slice(62, 118), slice(134, 206))
    assert moved[building].max() <= 2
    sky, plants, water = regions(image)
    assert moved[(sky + plants + water) == 0].max() <= 2
    assert moved[100:, :100].mean() > 3
    assert background_dynamics(frames) > 0


def test_what_a_prompt_names_falls_and_nothing_falls_at_the_start() -> None:
    image = foreign()
    still = PictureMotion(image, "a garden", 1)
    snowing = PictureMotion(image, "a garden in heavy snowfall", 1)
    np.testing.assert_array_equal(snowing.frame(0), image)
    building = (slice(56, 124), slice(126, 214))
    assert np.abs(snowing.frame(20)[building].astype(int) - still.frame(20)[building]).max() > 40


def test_the_same_seeds_give_the_same_clip(painted: Frame) -> None:
    for image in (painted, foreign()):
        first, again = animated(image, PROMPT, 5), animated(image, PROMPT, 5)
        assert all((one == two).all() for one, two in zip(first, again, strict=True))


def test_frames_are_drawn_while_they_are_read(painted: Frame) -> None:
    endless = SceneAnimator().animate(painted, PROMPT, num_frames=10**9, fps=16, seed=1, edit_seed=EDIT_SEED)
    assert len(list(islice(endless, 2))) == 2
