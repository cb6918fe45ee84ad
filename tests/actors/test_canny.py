"""Control frames: edges come from the right picture and none from the mask itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from actors.ops.canny import fuse_edge_frames, fuse_edges
from actors.roles import Frame, Mask

H, W = 90, 160


def _plain(value: int) -> Frame:
    return np.full((H, W, 3), value, dtype=np.uint8)


def _square(value: int, x: int, y: int) -> Frame:
    frame = _plain(30)
    frame[y : y + 20, x : x + 20] = value
    return frame


def _left_half() -> Mask:
    mask = np.zeros((H, W), dtype=np.bool_)
    mask[:, : W // 2] = True
    return mask


def test_no_line_follows_the_mask_even_where_both_pictures_differ_in_brightness() -> None:
    assert not fuse_edges(_plain(10), _plain(240), _left_half()).any()


def test_inside_the_mask_the_lines_are_the_sources_and_outside_the_backgrounds() -> None:
    mask = _left_half()
    control = fuse_edges(_square(220, 20, 30), _square(220, 110, 30), mask)[..., 0] > 0
    assert control[:, : W // 2].any()
    assert control[:, W // 2 :].any()
    swapped = fuse_edges(_square(220, 110, 30), _square(220, 20, 30), mask)
    assert not swapped.any(), "a square on the side that the mask gives to the other picture leaves no line"


def test_lines_are_white_on_black_in_three_equal_channels() -> None:
    control = fuse_edges(_square(220, 20, 30), _plain(30), _left_half())
    assert control.dtype == np.uint8
    assert set(np.unique(control)) == {0, 255}
    assert (control == control[..., :1]).all()


def test_a_longer_background_is_cut_at_the_sources_length() -> None:
    frames = [_square(200, 10 + 2 * i, 20) for i in range(3)]
    control = list(fuse_edge_frames(iter(frames), iter([_plain(0)] * 5), iter([_left_half()] * 3)))
    assert len(control) == 3
    assert any((a != b).any() for a, b in itertools.pairwise(control))


def test_frames_are_made_one_by_one_while_the_inputs_are_read() -> None:
    read = 0

    def counted() -> Iterator[Frame]:
        nonlocal read
        while True:
            read += 1
            yield _plain(0)

    stream = fuse_edge_frames(counted(), counted(), iter([_left_half()] * 9))
    next(stream)
    assert read == 2


def test_a_short_background_is_named() -> None:
    with pytest.raises(ValueError, match="background ends at frame 1"):
        list(fuse_edge_frames([_plain(0)] * 2, [_plain(0)], [_left_half()] * 2))


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        fuse_edges(_plain(0), _plain(0), np.zeros((4, 4), dtype=np.bool_))
