"""Painted looks (oil, impressionist, watercolour, ink) laid over a scene that was built like a photograph.

What a reader gets wrong: the filter works once on the plate and on each painted layer, never on frames:
brushstrokes then move with the things they paint, instead of boiling.
"""

from __future__ import annotations

from actors.backends.embedded.scenes.canvas import Array
from actors.backends.embedded.scenes.stage import Stage


def paint_over(stage: Stage) -> Array | None:
    """Stylise the stage in place; returns a paper or canvas grain (h, w) around 1, or None for
    photographs.
    """
    return None
