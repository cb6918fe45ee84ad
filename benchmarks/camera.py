"""Does stage 1 keep real fixed cameras and reject moved ones? The filter and the judge on real clips and on
the same clips moved artificially.

What a reader gets wrong: the motion is added to real frames, so their own noise, subjects and light are in
it. The thresholds were set between the two groups on these clips; a camera that nobody held is not proof for
every camera.

    python -m benchmarks.camera --clips DIR
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console
from rich.table import Table

from actors.backends.embedded.flow import DisFlow
from actors.ops.camera import (
    ANALYSIS_HEIGHT,
    MAX_CAMERA_DRIFT_PCT,
    MAX_CAMERA_STEP_PCT,
    CameraMotion,
    camera_motion,
    judge_static_camera,
)
from actors.ops.video import VideoClip
from actors.roles import Clip, Frame

Kind = Literal["pan", "zoom", "rotation", "shake"]
ASKED: tuple[tuple[Kind, float], ...] = (("pan", 2.0), ("zoom", 2.0), ("rotation", 2.0), ("shake", 0.3))
"""What must be rejected, percent of the diagonal: over the clip, and rms for the shake."""
SMALLER: dict[Kind, tuple[float, ...]] = {
    "pan": (1.5, 1.2, 1.0, 0.8, 0.6),
    "zoom": (1.5, 1.2, 1.0, 0.8, 0.6),
    "rotation": (1.5, 1.2, 1.0, 0.8, 0.6),
    "shake": (0.2, 0.15, 0.12, 0.1, 0.08, 0.06),
}
_MARGIN = 1.06  # the picture is enlarged so that the moved frame stays inside of it
_SHAKE_FRAMES = 1.5  # standard deviation of the smoothing that makes noise a hand


@dataclass(frozen=True)
class FramesInMemory:
    """Frames as a clip (`actors.roles.Clip`), so that one decoding serves all motions."""

    path: Path
    pictures: Sequence[Frame]
    fps: float

    @property
    def num_frames(self) -> int:
        return len(self.pictures)

    @property
    def width(self) -> int:
        return int(self.pictures[0].shape[1])

    @property
    def height(self) -> int:
        return int(self.pictures[0].shape[0])

    def frames(self, *, height: int | None = None) -> Iterator[Frame]:
        yield from self.pictures

    def pick(self, indices: Sequence[int], *, height: int | None = None) -> list[Frame]:
        return [self.pictures[index] for index in indices]


def moved(clip: FramesInMemory, kind: Kind, amount_pct: float, *, seed: int = 3) -> FramesInMemory:
    """The clip as a moved camera would have taken it. `amount_pct`: mean displacement of the corners over the
    clip, or the root mean square of the shake, percent of the diagonal.
    """
    height, width = clip.height, clip.width
    far = amount_pct / 100 * float(np.hypot(width, height))
    shake = _hand(clip.num_frames, seed) * far
    pictures = []
    for index, frame in enumerate(clip.pictures):
        done = index / max(clip.num_frames - 1, 1)
        angle, scale, shift = 0.0, _MARGIN, np.zeros(2)
        match kind:
            case "pan":
                shift = far * done * np.array([np.cos(0.4), np.sin(0.4)])
            case "zoom":
                scale *= 1 + 2 * amount_pct / 100 * done
            case "rotation":
                angle = 2 * amount_pct / 100 * done
            case "shake":
                shift = shake[index]
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        centre = np.array([width / 2, height / 2])
        matrix = np.hstack([turn, (centre + shift - turn @ centre)[:, None]])
        seen = cv2.warpAffine(
            frame, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        pictures.append(np.asarray(seen, np.uint8))
    return FramesInMemory(clip.path, pictures, clip.fps)


def _hand(count: int, seed: int) -> npt.NDArray[np.float64]:
    """(count, 2): smoothed noise of root mean square 1."""
    noise = np.random.default_rng(seed).normal(size=(count, 2))
    reach = np.arange(-6, 7)
    kernel = np.exp(-0.5 * (reach / _SHAKE_FRAMES) ** 2)
    smooth = np.stack(
        [np.convolve(np.pad(column, 6, mode="wrap"), kernel, mode="valid") for column in noise.T], axis=1
    )
    return np.asarray(smooth / np.sqrt((smooth**2).sum(axis=1).mean()), np.float64)


def passes(motion: CameraMotion) -> bool:
    """By the default thresholds."""
    return motion.step_pct <= MAX_CAMERA_STEP_PCT and motion.drift_pct <= MAX_CAMERA_DRIFT_PCT


def _cell(clip: Clip, flow: DisFlow) -> tuple[str, bool, bool]:
    motion = camera_motion(clip, flow)
    static = judge_static_camera(clip).static
    kept = passes(motion)
    verdict = f"{'pass' if kept else 'reject'}/{'static' if static else 'moves'}"
    return f"{motion.step_pct:.3f} {motion.drift_pct:.2f} {verdict}", kept, static


def main(
    clips: Annotated[Path, typer.Option(help="folder of *_source.mp4")],
    smallest: Annotated[bool, typer.Option(help="also look for the smallest motion still caught")] = True,
) -> None:
    """Step and drift in percent of the diagonal, then the filter's and the judge's verdict."""
    cv2.setNumThreads(1)
    console, flow = Console(), DisFlow()
    table = Table(
        "clip", "as it is", *(f"{kind} {amount:g} %" for kind, amount in ASKED), "filter CPU s", "judge CPU s"
    )
    caught: dict[Kind, list[float]] = {kind: [] for kind, _ in ASKED}
    right = total = 0
    for path in sorted(clips.glob("*_source.mp4")):
        video = VideoClip(path)
        still = FramesInMemory(path, list(video.frames(height=min(ANALYSIS_HEIGHT, video.height))), video.fps)
        started = time.process_time()
        camera_motion(still, flow)
        filtered = time.process_time()
        judge_static_camera(still)
        judged = time.process_time()
        text, kept, static = _cell(still, flow)
        right, total = right + (kept and static), total + 1
        cells = [text]
        for kind, amount in ASKED:
            text, kept, static = _cell(moved(still, kind, amount), flow)
            right, total = right + (not kept and not static), total + 1
            cells.append(text)
            if smallest:
                least = amount
                for smaller in SMALLER[kind]:
                    if passes(camera_motion(moved(still, kind, smaller), flow)):
                        break
                    least = smaller
                caught[kind].append(least)
        name = path.stem.removesuffix("_source")
        table.add_row(name, *cells, f"{filtered - started:.2f}", f"{judged - filtered:.2f}")
    console.print(table)
    console.print(f"thresholds: step {MAX_CAMERA_STEP_PCT} %, drift {MAX_CAMERA_DRIFT_PCT} % of the diagonal")
    console.print(f"right by filter and judge alike: {right} of {total}")
    if smallest:
        for kind, amounts in caught.items():
            if amounts:
                console.print(f"smallest {kind} caught on every clip: {max(amounts):g} % of the diagonal")


if __name__ == "__main__":
    typer.run(main)
