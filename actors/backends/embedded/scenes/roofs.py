"""Roofs: the gables of an old town, chimneys, water towers.

What a reader gets wrong: each house is a wall with a slope of tiles, drawn far to near, so that chimneys
stand before the houses behind them.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Image8,
    blank,
    fbm,
    mix,
    premultiplied,
    rgb,
    rgba,
    soften,
    stack_over,
)
from actors.backends.embedded.scenes.motion import Veil
from actors.backends.embedded.scenes.parts import airborne, hills
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.smoke import Smoke
from actors.backends.embedded.scenes.stage import Stage


def old_town(stage: Stage) -> None:
    """Tiled roofs to the horizon under the morning sky, smoke from their chimneys."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(float(rng.uniform(0.46, 0.5)))
    paint_sky(stage, horizon, speed=2.8, clouds=max(stage.spec.light.cloud_cover, 0.55))
    hills(stage, horizon, tall=0.7)
    smoke: list[tuple[float, float, float]] = []
    rows = 9
    tower_row = int(rng.integers(1, 4))
    for k in range(rows):
        u = (k + 1) / rows
        foot = horizon + (h * 1.12 - horizon) * u**1.5
        size = stage.px(26 + 250 * u**1.5)
        away = float(np.clip(0.95 - 1.05 * u, 0.02, 1))
        layer = blank(h, w)
        if k == tower_row:
            _steeple(
                stage,
                layer,
                w * float(rng.uniform(0.15, 0.4) if rng.random() < 0.5 else rng.uniform(0.6, 0.85)),
                foot,
                size * 3.0,
                away,
            )
        x = -size * float(rng.random())
        while x < w:
            wide = size * float(rng.uniform(0.75, 1.4))
            lift = size * float(rng.uniform(0.75, 1.25))
            spot = _gabled(stage, layer, x, foot, wide, lift, away)
            if spot is not None and 0.2 < u < 0.93:
                smoke.append((spot[0], spot[1], size))
            x += wide * float(rng.uniform(0.82, 1.02))
        stage.add_still(layer if u < 0.8 else soften(layer, 0.8))
        if k in (2, 4, 6):
            stage.add(_haze(stage, foot - size * 0.9, 65 + 45 * u, 0.7, 110 + 80 * u))
        if k in (3, 5, 6):
            for sx, sy, big in smoke[:5]:
                _smoke(stage, sx, sy, big)
            smoke.clear()
    for sx, sy, big in smoke[:4]:
        _smoke(stage, sx, sy, big)
    airborne(stage, horizon)


def _haze(stage: Stage, middle: float, half: float, strength: float, speed: float) -> Veil:
    """Hearth smoke that lies between the roofs and drifts."""
    y = np.arange(stage.height, dtype=np.float32)[:, None]
    mask = np.exp(-(((y - middle) / stage.px(half)) ** 2)) * np.ones((1, stage.width), np.float32)
    mask[mask < 0.02] = 0
    way = stage.wind._direction
    tone = np.clip(mix(stage.haze, np.ones(3), 0.15), 0, 1)
    return Veil(
        stage.rng,
        mask,
        tone,
        strength=strength,
        speed=(way * stage.px(speed), way * stage.px(-0.4 * speed)),
        size=stage.px(210),
        flat=2.4,
        contrast=1.6,
    )


def _smoke(stage: Stage, x: float, y: float, size: float) -> None:
    stage.add(
        Smoke(
            stage.rng,
            x,
            y,
            size=max(size * 0.2, 9.0),
            reach=max(size * 1.9, 80.0),
            lean=stage.wind._direction * max(size * 0.9, 50.0),
            dark=mix(stage.ambient * 0.85, stage.haze, 0.25),
            lit=np.clip(mix(stage.haze, np.ones(3), 0.25), 0, 1),
            strength=0.9,
            rise=max(size * 0.55, 28.0),
            light_side=stage.sun_side,
        )
    )


def _gabled(
    stage: Stage, layer: Image8, x: float, foot: float, wide: float, lift: float, away: float
) -> tuple[float, float] | None:
    """One house whose roof slopes toward the viewer, or whose gable faces it; returns its chimney's top."""
    rng = stage.rng
    walls = ("#e2cfae", "#d8b890", "#c9a888", "#e8dcc4", "#cfae9a")
    wall = rgb(walls[int(rng.integers(0, len(walls)))])
    tile = mix(rgb("#a85a40"), stage.colour("roof"), float(rng.uniform(0.0, 0.5))) * float(
        rng.uniform(0.85, 1.1)
    )
    h, w = max(int(lift * 1.3), 10), max(int(wide), 8)
    eaves = int(h * float(rng.uniform(0.56, 0.7)))
    picture = np.zeros((h, w, 3), np.float32)
    alpha = np.ones((h, w), np.float32)
    yy = np.arange(h, dtype=np.float32)[:, None]
    xx = np.arange(w, dtype=np.float32)[None, :]
    step = max(lift * 0.045, 2.0)
    front = rng.random() < 0.4
    noise = fbm(rng, h, w, cell=max(lift * 0.3, 6), octaves=5)
    course = 1 - 0.3 * np.clip(1.6 - np.abs((yy % step) - step / 2) * 3.2 / step, 0, 1)
    shift = (np.floor(yy / step) % 2) * step * 0.5
    pan = 1 - 0.14 * (np.abs(((xx + shift) % step) / step - 0.5) > 0.36)
    tone = (course * pan if step > 3.0 else np.ones((h, w), np.float32)) * (0.72 + 0.55 * noise)
    roof = stage.lit(np.clip(tile * tone[..., None], 0, 1), 0.62 if not front else 0.8)
    plaster = stage.lit(wall * (0.85 + 0.25 * noise[..., None]), 0.4)
    if front:
        ridge = np.abs(xx - w / 2) / (w / 2)
        line = ridge * eaves
        alpha = np.asarray(np.clip(yy - line + 0.5, 0, 1), np.float32)
        picture[:] = plaster
        rim = (yy - line < lift * 0.075) & (yy < eaves + lift * 0.08)
        picture[rim] = roof[rim] * 0.85
    else:
        picture[:] = plaster
        picture[:eaves] = roof[:eaves]
        picture[eaves : eaves + max(int(lift * 0.03), 1)] *= 0.5
        picture[: max(int(lift * 0.025), 1)] *= 1.2
        inset = (1 - yy / max(eaves, 1)) * w * 0.07
        alpha = np.asarray(((xx > inset) & (xx < w - inset)) | (yy > eaves), np.float32)
    pane = max(int(lift * 0.13), 2)
    glass = stage.lit(stage.sky_low * 0.35, 0.4)
    for row in np.arange(eaves + lift * 0.12, h, lift * 0.34):
        for cx in np.arange(w * 0.18, w * 0.9, max(lift * 0.3, 4)):
            a, b = int(cx - pane * 0.5), int(row)
            picture[b : b + int(pane * 1.5), max(a, 0) : a + pane] = glass * float(rng.uniform(0.8, 1.3))
    if front and eaves > pane * 2:
        cx, cy = w // 2, int(eaves * 0.62)
        picture[cy : cy + int(pane * 1.2), cx - pane // 2 : cx + pane // 2 + 1] = glass
    elif not front and rng.random() < 0.55 and lift > 20:
        cx, cy = int(w * rng.uniform(0.25, 0.7)), int(eaves * 0.42)
        dw, dh = int(lift * 0.16), int(lift * 0.2)
        picture[cy : cy + dh, cx : cx + dw] = stage.lit(wall, 0.55)
        picture[cy + dh // 4 : cy + dh - 1, cx + dw // 5 : cx + dw - dw // 5] = glass
        picture[max(cy - dh // 4, 0) : cy, max(cx - dw // 8, 0) : cx + dw + dw // 8] = stage.lit(
            tile * 0.6, 0.5
        )
    shade = np.clip(0.92 + 0.16 * stage.sun_side * (xx / w - 0.5) * 2, 0, 1.1)
    colour = stage.hazed(np.clip(picture * shade[..., None], 0, 1), away)
    stack_over(layer, premultiplied(colour, alpha), int(x), int(foot - h))
    if rng.random() < 0.6:
        cx, top = x + wide * float(rng.uniform(0.2, 0.8)), foot - h
        ch, cw = lift * float(rng.uniform(0.2, 0.32)), lift * 0.085
        brick = stage.hazed(stage.lit(rgb("#9a6450"), 0.6), away)
        base = top + (eaves * abs(cx - x - wide / 2) / (wide / 2) if front else 0) + lift * 0.12
        cv2.rectangle(layer, (int(cx - cw), int(base - ch)), (int(cx + cw), int(base)), rgba(brick), -1)
        cv2.rectangle(layer, (int(cx), int(base - ch)), (int(cx + cw), int(base)), rgba(brick * 0.78), -1)
        cv2.rectangle(
            layer,
            (int(cx - cw * 1.25), int(base - ch - cw * 0.5)),
            (int(cx + cw * 1.25), int(base - ch)),
            rgba(brick * 1.15),
            -1,
        )
        return (float(cx), float(base - ch - cw * 0.5))
    return None


def _steeple(stage: Stage, layer: Image8, x: float, foot: float, tall: float, away: float) -> None:
    stone = stage.hazed(stage.lit(rgb("#c8b898"), 0.65), away)
    dark = stage.hazed(stage.lit(rgb("#5a5a60"), 0.5), away)
    wide = tall * 0.1
    top = foot - tall * 0.62
    left = stone * (1.08 if stage.sun_side < 0 else 0.82)
    right = stone * (0.82 if stage.sun_side < 0 else 1.08)
    cv2.rectangle(layer, (int(x - wide), int(top)), (int(x), int(foot)), rgba(left), -1)
    cv2.rectangle(layer, (int(x), int(top)), (int(x + wide), int(foot)), rgba(right), -1)
    cv2.rectangle(
        layer,
        (int(x - wide * 1.15), int(top - 3)),
        (int(x + wide * 1.15), int(top + 2)),
        rgba(stone * 0.7),
        -1,
    )
    for a, b, tone in ((-1.15, 0.0, dark * 1.12), (0.0, 1.15, dark * 0.8)):
        spire = np.array([(x + a * wide, top - 2), (x + b * wide, top - 2), (x, foot - tall)])
        cv2.fillConvexPoly(layer, (spire * 8).astype(np.int32), rgba(tone), cv2.LINE_AA, 3)
    cv2.ellipse(
        layer,
        (int(x), int(top + wide * 1.2)),
        (int(wide * 0.35), int(wide * 0.6)),
        0,
        0,
        360,
        rgba(dark * 0.6),
        -1,
        cv2.LINE_AA,
    )


def water_tower(stage: Stage, layer: Image8, x: float, foot: float, size: float) -> None:
    """A wooden tank on legs with a conical hat."""
    px = stage.px(size)
    steel = stage.hazed(stage.lit(rgb("#4a4038"), 0.4), 0.15)
    tank_low, tank_high = foot - 46 * px, foot - 116 * px
    for dx in (-26, -9, 9, 26):
        cv2.line(
            layer,
            (int(x + dx * px * 1.1), int(foot)),
            (int(x + dx * px), int(tank_low)),
            rgba(steel),
            max(int(3 * px), 1),
            cv2.LINE_AA,
        )
    for a, b in ((-28, 28), (28, -28)):
        cv2.line(
            layer,
            (int(x + a * px), int(foot)),
            (int(x + b * px), int(tank_low)),
            rgba(steel),
            max(int(1.5 * px), 1),
            cv2.LINE_AA,
        )
    columns = 22
    for k in range(columns):
        left, right = -1 + 2 * k / columns, -1 + 2 * (k + 1) / columns
        mid = (left + right) / 2
        light = float(
            np.clip(0.5 + 0.6 * mid * stage.sun_side * 1.6 + 0.15 * np.sqrt(max(1 - mid * mid, 0)), 0.03, 1)
        )
        wood = rgb("#8a6242") * float(stage.rng.uniform(0.85, 1.1))
        tone = stage.hazed(stage.lit(wood, light), 0.12)
        cv2.rectangle(
            layer,
            (int(x + left * 36 * px), int(tank_high)),
            (int(x + right * 36 * px), int(tank_low)),
            rgba(tone),
            -1,
        )
        hat = np.array(
            [(x + left * 41 * px, tank_high), (x + right * 41 * px, tank_high), (x, tank_high - 30 * px)]
        )
        cap = stage.hazed(stage.lit(rgb("#6a5648"), light), 0.12)
        cv2.fillConvexPoly(layer, (hat * 8).astype(np.int32), rgba(cap), cv2.LINE_AA, 3)
    for share in (0.12, 0.5, 0.88):
        y = tank_high + (tank_low - tank_high) * share
        cv2.line(layer, (int(x - 36 * px), int(y)), (int(x + 36 * px), int(y)), rgba(steel), 1)
