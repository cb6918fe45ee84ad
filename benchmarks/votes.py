"""How many votes a mask needs: near votes against all votes, against the truth, and against single passes.

What a reader gets wrong: the embedded tracker's passes reach 0.75 s, so nearly all that reach a frame are
near ones and the rule changes little. `--reach-s 6` lets every pass cover the whole clip, as SAM's do, and
`--wrong 2` moves the boxes of two neighbouring anchors to where nothing is: there the rules differ. Masks are
those of the vote, before refinement.

    python -m benchmarks.votes --clips DIR --out sheets/
    python -m benchmarks.votes --clips DIR --reach-s 6 --wrong 2
    python -m benchmarks.votes                    # how fast the vote itself is

Clips are `*_source.mp4` of DIR, with a `*_person_mask.npz` beside one as its truth, and the demo's portraits,
made here, whose masks are exact.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from actors.backends.embedded import tracker as embedded
from actors.backends.embedded.grounding import ground, locate
from actors.ops.bait import VoteAccumulator, VoteResult, anchor_indices
from actors.ops.boxes import to_absolute
from actors.ops.made_clips import MADE_CLIPS, made_frames, made_masks
from actors.ops.masks import PackedRows, pack_rows, pack_video, unpack_rows
from actors.ops.video import VideoClip, encode_video
from actors.roles import Anchor, Box, Clip, Extend, Frame, Mask, PassMask
from actors.stage4_tracking import ForegroundTracker, ForegroundTrackerConfig
from benchmarks.masks import read_reference

RULES: dict[str, ForegroundTrackerConfig] = {
    "1": ForegroundTrackerConfig(votes_per_frame=1),
    "3": ForegroundTrackerConfig(votes_per_frame=3),
    "3, under 0.7": ForegroundTrackerConfig(votes_per_frame=3, extend_votes_below=0.7),
    "3, under 0.9": ForegroundTrackerConfig(votes_per_frame=3, extend_votes_below=0.9),
    "5": ForegroundTrackerConfig(votes_per_frame=5),
    "all": ForegroundTrackerConfig(),
}
"""`under`: frames with less agreement are extended."""
_TILE = (384, 216)
_COLUMNS = 4

Truth = Callable[[int, Mask], float]
"""IoU of a mask with the truth of frame `index`."""


class Replay:
    """The passes of one clip run once over all they reach; a VideoTracker that says them again."""

    def __init__(self, clip: Clip, anchors: Sequence[Anchor]) -> None:
        self.said: list[dict[int, PackedRows]] = [{} for _ in anchors]
        for word in embedded.FlowTracker().track(clip, anchors):
            self.said[word.anchor_index][word.frame_index] = pack_rows(word.mask)
        self.heard = 0

    def track(
        self, clip: Clip, anchors: Sequence[Anchor], extend: Extend | None = None
    ) -> Iterator[PassMask]:
        done: set[tuple[int, int]] = set()
        wanted: Sequence[Anchor] | None = anchors
        while wanted is not None:
            for number, anchor in enumerate(wanted):
                first, last = anchor.span(clip.num_frames)
                for frame, rows in self.said[number].items():
                    if first <= frame <= last and (number, frame) not in done:
                        done.add((number, frame))
                        yield PassMask(number, frame, unpack_rows(rows, clip.width))
            wanted = None if extend is None else extend()
        self.heard = len(done)

    def refine(self, clip: Clip, masks: Iterator[Mask]) -> Iterator[Mask]:
        yield from masks


@dataclass(frozen=True)
class Case:
    """A clip, its anchors, and the frames whose truth is known."""

    name: str
    clip: VideoClip
    anchors: list[Anchor]
    true_frames: Sequence[int]
    truth: Truth | None


def case_of(path: Path) -> Case:
    """A real clip as `benchmarks.masks` takes it: labels from its edited first frame where there is one."""
    clip = VideoClip(path)
    frames = clip.pick(anchor_indices(clip.num_frames, clip.fps))
    edited = path.with_name(path.name.replace("_source", "_edited"))
    kept = ground(frames[0], VideoClip(edited).pick([0])[0] if edited.exists() else frames[0], "")
    labels = [item.label for item in kept if edited.exists() or not item.label.endswith("with the person")]
    reference_path = path.with_name(path.name.replace("_source.mp4", "_person_mask.npz"))
    name = path.stem.removesuffix("_source").removeprefix("Sparkle_")
    anchors = _anchors(clip, frames, labels)
    if not reference_path.exists():
        return Case(name, clip, anchors, (), None)
    reference = read_reference(reference_path)
    numbers = {frame: number for number, frame in enumerate(reference.frames)}
    return Case(name, clip, anchors, tuple(numbers), lambda index, mask: reference.iou(numbers[index], mask))


def made_case(name: str, folder: Path) -> Case:
    """A portrait of the demo, whose mask is exact on every frame."""
    made = next(clip for clip in MADE_CLIPS if clip.name == name)
    path = folder / f"{name}.mp4"
    encode_video(made_frames(made), path, fps=16)
    clip = VideoClip(path)
    exact = pack_video(made_masks(name))
    frames = clip.pick(anchor_indices(clip.num_frames, clip.fps))
    labels = [item.label for item in ground(frames[0], frames[0], "")]
    return Case(
        name,
        clip,
        _anchors(clip, frames, labels),
        range(clip.num_frames),
        lambda index, mask: iou(mask, unpack_rows(exact[index], clip.width)),
    )


def _anchors(clip: VideoClip, frames: Sequence[Frame], labels: Sequence[str]) -> list[Anchor]:
    anchors = []
    located = locate(frames, labels)
    for index, objects in zip(anchor_indices(clip.num_frames, clip.fps), located, strict=True):
        boxes = {
            item.label: to_absolute(item.bbox_2d, clip.width, clip.height) for item in objects if item.bbox_2d
        }
        if boxes:
            anchors.append(Anchor(index, boxes))
    return anchors


def with_wrong_boxes(case: Case, count: int) -> Case:
    """`count` neighbouring anchors from the middle get a box at the frame's edge, a fifth of it wide."""
    width, height = float(case.clip.width), float(case.clip.height)
    anchors = list(case.anchors)
    first = (len(anchors) - count) // 2
    for number in range(first, first + count):
        (subject, *_) = anchors[number].boxes.values()
        on_the_right = subject[0] + subject[2] < width
        box: Box = (0.8 * width, 0.0, width, height) if on_the_right else (0.0, 0.0, 0.2 * width, height)
        anchors[number] = replace(anchors[number], boxes={"wrong": box})
    return replace(case, anchors=anchors)


def iou(one: Mask, other: Mask) -> float:
    """1.0 where both are empty."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


@dataclass(frozen=True)
class Outcome:
    rule: str
    passes_a_frame: float
    agreement: float
    against_all: float
    """Mean IoU over the clip with the vote of all passes."""
    lowest: float
    """The same on the frame that differs most."""
    against_truth: float | None
    packed: PackedRows


def outcomes(case: Case, passes: Replay) -> list[Outcome]:
    """Every rule of `RULES` on the same passes."""
    votes: dict[str, tuple[VoteResult, int]] = {}
    for rule, config in RULES.items():
        votes[rule] = ForegroundTracker(config, passes)._voted(case.clip, case.anchors), passes.heard
    full = votes["all"][0].packed
    width = case.clip.width
    found = []
    for rule, (vote, heard) in votes.items():
        same = [
            iou(unpack_rows(one, width), unpack_rows(other, width))
            for one, other in zip(vote.packed, full, strict=True)
        ]
        truth = None
        if case.truth is not None:
            frames = case.true_frames
            truth = float(np.mean([case.truth(i, unpack_rows(vote.packed[i], width)) for i in frames]))
        spoken = heard / case.clip.num_frames
        found.append(
            Outcome(rule, spoken, vote.agreement, float(np.mean(same)), min(same), truth, vote.packed)
        )
    return found


def single_passes(case: Case, passes: Replay, voted: PackedRows) -> list[tuple[float, float]]:
    """Of every pass: its IoU with the truth on the frames that it reaches, and that of the vote there."""
    assert case.truth is not None
    width, pairs = case.clip.width, []
    for said in passes.said:
        frames = [frame for frame in case.true_frames if frame in said]
        if frames:
            alone = np.mean([case.truth(frame, unpack_rows(said[frame], width)) for frame in frames])
            vote = np.mean([case.truth(frame, unpack_rows(voted[frame], width)) for frame in frames])
            pairs.append((float(alone), float(vote)))
    return pairs


def contact_sheet(clip: VideoClip, near: PackedRows, full: PackedRows, every: int) -> Frame:
    """Background darkened; red: only all votes have it, blue: only the near ones."""
    tiles = []
    for index, frame in enumerate(clip.frames()):
        if index % every:
            continue
        few, many = (unpack_rows(packed[index], clip.width) for packed in (near, full))
        shown = np.where((few | many)[..., None], frame, frame // 4)
        shown[many & ~few] = (255, 0, 0)
        shown[few & ~many] = (0, 0, 255)
        tile = cv2.resize(shown, _TILE, interpolation=cv2.INTER_AREA)
        cv2.putText(tile, str(index), (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 0), 1)
        tiles.append(np.asarray(tile, np.uint8))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)
    return np.vstack([np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)])


def speed(
    rounds: int = 5, shape: tuple[int, int, int] = (81, 720, 1280), passes: int = 11
) -> tuple[float, float]:
    """Milliseconds of reading all pass masks once from memory (821 MB at the default size), and of vote and
    packing: each the best of paired runs. The masks come as in lockstep, every pass at a frame of its own.
    """
    frames, height, width = shape
    masks = np.full((passes, *shape), False)  # written, since pages of np.zeros are none before that
    for number in range(passes):
        masks[number, :, height // 8 + number :, width // 3 : 2 * width // 3 + 2 * number] = True
    places = [(number, (step + 8 * number) % frames) for step in range(frames) for number in range(passes)]
    words = [PassMask(number, frame, masks[number, frame]) for number, frame in places]
    best_read = best_vote = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        for word in words:
            cv2.countNonZero(word.mask.view(np.uint8))
        read = time.perf_counter()
        vote = VoteAccumulator(frames, height, width)
        for word in words:
            vote.add(word)
        vote.packed()
        best_vote = min(best_vote, time.perf_counter() - read)
        best_read = min(best_read, read - started)
    return 1000 * best_read, 1000 * best_vote


def cases(clips: Path, made: Sequence[str], limit: int, folder: Path) -> Iterator[Case]:
    paths = sorted(clips.glob("*_source.mp4"))
    for path in paths[:limit] if limit else paths:
        yield case_of(path)
    for name in made:
        yield made_case(name, folder)


def main(
    clips: Annotated[Path | None, typer.Option(help="folder of *_source.mp4")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for contact sheets: 3 votes against all")] = None,
    made: Annotated[str, typer.Option(help="made clips, with commas")] = "portrait_indoors,portrait_outdoors",
    reach_s: Annotated[float, typer.Option(help="how far a pass reaches")] = embedded.REACH_S,
    wrong: Annotated[int, typer.Option(help="so many neighbouring anchors get a wrong box")] = 0,
    limit: Annotated[int, typer.Option(help="at most so many clips of the folder; 0: all")] = 0,
    every: Annotated[int, typer.Option(help="every n-th frame on the sheets")] = 5,
) -> None:
    """Near votes against all votes and the truth, by the embedded tracker."""
    cv2.setNumThreads(1)
    console = Console(width=120)
    if clips is None:
        read_ms, vote_ms = speed()
        console.print(f"81x720x1280, 11 passes: read {read_ms:.0f} ms, vote and packing {vote_ms:.0f} ms")
        return
    embedded.REACH_S = reach_s
    table = Table(
        "clip", "votes", "passes a frame", "agreement", "IoU with all", "lowest frame", "IoU with truth"
    )
    means: dict[str, list[Outcome]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for found in cases(clips, [name for name in made.split(",") if name], limit, Path(folder)):
            case = with_wrong_boxes(found, wrong) if wrong else found
            passes = Replay(case.clip, case.anchors)
            results = outcomes(case, passes)
            for one in results:
                means.setdefault(one.rule, []).append(one)
                table.add_row(case.name, *_cells([one]))
            if case.truth is not None:
                pairs = single_passes(case, passes, results[-1].packed)
                alone, vote = (np.array(column) for column in zip(*pairs, strict=True))
                console.print(
                    f"{case.name}: {len(pairs)} single passes, IoU median {np.median(alone):.4f}"
                    f" (lowest {alone.min():.4f}, highest {alone.max():.4f});"
                    f" the vote on the same frames {np.median(vote):.4f} (lowest {vote.min():.4f})"
                )
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                three = next(one.packed for one in results if one.rule == "3")
                picture = contact_sheet(case.clip, three, results[-1].packed, every)
                cv2.imwrite(str(out / f"{case.name}_votes.png"), picture[..., ::-1])
    for ours in means.values():
        table.add_row("all clips", *_cells(ours))
    console.print(f"reach {reach_s:g} s, {wrong} wrong anchors")
    console.print(table)


def _cells(results: Sequence[Outcome]) -> list[str]:
    truths = [one.against_truth for one in results if one.against_truth is not None]
    return [
        results[0].rule,
        f"{np.mean([one.passes_a_frame for one in results]):.2f}",
        f"{np.mean([one.agreement for one in results]):.3f}",
        f"{np.mean([one.against_all for one in results]):.4f}",
        f"{min(one.lowest for one in results):.4f}",
        f"{np.mean(truths):.4f}" if truths else "",
    ]


if __name__ == "__main__":
    typer.run(main)
