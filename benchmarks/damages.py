"""Deliberate damage: what a scorer has to reject, as seeded functions on one edited picture.

What a reader gets wrong: `held_out` does not mean unheard of. The measurements against posterising, salt
and pepper and rescaling were chosen having seen those three on two pictures; the other held-out damages
were first met in the report. Moving one to the calibrated list spends it. Sizes are pixels of a 720-row
picture and scale with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from actors.roles import Frame

Floats = npt.NDArray[np.float32]
Stage = Literal[2, 3]


@dataclass(frozen=True)
class Scene:
    """One good edit with all that is needed to spoil it; every array has the same height and width."""

    source: Frame
    edited: Frame
    """The new background with the foreground of `source` in its place."""
    background: Frame
    """`edited` without the foreground."""
    matte: Floats
    """(H, W), 0..1: the foreground."""
    stranger: Frame
    """A picture of somebody else."""
    stranger_matte: Floats

    def pixels(self, at_720_rows: float) -> float:
        rows: int = self.source.shape[0]
        return at_720_rows * rows / 720.0


@dataclass(frozen=True)
class Damage:
    name: str
    stage: Stage
    held_out: bool
    spoil: Callable[[Scene, np.random.Generator], Frame]

    def apply(self, scene: Scene, seed: int) -> Frame:
        """The damaged picture, (H, W, 3) RGB; the same scene and seed give the same bytes."""
        return self.spoil(scene, np.random.default_rng([seed, *self.name.encode()]))


def blend(top: Frame | Floats, bottom: Frame, alpha: Floats) -> Frame:
    """`top` over `bottom`, both (H, W, 3) on 0..255, with alpha (H, W) in 0..1."""
    under = bottom.astype(np.float32)
    return _levels(under + (top.astype(np.float32) - under) * alpha[..., None])


def _levels(values: npt.NDArray[np.floating]) -> Frame:
    """Back to whole 8-bit levels."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _blurred(frame: Frame, sigma: float) -> Frame:
    return np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8)


def _grown(matte: Floats, radius: float) -> Floats:
    size = 2 * round(radius) + 1
    grown = cv2.dilate(matte, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), max(radius / 8, 0.5)), np.float32)


def _noisy(frame: Frame, sigma: float, rng: np.random.Generator) -> Frame:
    return _levels(frame + rng.normal(0.0, sigma, frame.shape))


def _jpeg(frame: Frame, quality: int) -> Frame:
    _, data = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def _moved(scene: Scene, transform: npt.NDArray[np.float64]) -> Frame:
    height, width = scene.matte.shape
    cut = cv2.warpAffine(scene.source, transform, (width, height), borderMode=cv2.BORDER_REPLICATE)
    matte = cv2.warpAffine(scene.matte, transform, (width, height))
    return blend(np.asarray(cut, np.uint8), scene.background, np.asarray(matte, np.float32))


def _centre(scene: Scene) -> tuple[float, float]:
    ys, xs = np.nonzero(scene.matte > 0.5)
    return (float(xs.mean()), float(ys.mean())) if xs.size else (0.0, 0.0)


# ---------------------------------------------------------------- stage 2, used for calibration


def background_unchanged(scene: Scene, rng: np.random.Generator) -> Frame:
    return scene.source.copy()


def background_only_tinted(scene: Scene, rng: np.random.Generator) -> Frame:
    tint = np.array([(1.25, 1.0, 0.7), (0.7, 0.95, 1.3), (0.75, 1.2, 0.8)][rng.integers(3)], np.float32)
    return blend(scene.source, np.clip(scene.source * tint, 0, 255), scene.matte)


def foreground_gone(scene: Scene, rng: np.random.Generator) -> Frame:
    return scene.background.copy()


def foreground_blurred(scene: Scene, rng: np.random.Generator) -> Frame:
    return blend(_blurred(scene.edited, scene.pixels(6)), scene.edited, scene.matte)


def foreground_swapped(scene: Scene, rng: np.random.Generator) -> Frame:
    return blend(scene.stranger, scene.background, scene.stranger_matte)


def noise(scene: Scene, rng: np.random.Generator) -> Frame:
    return _noisy(scene.edited, 12.0, rng)


def blur(scene: Scene, rng: np.random.Generator) -> Frame:
    return _blurred(scene.edited, scene.pixels(4))


def heavy_jpeg(scene: Scene, rng: np.random.Generator) -> Frame:
    return _jpeg(scene.edited, 8)


def wide_halo(scene: Scene, rng: np.random.Generator) -> Frame:
    return blend(scene.source, scene.edited, _grown(scene.matte, scene.pixels(30)))


# ---------------------------------------------------------------- stage 2, held out


def foreground_shifted(scene: Scene, rng: np.random.Generator) -> Frame:
    side = scene.pixels(40) * rng.choice([-1, 1])
    return _moved(scene, np.array([[1, 0, side], [0, 1, 0]], np.float64))


def foreground_mirrored(scene: Scene, rng: np.random.Generator) -> Frame:
    x, _ = _centre(scene)
    return _moved(scene, np.array([[-1, 0, 2 * x], [0, 1, 0]], np.float64))


def foreground_rescaled(scene: Scene, rng: np.random.Generator) -> Frame:
    return _moved(scene, np.asarray(cv2.getRotationMatrix2D(_centre(scene), 0, 0.8), np.float64))


def foreground_half_missing(scene: Scene, rng: np.random.Generator) -> Frame:
    x, _ = _centre(scene)
    matte = scene.matte.copy()
    matte[:, : int(x)] = 0
    return blend(scene.edited, scene.background, matte)


def foreground_semi_transparent(scene: Scene, rng: np.random.Generator) -> Frame:
    return blend(scene.edited, scene.background, 0.5 * np.ones_like(scene.matte))


def background_half_unchanged(scene: Scene, rng: np.random.Generator) -> Frame:
    out, middle = scene.edited.copy(), scene.matte.shape[1] // 2
    out[:, :middle] = scene.source[:, :middle]
    return out


def posterised(scene: Scene, rng: np.random.Generator) -> Frame:
    return np.asarray(scene.edited // 43 * 43 + 21, np.uint8)


def salt_and_pepper(scene: Scene, rng: np.random.Generator) -> Frame:
    out, draw = scene.edited.copy(), rng.random(scene.matte.shape)
    out[draw < 0.01], out[draw > 0.99] = 0, 255
    return out


def downscaled_and_up(scene: Scene, rng: np.random.Generator) -> Frame:
    height, width = scene.matte.shape
    small = cv2.resize(scene.edited, (width // 6, height // 6), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def grid_artefacts(scene: Scene, rng: np.random.Generator) -> Frame:
    out = scene.edited.astype(np.float32)
    out[::16] += 14
    out[:, ::16] += 14
    return _levels(out)


def chroma_shifted(scene: Scene, rng: np.random.Generator) -> Frame:
    step = round(scene.pixels(8))
    out = scene.edited.copy()
    out[..., 0], out[..., 2] = np.roll(out[..., 0], step, axis=1), np.roll(out[..., 2], -step, axis=1)
    return out


# ---------------------------------------------------------------- stage 3, used for calibration


def foreground_not_removed(scene: Scene, rng: np.random.Generator) -> Frame:
    return scene.edited.copy()


def foreground_half_removed(scene: Scene, rng: np.random.Generator) -> Frame:
    return foreground_half_missing(scene, rng)


def another_background(scene: Scene, rng: np.random.Generator) -> Frame:
    """Another place altogether: the stranger's, upside down, so that no somebody stands in it."""
    return np.ascontiguousarray(scene.stranger[::-1])


def black_hole(scene: Scene, rng: np.random.Generator) -> Frame:
    return blend(np.zeros_like(scene.edited), scene.background, _grown(scene.matte, scene.pixels(6)))


def noise_after_removal(scene: Scene, rng: np.random.Generator) -> Frame:
    return _noisy(scene.background, 12.0, rng)


# ---------------------------------------------------------------- stage 3, held out


def smeared_blob(scene: Scene, rng: np.random.Generator) -> Frame:
    return blend(
        _blurred(scene.edited, scene.pixels(45)), scene.background, _grown(scene.matte, scene.pixels(8))
    )


def wrong_rectangle(scene: Scene, rng: np.random.Generator) -> Frame:
    ys, xs = np.nonzero(scene.matte > 0.5)
    out = scene.background.copy()
    if xs.size:
        inside = out[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        away = np.where(inside.reshape(-1, 3).mean(axis=0) > 127, -60, 60)
        inside[:] = np.clip(inside.reshape(-1, 3).mean(axis=0) + away, 0, 255)
    return out


def ghost(scene: Scene, rng: np.random.Generator) -> Frame:
    return blend(scene.edited, scene.background, 0.5 * scene.matte)


def blur_after_removal(scene: Scene, rng: np.random.Generator) -> Frame:
    return _blurred(scene.background, scene.pixels(4))


def head_left(scene: Scene, rng: np.random.Generator) -> Frame:
    """Everything removed but the top third of the foreground."""
    ys = np.flatnonzero((scene.matte > 0.5).any(axis=1))
    matte = scene.matte.copy()
    if ys.size:
        matte[ys[0] + (ys[-1] - ys[0]) // 3 :] = 0
    return blend(scene.edited, scene.background, matte)


_CALIBRATED: dict[Stage, list[Callable[[Scene, np.random.Generator], Frame]]] = {
    2: [
        background_unchanged,
        background_only_tinted,
        foreground_gone,
        foreground_blurred,
        foreground_swapped,
        noise,
        blur,
        heavy_jpeg,
        wide_halo,
    ],
    3: [foreground_not_removed, foreground_half_removed, another_background, black_hole, noise_after_removal],
}
_HELD_OUT: dict[Stage, list[Callable[[Scene, np.random.Generator], Frame]]] = {
    2: [
        foreground_shifted,
        foreground_mirrored,
        foreground_rescaled,
        foreground_half_missing,
        foreground_semi_transparent,
        background_half_unchanged,
        posterised,
        salt_and_pepper,
        downscaled_and_up,
        grid_artefacts,
        chroma_shifted,
    ],
    3: [smeared_blob, wrong_rectangle, ghost, blur_after_removal, head_left],
}
DAMAGES: tuple[Damage, ...] = tuple(
    Damage(spoil.__name__.replace("_", " "), stage, held_out, spoil)
    for held_out, table in ((False, _CALIBRATED), (True, _HELD_OUT))
    for stage, spoils in table.items()
    for spoil in spoils
)
"""The damages of the issue (`held_out` False), then those kept for the report."""
