"""Where `benchmarks.gpu_models` runs a model, what one call costs, and a line of its report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from actors.ops.video import VideoClip, encode_video
from actors.roles import Frame


@dataclass(frozen=True)
class Row:
    """One line of the report. `tflops`: floating point operations that torch counted, a second."""

    model: str
    work: str
    seconds: float | None
    peak_gib: float | None = None
    tflops: float | None = None
    published: str = ""
    note: str = ""


@dataclass(frozen=True)
class Cost:
    seconds: float
    peak_gib: float
    tflop: float


@dataclass(frozen=True)
class Bench:
    """Where and at what size everything runs."""

    device: torch.device
    toy: bool
    folder: Path
    offload: str = "none"
    """Of the two Wan models, whose weights and activations together exceed 80 GB."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return (64, 96) if self.toy else (720, 1280)

    @property
    def num_frames(self) -> int:
        return 5 if self.toy else 81

    @property
    def tokens(self) -> int:
        """Of an answer; EditScore's and the grounder's are about as long."""
        return 8 if self.toy else 256

    @property
    def options(self) -> dict[str, Any]:
        return {"device": str(self.device), **({"dtype": "float32"} if self.toy else {})}

    def frame(self, seed: int = 0) -> Frame:
        return np.random.default_rng(seed).integers(0, 256, (*self.shape, 3), np.uint8)

    def clip(self) -> VideoClip:
        """A bright square that crosses a still picture of noise."""
        path = self.folder / "clip.mp4"
        if not path.exists():
            encode_video(self._moving(), path, fps=16)
        return VideoClip(path)

    def _moving(self) -> Iterator[Frame]:
        still, (height, width) = self.frame(), self.shape
        for index in range(self.num_frames):
            frame = still.copy()
            left = index * (width - height // 2) // self.num_frames
            frame[height // 4 : 3 * height // 4, left : left + height // 2] = 250
            yield frame

    def cost(self, run: Callable[[], object], *, apart: bool = False) -> Cost:
        """Of one call. `apart`: operations are counted in a call of its own, where counting slows what is
        timed (many small kernels).
        """
        with FlopCounterMode(display=False) as counter:
            seconds, peak = self.timed(run)
        if apart:
            seconds, peak = self.timed(run)
        return Cost(seconds, peak, counter.get_total_flops() / 1e12)

    def timed(self, run: Callable[[], object]) -> tuple[float, float]:
        on_gpu = self.device.type == "cuda"
        if on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        run()
        if on_gpu:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        return seconds, torch.cuda.max_memory_allocated() / 2**30 if on_gpu else 0.0


def as_row(model: str, work: str, cost: Cost, published: str = "", note: str = "") -> Row:
    return Row(model, work, cost.seconds, cost.peak_gib, cost.tflop / cost.seconds, published, note)
