"""Requests to control-guided generators, with clips that lie in memory.

What a reader gets wrong: the frames are noise, so that each differs from its neighbours and a frame that is
skipped, repeated or swapped shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actors.roles import ControlRequest, Frame

HEIGHT, WIDTH = 32, 48
"""Of the requests, in pixels."""


@dataclass(frozen=True)
class FrameClip:
    """A `Clip` of frames at hand; it has no file, and scales nothing."""

    content: list[Frame]
    fps: float = 16.0
    path: Path = Path("in_memory")

    @property
    def num_frames(self) -> int:
        return len(self.content)

    @property
    def width(self) -> int:
        return int(self.content[0].shape[1])

    @property
    def height(self) -> int:
        return int(self.content[0].shape[0])

    def frames(self, *, height: int | None = None) -> Iterator[Frame]:
        return iter(self.pick(range(self.num_frames), height=height))

    def pick(self, indices: Sequence[int], *, height: int | None = None) -> list[Frame]:
        if height is not None and height != self.height:
            raise ValueError(f"a clip of {self.height} rows is not scaled to {height}")
        return [self.content[index] for index in indices]


def noise(count: int, seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)) -> list[Frame]:
    """`count` frames of `size` = (height, width)."""
    return list(np.random.default_rng(seed).integers(0, 256, (count, *size, 3), dtype=np.uint8))


def control_request(num_frames: int = 5, **changed: Any) -> ControlRequest:
    """For `num_frames` frames, with other fields where they are named."""
    clip = FrameClip(noise(num_frames))
    given = {
        "start_image": noise(1, seed=1)[0],
        "control": clip,
        "prompt": "A quiet harbour.",
        "seed": 7,
        "num_frames": num_frames,
        "source": clip,
        "background": clip,
        "masks": np.zeros((num_frames, HEIGHT, WIDTH // 8), np.uint8),
    }
    return ControlRequest(**{**given, **changed})


def different_requests() -> Iterator[ControlRequest]:
    """Each differs from `control_request()` in one field that a generator must heed."""
    yield control_request(control=FrameClip(noise(5, seed=2)))
    yield control_request(start_image=noise(1, seed=3)[0])
    yield control_request(prompt="A snowy pass.")
    yield control_request(seed=8)
