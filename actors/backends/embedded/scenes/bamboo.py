"""A bamboo grove with a path.

What a reader gets wrong: the culms sway from the top, their feet stay.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    blank,
    mix,
    rgba,
    smoothstep,
)
from actors.backends.embedded.scenes.forest import _forest_floor
from actors.backends.embedded.scenes.lights import Beams
from actors.backends.embedded.scenes.motion import Swaying
from actors.backends.embedded.scenes.parts import airborne, far_trees, fog, leafage
from actors.backends.embedded.scenes.plants import _leaves
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage


def bamboo(stage: Stage) -> None:
    """Slender stalks in depth with leafy crowns."""
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(0.56)
    paint_sky(stage, horizon, clouds=0)
    stage.plate[:] = mix(stage.plate, stage.haze * np.array((0.88, 1.0, 0.82), np.float32), 0.5)
    far_trees(stage, horizon + 10, tall=430, distance=0.8)
    _forest_floor(stage, horizon)
    rows = h - horizon
    stalk, lit = stage.colour("trunk"), stage.colour("foliage_lit")
    for k, (u, away, n) in enumerate(((0.04, 0.74, 46), (0.1, 0.55, 34), (0.22, 0.3, 20), (0.5, 0.05, 9))):
        layer = blank(h, w)
        crown = blank(h, w)
        own = leafage(stage, away=away)
        for i in range(n):
            side = -1 if i % 2 else 1
            gap = 0.02 + 0.3 * u
            x = w * (0.5 + side * (gap + float(rng.random()) * (0.56 - gap)))
            foot = horizon + rows * u * float(rng.uniform(0.7, 1.3))
            wide = stage.px(4 + 42 * u) * float(rng.uniform(0.75, 1.2))
            lean = float(rng.normal(0, 0.03)) * h
            tone = stage.hazed(stage.lit(mix(stalk, lit, float(rng.uniform(0, 0.4))), 0.6), away)
            for j in range(5):
                a = -1 + j * 0.5
                c = tone * float(np.clip(0.72 + 0.34 * a * stage.sun_side - 0.16 * a * a, 0.4, 1.1))
                cv2.line(
                    layer,
                    (int((x + a * wide * 0.4) * 8), int(foot * 8)),
                    (int((x + lean + a * wide * 0.3) * 8), -80),
                    rgba(c),
                    max(int(wide * 0.28), 1),
                    cv2.LINE_AA,
                    3,
                )
            step = max(wide * 3.4, 14)
            for y in np.arange(foot - step * float(rng.random()), -10, -step):
                xx = x + lean * (foot - y) / foot
                cv2.line(
                    layer,
                    (int(xx - wide * 0.46), int(y)),
                    (int(xx + wide * 0.46), int(y)),
                    rgba(tone * 0.55),
                    max(int(wide * 0.09), 1),
                    cv2.LINE_AA,
                )
                cv2.line(
                    layer,
                    (int(xx - wide * 0.4), int(y + wide * 0.12)),
                    (int(xx + wide * 0.4), int(y + wide * 0.12)),
                    rgba(np.minimum(tone * 1.2, 1)),
                    max(int(wide * 0.06), 1),
                    cv2.LINE_AA,
                )
            m = 90 if k < 3 else 150
            up = rng.random(m) ** 1.6
            ys = -10 + up * foot * 0.72
            xs = x + lean + rng.normal(0, stage.px(30 + 150 * u), m)
            shade = np.clip(0.55 - 0.3 * up + rng.normal(0, 0.22, m), 0, 1)
            size = stage.px(7 + 34 * u) * rng.uniform(0.6, 1.2, m)
            _leaves(
                crown,
                rng,
                xs.astype(np.float32),
                ys.astype(np.float32),
                size.astype(np.float32),
                shade.astype(np.float32),
                own,
                slim=0.17,
                droop=0.9,
            )
        y = np.arange(h, dtype=np.float32)[:, None]
        still = np.clip((horizon + rows * u - y) / (h * 0.75), 0, 1) ** 1.5 * np.ones((1, w), np.float32)
        stage.add(Swaying(layer, still, stage.wind, sway=stage.px(5 + 12 * u), drop=0.0))
        stage.add(
            Swaying(
                crown,
                np.clip(still + 0.25, 0, 1),
                stage.wind,
                sway=stage.px(9 + 18 * u),
                flutter=stage.px(1 + 4 * u),
                glint=0.2,
                drop=0.2,
            )
        )
        if k == 1:
            fog(stage, horizon - int(stage.px(120)), horizon + int(stage.px(120)), strength=0.45)
    stage.add(
        Beams(
            rng,
            np.ones((h, w), np.float32) * smoothstep(h, h * 0.3, np.arange(h, dtype=np.float32)[:, None]),
            (stage.sun_x * w, -0.3 * h),
            stage.sun,
            strength=0.16,
            fine=8,
        )
    )
    airborne(stage, horizon)
