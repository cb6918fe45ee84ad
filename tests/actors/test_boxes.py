"""Boxes: the published form and back, corners in any order, nothing outside of the frame."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ops.boxes import (
    box_area,
    box_iou,
    box_of_mask,
    box_slices,
    clip_box,
    grow_box,
    intersection_area,
    to_absolute,
    to_published,
    union_box,
)
from actors.roles import Box

numbers = st.integers(0, 1000)
boxes = st.tuples(numbers, numbers, numbers, numbers)
sorted_boxes = boxes.map(lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3])))
coordinates = st.floats(-500, 2000)
anywhere = st.tuples(coordinates, coordinates, coordinates, coordinates)


@given(sorted_boxes, st.integers(1, 4000), st.integers(1, 4000))
def test_a_published_box_comes_back_from_pixels(
    box: tuple[int, int, int, int], width: int, height: int
) -> None:
    assert to_published(to_absolute(box, width, height), width, height) == box


@given(boxes)
def test_swapped_corners_are_put_right_and_never_collapse(box: tuple[int, int, int, int]) -> None:
    x1, y1, x2, y2 = to_absolute(box, 1280, 720)
    assert (x2 - x1, y2 - y1) == pytest.approx((abs(box[2] - box[0]) * 1.28, abs(box[3] - box[1]) * 0.72))


@given(anywhere)
def test_a_published_box_is_sorted_and_inside_of_the_frame(box: Box) -> None:
    x1, y1, x2, y2 = to_published(box, 1280, 720)
    assert 0 <= x1 <= x2 <= 1000
    assert 0 <= y1 <= y2 <= 1000


@pytest.mark.parametrize("box", [(), (1, 2, 3), (1, 2, 3, 4, 5), (1, 2, 3, math.nan), (1, 2, 3, math.inf)])
def test_what_has_not_four_finite_numbers_is_no_box(box: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="four finite numbers"):
        to_absolute(box, 1280, 720)


@given(sorted_boxes, sorted_boxes)
def test_overlap_is_symmetric_and_bounded(first: Box, second: Box) -> None:
    assert box_iou(first, second) == box_iou(second, first)
    assert 0 <= box_iou(first, second) <= 1
    assert intersection_area(first, second) <= min(box_area(first), box_area(second))
    assert box_area(union_box([first, second])) >= max(box_area(first), box_area(second))
    if box_area(first):
        assert box_iou(first, first) == 1


def test_overlap_of_known_boxes() -> None:
    assert box_iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert box_iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0
    assert box_iou((3, 3, 3, 3), (3, 3, 3, 3)) == 0


def test_growing_and_clipping() -> None:
    assert grow_box((10, 20, 30, 60), 0.5) == (0, 0, 40, 80)
    assert clip_box((-5, -5, 2000, 100), 1280, 720) == (0, 0, 1280, 100)


def test_the_box_of_a_mask_holds_it_tightly() -> None:
    mask = np.zeros((20, 30), np.bool_)
    assert box_of_mask(mask) is None
    mask[4:9, 7:12] = True
    box = box_of_mask(mask)
    assert box is not None
    assert box == (7, 4, 12, 9)
    rows, columns = box_slices(box, 30, 20)
    assert mask[rows, columns].all()
    assert mask[rows, columns].sum() == mask.sum()


def test_no_boxes_cannot_be_united() -> None:
    with pytest.raises(ValueError, match="no boxes"):
        union_box([])
