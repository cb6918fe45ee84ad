"""The stage a builder works on: the scene's colours and light, the plate that stays, the layers in front of
it.

What a reader gets wrong: layers are painted in the order in which they are added, back to front, and
everything a builder draws is random only through `stage.rng`, so a scene is a function of (keyword, seed,
size).
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from actors.backends.embedded.scenes.canvas import AnyImage, Array, Colour, mix, rgb
from actors.backends.embedded.scenes.motion import Layer, Still, Wind
from schemas.taxonomy import SceneSpec


class Stage:
    """One scene while it is being built. Sizes in px; `s` converts px of a 1280-wide picture to this one."""

    def __init__(self, spec: SceneSpec, seed: int, width: int, height: int) -> None:
        digest = hashlib.sha256(f"{spec.chosen_keyword}\x1f{seed}".encode()).digest()
        self.rng = np.random.Generator(np.random.Philox(int.from_bytes(digest[:8], "big")))
        self.spec, self.width, self.height = spec, width, height
        light = spec.light
        self.sky_top, self.sky_low = rgb(light.sky_top), rgb(light.sky_low)
        self.sun, self.key, self.ambient = rgb(light.sun), rgb(light.key), rgb(light.ambient)
        self.haze, self.haze_amount = rgb(light.haze), light.haze_amount
        self.sun_x = float(np.clip(light.sun_x + self.rng.uniform(-0.1, 0.1), 0.05, 0.95))
        self.sun_y = light.sun_y
        self.plate: Array = np.zeros((height, width, 3), np.float32)
        self.layers: list[Layer] = []
        self.vignette = 0.16
        self.wind = Wind(
            self.rng,
            speed=width * float(self.rng.uniform(0.2, 0.26)),
            direction=1.0 if self.rng.random() < 0.5 else -1.0,
            size=width * 0.36,
        )

    def has(self, motion: str) -> bool:
        return motion in self.spec.motions

    def option(self, name: str, default: Any = None) -> Any:
        return self.spec.options.get(name, default)

    def number(self, name: str, default: float) -> float:
        return float(self.spec.options.get(name, default))

    def colour(self, name: str, fallback: str = "#808080") -> Colour:
        return rgb(self.spec.palette.get(name, fallback))

    def lit(self, albedo: Any, amount: Any) -> Array:
        """An albedo in this light: ambient light at 0, full key light at 1."""
        base = np.asarray(albedo, np.float32)
        tint = mix(self.ambient * 0.92, self.key * 1.08, amount)
        return np.asarray(base * tint, np.float32)

    def hazed(self, colour: Any, distance: Any) -> Array:
        """Aerial perspective: `distance` 0 here, 1 at the horizon."""
        return mix(colour, self.haze, np.clip(np.asarray(distance, np.float32) * self.haze_amount, 0, 0.97))

    def add(self, layer: Layer) -> None:
        self.layers.append(layer)

    def add_still(self, layer: AnyImage) -> None:
        self.layers.append(Still(np.asarray(layer, np.uint8)))

    def row(self, share: float) -> int:
        return round(share * self.height)

    def px(self, value: float) -> float:
        """Pixels of a 1280x720 picture in pixels of this one."""
        return value * self.height / 720

    @property
    def sun_side(self) -> float:
        """-1 when the key light comes from the left .. 1 from the right."""
        return float(np.clip(2 * self.sun_x - 1, -1, 1))
