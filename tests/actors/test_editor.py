"""The scene editor on a made portrait: who is kept, what they rest on, erasing that gives the scene back."""

from __future__ import annotations

from importlib.resources import as_file, files

import cv2
import numpy as np
import pytest

from actors.backends.embedded.detector import Detector
from actors.backends.embedded.editor import SceneEditor, find_subject, object_mask, render_scene
from actors.backends.embedded.remover import InpaintEditor
from actors.backends.embedded.segmenter import Segmenter
from actors.backends.embedded.support import support_region
from actors.ops.boxes import box_of_mask, to_published
from actors.ops.inpaint import widened
from actors.ops.video import read_png
from actors.roles import EraseRequest, Frame, GroundedObject, Mask, SampleError

H, W = 216, 384
PROMPT = "Place the subject in an open prairie with tall grass waving in the wind under drifting clouds."


@pytest.fixture(scope="module")
def portrait() -> Frame:
    """scikit-image's astronaut (NASA, public domain) before her own room, widened and blurred."""
    with as_file(files("skimage.data") / "astronaut.png") as path:
        photo = cv2.resize(read_png(path), (H, H), interpolation=cv2.INTER_AREA)
    side = (W - H) // 2
    wide = cv2.copyMakeBorder(photo, 0, 0, side, side, cv2.BORDER_REPLICATE)
    wide[:, :side] = wide[:, W - side :] = (90, 80, 75)
    return np.asarray(wide, dtype=np.uint8)


@pytest.fixture(scope="module")
def subject(portrait: Frame) -> Mask:
    return find_subject(portrait, Detector(), Segmenter())


@pytest.fixture(scope="module")
def edited(portrait: Frame) -> Frame:
    return SceneEditor().edit(portrait, PROMPT, seed=5)


def _request(edited: Frame, subject: Mask, *, edit_seed: int = 5) -> EraseRequest:
    box = box_of_mask(subject)
    assert box is not None
    objects = (
        GroundedObject("woman in orange suit", to_published(box, W, H)),
        GroundedObject("space helmet"),
    )
    return EraseRequest(edited, objects, "Remove the woman.", 1, PROMPT, edit_seed)


def test_the_portrait_is_found_and_the_room_is_not(subject: Mask) -> None:
    assert 0.1 < subject.mean() < 0.5
    assert not subject[:, :36].any()
    assert not subject[:, -36:].any()


def test_far_from_the_subject_the_picture_is_the_scene_itself(edited: Frame, subject: Mask) -> None:
    scene = render_scene(PROMPT, 5, W, H)
    away = ~widened(subject, pixels=30)
    assert (edited[away] == scene[away]).all()


def test_the_subject_keeps_her_features_under_another_light(
    portrait: Frame, edited: Frame, subject: Mask
) -> None:
    inside = cv2.erode(subject.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    for channel in range(3):
        before, after = portrait[..., channel][inside], edited[..., channel][inside]
        assert np.corrcoef(before, after)[0, 1] > 0.995
    assert (portrait[inside] != edited[inside]).any()


def test_another_seed_gives_another_scene_and_the_same_seed_the_same_bytes(
    portrait: Frame, edited: Frame
) -> None:
    assert (SceneEditor().edit(portrait, PROMPT, seed=5) == edited).all()
    assert (SceneEditor().edit(portrait, PROMPT, seed=6) != edited).any()


def test_erasing_what_was_edited_gives_the_empty_scene(edited: Frame, subject: Mask) -> None:
    editor = SceneEditor()
    result = editor.erase(_request(edited, subject))
    assert editor.last_remover == "rerender"
    assert (result == render_scene(PROMPT, 5, W, H)).all()


def test_with_a_wrong_seed_the_scene_is_not_drawn_again_but_the_hole_filled(
    edited: Frame, subject: Mask
) -> None:
    editor = SceneEditor()
    result = editor.erase(_request(edited, subject, edit_seed=6))
    assert editor.last_remover == "inpaint"
    away = ~widened(subject, pixels=40)
    assert (result[away] == edited[away]).all()
    assert (result[subject] != edited[subject]).any(axis=1).mean() > 0.9
    assert (InpaintEditor().erase(_request(edited, subject)) == result).all()


def test_objects_without_a_box_cannot_be_erased(edited: Frame) -> None:
    with pytest.raises(SampleError, match="none of the 1 objects"):
        object_mask(edited, [GroundedObject("woman")], Segmenter())


def _room(desk_from: int | None) -> Frame:
    grain = np.random.default_rng(2).normal(0, 6, (H, W, 1))
    picture = np.full((H, W, 3), (90, 110, 150)) + grain
    if desk_from is not None:
        picture[desk_from:] = (np.full((H, W, 3), (215, 205, 190)) + grain)[desk_from:]
    return np.clip(picture, 0, 255).astype(np.uint8)


def _torso(bottom: int) -> Mask:
    canvas = np.zeros((H, W), dtype=np.uint8)
    cv2.ellipse(canvas, (192, 180), (54, 120), 0, 0, 360, 1, -1)
    canvas[bottom:] = 0
    return canvas > 0


def test_the_desk_under_a_torso_is_its_support_with_what_lies_on_it() -> None:
    picture, torso = _room(174), _torso(177)
    picture[torso] = (120, 40, 40)
    picture[189:198, 60:78] = (20, 20, 20)
    found = support_region(picture, torso)
    desk = np.zeros((H, W), dtype=np.bool_)
    desk[174:] = True
    desk &= ~torso
    assert (found & desk).sum() / (found | desk).sum() > 0.9
    assert found[189:198, 60:78].all()


@pytest.mark.parametrize("shape", ["cut by the frame", "standing on its feet", "nobody"])
def test_whoever_is_cut_by_the_frame_or_stands_needs_no_support(shape: str) -> None:
    mask = np.zeros((H, W), dtype=np.bool_)
    if shape == "cut by the frame":
        mask = _torso(H)
    elif shape == "standing on its feet":
        mask[24:156, 174:210] = True
        mask[150:180, 177:183] = mask[150:180, 201:207] = True
    picture = _room(162)
    picture[mask] = (120, 40, 40)
    assert not support_region(picture, mask).any()
