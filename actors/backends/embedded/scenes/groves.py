"""Groups of trees set into the land, and what is made once for them: banks of trees, their shadows.

What a reader gets wrong: a bank holds few sprites that are drawn often, resized and flipped; only
leaves bend.
"""

from __future__ import annotations

import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Colour,
    blank,
    luma,
    mix,
    premultiplied,
    rgb,
)
from actors.backends.embedded.scenes.motion import Swaying
from actors.backends.embedded.scenes.plants import (
    Leafage,
    Sprite,
    broadleaf,
    conifer,
    plant,
    resized,
    tinted,
)
from actors.backends.embedded.scenes.stage import Stage


def leafage(
    stage: Stage, *, dark: Colour | None = None, lit: Colour | None = None, away: float = 0.0
) -> Leafage:
    """The scene's foliage colours in its light, seen from a distance 0..1."""
    d = stage.colour("foliage") if dark is None else dark
    b = stage.colour("foliage_lit") if lit is None else lit
    if stage.option("species") == "blossom":
        # petals keep their own hue in a low sun: the light that shines through them is theirs
        neutral = mix(np.ones(3), luma(stage.key) / np.maximum(stage.key, 0.2), 0.7)
        d, b = d * neutral, mix(d, b, 0.6) * neutral
    wood = stage.colour("trunk")
    return Leafage(
        stage.hazed(stage.lit(d * 0.62, 0.15), away),
        stage.hazed(stage.lit(b, 1.0), away),
        stage.hazed(stage.lit(wood * 0.7, 0.2), away),
        stage.hazed(stage.lit(wood * 1.15, 0.9), away),
    )


def grove(
    stage: Stage,
    sprites: list[Sprite],
    places: list[tuple[float, float, float]],
    *,
    away: float,
    sway: float = 9.0,
    flutter: float = 1.3,
    glint: float = 0.12,
    blur: float = 0.0,
    shadows: bool = True,
) -> None:
    """Plant sprites at (x, foot row, tall px), all at about one distance, as one swaying layer."""
    layer = blank(stage.height, stage.width)
    weight = np.zeros((stage.height, stage.width), np.float32)
    if shadows:
        ground_shadows(stage, places, 0.34 * (1 - 0.6 * away))
    for x, foot, tall in sorted(places, key=lambda p: p[1]):
        sprite = sprites[int(stage.rng.integers(0, len(sprites)))]
        scaled = resized(
            sprite, max(int(tall), 8), flip=bool(stage.rng.random() < 0.5) and abs(stage.sun_side) < 0.35
        )
        if away > 0.02:
            scaled = tinted(scaled, stage.haze, min(away * stage.haze_amount, 0.92))
        plant(layer, weight, scaled, x, foot)
    if blur > 0.3:
        from actors.backends.embedded.scenes.canvas import soften

        layer = soften(layer, blur)
    stage.add(
        Swaying(
            layer, weight, stage.wind, sway=stage.px(sway), flutter=stage.px(flutter), glint=glint, drop=0.15
        )
    )


def ground_shadows(stage: Stage, places: list[tuple[float, float, float]], strength: float) -> None:
    """Soft shadows at the feet of plants or stones, drawn out away from the light."""
    import cv2

    mask = np.zeros((stage.height // 2, stage.width // 2), np.uint8)
    for x, foot, tall in places:
        offset = -stage.sun_side * tall * 0.28
        cv2.ellipse(
            mask,
            (int((x + offset) / 2), int(foot / 2)),
            (max(int(tall * 0.21), 2), max(int(tall * 0.028), 1)),
            0,
            0,
            360,
            255,
            -1,
        )
    soft = cv2.GaussianBlur(mask, (0, 0), sigmaX=stage.px(9), sigmaY=stage.px(2.5))
    alpha = cv2.resize(soft, (stage.width, stage.height)).astype(np.float32) / 255 * strength
    stage.add_still(premultiplied(stage.ambient * 0.16, alpha))


def tree_bank(stage: Stage, species: str, tall: int, count: int, *, leaves: int = 3400) -> list[Sprite]:
    """A few different trees of one species, unhazed."""
    rng, side = stage.rng, stage.sun_side
    own = leafage(stage)
    bank: list[Sprite] = []
    for _ in range(count):
        if species in ("pine", "snowpine"):
            bank.append(
                conifer(
                    rng,
                    tall,
                    own,
                    side=side,
                    snow=stage.lit(rgb("#f2f6fa"), 0.75) if species == "snowpine" else None,
                )
            )
        elif species == "blossom":
            bank.append(
                broadleaf(
                    rng,
                    tall,
                    own,
                    side=side,
                    leaves=int(leaves * 1.25),
                    leaf=0.8,
                    spread=0.72,
                    slim=0.85,
                    trunk=0.24,
                    thick=0.034,
                    fill=1.1,
                )
            )
        elif species == "birch":
            bank.append(
                broadleaf(
                    rng,
                    tall,
                    own,
                    side=side,
                    leaves=int(leaves * 0.8),
                    leaf=0.7,
                    spread=0.42,
                    trunk=0.34,
                    thick=0.017,
                    fill=0.9,
                )
            )
        elif species == "acacia":
            bank.append(acacia(stage, tall))
        elif species == "bare":
            bank.append(
                broadleaf(
                    rng,
                    tall,
                    own,
                    side=side,
                    leaves=leaves // 5,
                    leaf=0.6,
                    spread=0.6,
                    trunk=0.27,
                    thick=0.03,
                )
            )
        else:
            bank.append(
                broadleaf(rng, tall, own, side=side, leaves=leaves, spread=float(rng.uniform(0.52, 0.68)))
            )
    return bank


def acacia(stage: Stage, tall: int) -> Sprite:
    """A flat-topped savanna tree."""
    import cv2

    sprite = broadleaf(
        stage.rng,
        tall,
        leafage(stage),
        side=stage.sun_side,
        leaves=2600,
        leaf=0.7,
        spread=0.85,
        trunk=0.3,
        thick=0.022,
        fill=0.8,
    )
    flat = cv2.resize(
        sprite.layer, (int(sprite.layer.shape[1] * 1.35), int(tall * 0.72)), interpolation=cv2.INTER_AREA
    )
    weight = cv2.resize(sprite.weight, (flat.shape[1], flat.shape[0]))
    return Sprite(np.asarray(flat, np.uint8), np.asarray(weight, np.float32))
