"""What flies or falls through the air of a scene: birds, petals, leaves, rain, snow, insects.

What a reader gets wrong: a scene's `motions` choose what is added; nothing flies that they do not name.
"""

from __future__ import annotations

import numpy as np

from actors.backends.embedded.scenes.canvas import (
    mix,
    rgb,
)
from actors.backends.embedded.scenes.motion import HeatHaze
from actors.backends.embedded.scenes.particles import (
    Butterflies,
    Drift,
    Flock,
    Rain,
    Swarm,
    dot_sprites,
    tumbling_sprites,
)
from actors.backends.embedded.scenes.stage import Stage


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
                dot_sprites(white, (4, 6, 8, 10, 15), 1.0, 0.9),
                Drift(way * 42, 175, 24, 0.35),
                count=440,
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
