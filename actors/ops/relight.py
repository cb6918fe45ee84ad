"""The foreground's light and colour moved toward the scene: an affine map a channel, light wrap, shadow.

What a reader gets wrong: the map is one gain and one offset a channel for the whole clip, fitted once. A map
fitted frame by frame pumps; a map per region repaints faces. Stronger is not better: skin that turns orange
reads as paint, not as light.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from actors.ops.matte import Cutout
from actors.roles import Frame, Mask

Floats = npt.NDArray[np.float32]

_LUMA = np.array([0.299, 0.587, 0.114])
_COLOUR_STRENGTH = 0.45  # share of the scene's colour cast that the foreground takes over
_EXPOSURE_STRENGTH = 0.36  # exponent on the ratio of the scene's to the foreground's brightness
_GAIN_LIMITS = (0.62, 1.38)
_HAZE_STRENGTH = 0.25  # share of the difference between the two black levels
_WRAP_REACH = 9.0  # pixels at 720 rows
_WRAP_STRENGTH = 0.22


@dataclass(frozen=True)
class Relight:
    """`gain * value + offset` for each channel, on 8-bit values."""

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def apply(self, frame: Frame) -> Frame:
        """A new frame of the same shape; values are rounded and clipped to 0..255."""
        levels = np.arange(256, dtype=np.float64)[:, None] * np.array(self.gain) + np.array(self.offset)
        table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)[None]
        return np.asarray(cv2.LUT(frame, table), dtype=np.uint8)


def relight_toward(image: Frame, mask: Mask, scene: Frame) -> Relight:
    """The map that moves the foreground of `image` (under `mask`) toward the light of `scene` (any size).

    The scene's light is the mean of its brighter half, its ambient level its darkest twentieth; the
    foreground takes over part of the colour cast, of the exposure and of the black level. No foreground: the
    identity.
    """
    own = image[mask].astype(np.float64)
    if not own.size:
        return Relight()
    new = scene[::4, ::4].reshape(-1, 3).astype(np.float64)
    own_luma, new_luma = own @ _LUMA, new @ _LUMA
    light = new[new_luma >= np.median(new_luma)].mean(axis=0) + 8.0
    cast = (light / (light @ _LUMA)) ** _COLOUR_STRENGTH
    cast /= cast @ _LUMA
    exposure = ((new_luma.mean() + 16.0) / (own_luma.mean() + 16.0)) ** _EXPOSURE_STRENGTH
    room = 255.0 / max(float(np.percentile(own, 98.5, axis=0).max()), 60.0)  # highlights must not burn out
    gain = np.clip(cast * min(exposure, max(room, 1.0)), *_GAIN_LIMITS)
    dark = new_luma <= np.percentile(new_luma, 5)
    black = new[dark].mean(axis=0) - gain * np.percentile(own, 2, axis=0)
    offset = np.clip(_HAZE_STRENGTH * black, -14.0, 14.0)
    gain = gain - offset / 255.0  # white stays where the gain puts it
    return Relight(_three(gain), _three(offset))


def match_relight(source: Frame, edited: Frame, inside: Mask, *, min_pixels: int = 200) -> Relight:
    """The per-channel map that carries `source` to `edited` inside `inside`: robust least squares.

    This is how a video takes over the look that the editor, whichever it was, gave the first frame. Gains are
    limited to 0.4..1.8. The identity where fewer than `min_pixels` are given; only an offset where a channel
    does not vary.
    """
    if int(inside.sum()) < min_pixels:
        return Relight()
    gains, offsets = [], []
    for channel in range(3):
        x = source[..., channel][inside].astype(np.float64)
        y = edited[..., channel][inside].astype(np.float64)
        weight = ((y > 2) & (y < 253)).astype(np.float64) + 1e-3  # clipped values do not lie on the line
        gain, offset = 1.0, 0.0
        for _ in range(4):
            total = weight.sum()
            mean_x, mean_y = (weight * x).sum() / total, (weight * y).sum() / total
            variance = (weight * (x - mean_x) ** 2).sum() / total
            if variance < 4.0:
                gain, offset = 1.0, float(mean_y - mean_x)
                break
            gain = float((weight * (x - mean_x) * (y - mean_y)).sum() / total / variance)
            gain = min(max(gain, 0.4), 1.8)
            offset = float(mean_y - gain * mean_x)
            residual = np.abs(y - gain * x - offset)
            weight = weight / (1.0 + (residual / max(1.5 * float(np.median(residual)), 2.0)) ** 2)
        gains.append(gain)
        offsets.append(offset)
    return Relight(_three(np.array(gains)), _three(np.array(offsets)))


def composite(cutout: Cutout, background: Frame, light: Relight, *, wrap: bool = True) -> Frame:
    """The cut-out under the scene's light, laid over `background`; all of one size.

    With `wrap`, light of what is behind spills over the foreground's edge, a few pixels wide, only where it
    is brighter: what a lens does, and what hides a cut.
    """
    lit = Cutout(cutout.alpha, light.apply(cutout.foreground))
    out = lit.over(background)
    if not wrap:
        return out
    height, width = cutout.alpha.shape
    reach = _WRAP_REACH * height / 720.0
    core = (cutout.alpha > 127).astype(np.uint8)
    depth = cv2.distanceTransform(core, cv2.DIST_L2, 3)
    where = np.unravel_index(np.flatnonzero((depth > 0) & (depth < reach)), depth.shape)
    if not where[0].size:
        return out
    small = cv2.resize(background, (max(width // 8, 1), max(height // 8, 1)), interpolation=cv2.INTER_AREA)
    glow = cv2.GaussianBlur(small, (0, 0), 3.0)
    ys, xs = np.minimum(where[0] // 8, glow.shape[0] - 1), np.minimum(where[1] // 8, glow.shape[1] - 1)
    share = _WRAP_STRENGTH * (1.0 - depth[where] / reach) ** 2
    here = out[where].astype(np.float32)
    spill = np.maximum(glow[ys, xs].astype(np.float32) - here, 0.0)
    out[where] = np.rint(here + share[:, None] * spill).astype(np.uint8)
    return out


def ground_shadow(background: Frame, mask: Mask, *, strength: float = 0.4) -> Frame:
    """A soft dark ellipse where a subject that ends above the frame's lower border touches the ground.

    Nothing is drawn where the mask reaches the border or is empty.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    height, width = mask.shape
    if not rows.size or rows[-1] >= height - 4:
        return background
    bottom = int(rows[-1])
    feet = np.flatnonzero(mask[max(bottom - height // 30, 0) : bottom + 1].any(axis=0))
    half = max((int(feet[-1]) - int(feet[0])) / 2.0, 4.0)
    centre = (int(feet[0]) + int(feet[-1])) / 2.0
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    far = ((xs - centre) / (1.35 * half)) ** 2 + ((ys - bottom) / max(0.28 * half, 4.0)) ** 2
    shade = 1.0 - strength * np.exp(-far)
    return np.asarray(np.rint(background * shade[..., None]), dtype=np.uint8)


def _three(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
