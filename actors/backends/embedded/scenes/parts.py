"""Parts that several families of scenes share: far land, meadows, trees in depth, small flying things.

What a reader gets wrong: everything is placed by rows; `horizon` is the row of eye height, and the middle of
the lower picture is kept calm because a person will stand there.
"""

from __future__ import annotations

import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Colour,
    Image8,
    blank,
    fbm,
    mix,
    premultiplied,
    rgb,
    smoothstep,
)
from actors.backends.embedded.scenes.motion import HeatHaze, Swaying, Veil
from actors.backends.embedded.scenes.particles import (
    Butterflies,
    Drift,
    Flock,
    Rain,
    Swarm,
    dot_sprites,
    tumbling_sprites,
)
from actors.backends.embedded.scenes.plants import (
    Leafage,
    Sprite,
    blades,
    broadleaf,
    conifer,
    flower_heads,
    plant,
    resized,
    tinted,
)
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import ground_picture, render_terrain, ridged, rolling, tree_line


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
    weight = np.clip((y - horizon) / (height - horizon), 0, 1) ** 0.7 * np.ones((1, width), np.float32)
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


def leafage(
    stage: Stage, *, dark: Colour | None = None, lit: Colour | None = None, away: float = 0.0
) -> Leafage:
    """The scene's foliage colours in its light, seen from a distance 0..1."""
    d = stage.colour("foliage") if dark is None else dark
    b = stage.colour("foliage_lit") if lit is None else lit
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
    return Sprite(flat, weight)


def fog(
    stage: Stage,
    top: int,
    bottom: int,
    *,
    strength: float = 0.7,
    colour: Colour | None = None,
    speed: float = 55.0,
    size: float = 330.0,
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
        )
    )


def airborne(stage: Stage, horizon: int) -> None:
    """What flies, falls and floats, as the scene's motions say."""
    rng, w, h = stage.rng, stage.width, stage.height
    everywhere = (0, 0, w, h)
    way = 1.0 if stage.wind._direction > 0 else -1.0
    bright = 0.35 + 0.65 * float(stage.key.mean())
    if stage.has("petals_fall"):
        base = stage.colour("foliage_lit")
        colours = [np.clip(stage.lit(c, 1.0), 0, 1) for c in (base, base * 0.94, mix(base, np.ones(3), 0.4))]
        stage.add(
            Swarm(
                rng,
                tumbling_sprites(colours, (3, 4, 6), rng, slim=0.6),
                Drift(way * 46, 92, 30, 0.42, 0.8),
                count=150,
                region=everywhere,
            )
        )
    if stage.has("leaves_fall"):
        base, dark = stage.colour("foliage_lit"), stage.colour("foliage")
        colours = [np.clip(stage.lit(c, 0.9), 0, 1) for c in (base, dark, mix(base, dark, 0.5))]
        stage.add(
            Swarm(
                rng,
                tumbling_sprites(colours, (4, 6, 8), rng, slim=0.5),
                Drift(way * 62, 120, 42, 0.4, 0.9),
                count=80,
                region=everywhere,
            )
        )
    if stage.has("snow_falls"):
        white = np.clip(np.ones(3, np.float32) * (0.72 + 0.28 * bright), 0, 1).astype(np.float32)
        stage.add(
            Swarm(
                rng,
                dot_sprites(white, (4, 5, 7, 9, 13), 1.0, 0.85),
                Drift(way * 42, 175, 24, 0.35),
                count=360,
                region=everywhere,
                depth=(0.3, 1.0),
            )
        )
    if stage.has("snow_drifts"):
        white = np.ones(3, np.float32) * (0.8 + 0.2 * bright)
        stage.add(
            Swarm(
                rng,
                dot_sprites(white, (3, 4, 5), 1.0, 0.7),
                Drift(way * 170, 34, 16, 0.6),
                count=150,
                region=(0, int(horizon * 0.6), w, h),
                twinkle=0.7,
            )
        )
    if stage.has("rain_falls"):
        stage.add(Rain(rng, width=w, height=h, slant=0.1 * way))
    if stage.has("dust_drifts") or stage.has("light_rays"):
        stage.add(
            Swarm(
                rng,
                dot_sprites(np.clip(stage.sun * 0.9, 0, 1), (4, 6, 9), 1.8, 0.55),
                Drift(way * 26, -9, 26, 0.3),
                count=80,
                region=(0, int(h * 0.15), w, h),
                additive=True,
                twinkle=0.8,
            )
        )
    if stage.has("embers_rise"):
        ember = (
            rgb("#ffa648")
            if stage.option("fire") or stage.spec.builder == "industrial"
            else stage.colour("accent", "#ffd9b0")
        )
        stage.add(
            Swarm(
                rng,
                dot_sprites(ember, (4, 5, 8), 1.3, 0.95),
                Drift(way * 34, -62, 26, 0.6),
                count=90,
                region=(0, int(h * 0.1), w, h),
                additive=True,
                twinkle=0.7,
                fade=True,
            )
        )
    if stage.has("bubbles_rise"):
        stage.add(
            Swarm(
                rng,
                dot_sprites(rgb("#d8f6ff"), (4, 6, 10), 0.5, 0.4),
                Drift(4, -95, 14, 0.9),
                count=46,
                region=everywhere,
                additive=True,
            )
        )
    if stage.has("birds_fly"):
        dark = stage.hazed(stage.ambient * 0.25, 0.35)
        stage.add(
            Flock(
                rng,
                width=w,
                top=int(horizon * 0.22),
                bottom=int(horizon * 0.75),
                colour=dark,
                size=stage.px(11),
            )
        )
    if stage.has("butterflies"):
        stage.add(
            Butterflies(
                rng,
                region=(0, int(horizon * 1.02), w, int(h * 0.85)),
                colours=[rgb("#f4b23c"), rgb("#f2efe6"), rgb("#6c8fe0")],
            )
        )
    if stage.has("heat_ripples"):
        stage.add(
            HeatHaze(
                rng,
                max(horizon - int(stage.px(60)), 0),
                min(horizon + int(stage.px(110)), h),
                strength=stage.px(1.5),
            )
        )


def layer_mask(stage: Stage, layer: Image8) -> Array:
    return np.asarray(layer[..., 3], np.float32) / 255
