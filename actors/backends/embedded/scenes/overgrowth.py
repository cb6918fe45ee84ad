"""What grows over old stone: ivy on walls, tufts of grass, and the shapes of openings in walls.

What a reader gets wrong: ivy is one swaying layer whose leaves are held where the vine meets the wall, so it
rustles and does not slide.
"""

from __future__ import annotations

import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    blank,
    fbm,
    mix,
    smoothstep,
)
from actors.backends.embedded.scenes.motion import Swaying
from actors.backends.embedded.scenes.parts import (
    leafage,
)
from actors.backends.embedded.scenes.plants import _leaves, blades
from actors.backends.embedded.scenes.stage import Stage


def grid(stage: Stage) -> tuple[Array, Array]:
    y, x = np.mgrid[0 : stage.height, 0 : stage.width].astype(np.float32)
    return y, x


def arch(x: Array, y: Array, middle: float, half: float, spring: float) -> Array:
    """1 inside a round-headed opening that is open downward; `spring` is the row where the arch begins."""
    round_ = half - np.sqrt((x - middle) ** 2 + (y - spring) ** 2)
    straight = half - np.abs(x - middle)
    return smoothstep(-0.8, 0.8, np.where(y < spring, round_, straight))


def ivy(
    stage: Stage, places: list[tuple[float, float, float, float]], *, count: int, size: float, sway: float
) -> None:
    """Leaves that hang on walls in ragged patches: (x, top row, spread px, length px)."""
    rng = stage.rng
    layer = blank(stage.height, stage.width)
    weight = np.zeros((stage.height, stage.width), np.float32)
    own = leafage(
        stage,
        dark=stage.colour("foliage") * 0.7,
        lit=mix(stage.colour("foliage"), stage.colour("foliage_lit"), 0.6),
    )
    each = max(count // max(len(places), 1), 1)
    for x, top, spread, length in places:
        strand = rng.integers(0, 14, each)
        offset = rng.normal(0, spread * 0.55, 14)[strand]
        reach = rng.uniform(0.2, 1.0, 14)[strand]
        down = rng.random(each) ** 0.8 * reach
        px = x + offset + rng.normal(0, spread * (0.13 - 0.08 * down), each)
        py = top + down * length + rng.normal(0, spread * 0.05, each)
        shade = np.clip(0.62 + rng.normal(0, 0.26, each) - 0.25 * down, 0, 1)
        _leaves(
            layer,
            rng,
            px.astype(np.float32),
            py.astype(np.float32),
            (size * rng.uniform(0.55, 1.2, each)).astype(np.float32),
            shade.astype(np.float32),
            own,
            slim=0.75,
        )
        y, xx = grid(stage)
        near = np.exp(-(((xx - x) / (spread * 1.3)) ** 2))
        np.maximum(weight, near * np.clip(0.25 + (y - top) / max(length, 1), 0.2, 1), out=weight)
    stage.add(
        Swaying(layer, weight, stage.wind, sway=stage.px(sway), flutter=stage.px(2.6), glint=0.22, drop=0.2)
    )


def tufts(stage: Stage, foot: float, tall: float, count: int, keep: Array) -> None:
    """A band of grass, thinned along the picture by `keep` (width,)."""
    layer, weight = blades(
        stage.rng,
        stage.height,
        stage.width,
        foot=(foot - tall * 0.25, foot + tall * 0.25),
        tall=tall,
        count=count,
        dark=stage.lit(stage.colour("grass") * 0.7, 0.5),
        tip=np.clip(stage.lit(stage.colour("grass_tip") * 1.15, 1.0), 0, 1),
        lean=0.28,
    )
    thin = (layer * keep[None, :, None]).astype(np.uint8)
    stage.add(Swaying(thin, weight, stage.wind, sway=tall * 0.3, flutter=0.8, sheen=0.3, drop=0.3))


def sides_only(stage: Stage, low: float, high: float) -> Array:
    """(width,) 0 in the middle, 1 at both sides."""
    x = np.abs(np.linspace(-1, 1, stage.width, dtype=np.float32))
    ragged = fbm(stage.rng, 1, stage.width, cell=stage.px(110), octaves=3)[0] - 0.5
    return smoothstep(low, high, x + 0.35 * ragged)
