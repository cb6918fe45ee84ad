"""What fills a street's air: smoke, steam, fog, dust, and the lights and leaves that hang in it.

What a reader gets wrong: these layers come last, over houses and people, so they stay thin where the subject
will stand.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    blank,
    mix,
    rgb,
    rgba,
)
from actors.backends.embedded.scenes.houses import Row
from actors.backends.embedded.scenes.lights import Lamps, glow_sprite
from actors.backends.embedded.scenes.motion import Veil
from actors.backends.embedded.scenes.particles import Drift, Swarm, dot_sprites
from actors.backends.embedded.scenes.parts import grove, tree_bank
from actors.backends.embedded.scenes.perspective import Road
from actors.backends.embedded.scenes.smoke import Smoke


def drifting_smoke(road: Road, strength: float) -> Veil:
    """Hearth smoke that drifts over the roofs and along the lane."""
    stage = road.stage
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    middle = road.horizon - stage.px(120)
    mask = np.exp(-(((y - middle) / stage.px(130)) ** 2)) * np.ones((1, stage.width), np.float32)
    mask[mask < 0.02] = 0
    way = stage.wind._direction
    tone = mix(stage.haze, stage.ambient, 0.3)
    speed = (way * stage.px(125), way * stage.px(-55))
    return Veil(
        stage.rng, mask, tone, strength=strength, speed=speed, size=stage.px(230), flat=2.0, contrast=1.5
    )


def alley_fog(road: Road, row: Row) -> None:
    stage = road.stage
    h, w = stage.height, stage.width
    y = np.arange(h, dtype=np.float32)[:, None]
    x = np.arange(w, dtype=np.float32)[None, :]
    lamp = road.at(row.half - 0.7, 3.6, 9.5)
    glow = np.exp(-np.hypot(x - lamp[0], y - lamp[1]) / stage.px(210))
    tone = mix(stage.haze * 1.25, rgb("#d8c8a8"), 0.25)
    for k, (middle, half, strength, speed) in enumerate(
        ((road.horizon, 150.0, 0.75, 60.0), (road.horizon + stage.px(120), 170.0, 0.6, 105.0))
    ):
        mask = np.exp(-(((y - middle) / stage.px(half)) ** 2)) * np.ones((1, w), np.float32)
        mask[mask < 0.02] = 0
        way = stage.wind._direction
        stage.add(
            Veil(
                stage.rng,
                mask,
                tone,
                strength=strength,
                speed=(way * stage.px(speed), way * stage.px(-0.4 * speed)),
                size=stage.px(230 + 80 * k),
                flat=1.7,
                contrast=1.35,
            )
        )
    lit = np.asarray(np.clip(glow * 1.3, 0, 1), np.float32)
    lit[lit < 0.02] = 0
    stage.add(
        Veil(
            stage.rng,
            lit,
            rgb("#f4e2bc"),
            strength=0.62,
            speed=(stage.px(70) * stage.wind._direction, stage.px(-30)),
            size=stage.px(150),
            flat=1.4,
            contrast=1.2,
        )
    )


def dust(road: Road) -> None:
    stage = road.stage
    h, w = stage.height, stage.width
    y = np.arange(h, dtype=np.float32)[:, None]
    way = stage.wind._direction
    tone = stage.hazed(stage.lit(mix(stage.colour("soil"), np.ones(3), 0.25), 0.95), 0.3)
    for k, (middle, half, strength, speed) in enumerate(
        (
            (road.horizon + stage.px(24), 46.0, 0.6, 120.0),
            (road.horizon + stage.px(95), 60.0, 0.6, 240.0),
            (road.horizon + stage.px(230), 90.0, 0.5, 380.0),
        )
    ):
        mask = np.exp(-(((y - middle) / stage.px(half)) ** 2)) * np.ones((1, w), np.float32)
        mask[mask < 0.02] = 0
        stage.add(
            Veil(
                stage.rng,
                mask,
                tone,
                strength=strength,
                speed=(way * stage.px(speed), way * stage.px(speed * 1.6)),
                size=stage.px(190 + 70 * k),
                flat=3.2,
                contrast=1.4,
            )
        )
    stage.add(
        Swarm(
            stage.rng,
            dot_sprites(np.clip(tone * 1.08, 0, 1), (3, 4, 5), 1.0, 0.55),
            Drift(way * 400, 12, 12, 0.8),
            count=110,
            region=(0, road.horizon, w, h),
        )
    )


def steam(road: Road, name: str, row: Row) -> None:
    stage = road.stage
    spots = (
        [(-0.45 * row.half, 11.0, 0.9), (0.55 * row.half, 21.0, 1.1)]
        if name != "alley"
        else [(-1.1, 9.0, 0.9), (1.2, 15.0, 1.0)]
    )
    for x, z, size in spots:
        px, py = road.at(x, 0, z)
        scale = road.scale(z)
        stage.add(
            Smoke(
                stage.rng,
                px,
                py,
                size=scale * size * 0.5,
                reach=scale * 3.6,
                lean=scale * 1.0 * stage.wind._direction,
                dark=stage.haze * 1.1,
                lit=np.clip(mix(stage.haze * 1.7, np.ones(3), 0.4), 0, 1),
                strength=0.62,
                rise=scale * 0.8,
                spread=1.7,
            )
        )


def string_lights(road: Road, row: Row) -> None:
    stage = road.stage
    layer = blank(stage.height, stage.width)
    spots, sprites = [], []
    bank = {n: glow_sprite(rgb("#ffd28a"), n, 0.45, core=0.9) for n in (11, 17, 27, 41)}
    for z in (34.0, 25.0, 18.0, 13.0):
        t = np.linspace(-1, 1, 15)
        high = 5.1 - 0.75 * (1 - t * t) + 0.0 * t
        points = [road.at(float(x) * row.half, float(y), z) for x, y in zip(t, high, strict=True)]
        cv2.polylines(
            layer,
            [(np.array(points) * 8).astype(np.int32)],
            False,
            rgba(rgb("#1c1814"), 0.8),
            1,
            cv2.LINE_AA,
            3,
        )
        size = min(bank, key=lambda n: abs(n - road.scale(z) * 0.42))
        for p in points[1:-1]:
            spots.append((p[0], p[1] + 2))
            sprites.append(bank[size])
    stage.add_still(layer)
    stage.add(Lamps(stage.rng, spots, sprites, depth=0.35, lively=0.8, swing=stage.px(2.0)))


def street_trees(road: Road, row: Row) -> None:
    stage = road.stage
    side = -1 if stage.rng.random() < 0.5 else 1
    bank = tree_bank(stage, "oak", int(stage.px(430)), 2, leaves=3000)
    for group in (((side, 26.0), (-side, 21.0)), ((side, 8.3),)):
        places = []
        for where, z in group:
            x, foot = road.at(where * (row.half - 0.75), 0, z)
            places.append((x, foot, road.scale(z) * (6.4 if z > 12 else 7.0)))
        grove(
            stage,
            bank,
            places,
            away=road.away(group[0][1]) * 0.7,
            sway=15.0,
            flutter=2.4,
            glint=0.2,
            shadows=False,
        )
