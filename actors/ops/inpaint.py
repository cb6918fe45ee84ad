"""Filling a hole in a picture from what surrounds it.

What a reader gets wrong: the shift map works on a small picture, so its filling is soft; the fine texture on
top is real texture of the same picture, moved there, never noise that was made up.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from actors.roles import Frame, Mask, SampleError

Floats = npt.NDArray[np.float32]

_PLAIN_STEP = 9  # 8-bit levels within 3x3 pixels
_ALIKE = 22.0  # 8-bit levels between two places that may share their texture
_MAX_STEP = 40.0  # 8-bit levels
_PULL_REACH = 40.0  # pixels of the small picture
_ROWS = 240  # xphoto's shift map takes 4 s at 427x240 and grows faster than the area
_GROW = 14.0  # pixels at 720 rows around the mask that are filled too: soft edges, light wrap


def widened(mask: Mask, *, pixels: float) -> Mask:
    """`mask` dilated by `pixels` (at 720 rows)."""
    radius = max(round(pixels * mask.shape[0] / 720.0), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc), dtype=np.bool_)


def inpaint(image: Frame, mask: Mask, *, seed: int) -> Frame:
    """`image` (H, W, 3) with what lies under `mask` (H, W) replaced by what surrounds it; the rest is
    unchanged.

    Shift-map inpainting at 240 rows, Telea where that leaves holes, colours pulled to those along the hole's
    border, then fine texture of the same rows, moved sideways. 4-9 CPU seconds, by the hole's size. Raises
    SampleError where there is nothing to learn from (mask over 95 %).
    """
    hole = widened(mask, pixels=_GROW)
    if not hole.any():
        return image.copy()
    if hole.mean() > 0.95:
        raise SampleError(f"{hole.mean():.0%} of the picture would have to be invented; at most 95 % can be")
    cv2.setNumThreads(1)
    height, width = hole.shape
    rows = min(_ROWS, height)
    size = (max(round(width * rows / height), 8), rows)
    coarse = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    small = _known_only(coarse, image, hole, size)
    small_hole = cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.01
    filled = _fill(small, small_hole, seed)

    base = cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    coarse = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    base += _moved_texture(image, coarse, base, hole, seed)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)
    share = np.clip(depth / (10.0 * height / 720.0), 0.0, 1.0)[..., None]
    out = image + share * (np.clip(base, 0, 255) - image)
    return np.asarray(np.rint(out), dtype=np.uint8)


def _known_only(small: Frame, image: Frame, hole: Mask, size: tuple[int, int]) -> Frame:
    """The small picture with the hole's colours kept out of the pixels that the hole only touches."""
    known = (~hole).astype(np.float32)
    weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)[..., None]
    colours = cv2.resize(image * known[..., None], size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.where(weight > 0.01, colours / np.maximum(weight, 0.01), small), dtype=np.uint8)


def _fill(small: Frame, hole: Mask, seed: int) -> Frame:
    cv2.setRNGSeed(seed % (2**31 - 1))
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    lab[hole] = 0
    result = np.zeros_like(lab)
    cv2.xphoto.inpaint(lab, np.where(hole, 0, 255).astype(np.uint8), result, cv2.xphoto.INPAINT_SHIFTMAP)
    left = hole & (result.max(axis=2) == 0)  # pixels that the shift map did not reach stay zero
    shifted = cv2.cvtColor(result, cv2.COLOR_LAB2RGB)
    shifted[~hole] = small[~hole]
    left = widened(left, pixels=4) & hole if left.any() else left
    whole = cv2.inpaint(shifted, left.astype(np.uint8) * 255, 4, cv2.INPAINT_TELEA)
    return _even_out(_pulled_to_border(np.asarray(whole, dtype=np.uint8), hole), hole)


def _even_out(filled: Frame, hole: Mask) -> Frame:
    """Soap-film smoothing of the filling where it is plain (sky, mist, calm water): no seam shows there.

    Plain is where hardly a pixel of the neighbourhood has a gradient; known and textured pixels hold the
    film.
    """
    gray = cv2.cvtColor(filled, cv2.COLOR_RGB2GRAY)
    slope = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    busy = cv2.blur((slope > _PLAIN_STEP).astype(np.float32), (13, 13))
    film = (
        hole & (busy < 0.3) & (cv2.dilate((slope > 3 * _PLAIN_STEP).astype(np.uint8), np.ones((5, 5))) == 0)
    )
    values = filled.astype(np.float32)
    for size in (15, 9, 5, 3):
        for _ in range(40):
            values[film] = cv2.blur(values, (size, size))[film]
    return np.asarray(np.rint(values), dtype=np.uint8)


def _pulled_to_border(filled: Frame, hole: Mask) -> Frame:
    """Takes the step along the hole's border out of the filling, less and less toward the middle.

    Poisson cloning would keep that step: it is a gradient of the filled picture like any other. Steps above
    `_MAX_STEP` are borders of things and stay.
    """
    inside = hole.astype(np.float32)
    picture = filled.astype(np.float32)
    size = (5, 5)
    seen = [cv2.blur(side, size) for side in (1.0 - inside, inside)]
    sides = [
        cv2.blur(picture * side[..., None], size) / np.maximum(weight, 1e-3)[..., None]
        for side, weight in zip((1.0 - inside, inside), seen, strict=True)
    ]
    step = sides[0] - sides[1]
    ring = inside * (seen[0] > 0.1) * (np.abs(step).max(axis=2) < _MAX_STEP)
    pull = np.zeros_like(picture)
    weight = np.full(hole.shape, 1e-6, dtype=np.float32)
    for sigma, share in ((2.0, 1.0), (8.0, 0.05), (30.0, 0.0025)):
        pull += share * cv2.GaussianBlur(step * ring[..., None], (0, 0), sigma)
        weight += share * cv2.GaussianBlur(ring, (0, 0), sigma)
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3)
    fade = np.exp(-depth / _PULL_REACH) * inside
    pulled = picture + pull / weight[..., None] * fade[..., None]
    return np.asarray(np.clip(np.rint(pulled), 0, 255), dtype=np.uint8)


def _moved_texture(image: Frame, coarse: Frame, base: Floats, hole: Mask, seed: int) -> Floats:
    """Fine texture for the hole: that of the same rows moved sideways, or else up and down.

    Only from places of much the same colour: the texture of a palm has no place in the sky.
    """
    height, width = hole.shape
    fine = image.astype(np.float32) - coarse
    result = np.zeros_like(fine)
    empty = hole.copy()
    rng = np.random.default_rng(seed)
    steps = [(0, sign * width * part // 16) for part in range(2, 12) for sign in (1, -1)]
    for part in (1, 2, 3):
        steps += [(s * height * part // 10, int(rng.integers(-width // 4, width // 4))) for s in (1, -1)]
    spread = float(fine[~hole].std())
    for dy, dx in steps:
        ys, xs = np.nonzero(empty)
        from_y, from_x = ys - dy, xs - dx
        inside = (from_y >= 0) & (from_y < height) & (from_x >= 0) & (from_x < width)
        ys, xs, from_y, from_x = ys[inside], xs[inside], from_y[inside], from_x[inside]
        alike = np.abs(coarse[from_y, from_x] - base[ys, xs]).max(axis=1) < _ALIKE
        use = ~hole[from_y, from_x] & alike
        result[ys[use], xs[use]] = fine[from_y[use], from_x[use]]
        empty[ys[use], xs[use]] = False
    return np.clip(result, -2.0 * spread, 2.0 * spread)
