"""The sky over a town: the common sky, its clouds started where they have room to drift.

What a reader gets wrong: a cloud picture is only some 420 px wider than the frame and wraps round; clouds
that drift to the right must start at its far end, and none may go farther than that in one clip, or the
seam shows.
"""

from __future__ import annotations

import numpy as np

from actors.backends.embedded.scenes.motion import Flow
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage

_CLIP_SECONDS = 5.2


def town_sky(stage: Stage, horizon: int, *, clouds: float | None = None, sun: bool = True) -> None:
    """Paint the sky above `horizon`, with clouds as fast as one clip allows."""
    first = len(stage.layers)
    paint_sky(stage, horizon, speed=2.6, clouds=clouds, sun=sun)
    for layer in stage.layers[first:]:
        if isinstance(layer, Flow):
            room = layer._layer.shape[1] - stage.width
            fastest = float(np.abs(layer._speeds).max())
            if fastest > 0:
                layer._speeds = layer._speeds * np.float32(min(1.0, room / _CLIP_SECONDS / fastest))
            if float(layer._speeds.sum()) > 0:
                layer._layer = np.ascontiguousarray(np.roll(layer._layer, -room, axis=1))
