"""The figures of the embedded run on real clips: masks, foreground, liveness, cost; one run, one table.

    python -m benchmarks.quality --clips FOLDER --root FOLDER [--themes location,season] [--smoke]

What a reader gets wrong: the foreground figure is a regression guard, not praise: a compositor keeps the
foreground by nature. And liveness says that a background moves, not that it moves well; for that there are
`benchmarks.sheets`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import typer
from rich.console import Console
from rich.table import Table

from actors.ops.dynamics import background_dynamics
from actors.ops.masks import read_mask_npz, unpack_rows, unpack_video
from actors.ops.video import VideoClip
from actors.pipeline import PIPELINE
from actors.roles import Frame, Mask
from actors.store import open_root
from benchmarks.sheets import sample_files
from ray_jobs.root import RootState, read_root
from ray_jobs.settings import DEFAULT_CONFIG, load_config
from ray_jobs.sources import read_sources
from ray_jobs.status import print_tally, tally
from ray_jobs.synthesize import synthesize

MARGIN = np.ones((25, 25), np.uint8)
"""The mask is eroded by this for the foreground figure and dilated by it for the liveness figure."""
PIXELS_A_FRAME = 4000


def foreground_psnr(source: Iterator[Frame], edited: Iterator[Frame], masks: Iterator[Mask]) -> float:
    """Median over the frames of the PSNR (dB) inside the eroded mask, after one affine colour fit a channel
    over the whole clip; NaN when the mask leaves nothing.
    """
    before, after, frame_of = [], [], []
    rng = np.random.default_rng(0)
    for index, (old, new, mask) in enumerate(zip(source, edited, masks, strict=True)):
        inside = np.flatnonzero(cv2.erode(mask.astype(np.uint8), MARGIN))
        if len(inside) == 0:
            continue
        chosen = rng.choice(inside, min(PIXELS_A_FRAME, len(inside)), replace=False)
        before.append(old.reshape(-1, 3)[chosen])
        after.append(new.reshape(-1, 3)[chosen])
        frame_of.append(np.full(len(chosen), index))
    if not before:
        return float("nan")
    x, y = np.concatenate(before).astype(np.float64), np.concatenate(after).astype(np.float64)
    error = np.zeros(len(x))
    for channel in range(3):
        design = np.stack([x[:, channel], np.ones(len(x))], axis=1)
        fit, *_ = np.linalg.lstsq(design, y[:, channel], rcond=None)
        error += (design @ fit - y[:, channel]) ** 2 / 3
    frames = np.concatenate(frame_of)
    mse = [float(error[frames == frame].mean()) for frame in np.unique(frames)]
    return statistics.median(10 * math.log10(255**2 / max(value, 1e-9)) for value in mse)


def person_iou(packed: npt.NDArray[np.uint8], width: int, reference: Path) -> float:
    """Mean IoU on the reference's frames and rows, props ignored: |m & person| / |(m | person) & ~ignore|."""
    with np.load(reference) as data:
        frames, rows, shape = data["frames"], data["rows"], tuple(int(n) for n in data["shape"])
        count = int(np.prod(shape))
        person = np.unpackbits(data["person"])[:count].reshape(shape).astype(bool)
        ignore = np.unpackbits(data["ignore"])[:count].reshape(shape).astype(bool)
    scores = []
    for place, frame in enumerate(frames):
        mask = unpack_rows(packed[int(frame)], width)
        if mask.shape != shape[1:]:
            mask = mask[int(rows[0]) : int(rows[1])]
        either = (mask | person[place]) & ~ignore[place]
        scores.append((mask & person[place]).sum() / either.sum())
    return float(np.mean(scores))


def measure(files: dict[str, Path]) -> dict[str, float]:
    """Foreground PSNR and liveness of one finished sample."""
    packed, width = read_mask_npz(files["source_video_mask"])
    source, edited = VideoClip(files["source_video"]), VideoClip(files["edited_video"])
    return {
        "psnr": foreground_psnr(source.frames(), edited.frames(), unpack_video(packed, width)),
        "liveness": background_dynamics(edited.frames(), unpack_video(packed, width)),
    }


def cost(state: RootState, console: Console) -> None:
    """CPU seconds a clip and stage, and the peak memory of any worker."""
    table = Table("stage", "actor", "CPU s", "worker peak GB", box=None)
    total = 0.0
    for actor in PIPELINE:
        rows = state.settled[actor.__name__]
        worked = rows.filter(pc.greater(rows["elapsed_s"], 0.0))
        if worked.num_rows == 0:
            continue
        seconds = pc.mean(worked["cpu_s"]).as_py()
        total += seconds
        peak = pc.max(worked["peak_rss_bytes"]).as_py() / 1e9
        table.add_row(str(actor.stage or "-"), actor.__name__, f"{seconds:.2f}", f"{peak:.2f}")
    table.add_row("", "one clip, one theme", f"{total:.1f}", "")
    console.print(table)


def main(
    clips: Annotated[Path, typer.Option(help="folder with *_source.mp4")],
    root: Annotated[Path, typer.Option(help="output root; continued when it exists")],
    themes: Annotated[str, typer.Option(help="comma-separated")] = "location",
    smoke: Annotated[bool, typer.Option("--smoke", help="the first clip only")] = False,
) -> None:
    """Run the pipeline on the clips and print the figures of docs/benchmarks.md."""
    console = Console(width=140)
    entries = [entry for entry in read_sources(str(clips)) if entry.uri.endswith("_source.mp4")]
    config = load_config(DEFAULT_CONFIG, (), themes.split(","))
    result = synthesize(str(root), entries[:1] if smoke else entries, config, console)
    state = read_root(open_root(str(root), create=False)) or result.state
    names = dict(
        zip(state.samples["sample_id"].to_pylist(), state.samples["source_uri"].to_pylist(), strict=True)
    )
    table = Table("sample", "source", "person IoU", "PSNR dB", "liveness", box=None)
    measured: list[dict[str, Any]] = []
    for sample in sorted(result.asked):
        files = sample_files(state, sample)
        if "edited_video" not in files:
            continue
        figures = measure(files)
        measured.append(figures)
        reference = Path(names[sample].replace("_source.mp4", "_person_mask.npz"))
        iou = (
            f"{person_iou(*read_mask_npz(files['source_video_mask']), reference):.3f}"
            if reference.exists()
            else ""
        )
        table.add_row(
            sample, Path(names[sample]).name, iou, f"{figures['psnr']:.1f}", f"{figures['liveness']:.2f}"
        )
    console.print(table)
    for name in ("psnr", "liveness") if measured else ():
        values = [figures[name] for figures in measured]
        console.print(f"{name}: median {statistics.median(values):.2f}, lowest {min(values):.2f}")
    print_tally(tally(state.verdicts(), result.asked), console)
    cost(state, console)
    published(clips, console)


def published(clips: Path, console: Console) -> None:
    """Liveness of the published edits beside the OpenVE-3M edits of the same sources, whole frame."""
    table = Table("published edit", "Sparkle", "OpenVE-3M", box=None)
    for path in sorted(clips.glob("*_edited.mp4")):
        other = path.with_name(path.name.replace("_edited.mp4", "_edited_openve3m.mp4"))
        figures = [
            f"{background_dynamics(VideoClip(p).frames()):.2f}" if p.exists() else "" for p in (path, other)
        ]
        table.add_row(path.name, *figures)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
