"""Trees painted leaf by leaf, once, then bent by the wind.

What a reader gets wrong: sprites come with a `weight` map (0 at the root, 1 at the tips) which says how far
the wind may bend them; a tree without its weight map would slide.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Colour,
    Image8,
    Reals,
    Rng,
    blank,
    mix,
    rgba,
    soften,
    stack_over,
)
from actors.backends.embedded.scenes.grasses import blades, flower_heads

__all__ = [
    "Leafage",
    "Sprite",
    "_leaves",
    "blades",
    "blurred",
    "broadleaf",
    "conifer",
    "flower_heads",
    "palm",
    "plant",
    "resized",
    "tinted",
]


@dataclass(frozen=True)
class Leafage:
    """Colours of a plant, already lit: shadow side, light side, wood."""

    dark: Colour
    lit: Colour
    wood: Colour
    wood_lit: Colour


@dataclass
class Sprite:
    """A painted plant: premultiplied RGBA and its weight; its root is at the middle of the bottom edge."""

    layer: Image8
    weight: Array


def _leaves(
    layer: Image8,
    rng: Rng,
    xs: Reals,
    ys: Reals,
    size: Reals,
    shade: Reals,
    colours: Leafage,
    *,
    slim: float,
    levels: int = 14,
    droop: float = 0.0,
) -> None:
    """Stamp leaves, dark ones first; `shade` 0..1 picks the colour."""
    palette = [rgba(mix(colours.dark, colours.lit, k / (levels - 1))) for k in range(levels)]
    order = np.argsort(shade + rng.normal(0, 0.12, len(shade)), kind="stable")
    angle = rng.uniform(0, np.pi, len(xs)) if not droop else np.pi / 2 + rng.normal(0, 0.5, len(xs)) * droop
    ax, ay = np.cos(angle), np.sin(angle)
    long_, wide = size, size * slim
    points = np.stack(
        [
            np.stack([xs + ax * long_, ys + ay * long_], -1),
            np.stack([xs - ay * wide, ys + ax * wide], -1),
            np.stack([xs - ax * long_, ys - ay * long_], -1),
            np.stack([xs + ay * wide, ys - ax * wide], -1),
        ],
        1,
    )
    fixed = np.round(points * 8).astype(np.int32)
    level = np.clip((shade * (levels - 1) + rng.normal(0, 0.8, len(shade))).round(), 0, levels - 1).astype(
        int
    )
    for i in order:
        cv2.fillConvexPoly(layer, fixed[i], palette[level[i]], cv2.LINE_AA, 3)


def _limb(
    layer: Image8,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    w0: float,
    w1: float,
    colours: Leafage,
    side: float,
) -> None:
    dx, dy = x1 - x0, y1 - y0
    length = max(np.hypot(dx, dy), 1e-3)
    nx, ny = -dy / length, dx / length
    body = np.array(
        [
            (x0 + nx * w0, y0 + ny * w0),
            (x1 + nx * w1, y1 + ny * w1),
            (x1 - nx * w1, y1 - ny * w1),
            (x0 - nx * w0, y0 - ny * w0),
        ]
    )
    cv2.fillConvexPoly(layer, (body * 8).astype(np.int32), rgba(colours.wood), cv2.LINE_AA, 3)
    if w0 > 1.2:
        s = np.sign(side * nx) or 1.0
        strip = np.array(
            [
                (x0 + s * nx * w0, y0 + s * ny * w0),
                (x1 + s * nx * w1, y1 + s * ny * w1),
                (x1 + s * nx * w1 * 0.25, y1 + s * ny * w1 * 0.25),
                (x0 + s * nx * w0 * 0.25, y0 + s * ny * w0 * 0.25),
            ]
        )
        cv2.fillConvexPoly(layer, (strip * 8).astype(np.int32), rgba(colours.wood_lit), cv2.LINE_AA, 3)


def _grow(
    rng: Rng,
    x: float,
    y: float,
    angle: float,
    length: float,
    width: float,
    depth: int,
    spread: float,
    out: list[tuple[float, float, float, float, float, float]],
    tips: list[tuple[float, float]],
) -> None:
    bend = rng.normal(0, 0.1)
    mx, my = x + np.cos(angle) * length * 0.5, y - np.sin(angle) * length * 0.5
    angle2 = angle + bend
    x1, y1 = mx + np.cos(angle2) * length * 0.5, my - np.sin(angle2) * length * 0.5
    out.append((x, y, mx, my, width, width * 0.85))
    out.append((mx, my, x1, y1, width * 0.85, width * 0.68))
    if depth <= 2:
        tips.append((x1, y1))
    if depth <= 1:
        tips.append((mx, my))
    if depth == 0:
        return
    for k in range(2 if depth < 3 or rng.random() < 0.55 else 3):
        side = (-1 if k % 2 == 0 else 1) * rng.uniform(0.5, 1.1) * spread
        turned = angle + side + rng.normal(0, 0.12)
        turned += (np.pi / 2 - turned) * 0.12
        _grow(
            rng,
            x1,
            y1,
            turned,
            length * rng.uniform(0.66, 0.84),
            width * rng.uniform(0.52, 0.68),
            depth - 1,
            spread,
            out,
            tips,
        )


def broadleaf(
    rng: Rng,
    tall: int,
    colours: Leafage,
    *,
    side: float,
    leaves: int = 3600,
    leaf: float = 1.0,
    spread: float = 0.62,
    slim: float = 0.55,
    trunk: float = 0.30,
    thick: float = 0.028,
    fill: float = 1.0,
) -> Sprite:
    """A deciduous tree `tall` px high; `side` is where the light comes from (-1 left .. 1 right)."""
    width = int(tall * 1.15)
    layer = blank(tall, width)
    limbs: list[tuple[float, float, float, float, float, float]] = []
    tips: list[tuple[float, float]] = []
    _grow(
        rng,
        width / 2,
        tall,
        np.pi / 2 + rng.normal(0, 0.05),
        tall * trunk,
        tall * thick,
        5,
        spread,
        limbs,
        tips,
    )
    for limb in limbs:
        _limb(layer, *limb, colours, side)
    spots = np.array(tips, np.float32)
    pick = rng.integers(0, len(spots), leaves)
    blob = tall * 0.05 * fill
    offset = rng.normal(0, 1, (leaves, 2)).astype(np.float32)
    xs, ys = spots[pick, 0] + offset[:, 0] * blob, spots[pick, 1] + offset[:, 1] * blob * 0.8
    cx, cy = spots.mean(0)
    rx, ry = max(np.ptp(spots[:, 0]) / 2, 1), max(np.ptp(spots[:, 1]) / 2, 1)
    toward = (xs - cx) / rx * side * 0.55 - (ys - cy) / ry * 0.7
    local = offset[:, 0] * side * 0.25 - offset[:, 1] * 0.42
    clump = rng.normal(0, 0.16, len(spots))[pick]
    shade = np.clip(0.42 + 0.26 * toward + 0.20 * local + clump, 0, 1)
    size = tall * 0.0085 * leaf * rng.uniform(0.6, 1.25, leaves)
    _leaves(layer, rng, xs, ys, np.maximum(size, 1.1), shade, colours, slim=slim)
    y = np.linspace(1, 0, tall, dtype=np.float32)[:, None]
    x = np.abs(np.linspace(-1, 1, width, dtype=np.float32))[None, :]
    weight = np.clip((y - trunk * 0.8) / (1 - trunk * 0.8), 0, 1) ** 0.8 * (0.5 + 0.6 * x)
    return Sprite(layer, weight.astype(np.float32))


def conifer(rng: Rng, tall: int, colours: Leafage, *, side: float, snow: Colour | None = None) -> Sprite:
    """A fir: tiers of drooping boughs, optionally laden with snow."""
    width = int(tall * 0.56)
    layer = blank(tall, width)
    mid = width / 2
    _limb(layer, mid, tall, mid, tall * 0.06, tall * 0.017, 0.6, colours, side)
    tiers = 26
    xs, ys, shades, sizes, snowy = [], [], [], [], []
    for tier in range(tiers):
        u = (tier + 0.5) / tiers
        y0 = tall * (0.04 + 0.88 * u)
        reach = width * 0.47 * (0.06 + 0.94 * u**0.85) * rng.uniform(0.8, 1.06)
        for way in (-1, 1):
            n = int(16 + 56 * u)
            t = rng.random(n) ** 0.8
            x = mid + way * t * reach
            y = y0 + (t**1.4) * tall * 0.055 + rng.normal(0, tall * 0.006, n)
            xs.append(x)
            ys.append(y)
            shades.append(
                np.clip(0.30 + 0.3 * way * side * t + 0.28 * t - 0.12 * u + rng.normal(0, 0.12, n), 0, 1)
            )
            sizes.append(np.full(n, tall * 0.0135) * rng.uniform(0.7, 1.3, n))
            snowy.append(rng.random(n) < 0.62 * (0.5 + 0.5 * t))
    x, y = np.concatenate(xs), np.concatenate(ys)
    shade, size, white = np.concatenate(shades), np.concatenate(sizes), np.concatenate(snowy)
    _leaves(layer, rng, x, y, size, shade, colours, slim=0.3, droop=1.6)
    if snow is not None:
        laden = Leafage(snow * 0.72, snow, colours.wood, colours.wood_lit)
        _leaves(
            layer,
            rng,
            x[white],
            y[white] - size[white] * 0.55,
            size[white] * 0.8,
            np.clip(shade[white] + 0.35, 0, 1),
            laden,
            slim=0.5,
            droop=2.2,
        )
    h = np.linspace(1, 0, tall, dtype=np.float32)[:, None]
    across = np.abs(np.linspace(-1, 1, width, dtype=np.float32))[None, :]
    return Sprite(layer, (h**1.5 * (0.45 + 0.55 * across) + 0.25 * across**1.5).astype(np.float32))


def palm(rng: Rng, tall: int, colours: Leafage, *, side: float, lean: float) -> Sprite:
    """A coconut palm whose trunk leans by `lean` (-1..1) of its height."""
    width = int(tall * 1.5)
    layer = blank(tall, width)
    x0, x1 = width / 2, width / 2 + lean * tall * 0.4
    top = tall * 0.3
    n = 26
    last = (x0, float(tall))
    for k in range(1, n + 1):
        u = k / n
        now = (x0 + (x1 - x0) * u**1.5, tall + (top - tall) * u)
        w = tall * (0.019 - 0.008 * u)
        _limb(layer, *last, *now, w * (1.12 if k % 2 else 1.0), w, colours, side)
        last = now
    fronds = 17
    for k in range(fronds):
        a = -np.pi * 0.12 + np.pi * 1.24 * (k + rng.uniform(-0.3, 0.3)) / (fronds - 1)
        reach = tall * rng.uniform(0.30, 0.42)
        lift = np.sin(a)
        t = np.linspace(0, 1, 30)
        fx = last[0] + np.cos(a) * reach * t
        fy = last[1] - lift * reach * 0.62 * t + reach * 0.5 * t**2.1
        light = np.clip(0.35 + 0.35 * lift + 0.25 * np.cos(a) * side, 0, 1)
        leaf = rgba(mix(colours.dark, colours.lit, light * 0.7))
        tip = rgba(mix(colours.dark, colours.lit, min(light + 0.25, 1.0)))
        for i in range(2, 30):
            size = tall * 0.085 * np.sin(np.pi * (0.12 + 0.86 * t[i]) ** 0.8)
            dx, dy = fx[i] - fx[i - 1], fy[i] - fy[i - 1]
            d = max(np.hypot(dx, dy), 1e-3)
            for way in (-1, 1):
                px = fx[i] + (dx / d * 0.55 + -dy / d * way * 0.8) * size
                py = fy[i] + (dy / d * 0.55 + dx / d * way * 0.8) * size + size * 0.35
                blade = np.array([(fx[i - 1], fy[i - 1]), (fx[i], fy[i]), (px, py)])
                cv2.fillConvexPoly(
                    layer, (blade * 8).astype(np.int32), leaf if way < 0 else tip, cv2.LINE_AA, 3
                )
        points = (np.stack([fx, fy], -1) * 8).astype(np.int32)
        cv2.polylines(layer, [points], False, tip, 1, cv2.LINE_AA, 3)
    yy, xx = np.mgrid[0:tall, 0:width].astype(np.float32)
    away = np.hypot(xx - last[0], (yy - last[1]) * 1.1) / (tall * 0.4)
    weight = np.clip(away, 0, 1.2) ** 1.2 * np.clip((tall * 0.85 - yy) / (tall * 0.3), 0, 1) + 0.12 * np.clip(
        1 - yy / tall, 0, 1
    )
    return Sprite(layer, weight.astype(np.float32))


def resized(sprite: Sprite, tall: int, flip: bool = False) -> Sprite:
    """The same plant at another height, optionally mirrored."""
    scale = tall / sprite.layer.shape[0]
    size = (max(round(sprite.layer.shape[1] * scale), 2), max(tall, 2))
    layer = cv2.resize(sprite.layer, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    weight = cv2.resize(sprite.weight, size, interpolation=cv2.INTER_LINEAR)
    if flip:
        layer, weight = np.ascontiguousarray(layer[:, ::-1]), np.ascontiguousarray(weight[:, ::-1])
    return Sprite(np.asarray(layer, np.uint8), np.asarray(weight, np.float32))


def tinted(sprite: Sprite, colour: Colour, amount: float) -> Sprite:
    """The same plant seen through air of this colour."""
    f = sprite.layer.astype(np.float32)
    a = f[..., 3:4] / 255
    f[..., :3] = f[..., :3] * (1 - amount) + colour * 255 * a * amount
    return Sprite(np.clip(f + 0.5, 0, 255).astype(np.uint8), sprite.weight)


def plant(layer: Image8, weight: Array, sprite: Sprite, x: float, foot: float) -> None:
    """Put a sprite with its root at (x, foot) onto a full-size layer and its weight onto the layer's weight
    map.
    """
    h, w = sprite.layer.shape[:2]
    px, py = int(x - w / 2), int(foot - h)
    stack_over(layer, sprite.layer, px, py)
    y0, x0 = max(py, 0), max(px, 0)
    y1, x1 = min(py + h, layer.shape[0]), min(px + w, layer.shape[1])
    if y0 < y1 and x0 < x1:
        part = weight[y0:y1, x0:x1]
        own = sprite.weight[y0 - py : y1 - py, x0 - px : x1 - px]
        np.maximum(part, own, out=part)


def blurred(sprite: Sprite, sigma: float) -> Sprite:
    return Sprite(soften(sprite.layer, sigma), sprite.weight)
