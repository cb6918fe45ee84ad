"""Blades of grass and heads of flowers, painted one by one, then bent by the wind.

What a reader gets wrong: a layer comes with its `weight` map (0 at the root, 1 at the tip); without it the
grass would slide.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    Colour,
    Image8,
    Rng,
    blank,
    mix,
    rgba,
)


def blades(
    rng: Rng,
    height: int,
    width: int,
    *,
    foot: tuple[float, float],
    tall: float,
    count: int,
    dark: Colour,
    tip: Colour,
    thin: float = 1.0,
    lean: float = 0.15,
    spread: float = 0.22,
    heads: Colour | None = None,
    levels: int = 12,
) -> tuple[Image8, Array]:
    """A band of grass on a full-size layer, with its weight map. Roots lie between the rows `foot`, blades
    are `tall` px.
    """
    layer = blank(height, width)
    roots = rng.uniform(foot[0], foot[1], count)
    order = np.argsort(roots)
    roots = roots[order]
    x = rng.uniform(-20, width + 20, count)
    clump = np.interp(x, np.linspace(-20, width + 20, 40), rng.uniform(0.72, 1.12, 40))
    size = tall * rng.uniform(0.55, 1.1, count) * clump
    bend = (lean + rng.normal(0, spread, count)) * size
    shade = np.clip(rng.normal(0.45, 0.22, count), 0, 1)
    low = [rgba(mix(dark * 0.55, dark, k / (levels - 1))) for k in range(levels)]
    high = [rgba(mix(dark, tip, k / (levels - 1))) for k in range(levels)]
    level = (shade * (levels - 1)).astype(int)
    w = np.maximum(0.0052 * size * thin * rng.uniform(0.7, 1.4, count), 0.45)
    mx, my = x + bend * 0.3, roots - size * 0.55
    tx, ty = x + bend, roots - size * (0.97 - 0.1 * np.abs(bend) / np.maximum(size, 1))
    lower = np.stack(
        [
            np.stack([x - w, roots], -1),
            np.stack([x + w, roots], -1),
            np.stack([mx + w * 0.8, my], -1),
            np.stack([mx - w * 0.8, my], -1),
        ],
        1,
    )
    upper = np.stack(
        [np.stack([mx - w * 0.8, my], -1), np.stack([mx + w * 0.8, my], -1), np.stack([tx, ty], -1)], 1
    )
    lower_i, upper_i = np.round(lower * 8).astype(np.int32), np.round(upper * 8).astype(np.int32)
    head = rgba(heads) if heads is not None else None
    for i in range(count):
        cv2.fillConvexPoly(layer, lower_i[i], low[level[i]], cv2.LINE_AA, 3)
        cv2.fillConvexPoly(layer, upper_i[i], high[level[i]], cv2.LINE_AA, 3)
        if head is not None and i % 3 == 0:
            r = max(size[i] * 0.022, 0.8)
            for k in range(4):
                centre = (int((tx[i] - bend[i] * 0.06 * k) * 8), int((ty[i] + size[i] * 0.045 * k) * 8))
                cv2.circle(layer, centre, int(r * 8), head, -1, cv2.LINE_AA, 3)
    y = np.arange(height, dtype=np.float32)[:, None]
    rootline = (foot[0] + foot[1]) / 2 + 0.2 * (foot[1] - foot[0])
    weight = np.clip((rootline - y) / tall, 0, 1.1) ** 1.5
    return layer, np.broadcast_to(weight, (height, width)).astype(np.float32)


def flower_heads(
    layer: Image8,
    rng: Rng,
    *,
    foot: tuple[float, float],
    tall: float,
    count: int,
    colours: list[Colour],
    size: float,
    stem: Colour,
    round_: bool = True,
    heart: Colour | None = None,
) -> None:
    """Flowers among the grass of a band: stems with round or cup-shaped heads, the light from above."""
    height, width = layer.shape[:2]
    del height
    for root in np.sort(rng.uniform(foot[0], foot[1], count)):
        x = float(rng.uniform(0, width))
        high = tall * float(rng.uniform(0.6, 1.05))
        y = root - high
        tilt = float(rng.normal(0, 0.08)) * high
        c = colours[int(rng.integers(0, len(colours)))] * float(rng.uniform(0.85, 1.1))
        cv2.line(
            layer,
            (int(x * 8), int(root * 8)),
            (int((x + tilt) * 8), int(y * 8)),
            rgba(stem),
            1,
            cv2.LINE_AA,
            3,
        )
        r = size * float(rng.uniform(0.7, 1.2))
        at = (int((x + tilt) * 8), int(y * 8))
        if round_:
            cv2.ellipse(
                layer,
                (at[0] // 8, at[1] // 8),
                (max(int(r), 1), max(int(r * 0.72), 1)),
                0,
                0,
                360,
                rgba(c * 0.72),
                -1,
                cv2.LINE_AA,
            )
            cv2.ellipse(
                layer,
                (at[0] // 8, int(at[1] / 8 - r * 0.22)),
                (max(int(r * 0.85), 1), max(int(r * 0.45), 1)),
                0,
                0,
                360,
                rgba(np.minimum(c * 1.06, 1)),
                -1,
                cv2.LINE_AA,
            )
            if heart is not None and r > 2:
                cv2.ellipse(
                    layer,
                    (at[0] // 8, int(at[1] / 8 - r * 0.15)),
                    (max(int(r * 0.35), 1), max(int(r * 0.2), 1)),
                    0,
                    0,
                    360,
                    rgba(heart),
                    -1,
                    cv2.LINE_AA,
                )
        else:
            cup = (
                np.array(
                    [
                        (-0.62, -0.5),
                        (-0.4, 0.4),
                        (0, 0.62),
                        (0.4, 0.4),
                        (0.62, -0.5),
                        (0.25, -0.2),
                        (0, -0.62),
                        (-0.25, -0.2),
                    ]
                )
                * r
                * 1.5
            )
            cv2.fillPoly(
                layer,
                [((cup + np.array((x + tilt, y))) * 8).astype(np.int32)],
                rgba(c * 0.85),
                cv2.LINE_AA,
                3,
            )
            inner = cup * (0.5, 0.8) + (x + tilt - r * 0.2, y)
            cv2.fillPoly(layer, [(inner * 8).astype(np.int32)], rgba(np.minimum(c * 1.1, 1)), cv2.LINE_AA, 3)
