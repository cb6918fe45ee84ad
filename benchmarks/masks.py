"""Foreground masks on real clips: person IoU where there is a reference, contact sheets for the eye, CPU
seconds.

What a reader gets wrong: the reference is a consensus of segmenters of the same family, and on one frame it
holds a piece of bicycle, so the last few points of IoU mean little. The sheets decide.

    python -m benchmarks.masks --clips DIR --out sheets/

DIR is a folder of `*_source.mp4`; a `*_person_mask.npz` beside one (README of the clips) gives its IoU.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console
from rich.table import Table

from actors.backends.embedded.grounding import ground, locate
from actors.backends.embedded.segmenter import Segmenter
from actors.backends.embedded.tracker import FlowTracker
from actors.ops.bait import VoteAccumulator, anchor_indices
from actors.ops.boxes import to_absolute
from actors.ops.mask_faults import MaskFaults, mask_faults
from actors.ops.masks import PackedRows, pack_video, unpack_rows, unpack_video
from actors.ops.video import VideoClip
from actors.roles import Anchor, Box, Frame, Mask

_TILE = (384, 216)
_COLUMNS = 4
_GREEN = np.array([0, 255, 0], np.uint8)


@dataclass
class MaskRun:
    """Everything measured on one clip."""

    clip: VideoClip
    labels: list[str]
    voted: PackedRows
    refined: PackedRows
    agreement: float
    least_votes: int
    faults: MaskFaults
    seconds: dict[str, float] = field(default_factory=dict)
    person_boxes: dict[int, Box] = field(default_factory=dict)


def run(path: Path) -> MaskRun:
    """Stage 4 on one clip with the embedded backends; round 1 is taken from the source alone (nothing
    edited).
    """
    clip, tracker, seconds = VideoClip(path), FlowTracker(), {}
    started = time.process_time()

    def lap(name: str) -> None:
        nonlocal started
        seconds[name] = time.process_time() - started
        started = time.process_time()

    indices = anchor_indices(clip.num_frames, clip.fps)
    frames = clip.pick(indices)
    edited = path.with_name(path.name.replace("_source", "_edited"))
    kept = ground(frames[0], VideoClip(edited).pick([0])[0] if edited.exists() else frames[0], "")
    # Props are not part of the reference: where nothing was edited, nothing tells kept ones from the place.
    labels = [item.label for item in kept if edited.exists() or not item.label.endswith("with the person")]
    lap("round 1")
    located = locate(frames, labels)
    lap("locate")
    anchors = []
    for index, objects in zip(indices, located, strict=True):
        boxes = {
            item.label: to_absolute(item.bbox_2d, clip.width, clip.height) for item in objects if item.bbox_2d
        }
        if boxes:
            anchors.append(Anchor(index, boxes))
    vote = VoteAccumulator(clip.num_frames, clip.height, clip.width)
    for word in tracker.track(clip, anchors):
        vote.add(word)
    lap("track")
    result = vote.result()
    del vote
    lap("vote")
    refined = pack_video(tracker.refine(clip, unpack_video(result.packed, clip.width)))
    lap("refine")
    return MaskRun(
        clip,
        labels,
        result.packed,
        refined,
        result.agreement,
        int(result.votes.min()),
        mask_faults(refined, clip.width, anchors),
        seconds,
        {anchor.frame_index: next(iter(anchor.boxes.values())) for anchor in anchors},
    )


@dataclass(frozen=True)
class Reference:
    frames: list[int]
    rows: tuple[int, int]
    person: npt.NDArray[np.bool_]
    ignore: npt.NDArray[np.bool_]

    def iou(self, number: int, mask: Mask) -> float:
        """On the reference's frame `number`: props count neither for nor against."""
        seen, person = mask[self.rows[0] : self.rows[1]], self.person[number]
        return float((seen & person).sum() / ((seen | person) & ~self.ignore[number]).sum())


def read_reference(path: Path) -> Reference:
    """`frames`, `rows`, `shape` and the bit-packed `person` and `ignore` of a `*_person_mask.npz`."""
    with np.load(path) as data:
        shape = tuple(int(value) for value in data["shape"])
        person, ignore = (
            np.unpackbits(data[name])[: int(np.prod(shape))].reshape(shape).astype(np.bool_)
            for name in ("person", "ignore")
        )
        first, last = (int(value) for value in data["rows"])
        return Reference([int(index) for index in data["frames"]], (first, last), person, ignore)


def compared(done: MaskRun, reference: Reference) -> dict[str, list[float]]:
    """Person IoU on every reference frame: ours, the vote before refinement, and single segmenters on that
    frame.
    """
    segmenter = Segmenter()
    rows: dict[str, list[float]] = {}
    anchors = sorted(done.person_boxes)
    for number, frame in enumerate(done.clip.pick(reference.frames)):
        index = reference.frames[number]
        nearest = done.person_boxes[min(anchors, key=lambda anchor: abs(anchor - index))]
        masks = {
            "ours": unpack_rows(done.refined[index], done.clip.width),
            "vote without refinement": unpack_rows(done.voted[index], done.clip.width),
            "one frame, all segmenters": segmenter.foreground(frame, [nearest]) > 0.5,
            "one frame, selfie models": segmenter.person_matte(frame, [nearest]) > 0.5,
            "one frame, u2netp": segmenter.matte(frame) > 0.5,
        }
        for name, mask in masks.items():
            rows.setdefault(name, []).append(reference.iou(number, mask))
    return rows


def contact_sheet(done: MaskRun, every: int) -> Frame:
    """Every n-th frame with its background painted green."""
    tiles = list(_tiles(done, every))
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % _COLUMNS)
    return np.vstack([np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)])


def _tiles(done: MaskRun, every: int) -> Iterator[Frame]:
    for index, frame in enumerate(done.clip.frames()):
        if index % every == 0:
            mask = unpack_rows(done.refined[index], done.clip.width)
            shown = cv2.resize(np.where(mask[..., None], frame, _GREEN), _TILE, interpolation=cv2.INTER_AREA)
            cv2.putText(shown, str(index), (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 0, 0), 1)
            yield np.asarray(shown, np.uint8)


def main(
    clips: Annotated[Path, typer.Option(help="folder of *_source.mp4")],
    out: Annotated[Path | None, typer.Option(help="folder for contact sheets")] = None,
    every: Annotated[int, typer.Option(help="every n-th frame on the sheets")] = 4,
    limit: Annotated[int, typer.Option(help="at most so many clips; 0: all")] = 0,
) -> None:
    """Masks of every clip: cost, agreement of the passes, IoU where there is a reference."""
    cv2.setNumThreads(1)
    console = Console()
    table = Table(
        "clip", "labels", "agreement", "votes >=", "area step", "lost", "missed", "CPU s", "of these"
    )
    paths = sorted(clips.glob("*_source.mp4"))
    for path in paths[:limit] if limit else paths:
        done = run(path)
        parts = ", ".join(f"{name} {value:.1f}" for name, value in done.seconds.items())
        stage_4 = sum(value for name, value in done.seconds.items() if name != "round 1")
        table.add_row(
            path.stem.removesuffix("_source"),
            ", ".join(done.labels),
            f"{done.agreement:.3f}",
            str(done.least_votes),
            f"{done.faults.area_step:.3f}",
            f"{done.faults.lost_share:.3f}",
            f"{done.faults.label_lost_share:.3f}",
            f"{stage_4:.1f}",
            parts,
        )
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(out / f"{path.stem}_mask.png"), contact_sheet(done, every)[..., ::-1])
        reference_path = path.with_name(path.name.replace("_source.mp4", "_person_mask.npz"))
        if reference_path.exists():
            for name, values in compared(done, read_reference(reference_path)).items():
                frames = " ".join(f"{value:.3f}" for value in values)
                console.print(f"person IoU {np.mean(values):.3f}  {name:27s} {frames}")
    console.print(table)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    console.print(f"CPU s without round 1; peak memory {peak_gb:.2f} GB")


if __name__ == "__main__":
    typer.run(main)
