"""Cloth over a street: strings of pennants, a banner above the lane, and the shadows cloth throws.

What a reader gets wrong: strings are fixed at both walls; what hangs from them swings, the ends do not.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import blank, rgb, rgba, smoothstep
from actors.backends.embedded.scenes.figures import Banner, cloth
from actors.backends.embedded.scenes.motion import Layer, Shade, Swaying
from actors.backends.embedded.scenes.perspective import Road

_FLAGS = ("#c8402c", "#e8b03c", "#3f7a5a", "#3a5f9a", "#efe6d6", "#a03a68")


def pennants(
    road: Road, depths: tuple[float, ...], high: float, colours: tuple[str, ...] = _FLAGS
) -> list[Layer]:
    """Strings of small triangular flags from wall to wall, one swaying layer."""
    stage = road.stage
    layer = blank(stage.height, stage.width)
    weight = np.zeros((stage.height, stage.width), np.float32)
    for z in sorted(depths, reverse=True):
        scale, top = road.scale(z), high + float(stage.rng.uniform(-0.4, 0.5))
        t = np.linspace(-1, 1, 27)
        sag = top - 0.11 * road.half * (1 - t * t)
        line = [road.at(float(x) * road.half, float(y), z) for x, y in zip(t, sag, strict=True)]
        points = (np.clip(np.array(line), -4000, 4000) * 8).astype(np.int32)
        tone = rgba(stage.hazed(rgb("#4a443c"), road.away(z)))
        cv2.polylines(layer, [points], False, tone, max(int(0.02 * scale), 1), cv2.LINE_AA, 3)
        wide, tall = road.half * 2 / 26 * scale * 0.42, 0.64 * scale
        for k in range(1, 26):
            x, y = line[k]
            lit = 0.75 if (k % 2 == 0) else 0.95
            colour = stage.hazed(stage.lit(rgb(colours[k % len(colours)]), lit), road.away(z))
            flag = np.array([(x - wide, y), (x + wide, y), (x, y + tall)])
            cv2.fillConvexPoly(layer, (flag * 8).astype(np.int32), rgba(colour), cv2.LINE_AA, 3)
            a, b = max(int(y), 0), min(int(y + tall) + 2, stage.height)
            c, d = max(int(x - 2 * wide), 0), min(int(x + 2 * wide) + 1, stage.width)
            if a < b and c < d:
                ramp = np.linspace(0.12, min(tall / stage.px(40), 1.0), b - a, dtype=np.float32)[:, None]
                np.maximum(weight[a:b, c:d], ramp, out=weight[a:b, c:d])
    weight = np.asarray(cv2.GaussianBlur(weight, (0, 0), 2.0), np.float32)
    return [Swaying(layer, weight, stage.wind, sway=stage.px(24), flutter=stage.px(3.0), sheen=0.3, drop=0.3)]


def lane_banner(road: Road, z: float, high: float) -> list[Layer]:
    """A wide cloth that hangs from a rope above the middle of the lane."""
    stage = road.stage
    scale = road.scale(z)
    rope = stage.hazed(rgb("#4a3826"), road.away(z))
    wide, tall = max(int(3.4 * scale), 16), max(int(1.25 * scale), 8)
    left, right = road.at(-road.half, high + 0.9, z), road.at(road.half, high + 0.9, z)
    x, y = road.at(0, high, z)
    corners = ((x - wide / 2, y), (x + wide / 2, y))
    for start, end in ((left, corners[0]), corners, (corners[1], right)):
        p, q = (int(start[0]), int(start[1])), (int(end[0]), int(end[1]))
        cv2.line(road.picture, p, q, rgba(rope), max(int(0.04 * scale), 1), cv2.LINE_AA)
    colour = stage.hazed(stage.lit(rgb("#8a2f28"), 0.8), road.away(z))
    trim = stage.hazed(stage.lit(rgb("#d8b45a"), 0.8), road.away(z))
    picture = cloth(wide, tall, colour, trim, folds=6, rng=stage.rng)
    for k in (0.2, 0.4, 0.6, 0.8):
        centre = (int(wide * k), tall // 2)
        diamond = np.array([(0, -0.28), (0.2, 0), (0, 0.28), (-0.2, 0)]) * tall + centre
        cv2.fillConvexPoly(picture, (diamond * 8).astype(np.int32), rgba(trim), cv2.LINE_AA, 3)
    return [Banner(stage.rng, picture, int(x - wide / 2), int(y), amplitude=scale * 0.16, hz=0.5)]


def cloth_shadows(road: Road, depth: float) -> Shade:
    """Shadows of swaying cloth on the ground along both sides of the street."""
    stage = road.stage
    x, far = road.ground_metres()
    rim = smoothstep(road.half * 0.28, road.half * 0.5, np.abs(x)) * smoothstep(60.0, 25.0, far)
    mask = np.zeros((stage.height, stage.width), np.float32)
    mask[road.horizon :] = rim
    way = stage.wind._direction
    return Shade(
        stage.rng,
        mask,
        depth=depth,
        size=stage.px(84),
        speed=(way * stage.px(40), stage.px(12)),
        flat=2.2,
        hard=1.0,
        beta=2.1,
    )
