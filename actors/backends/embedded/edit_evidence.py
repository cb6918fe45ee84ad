"""Measurements on a pair of pictures, before and after an edit: structure kept, colours moved, holes filled.

What a reader gets wrong: structure is compared through gradients, cell by cell, so that new light (gain,
offset, tint) costs nothing and a subject that is moved by a few pixels counts as gone. It is a test of "the
same thing in the same place", not of likeness.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from actors.roles import Frame, Mask

Floats = npt.NDArray[np.float32]

WORK_HEIGHT = 360
"""Rows at which pairs are compared; lengths below are pixels at this size."""
CELL = 20
_FLAT = (
    3.0  # gradient energy a pixel (sum over x, y and the channels) under which a cell shows nothing but noise
)
_SAME = 0.7  # a cell with this correlation still shows the old thing
_GONE = 0.3  # a cell under this correlation shows something else
_SAME_COLOUR = 3.0  # CIE76; a flat cell within this distance was not touched


@dataclass(frozen=True)
class Agreement:
    """How much of the first picture's structure the second has, in one region."""

    kept: float
    """Mean correlation of gradients over the cells that have any, negative ones as 0: 0..1."""
    gone_share: float
    """Share of those cells that show something else, 0..1."""
    untouched_share: float
    """Share of all cells that show the same: equal structure, or both flat and of one colour. 0..1."""
    gain: float
    """Contrast of the second over the first where they agree; 0.5 is half see-through or half as bright."""
    worst_channel: float
    """Correlation of the worst colour channel over the whole region, -1..1."""
    textured_share: float
    """Share of the region's cells with structure in either picture, 0..1: what the figures above rest on."""
    colour_distance: float
    """Mean CIE76 distance over the region."""
    most_changed: float
    """The same over that half of the region that changed most."""


@dataclass(frozen=True)
class Pair:
    """Two pictures of one size, prepared for comparison at `WORK_HEIGHT` rows."""

    first: Floats
    second: Floats
    """(h, w, 3) RGB 0..255."""
    covariance: Floats
    first_energy: Floats
    second_energy: Floats
    """(h, w, 3): products of gradients, summed over x and y."""
    distance: Floats
    """(h, w): CIE76 distance of the two, lightly blurred."""


def working_size(frame: Frame) -> tuple[int, int]:
    """(width, height) at which `frame` is compared."""
    height, width = frame.shape[:2]
    return max(round(width * WORK_HEIGHT / height), CELL), WORK_HEIGHT


def _shrunk(frame: Frame) -> Floats:
    """`frame` at working size, (h, w, 3) float32 0..255, a little blurred against noise."""
    small = cv2.resize(frame, working_size(frame), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), np.float32)


def lab(picture: Floats) -> Floats:
    """(h, w, 3) RGB 0..255 to CIE L*a*b*, L 0..100."""
    return np.asarray(cv2.cvtColor(picture / np.float32(255), cv2.COLOR_RGB2LAB), np.float32)


def make_pair(first: Frame, second: Frame) -> Pair:
    """Raises ValueError where the two differ in size."""
    if first.shape != second.shape:
        raise ValueError(
            f"the pictures are {first.shape} and {second.shape}: only equal sizes can be compared"
        )
    small = [_shrunk(first), _shrunk(second)]
    along_x = [cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=0.25) for picture in small]
    along_y = [cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=0.25) for picture in small]
    shift = np.asarray(cv2.GaussianBlur(lab(small[0]) - lab(small[1]), (0, 0), 1.5), np.float32)
    return Pair(
        first=small[0],
        second=small[1],
        covariance=along_x[0] * along_x[1] + along_y[0] * along_y[1],
        first_energy=along_x[0] ** 2 + along_y[0] ** 2,
        second_energy=along_x[1] ** 2 + along_y[1] ** 2,
        distance=np.sqrt((shift**2).sum(axis=2)),
    )


def _cells(values: Floats, where: Mask) -> Floats:
    """Sums over cells of `CELL` x `CELL` pixels inside `where`."""
    height, width = where.shape
    size = (max(width // CELL, 1), max(height // CELL, 1))
    kept = np.where(where, values, np.float32(0))
    return np.asarray(cv2.resize(kept, size, interpolation=cv2.INTER_AREA) * (CELL * CELL), np.float32)


def agreement(pair: Pair, where: Mask, *, least_pixels: int = 40) -> Agreement | None:
    """Compares the two pictures inside `where` (h, w at working size); None where the region is too small."""
    count = _cells(np.ones(where.shape, np.float32), where)
    enough = count >= least_pixels
    if not enough.any():
        return None
    area = np.where(enough, count, 0)
    covariance = _cells(pair.covariance.sum(axis=2), where)
    first, second = (
        _cells(pair.first_energy.sum(axis=2), where),
        _cells(pair.second_energy.sum(axis=2), where),
    )
    floor = _FLAT * np.maximum(count, 1)
    correlation = covariance / np.sqrt(np.maximum(first, floor) * np.maximum(second, floor))
    textured = np.maximum(first, second) > floor
    distance = _cells(pair.distance, where) / np.maximum(count, 1)
    weight = area * textured
    total = float(weight.sum())
    untouched = np.where(textured, correlation > _SAME, distance < _SAME_COLOUR)

    distances = pair.distance[where]
    agreeing = textured & enough & (correlation > 0.5)
    first_sum = float(first[agreeing].sum())
    channels = [
        float(
            pair.covariance[..., c][where].sum()
            / np.sqrt(pair.first_energy[..., c][where].sum() * pair.second_energy[..., c][where].sum() + 1e-6)
        )
        for c in range(3)
    ]
    return Agreement(
        kept=float((np.clip(correlation, 0, 1) * weight).sum() / total) if total else 0.0,
        gone_share=float(weight[correlation < _GONE].sum() / total) if total else 1.0,
        untouched_share=float((area * untouched).sum() / area.sum()),
        gain=float(covariance[agreeing].sum()) / first_sum if first_sum else 1.0,
        worst_channel=min(channels),
        textured_share=total / float(area.sum()),
        colour_distance=float(distances.mean()),
        most_changed=float(distances[distances >= np.median(distances)].mean()),
    )


@dataclass(frozen=True)
class Fill:
    """How well the place of a removed object fits what is round it, in the second picture of a pair."""

    step: float
    """Colour step across the rim of the changed region, less what is usual beside it; seamless: about 0."""
    texture: float
    """Gradient energy inside over that beside it, row by row, each row's excess over 1 cut off: 0..1."""


def fill_evidence(pair: Pair, removed: Mask, *, strip: int = 6) -> Fill:
    """`removed`: (h, w) at working size, True where the object was."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    near = cv2.dilate(removed.astype(np.uint8), np.ones((61, 61), np.uint8)) > 0
    changed = ((pair.distance > 6) & near) | removed
    closed = np.asarray(cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, disc), np.uint8)
    picture = lab(pair.second)
    width = removed.shape[1]
    here = _step_across(picture, closed, strip)
    beside = [
        _step_across(picture, np.roll(closed, offset, axis=1), strip) for offset in (-width // 6, width // 6)
    ]
    energy = pair.second_energy.sum(axis=2)
    inside = closed > 0
    ring = (cv2.dilate(closed, np.ones((81, 81), np.uint8)) > 0) & ~inside
    shares, weights = [], []
    for top in range(0, removed.shape[0] - CELL + 1, CELL):
        rows = slice(top, top + CELL)
        if inside[rows].sum() >= CELL * CELL and ring[rows].sum() >= CELL * CELL:
            around = float(energy[rows][ring[rows]].mean())
            within = float(energy[rows][inside[rows]].mean())
            shares.append(min(within / max(around, 1e-6), 1.0) if around > 2 * _FLAT else 1.0)
            weights.append(float(inside[rows].sum()))
    texture = float(np.average(shares, weights=weights)) if shares else 1.0
    return Fill(step=here - float(np.mean(beside)), texture=texture)


def _step_across(picture: Floats, region: npt.NDArray[np.uint8], strip: int) -> float:
    """Median CIE76 distance between the two sides of the rim of `region` (h, w, 0 or 1)."""
    core = cv2.erode(region, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE).astype(np.float32)
    away = 1 - cv2.dilate(region, np.ones((3, 3), np.uint8)).astype(np.float32)
    size = (2 * strip + 1, 2 * strip + 1)
    means, amounts = [], []
    for side in (core, away):
        amount = cv2.blur(side, size)
        means.append(cv2.blur(picture * side[..., None], size) / np.maximum(amount, 1e-3)[..., None])
        amounts.append(amount)
    rim = (region > 0) & (cv2.erode(region, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE) == 0)
    rim &= (amounts[0] > 0.15) & (amounts[1] > 0.15)
    if not rim.any():
        return 0.0
    return float(np.median(np.sqrt(((means[0] - means[1])[rim] ** 2).sum(axis=1))))
