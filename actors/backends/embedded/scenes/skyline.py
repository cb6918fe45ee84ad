"""City skylines seen from a roof, a promenade or above the clouds, and the roofs of an old town.

What a reader gets wrong: towers stand in planes one behind the other, each plane deeper in the air than the
next; the roof in front is what the viewer stands on.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Image8,
    blank,
    fbm,
    mix,
    premultiplied,
    rgb,
    rgba,
    smoothstep,
    soften,
    stack_over,
    stock_texture,
)
from actors.backends.embedded.scenes.figures import Boats, boat
from actors.backends.embedded.scenes.lights import Lamps, glow_sprite
from actors.backends.embedded.scenes.motion import Swaying, Veil
from actors.backends.embedded.scenes.parts import airborne
from actors.backends.embedded.scenes.plants import blades
from actors.backends.embedded.scenes.roofs import old_town, water_tower
from actors.backends.embedded.scenes.scene import snapshot
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.smoke import Smoke
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.streetlife import Aircraft, Streams
from actors.backends.embedded.scenes.towers import tower, towers
from actors.backends.embedded.scenes.water import Mirror


def skyline(stage: Stage) -> None:
    """A skyline, as the scene's `water`, `future`, `oldtown`, `rooftops` say."""
    if stage.option("oldtown"):
        old_town(stage)
    elif stage.option("future"):
        _megacity(stage)
    elif stage.option("water"):
        _riverside(stage)
    else:
        _rooftop(stage)


def _night(stage: Stage) -> float:
    """0 by day .. 1 at night, from the key light."""
    return float(np.clip(1.25 - 1.2 * float(stage.key.mean()), 0, 1))


def _parapet(stage: Stage, top: float, *, brick: bool) -> None:
    """The ledge of the roof one stands on, across the foot of the picture."""
    h, w, rng = stage.height, stage.width, stage.rng
    y0 = stage.row(top)
    rows = h - y0
    photo = stock_texture("brick" if brick else "gravel")[: max(rows * 2, 400), :1280]
    photo = np.asarray(cv2.resize(photo, (w, rows), interpolation=cv2.INTER_AREA), np.float32)[..., None]
    base = rgb("#8a6250") if brick else rgb("#7c7874")
    rough = fbm(rng, rows, w, cell=120, octaves=5)[..., None]
    wall = stage.lit(np.clip(base * (0.45 + 0.55 * photo) * (0.8 + 0.4 * rough), 0, 1), 0.24)
    cap = int(stage.px(26))
    stone = rgb("#a8a29a") * (0.85 + 0.3 * fbm(rng, cap, w, cell=40, octaves=4, stretch=3)[..., None])
    wall[:cap] = stage.lit(np.clip(stone, 0, 1), np.linspace(0.75, 0.5, cap)[:, None] * np.ones((1, w)))
    wall[cap : cap + int(stage.px(12))] *= 0.55
    full = np.zeros((h, w, 3), np.float32)
    alpha = np.zeros((h, w), np.float32)
    full[y0:], alpha[y0:] = wall, 1
    stage.add_still(soften(premultiplied(full, alpha), 1.0))


def planters(stage: Stage, foot: float, *, tall: float = 325.0) -> None:
    """Long pots with grasses on both sides of the roof, the middle left free."""
    h, w, rng = stage.height, stage.width, stage.rng
    for side in (-1, 1):
        inner = float(rng.uniform(0.25, 0.31))
        x0, x1 = (0.0, inner * w) if side < 0 else (w * (1 - inner), float(w))
        y0 = foot * h
        dark, tip = stage.colour("grass") * 0.8, stage.colour("grass_tip")
        for high, count in ((tall, 260), (tall * 0.78, 260), (tall * 0.5, 220)):
            layer, weight = blades(
                rng,
                h,
                w,
                foot=(y0 - 2, y0 + stage.px(16)),
                tall=stage.px(high),
                count=int(count * 4.2),
                dark=stage.lit(dark, 0.4),
                tip=np.clip(stage.lit(tip, 1.0) * 1.15, 0, 1),
                spread=0.34,
                lean=0.12,
            )
            x = np.arange(w, dtype=np.float32)
            edge = stage.px(60)
            keep = (
                smoothstep(x0 - 2, x0 + 2, x) * smoothstep(x1, x1 - edge, x)
                if side < 0
                else smoothstep(x0, x0 + edge, x)
            )
            layer = (layer * keep[None, :, None]).astype(np.uint8)
            stage.add(
                Swaying(
                    layer,
                    weight,
                    stage.wind,
                    sway=stage.px(16 + high * 0.1),
                    flutter=stage.px(1.2),
                    sheen=0.42,
                )
            )
        pot = blank(h, w)
        deep = stage.px(88)
        tone = stage.lit(rgb("#6a5a50") if side < 0 else rgb("#5c6066"), 0.45)
        shape = np.array(
            [(x0 - 4, y0), (x1 + 4, y0), (x1 - stage.px(14), y0 + deep), (x0 + stage.px(14), y0 + deep)]
        )
        cv2.fillConvexPoly(pot, (shape * 8).astype(np.int32), rgba(tone * 0.75), cv2.LINE_AA, 3)
        cv2.rectangle(pot, (int(x0 - 8), int(y0)), (int(x1 + 8), int(y0 + stage.px(16))), rgba(tone), -1)
        stage.add_still(soften(pot, 1.0))


def _rooftop(stage: Stage) -> None:
    """A roof over the city: at dusk with lit windows, in golden light with water towers and steam."""
    golden = bool(stage.option("rooftops"))
    horizon = stage.row(float(stage.rng.uniform(0.6, 0.66)))
    paint_sky(stage, horizon, speed=2.8, clouds=max(stage.spec.light.cloud_cover, 0.6))
    lit = 0.05 if golden else 0.28
    towers(stage, horizon + int(stage.px(16)), planes=((0.95, 130, 46), (0.75, 180, 62)), lit=lit)
    stage.add(drifting_haze(stage, horizon - stage.px(20), 85, 0.72, 115))
    towers(stage, horizon + int(stage.px(70)), planes=((0.5, 190, 92),), lit=lit)
    stage.add(drifting_haze(stage, horizon + stage.px(50), 60, 0.5, 130))
    if golden:
        _near_roofs(stage, horizon)
    else:
        towers(stage, horizon + int(stage.px(150)), planes=((0.24, 185, 150),), lit=lit * 0.9)
        stage.add(Aircraft(stage.rng, width=stage.width, top=stage.row(0.06), bottom=stage.row(0.3), count=5))
    _parapet(stage, 0.83, brick=golden)
    planters(stage, 0.86)
    airborne(stage, horizon)


def drifting_haze(stage: Stage, middle: float, half: float, strength: float, speed: float) -> Veil:
    """Thin smoke and haze that drifts along a band of rows."""
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    mask = np.exp(-(((y - middle) / stage.px(half)) ** 2)) * np.ones((1, stage.width), np.float32)
    mask[mask < 0.02] = 0
    way = stage.wind._direction
    return Veil(
        stage.rng,
        mask,
        stage.haze,
        strength=strength,
        speed=(way * stage.px(speed), way * stage.px(-0.4 * speed)),
        size=stage.px(250),
        flat=2.6,
        contrast=1.55,
    )


def _near_roofs(stage: Stage, horizon: int) -> None:
    """Flat roofs a block away, with water towers, vents and steam."""
    rng, w, h = stage.rng, stage.width, stage.height
    layer = blank(h, w)
    x = -stage.px(60) * float(rng.random())
    vents: list[tuple[float, float]] = []
    tanks: list[tuple[float, float, float]] = []
    while x < w:
        wide = stage.px(float(rng.uniform(150, 260)))
        top = horizon + stage.px(float(rng.uniform(-30, 60)))
        tall = h - int(top)
        shape, _ = tower(stage, wide=int(wide), tall=tall, away=0.2, lit=0.03)
        stack_over(layer, shape, int(x), int(top))
        roll = rng.random()
        cx = x + wide * float(rng.uniform(0.3, 0.7))
        if roll < 0.5:
            tanks.append((cx, top, float(rng.uniform(0.75, 1.1))))
        else:
            tone = stage.hazed(stage.lit(rgb("#8a8a88"), 0.6), 0.2)
            size = stage.px(22)
            cv2.rectangle(
                layer, (int(cx - size), int(top - size)), (int(cx + size), int(top)), rgba(tone), -1
            )
            cv2.rectangle(
                layer,
                (int(cx - 4), int(top - size * 1.9)),
                (int(cx + 5), int(top - size)),
                rgba(tone * 0.8),
                -1,
            )
            vents.append((cx, top - size * 1.9))
        x += wide + stage.px(float(rng.uniform(-6, 16)))
    for cx, top, size in tanks:
        water_tower(stage, layer, cx, top, size)
    stage.add_still(layer)
    for vx, vy in vents[:6]:
        stage.add(
            Smoke(
                rng,
                vx,
                vy,
                size=stage.px(42),
                reach=stage.px(330),
                lean=stage.px(170) * stage.wind._direction,
                dark=stage.lit(rgb("#a89c94"), 0.3),
                lit=np.clip(mix(stage.haze, np.ones(3), 0.65), 0, 1),
                strength=0.85,
                rise=stage.px(62),
                light_side=stage.sun_side,
            )
        )


def _riverside(stage: Stage) -> None:
    """Lit towers beyond a river, mirrored in it; a railing in front."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.5, 0.55)))
    paint_sky(stage, horizon, speed=2.8, clouds=max(stage.spec.light.cloud_cover, 0.6))
    towers(stage, horizon - 2, planes=((0.85, 130, 40), (0.55, 200, 58), (0.25, 170, 76)), lit=0.55)
    quay = blank(h, w)
    cv2.rectangle(
        quay, (0, horizon - int(stage.px(7))), (w, horizon + 2), rgba(stage.lit(rgb("#4a4844"), 0.3)), -1
    )
    stage.add_still(quay)
    spots = [(float(x), horizon - stage.px(16)) for x in np.arange(stage.px(20), w, stage.px(52))]
    stage.add(
        Lamps(rng, spots, [glow_sprite(rgb("#ffd08a"), int(stage.px(44)) | 1, 0.75, core=1.2)], depth=0.5)
    )
    stage.add(Aircraft(rng, width=w, top=stage.row(0.06), bottom=stage.row(0.25), count=3))
    alpha = np.zeros((h, w), np.float32)
    alpha[horizon:] = 1
    stage.add(
        Mirror(
            rng,
            snapshot(stage.plate, stage.layers),
            alpha,
            horizon=horizon - int(stage.px(24)),
            shore=horizon,
            deep=mix(stage.sky_top, stage.sky_low, 0.35) * 0.8,
            calm=0.22,
            scale=1.35,
            clarity=1.0,
            wind=1.9,
        )
    )
    hull = stage.lit(rgb("#2c3850"), 0.5)
    craft = boat(rng, int(stage.px(120)), hull, stage.lit(rgb("#d8dce4"), 0.8), False)
    y = horizon + stage.px(34)
    start = float(rng.uniform(0.15, 0.4)) * w
    stage.add(Boats(rng, [(start, y)], [craft], drift=stage.px(24)))
    _railing(stage)
    planters(stage, 0.93, tall=190)
    airborne(stage, horizon)


def _railing(stage: Stage) -> None:
    w, h = stage.width, stage.height
    layer = blank(h, w)
    tone = stage.lit(rgb("#3a3c42"), 0.35)
    top, low = stage.row(0.72), stage.row(0.95)
    for y, thick in ((top, 11), (top + stage.px(26), 5), (low, 8)):
        cv2.line(
            layer, (0, int(y)), (w, int(y)), rgba(tone * 1.25), max(int(stage.px(thick)), 1), cv2.LINE_AA
        )
        cv2.line(
            layer,
            (0, int(y - stage.px(thick) / 2)),
            (w, int(y - stage.px(thick) / 2)),
            rgba(stage.lit(rgb("#9aa4b8"), 0.6)),
            1,
        )
    for x in np.arange(stage.px(12), w, stage.px(30)):
        cv2.line(layer, (int(x), int(top)), (int(x), low), rgba(tone), max(int(stage.px(4)), 1), cv2.LINE_AA)
    for x in np.arange(stage.px(72), w, stage.px(240)):
        cv2.line(
            layer,
            (int(x), top - int(stage.px(10))),
            (int(x), h),
            rgba(tone * 0.9),
            max(int(stage.px(13)), 1),
            cv2.LINE_AA,
        )
    floor = stage.lit(rgb("#7a746c") * (0.8 + 0.4 * fbm(stage.rng, h, w, cell=60, octaves=5)[..., None]), 0.3)
    alpha = np.zeros((h, w), np.float32)
    alpha[low:] = 1
    stage.add_still(premultiplied(np.clip(floor, 0, 1), alpha))
    stage.add_still(soften(layer, 1.1))


def _megacity(stage: Stage) -> None:
    """Spires that stand in a sea of clouds, streams of flying cars between them."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.62, 0.68)))
    paint_sky(stage, horizon, speed=2.8, sun=False, clouds=0.5)
    lanes = [
        (w * float(rng.uniform(0.3, 0.7)), horizon * 0.8, -w * 0.1, h * 0.18),
        (w * float(rng.uniform(0.3, 0.7)), horizon * 0.82, w * 1.1, h * 0.3),
        (w * float(rng.uniform(0.3, 0.7)), horizon * 0.85, w * 1.1, h * 0.62),
        (w * float(rng.uniform(0.3, 0.7)), horizon * 0.9, -w * 0.1, h * 0.55),
    ]
    colours = [rgb("#ffe2b0"), rgb("#ff4a60"), rgb("#66d8ff"), rgb("#ff70d0")]
    towers(stage, horizon + 30, planes=((0.95, 210, 34), (0.7, 300, 48)), lit=0.24, neon=True)
    stage.add(Streams(rng, lanes[:2], colours, count=34, speed=0.09, size=(3.0, 9.0)))
    _cloud_sea(stage, horizon - int(stage.px(20)), 50, 0.85, 60)
    towers(stage, h, planes=((0.4, 470, 105),), lit=0.22, neon=True)
    _glyphs(stage, horizon)
    stage.add(Streams(rng, lanes[1:], colours[::-1], count=24, speed=0.075, size=(4.0, 20.0)))
    _cloud_sea(stage, horizon + int(stage.px(60)), 70, 0.97, 110)
    _cloud_sea(stage, horizon + int(stage.px(170)), 70, 0.9, 170)
    airborne(stage, horizon)


def _cloud_sea(stage: Stage, middle: int, half: float, strength: float, speed: float) -> None:
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    mask = smoothstep(-half * 1.1, half * 0.6, (y - middle) / stage.px(1)) * np.ones(
        (1, stage.width), np.float32
    )
    fade = smoothstep(stage.px(half * 3.2), stage.px(half * 1.2), y - middle)
    mask = np.asarray(mask * (0.55 + 0.45 * fade), np.float32)
    mask[mask < 0.02] = 0
    way = stage.wind._direction
    tone = mix(stage.haze * 1.5, rgb("#ff9ad8"), 0.24)
    stage.add(
        Veil(
            stage.rng,
            mask,
            np.clip(tone, 0, 1),
            strength=strength,
            speed=(way * stage.px(speed), way * stage.px(-0.3 * speed)),
            size=stage.px(250),
            flat=2.2,
            contrast=1.05,
        )
    )


def _glyphs(stage: Stage, horizon: int) -> None:
    """Holographic panels that hang before the towers."""
    from actors.backends.embedded.scenes.neon import tubes
    from actors.backends.embedded.scenes.streetlife import Signs

    rng = stage.rng
    signs: list[tuple[int, int, Image8]] = []
    colours = [rgb("#ff4fb4"), rgb("#38d8ff"), rgb("#a070ff"), rgb("#60ffd0")]
    for k in range(7):
        w = int(stage.px(float(rng.uniform(46, 110))))
        h = int(w * float(rng.uniform(0.8, 2.2)))
        light: Array = tubes(rng, h, w, colours[k % 4])
        pad = w // 2
        halo = np.zeros((h + 2 * pad, w + 2 * pad, 3), np.float32)
        halo[pad : pad + h, pad : pad + w] = light * 0.8 + colours[k % 4] * 0.12
        halo[pad : pad + h : 3] *= 0.75
        soft = cv2.GaussianBlur(halo, (0, 0), w * 0.16)
        sprite = np.clip((halo * 0.7 + soft * 0.8) * 255, 0, 255).astype(np.uint8)
        x = int(rng.uniform(0.02, 0.3) * stage.width) if k % 2 else int(rng.uniform(0.66, 0.92) * stage.width)
        signs.append((x - pad, int(rng.uniform(0.18, 0.8) * horizon) - pad, sprite))
    stage.add(Signs(rng, signs, depth=0.65, lively=0.8))
