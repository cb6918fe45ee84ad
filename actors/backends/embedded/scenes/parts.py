"""Parts that several families of scenes share: far land, meadows, fog; trees and what
flies, gathered from their modules.

What a reader gets wrong: everything is placed by rows; `horizon` is the row of eye height, and the middle of
the lower picture is kept calm because a person will stand there.
"""

from __future__ import annotations

import numpy as np

from actors.backends.embedded.scenes.airborne import airborne
from actors.backends.embedded.scenes.canvas import (
    Array,
    Colour,
    fbm,
    mix,
    premultiplied,
    rgb,
    smoothstep,
)
from actors.backends.embedded.scenes.groves import acacia, ground_shadows, grove, leafage, tree_bank
from actors.backends.embedded.scenes.motion import Swaying, Veil
from actors.backends.embedded.scenes.plants import (
    blades,
    flower_heads,
)
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import ground_picture, render_terrain, ridged, rolling, tree_line

__all__ = [
    "acacia",
    "airborne",
    "far_trees",
    "fog",
    "ground_shadows",
    "grove",
    "hills",
    "leafage",
    "meadow",
    "mountains",
    "tree_bank",
]


def mountains(
    stage: Stage,
    horizon: int,
    *,
    tall: float = 1.0,
    snow: float = 0.6,
    haze_from: float = 0.45,
    rock: Colour | None = None,
    wooded: bool = True,
) -> None:
    """A range behind everything, snow on what is high and not steep."""
    stone = stage.colour("rock") if rock is None else rock
    wood = stage.colour("foliage") * 0.8
    white = np.array((0.95, 0.96, 0.99), np.float32)

    def paint(h: Array, light: Array, slope: Array, noise: Array) -> Array:
        body = mix(stone * 0.8, stone * 1.1, np.clip(0.5 + 0.2 * noise, 0, 1))
        if wooded:
            low = smoothstep(0.62, 0.4, h + 0.05 * noise) * smoothstep(2.4, 0.9, slope)
            body = mix(body, wood * (0.9 + 0.1 * np.clip(noise, -1, 1))[..., None], low)
        caps = smoothstep(1.0 - snow * 0.62, 1.1 - snow * 0.62 + 0.06, h + 0.07 * noise) * smoothstep(
            3.4, 1.6, slope - 0.2 * noise
        )
        body = mix(body, white, caps)
        return stage.lit(body, light)

    heights = ridged(stage.rng, 512)
    stage.add_still(
        render_terrain(
            stage,
            heights,
            horizon=horizon,
            near=2.2,
            far=8.0,
            rise=1.02 * tall,
            camera=0.12,
            paint=paint,
            cell=0.019,
            haze_from=haze_from,
        )
    )


def hills(
    stage: Stage,
    horizon: int,
    *,
    tall: float = 1.0,
    near: float = 1.2,
    far: float = 9.0,
    haze_from: float = 0.1,
    colour: Colour | None = None,
    camera: float = 0.16,
) -> None:
    """Soft rolling land toward the horizon, fields and woods on it."""
    grass = stage.colour("grass") if colour is None else colour
    tip = mix(grass, stage.colour("grass_tip"), 0.5) if colour is None else colour * 1.1
    wood = stage.colour("foliage") * 0.75

    def paint(h: Array, light: Array, slope: Array, noise: Array) -> Array:
        del slope
        body = mix(grass * 0.9, tip, np.clip(0.5 + 0.3 * noise, 0, 1))
        if colour is None:
            body = mix(body, wood, smoothstep(0.5, 0.9, noise + 1.1 * (h - 0.5)) * 0.75)
        return stage.lit(body, light)

    stage.add_still(
        render_terrain(
            stage,
            rolling(stage.rng, 512),
            horizon=horizon,
            near=near,
            far=far,
            rise=0.5 * tall,
            camera=camera,
            paint=paint,
            cell=0.012,
            haze_from=haze_from,
        )
    )


def far_trees(stage: Stage, base: int, *, tall: float, distance: float = 0.55, spiky: float = 0.0) -> None:
    stage.add_still(
        tree_line(
            stage,
            base,
            tall=stage.px(tall),
            dark=stage.colour("foliage") * 0.6,
            lit=stage.colour("foliage_lit") * 0.9,
            distance=distance,
            spiky=spiky,
        )
    )


def meadow(
    stage: Stage,
    horizon: int,
    *,
    tall: float,
    texture: str = "grass",
    flowers: float = 0.0,
    flower_colours: list[Colour] | None = None,
    heads: bool = False,
    bands: int = 5,
    near: float = 1.0,
    sheen: float = 0.16,
    lean: float | None = None,
    ground: Array | None = None,
) -> None:
    """Grass from the horizon to the viewer's feet: a far field that shimmers in the gusts and near bands of
    single blades.
    """
    height, width, rng = stage.height, stage.width, stage.rng
    dark, tip = stage.colour("grass"), stage.colour("grass_tip")
    picture = (
        ground_picture(
            stage, horizon, dark * 0.72, mix(dark, tip, 0.62), texture=texture, scale=1.7, rough=0.75
        )
        if ground is None
        else ground
    )
    streak = fbm(rng, height - horizon, width, cell=26, octaves=4, stretch=0.16, gain=0.7)
    picture = picture * (1 + (streak[..., None] - 0.5) * 0.32 * min(tall * 1.6, 1))
    full = np.zeros((height, width, 3), np.float32)
    full[horizon:] = picture
    alpha = np.zeros((height, width), np.float32)
    jag = fbm(rng, 1, width, cell=7, octaves=2, stretch=1)[0] * stage.px(7) * min(tall + 0.2, 1)
    y = np.arange(height, dtype=np.float32)[:, None]
    alpha = np.clip(y - (horizon - jag[None, :] + 2), 0, 1)
    full[max(horizon - 8, 0) : horizon] = picture[0:1]
    down = np.clip((y - horizon) / (height - horizon), 0, 1) ** 0.7
    weight = np.repeat(np.asarray(down, np.float32), width, axis=1)
    stage.add(
        Swaying(
            premultiplied(full, alpha),
            weight,
            stage.wind,
            sway=stage.px(3 + 6 * tall),
            flutter=0.5,
            sheen=sheen,
            drop=0.0,
        )
    )
    if tall <= 0.01:
        return
    lean_way = (0.12 + 0.2 * tall) * (1 if stage.wind._direction > 0 else -1) if lean is None else lean
    seed_heads = stage.lit(tip * 1.05, 0.95) if heads else None
    for k in range(bands):
        u = ((k + 0.6) / bands) ** 1.15 * near
        foot = horizon + (height * 1.08 - horizon) * u
        deep = (height - horizon) * 0.9 / bands
        high = stage.px(18 + 215 * tall) * u**1.05 * 0.9
        count = int(2300 * (1.2 - 0.62 * u) * (0.6 + 0.5 * min(tall, 1)))
        away = float(np.clip(0.9 - 1.0 * u, 0, 1)) * 0.7
        lit_amount = 0.45 + 0.1 * rng.random()
        layer, sway = blades(
            rng,
            height,
            width,
            foot=(foot - deep, foot + deep * 0.5),
            tall=max(high, 5),
            count=count,
            dark=stage.hazed(stage.lit(dark * 0.85, lit_amount), away),
            tip=stage.hazed(stage.lit(tip, 0.95), away),
            lean=lean_way,
            heads=None if seed_heads is None or u < 0.25 else stage.hazed(seed_heads, away),
        )
        if flowers > 0:
            colours = flower_colours or [stage.colour("accent")]
            flower_heads(
                layer,
                rng,
                foot=(foot - deep, foot + deep * 0.4),
                tall=high * 1.02,
                count=int(150 * flowers * (1.25 - 0.75 * u)),
                colours=[stage.hazed(stage.lit(c, 0.85), away) for c in colours],
                size=stage.px(2.0 + 8.5 * u),
                stem=stage.hazed(stage.lit(dark * 0.8, 0.5), away),
                heart=stage.lit(rgb("#f2c53a"), 0.8),
            )
        stage.add(
            Swaying(
                layer, sway, stage.wind, sway=stage.px(4) + high * 0.16, flutter=0.4, sheen=sheen, drop=0.3
            )
        )


def fog(
    stage: Stage,
    top: int,
    bottom: int,
    *,
    strength: float = 0.7,
    colour: Colour | None = None,
    speed: float = 55.0,
    size: float = 330.0,
    contrast: float = 1.0,
) -> None:
    """A low bank of fog between two rows, densest in its lower middle."""
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    middle, half = (top * 0.45 + bottom * 0.55), (bottom - top) / 2
    mask = np.exp(-(((y - middle) / (half * 0.62)) ** 2)) * np.ones((1, stage.width), np.float32)
    mask[mask < 0.02] = 0
    tone = mix(stage.haze, np.ones(3), 0.15) if colour is None else colour
    stage.add(
        Veil(
            stage.rng,
            mask,
            tone,
            strength=strength,
            speed=(stage.px(speed), stage.px(-speed * 0.5)),
            size=stage.px(size),
            contrast=contrast,
        )
    )
