"""The demo's own clips: they conform, their masks are true, each is good or bad as it should be."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from actors.ops.made_clips import (
    BROKEN_NAME,
    MADE_CLIPS,
    MadeClip,
    made_frames,
    made_masks,
    make_demo_sources,
)
from actors.ops.normalise import DecodeLimits, normalise
from actors.ops.video import VideoClip
from actors.roles import SampleError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_demo_sources(folder)
    return folder


def test_the_good_clips_are_kept_and_the_broken_one_fails(folder: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [BROKEN_NAME, *(f"{clip.name}.mp4" for clip in MADE_CLIPS)]
    )
    for clip in MADE_CLIPS:
        source = normalise(folder / f"{clip.name}.mp4", tmp_path, limits=DecodeLimits())
        assert (source.kept_bytes, source.num_frames) == (True, 81)
    with pytest.raises(SampleError, match="truncated"):
        normalise(folder / BROKEN_NAME, tmp_path, limits=DecodeLimits())


@pytest.mark.parametrize("clip", MADE_CLIPS, ids=lambda clip: clip.name)
def test_masks_say_what_moves_before_the_scene(clip: MadeClip) -> None:
    masks = list(made_masks(clip.name))
    assert len(masks) == 81
    for mask in masks[::20]:
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        assert 0.15 < mask.mean() < 0.5
        assert stats[1:, cv2.CC_STAT_AREA].max() > 0.999 * mask.sum(), f"{count - 1} pieces"
        assert mask[-1].sum() > 250, "the figure stands on the lower edge"
        assert not mask[0].any()
    middles = [float(np.nonzero(mask)[1].mean()) for mask in masks]
    assert max(middles) - min(middles) > 90


def test_the_scene_stands_still_but_for_the_moving_camera(folder: Path) -> None:
    for clip in MADE_CLIPS:
        first, later = VideoClip(folder / f"{clip.name}.mp4").pick([0, 40])
        masks = list(made_masks(clip.name))
        scene = ~cv2.dilate((masks[0] | masks[40]).astype(np.uint8), np.ones((25, 25), np.uint8)).astype(bool)
        change = float(np.abs(first.astype(int) - later)[scene].mean())
        assert (change > 5.0) == (clip.pan_px > 0)


def test_made_frames_are_the_same_every_time() -> None:
    first, second = (next(made_frames(MADE_CLIPS[0])) for _ in range(2))
    assert np.array_equal(first, second)


def test_an_unknown_name_is_an_error_that_lists_the_clips() -> None:
    with pytest.raises(KeyError, match="portrait_indoors"):
        next(made_masks("nothing"))
