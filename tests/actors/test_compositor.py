"""The compositor on made clips: each side's own pixels, one light for the whole clip, clear refusals."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from actors.backends.embedded.compositor import SceneCompositor
from actors.ops.masks import pack_rows
from actors.ops.relight import Relight
from actors.ops.video import VideoClip, encode_video
from actors.roles import ControlRequest, Frame, Mask, SampleError

H, W, T = 180, 320, 9
LIGHT = Relight((0.8, 0.9, 1.1), (12.0, 4.0, -6.0))
DESK = 140  # first row of the desk


def _noise(seed: int, mean: tuple[int, int, int]) -> Frame:
    grain = np.random.default_rng(seed).normal(0.0, 25.0, (H // 4, W // 4, 3)).astype(np.float32)
    return np.clip(np.array(mean) + cv2.resize(grain, (W, H)), 0, 255).astype(np.uint8)


def _torso(index: int, bottom: int = H) -> Mask:
    canvas = np.zeros((H, W), dtype=np.uint8)
    cv2.ellipse(canvas, (150 + 2 * index, 150), (45, 90), 0, 0, 360, 1, -1)
    canvas[bottom:] = 0
    return canvas > 0


def _psnr_after_fit(
    sources: list[Frame], edited: list[Frame], inside: list[npt.NDArray[np.bool_]]
) -> list[float]:
    x = np.concatenate([s[m] for s, m in zip(sources, inside, strict=True)]).astype(np.float64)
    y = np.concatenate([e[m] for e, m in zip(edited, inside, strict=True)]).astype(np.float64)
    fits = [np.polyfit(x[:, c], y[:, c], 1) for c in range(3)]
    result = []
    for source, edit, mask in zip(sources, edited, inside, strict=True):
        off = [np.polyval(fits[c], source[mask][:, c].astype(float)) - edit[mask][:, c] for c in range(3)]
        result.append(10 * np.log10(255**2 / np.mean(np.square(off))))
    return result


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> ControlRequest:
    """A torso cut by the frame that moves before a wall; the start image has it under another light."""
    folder: Path = tmp_path_factory.mktemp("clips")
    person, wall, scene = _noise(1, (150, 110, 90)), _noise(2, (220, 220, 215)), _noise(3, (70, 120, 60))
    masks = [_torso(i) for i in range(T)]
    encode_video((np.where(m[..., None], person, wall) for m in masks), folder / "source.mp4")
    encode_video((np.roll(scene, i, axis=1) for i in range(T + 2)), folder / "background.mp4")
    source, background = VideoClip(folder / "source.mp4"), VideoClip(folder / "background.mp4")
    start = np.where(masks[0][..., None], LIGHT.apply(source.pick([0])[0]), background.pick([0])[0])
    packed = np.stack([pack_rows(m) for m in masks])
    return ControlRequest(start, source, "a meadow", 1, T, source, background, packed)


def test_far_from_the_mask_every_pixel_is_the_backgrounds(request_: ControlRequest) -> None:
    frames = list(SceneCompositor().synthesize(request_))
    assert len(frames) == T
    for index, (frame, behind) in enumerate(zip(frames, request_.background.frames(), strict=False)):
        far = cv2.dilate(_torso(index).astype(np.uint8), np.ones((15, 15), np.uint8)) == 0
        assert (frame[far] == behind[far]).all()


def test_inside_the_mask_the_source_is_kept_under_the_light_of_the_start_image(
    request_: ControlRequest,
) -> None:
    frames = list(SceneCompositor().synthesize(request_))
    sources = list(request_.source.frames())
    inside = [cv2.erode(_torso(i).astype(np.uint8), np.ones((25, 25), np.uint8)) > 0 for i in range(T)]
    assert np.median(_psnr_after_fit(sources, frames, inside)) >= 40
    for index in (0, T - 1):
        expected = LIGHT.apply(sources[index])[inside[index]].astype(np.int16)
        assert np.abs(frames[index][inside[index]] - expected).mean() < 2.5


def test_a_start_image_with_another_foreground_gives_no_light_but_the_scenes(
    request_: ControlRequest,
) -> None:
    strange = dataclasses.replace(request_, start_image=_noise(9, (128, 128, 128)))
    first = next(iter(SceneCompositor().synthesize(strange)))
    inside = cv2.erode(_torso(0).astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    source = next(iter(request_.source.frames()))
    assert _psnr_after_fit([source], [first], [inside])[0] >= 30


def test_the_same_request_gives_the_same_bytes(request_: ControlRequest) -> None:
    first, second = (b"".join(f.tobytes() for f in SceneCompositor().synthesize(request_)) for _ in range(2))
    assert first == second


def test_the_desk_that_the_start_image_keeps_stays_in_every_frame(tmp_path: Path) -> None:
    person, wall, scene = _noise(1, (150, 110, 90)), _noise(2, (90, 90, 160)), _noise(3, (70, 120, 60))
    desk = np.clip(np.full((H, W, 3), (225, 222, 215)) + _noise(4, (0, 0, 0)) // 16, 0, 255).astype(np.uint8)
    room = np.where((np.arange(H) >= DESK)[:, None, None], desk, wall)
    masks = [_torso(i, DESK) for i in range(T)]
    encode_video((np.where(m[..., None], person, room) for m in masks), tmp_path / "source.mp4")
    encode_video((np.roll(scene, i, axis=1) for i in range(T)), tmp_path / "background.mp4")
    source, background = VideoClip(tmp_path / "source.mp4"), VideoClip(tmp_path / "background.mp4")
    packed = np.stack([pack_rows(m) for m in masks])
    kept = masks[0] | (np.arange(H) >= DESK)[:, None]
    first, behind = source.pick([0])[0], background.pick([0])[0]
    with_desk = np.where(kept[..., None], LIGHT.apply(first), behind)
    without = np.where(masks[0][..., None], LIGHT.apply(first), behind)
    below = np.s_[DESK + 8 : H - 4, 4 : W - 4]
    for start, expected in ((with_desk, LIGHT.apply(desk)), (without, None)):
        request = ControlRequest(start, source, "a meadow", 1, T, source, background, packed)
        for frame, back in zip(SceneCompositor().synthesize(request), background.frames(), strict=True):
            shown = (LIGHT.apply(desk) if expected is not None else back)[below].astype(np.int16)
            assert np.abs(frame[below] - shown).mean() < 6


def test_inputs_that_do_not_fit_are_named_before_the_first_frame(request_: ControlRequest) -> None:
    compositor = SceneCompositor()
    with pytest.raises(SampleError, match="masks are"):
        compositor.synthesize(dataclasses.replace(request_, masks=request_.masks[: T - 1]))
    longer = np.concatenate([request_.masks, request_.masks[:1]])
    with pytest.raises(SampleError, match="source has 9 frames, 10 are needed"):
        compositor.synthesize(dataclasses.replace(request_, masks=longer, num_frames=T + 1))
