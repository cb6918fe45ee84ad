"""Taking the foreground out: inpainting leaves no trace in plain areas, re-rendering is allowed only where
true.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from actors.backends.embedded.editor import NotReproducibleError, rerender
from actors.ops.inpaint import inpaint, widened
from actors.roles import EraseRequest, Frame, GroundedObject, Mask, SampleError

H, W = 240, 426


def _sky_and_grass() -> Frame:
    rng = np.random.default_rng(5)
    rows = np.linspace(0, 1, H)[:, None, None]
    sky = (1 - rows) * np.array([90, 140, 215]) + rows * np.array([200, 215, 230])
    blades = cv2.GaussianBlur(rng.normal(0, 60, (H, W, 1)).astype(np.float32), (0, 0), 0.8, sigmaY=3.0)
    grass = np.array([70, 120, 50]) + blades[..., None]
    below = (np.arange(H) >= 160)[:, None, None]
    return np.clip(np.where(below, grass, sky + rng.normal(0, 1.0, (H, W, 1))), 0, 255).astype(np.uint8)


def _person() -> Mask:
    canvas = np.zeros((H, W), dtype=np.uint8)
    cv2.ellipse(canvas, (210, 190), (50, 120), 0, 0, 360, 1, -1)
    return canvas > 0


def _with_person(scene: Frame) -> Frame:
    picture = scene.copy()
    picture[_person()] = (170, 40, 60)
    return picture


def _request(image: Frame) -> EraseRequest:
    return EraseRequest(image, (GroundedObject("man", (370, 290, 620, 1000)),), "remove", 3, "a meadow", 7)


@pytest.fixture(scope="module")
def inpainted() -> Frame:
    return inpaint(_with_person(_sky_and_grass()), _person(), seed=3)


def test_the_person_is_gone_and_the_rest_is_untouched(inpainted: Frame) -> None:
    picture = _with_person(_sky_and_grass())
    away = ~widened(_person(), pixels=16)
    assert (inpainted[away] == picture[away]).all()
    red = inpainted[..., 0].astype(int) - inpainted[..., 1]
    assert (red[_person()] < 40).all()


def test_no_outline_of_the_hole_is_to_be_seen_in_the_sky(inpainted: Frame) -> None:
    scene = _sky_and_grass()
    sky = _person() & (np.arange(H) < 150)[:, None]
    assert np.abs(inpainted[sky].astype(int) - scene[sky]).mean() < 8
    ring = widened(_person(), pixels=40) & (np.arange(H) < 145)[:, None]
    smooth = cv2.GaussianBlur(inpainted, (0, 0), 2).astype(np.float32)
    step = np.abs(np.diff(smooth, axis=1)).max(axis=2)
    assert step[ring[:, 1:]].max() < 5


def test_grass_is_filled_with_grass_and_not_with_a_smear(inpainted: Frame) -> None:
    grass = _person() & (np.arange(H) >= 175)[:, None]
    fine = inpainted.astype(np.float32) - cv2.GaussianBlur(inpainted, (0, 0), 3)
    away = ~widened(_person(), pixels=30) & (np.arange(H) >= 175)[:, None]
    assert fine[grass].std() > 0.4 * fine[away].std()


def test_inpainting_is_repeatable(inpainted: Frame) -> None:
    assert (inpaint(_with_person(_sky_and_grass()), _person(), seed=3) == inpainted).all()


def test_nothing_to_take_out_changes_nothing() -> None:
    scene = _sky_and_grass()
    assert (inpaint(scene, np.zeros((H, W), dtype=np.bool_), seed=1) == scene).all()


def test_a_picture_that_is_all_foreground_is_refused() -> None:
    with pytest.raises(SampleError, match="100%"):
        inpaint(_sky_and_grass(), np.ones((H, W), dtype=np.bool_), seed=1)


def test_the_scene_itself_is_the_answer_where_it_equals_the_picture_around_the_objects() -> None:
    scene = _sky_and_grass()
    assert (rerender(_request(_with_person(scene)), _person(), scene) == scene).all()


def test_a_bench_that_hangs_together_with_the_subject_does_not_forbid_it() -> None:
    scene = _sky_and_grass()
    picture = _with_person(scene)
    picture[215:, 230:400] = (200, 200, 195)
    assert (rerender(_request(picture), _person(), scene) == scene).all()


@pytest.mark.parametrize(
    "change", ["another scene", "a second thing", "a slightly moved scene", "another light"]
)
def test_a_picture_that_differs_elsewhere_is_not_answered_with_the_scene(change: str) -> None:
    scene = _sky_and_grass()
    picture = _with_person(scene)
    if change == "another scene":
        picture[~_person()] = scene[::-1][~_person()]
    elif change == "a second thing":
        picture[40:70, 30:60] = (250, 250, 0)
    elif change == "a slightly moved scene":
        picture[~_person()] = np.roll(scene, 2, axis=1)[~_person()]
    else:
        picture[~_person()] = (picture[~_person()] * 0.9).astype(np.uint8)
    with pytest.raises(NotReproducibleError, match="differ from the scene"):
        rerender(_request(picture), _person(), scene)
