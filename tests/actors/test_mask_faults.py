"""Measurements of a mask over time, on made clips whose faults are known; and the gates that read them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ops.mask_faults import MaskFaults, mask_faults
from actors.ops.masks import pack_rows
from actors.pipeline import resolve
from actors.roles import Anchor, Mask
from actors.stage4_tracking import ForegroundTracker
from schemas.config import RunConfig
from schemas.gates import Gate, first_closed, gates_of

HEIGHT, WIDTH, FRAMES = 40, 60, 20
BOX = (10.0, 10.0, 30.0, 30.0)
OTHER = (40.0, 10.0, 50.0, 30.0)


def marked(*boxes: tuple[float, float, float, float]) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    for x1, y1, x2, y2 in boxes:
        mask[int(y1) : int(y2), int(x1) : int(x2)] = True
    return mask


def faults(masks: list[Mask], *anchors: Anchor) -> MaskFaults:
    return mask_faults(pack_rows(np.stack(masks)), WIDTH, anchors)


def located(*frames: int, boxes: dict[str, tuple[float, float, float, float]] | None = None) -> list[Anchor]:
    return [Anchor(frame, boxes or {"thing": BOX}) for frame in frames]


def test_a_subject_that_stays_has_no_faults() -> None:
    assert faults([marked(BOX)] * FRAMES, *located(0, 8, 16)) == MaskFaults(0.0, 0.0, 0.0)


def test_a_subject_that_leaves_and_comes_back_is_gone_in_between_but_no_box_is_missed() -> None:
    masks = [marked(BOX)] * 6 + [marked()] * 5 + [marked(BOX)] * 9
    assert faults(masks, *located(0, 16)) == MaskFaults(1.0, 5 / FRAMES, 0.0)


def test_a_subject_that_comes_late_is_not_lost_before() -> None:
    assert faults([marked()] * 7 + [marked(BOX)] * 13).lost_share == 0.0


def test_a_mask_that_fails_where_the_subject_was_located_says_so() -> None:
    masks = [marked(BOX)] * 6 + [marked()] * 5 + [marked(BOX)] * 9
    assert faults(masks, *located(0, 8, 16)).label_lost_share == pytest.approx(1 / 3)


def test_one_label_of_two_lost_is_seen_though_the_union_goes_on() -> None:
    masks = [marked(BOX, OTHER)] * 10 + [marked(BOX)] * 10
    found = faults(masks, *located(0, 8, 16, boxes={"person": BOX, "dog": OTHER}))
    assert found.area_step == pytest.approx(200 / 600)
    assert found.lost_share == 0.0
    assert found.label_lost_share == pytest.approx(1 / 6)


def test_a_single_frame_that_spills_over_is_a_jump() -> None:
    masks = [marked(BOX)] * FRAMES
    masks[7] = marked((0.0, 0.0, 60.0, 40.0))
    assert faults(masks).area_step == pytest.approx((2400 - 400) / 2400)


def test_slow_growth_is_none() -> None:
    masks = [marked((10.0, 10.0, 12.0 + index, 30.0)) for index in range(FRAMES)]
    assert faults(masks).area_step == pytest.approx(1 / 21)


def test_no_mask_no_frame_before_and_an_empty_box_are_no_faults() -> None:
    assert faults([marked()] * 3) == MaskFaults(0.0, 0.0, 0.0)
    assert faults([marked(BOX)], *located(0, boxes={"thing": (60.0, 5.0, 60.0, 9.0)})) == MaskFaults(0, 0, 0)


@given(st.lists(st.integers(0, WIDTH), min_size=1, max_size=12))
def test_every_measurement_is_a_share(widths: list[int]) -> None:
    masks = [marked((0.0, 0.0, float(width), 40.0)) for width in widths]
    found = faults(masks, *located(0))
    assert all(0.0 <= value <= 1.0 for value in vars(found).values())


@pytest.mark.parametrize("gate", gates_of("ForegroundTracker"), ids=lambda gate: gate.name)
def test_gates_on_masks_are_open_until_they_are_set(gate: Gate) -> None:
    config = ForegroundTracker.Config()
    off = ForegroundTracker.thresholds(config)
    bad = {"vote_agreement": 0.1, "mask_area_step": 1.0, "mask_lost_share": 0.9, "label_lost_share": 0.9}
    assert first_closed("ForegroundTracker", bad, off) is None
    assert first_closed("ForegroundTracker", bad, off | {gate.name: 0.5}) is gate


def test_the_tie_rule_is_in_the_recipe_and_the_gates_are_not() -> None:
    def fingerprint(**knobs: object) -> str:
        planned = resolve(RunConfig(actors={"ForegroundTracker": knobs}))
        return next(item.fingerprint for item in planned if item.name == "ForegroundTracker")

    assert fingerprint(ties="background") != fingerprint() == fingerprint(ties="foreground")
    assert fingerprint(max_mask_area_step=0.3) == fingerprint()
