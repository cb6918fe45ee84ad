"""Contact sheets of a root: what a sample looks like at every stage, for eyes.

    python -m benchmarks.sheets ROOT --out FOLDER

What a reader gets wrong: this measures nothing. Each sheet has a row of source frames, of the masked
foreground, of the background video and of the edited video, and at the left the first frames: edited, erased.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import pyarrow as pa
import typer

from actors.ops.masks import read_mask_npz, unpack_rows
from actors.ops.video import VideoClip, read_png, write_png
from actors.roles import Frame
from actors.store import StoreError, open_root
from ray_jobs.root import RootState, read_root

HEIGHT = 180
COLUMNS = 6


def sample_files(state: RootState, sample: str) -> dict[str, Path]:
    """Local files of a sample and of its source, by column; none of a sample that was taken down."""
    if sample in state.samples["sample_id"].filter(pa.array(state.removed)).to_pylist():
        return {}
    keys = dict(
        zip(state.samples["sample_id"].to_pylist(), state.samples["source_key"].to_pylist(), strict=True)
    )
    files = {}
    for table in state.settled.values():
        for row in table.to_pylist():
            if row["key"] in (sample, keys[sample]):
                for item in row["artifacts"] or ():
                    files[item["column"]] = state.store.local_path(item["path"])
    return files


def sheet(files: dict[str, Path]) -> Frame:
    """One picture of a sample; what is missing is grey."""
    source = VideoClip(files["source_video"])
    indices = [round(i) for i in np.linspace(0, source.num_frames - 1, COLUMNS)]
    rows = [_row(files.get("edited_frame0"), source.pick(indices, height=HEIGHT))]
    masked = []
    if "source_video_mask" in files:
        packed, width = read_mask_npz(files["source_video_mask"])
        for index, frame in zip(indices, source.pick(indices), strict=True):
            keep = unpack_rows(packed[index], width)[..., None]
            masked.append(_scaled(np.where(keep, frame, np.uint8(255) - frame // 4)))
    rows.append(_row(files.get("edited_frame0_foreground_removed"), masked))
    for column in ("edited_background_video", "edited_video", "edited_video_canny"):
        frames = VideoClip(files[column]).pick(indices, height=HEIGHT) if column in files else []
        rows.append(_row(None, frames))
    return np.vstack(rows)


def _row(first: Path | None, frames: list[Frame]) -> Frame:
    width = HEIGHT * 16 // 9
    blank = np.full((HEIGHT, width, 3), 128, np.uint8)
    cells = [_scaled(read_png(first)) if first else blank, *frames]
    return np.hstack([*cells, *[blank] * (COLUMNS + 1 - len(cells))])


def _scaled(frame: Frame) -> Frame:
    small = cv2.resize(frame, (HEIGHT * 16 // 9, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def main(
    root: Annotated[str, typer.Argument(metavar="ROOT", help="output root of a run")],
    out: Annotated[Path, typer.Option(help="folder for the pictures")],
) -> None:
    """Write one PNG a sample."""
    try:
        state = read_root(open_root(root, create=False))
        if state is None:
            raise StoreError(f"{root} holds no run yet")
    except StoreError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    out.mkdir(parents=True, exist_ok=True)
    for sample in state.samples["sample_id"].to_pylist():
        files = sample_files(state, sample)
        if "edited_frame0" in files:
            write_png(sheet(files), out / f"{sample}.png")
            typer.echo(out / f"{sample}.png")


if __name__ == "__main__":
    typer.run(main)
