"""`build(spec, seed)`: the entry to the procedural scenes.

What a reader gets wrong: the last scene built in a process is kept, because editor, remover and animator ask
for the same one in turn; keeping more would cost some 60 MB each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from actors.backends.embedded.scenes import (
    indoors,
    outdoor,
    reef,
    ruins,
    shore,
    sky_scenes,
    station,
    studio,
    town,
    woods,
)
from actors.backends.embedded.scenes.painting import painter
from actors.backends.embedded.scenes.scene import Scene, SceneLight
from actors.backends.embedded.scenes.stage import Stage
from schemas.taxonomy import SceneSpec, find_scene

BUILDERS: dict[str, Callable[[Stage], None]] = {
    "field": outdoor.field,
    "vineyard": outdoor.vineyard,
    "hills": outdoor.hill_country,
    "snowmelt": outdoor.snowmelt,
    "desert": outdoor.desert,
    "forest": woods.forest,
    "bamboo": woods.bamboo,
    "waterfall": woods.waterfall,
    "lake": shore.lake,
    "coast": shore.coast,
    "street": town.street,
    "skyline": town.skyline,
    "industrial": town.industrial,
    "studio": studio.studio,
    "window": studio.window,
    "nightsky": sky_scenes.nightsky,
    "clouds": sky_scenes.clouds,
    "reef": reef.reef,
    "room": indoors.room,
    "station": station.station,
    "ruins": ruins.ruins,
}


def build(spec: SceneSpec, seed: int, width: int = 1280, height: int = 720) -> Scene:
    """The scene of `spec` in the variation of `seed`; same arguments, same bytes in every frame.

    Sizes are in px, at least 64; other aspects than 16:9 are built at 16:9 to cover and cut in the middle.
    """
    return _build(spec.chosen_keyword, seed, width, height)


@lru_cache(maxsize=1)
def _build(keyword: str, seed: int, width: int, height: int) -> Scene:
    cv2.setNumThreads(1)
    spec = find_scene(keyword)
    stage = Stage(spec, seed, width, height)
    BUILDERS[spec.builder](stage)
    light = SceneLight(
        key=_triple(stage.key),
        ambient=_triple(stage.ambient),
        direction=(stage.sun_side, float(2 * stage.sun_y - 1)),
        haze=_triple(stage.haze),
        brightness=0.0,
    )
    paint = painter(spec.style, width, height, stage.rng)
    scene = Scene(stage.plate, stage.layers, light, stage.rng, vignette=stage.vignette, paint=paint)
    first = cv2.cvtColor(scene.frame(0), cv2.COLOR_RGB2GRAY)
    scene.light = SceneLight(light.key, light.ambient, light.direction, light.haze, float(first.mean()) / 255)
    return scene


def _triple(colour: object) -> tuple[float, float, float]:
    c = np.asarray(colour, np.float64)
    return (float(c[0]), float(c[1]), float(c[2]))
