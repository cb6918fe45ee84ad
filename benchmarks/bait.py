"""BAIT's passes by SAM: shared and in lockstep against one upstream `propagate_in_video` run an anchor.

What a reader gets wrong: the weights are random (made here, no network), which changes neither cost nor
agreement: both sides run the same weights on the same clip. E and M are measured from the upstream side of
the same run: E is its image encoder a frame, M all the rest of a pass a frame.

    python -m benchmarks.bait --size large --device cuda --frames 81 --anchors 11
    python -m benchmarks.bait --size tiny --frames 9 --anchors 3     # minutes on two cores
    python -m benchmarks.bait --model sam3 --device cuda

At the smoke size weights and frames are tiny, so its seconds mean nothing.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

import numpy as np
import sam2.sam2_video_predictor
import torch
import typer
from rich.console import Console
from rich.table import Table
from sam2.build_sam import build_sam2_video_predictor
from torch import Tensor

from actors.backends.devices import pick_device, pick_dtype, place_of
from actors.backends.lockstep import FrameFeatures, Rows, advance_together, in_batches, pass_masks
from actors.backends.sam2_tracker import CONFIGS, Sam2Rows, build_predictor, pixel_values
from actors.ops.bait import NearVotes
from actors.roles import Anchor, Clip, Frame, PassMask

SMOKE_SIDE = 128
SMOKE = (
    f"++model.image_size={SMOKE_SIDE}",
    "++model.image_encoder.trunk.embed_dim=8",
    "++model.image_encoder.trunk.stages=[1,1,2,1]",
    "++model.image_encoder.trunk.global_att_blocks=[3]",
    "++model.image_encoder.neck.backbone_channel_list=[64,32,16,8]",
    "++model.memory_attention.num_layers=1",
    "++model.memory_attention.layer.dim_feedforward=64",
)
"""Overrides that make `sam2.1_hiera_t.yaml` tiny; the width 256 is fixed in the package's modules."""
SLACK = 1.10
"""The total may exceed T E + N T M by a tenth."""


class MemoryClip:
    """A clip that is not in a file."""

    fps = 16.0
    path = Path("made in memory")

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = list(frames)
        self.num_frames = len(frames)
        self.height, self.width = frames[0].shape[:2]

    def frames(self, *, height: int | None = None) -> Iterator[Frame]:
        return iter(self._frames)

    def pick(self, indices: Sequence[int], *, height: int | None = None) -> list[Frame]:
        return [self._frames[index] for index in indices]


def moving_squares(count: int, size: tuple[int, int] = (96, 64)) -> MemoryClip:
    """Noise of (width, height) with two squares that move towards each other, half a frame over the clip."""
    random = np.random.default_rng(5)
    width, height = size
    ground = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    frames = []
    for index in range(count):
        frame = ground.copy()
        for box, colour in zip(square_boxes(index, count, size), ((220, 40, 40), (40, 200, 60)), strict=True):
            x1, y1, x2, y2 = (int(value) for value in box)
            frame[y1:y2, x1:x2] = colour
        frames.append(frame)
    return MemoryClip(frames)


def square_boxes(index: int, count: int, size: tuple[int, int]) -> list[tuple[float, float, float, float]]:
    """Where the two squares are on a frame."""
    width, height = size
    way, side = width // 2 * index // count, height // 3
    red = (float(way), height / 3, float(way + side), height / 3 + side)
    green = (float(width - side - way), height / 8, float(width - way), height / 8 + side)
    return [red, green]


def square_anchor(index: int, count: int, size: tuple[int, int] = (96, 64), *, labels: int = 2) -> Anchor:
    """The squares' boxes on one frame of `moving_squares`."""
    boxes = square_boxes(index, count, size)
    return Anchor(index, dict(zip(("red square", "green square"), boxes[:labels], strict=False)))


@contextlib.contextmanager
def in_memory(clip: Clip, predictor: Any) -> Iterator[None]:
    """Hands the package's loader the frames of `clip`, in the place of a folder of JPEG files."""
    module = sam2.sam2_video_predictor
    frames = pixel_values(list(clip.frames()), predictor.image_size, predictor.device)
    theirs = module.load_video_frames, module.tqdm

    def loaded(**unused: Any) -> tuple[Tensor, int, int]:
        return frames, clip.height, clip.width

    module.load_video_frames, module.tqdm = loaded, lambda order, **words: order
    try:
        yield
    finally:
        module.load_video_frames, module.tqdm = theirs


def upstream_passes(predictor: Any, anchors: Sequence[Anchor]) -> Iterator[tuple[PassMask, Tensor]]:
    """One run of the package's predictor an anchor, forward and backward; logits (labels, H, W).

    `in_memory` must be open.
    """
    for number, anchor in enumerate(anchors):
        state = predictor.init_state("")
        for label, box in enumerate(anchor.boxes.values()):
            predictor.add_new_points_or_box(state, anchor.frame_index, label, box=list(box))
        for reverse in (False, True):
            for frame, _, logits in predictor.propagate_in_video(state, reverse=reverse):
                mask = (logits[:, 0] > 0).any(dim=0).cpu().numpy()
                yield PassMask(number, frame, mask), logits[:, 0]


@dataclass(frozen=True)
class Shared:
    """One run of ours."""

    encode_s: float
    passes_s: float
    logits: dict[tuple[int, int], Tensor]
    """Of the model's size, by pass and frame."""
    features_bytes: int
    bank_bytes: int
    """The most that all memory banks held at once."""


class Encoding(Rows, Protocol):
    """Rows that fill their own features."""

    features: FrameFeatures

    def encode(self, frames: Sequence[Frame]) -> None: ...


@dataclass
class Bench:
    """One clip, one set of weights, both sides; here of `sam2`."""

    upstream: Any
    batched: Any
    clip: Clip
    dtype: torch.dtype
    encode_batch: int
    rows_per_step: int
    features_on: str
    features_dtype: torch.dtype | None
    encode_s: list[float] = field(default_factory=list)
    encoder: ClassVar[str] = "forward_image"
    """Upstream's method that encodes a frame."""

    @property
    def device(self) -> torch.device:
        device: torch.device = self.upstream.device
        return device

    def rows(self) -> Encoding:
        return Sam2Rows(self.batched, (self.clip.height, self.clip.width), self.dtype)

    def separate_passes(self, anchors: Sequence[Anchor]) -> Iterator[tuple[PassMask, Tensor]]:
        """Upstream's, one after another; logits (labels, H, W) at the clip's size."""
        with self.autocast(), in_memory(self.clip, self.upstream):
            yield from upstream_passes(self.upstream, anchors)

    def naive(self, anchors: Sequence[Anchor]) -> Iterator[tuple[PassMask, Tensor]]:
        """`separate_passes`; the seconds of each image encoder call are collected on the way."""
        encode = getattr(self.upstream, self.encoder)

        def timed(*inputs: Any, **words: Any) -> Any:
            out, seconds = self.clocked(lambda: encode(*inputs, **words))
            self.encode_s.append(seconds)
            return out

        setattr(self.upstream, self.encoder, timed)
        try:
            yield from self.separate_passes(anchors)
        finally:
            delattr(self.upstream, self.encoder)

    def shared(self, anchors: Sequence[Anchor]) -> Shared:
        """All passes in lockstep over features that are made once."""
        rows = self.rows()
        place = place_of(self.features_on, self.device)
        rows.features = FrameFeatures(self.device, place, self.features_dtype)

        def encode() -> None:
            for frames in in_batches(self.clip.frames(), self.encode_batch):
                rows.encode(frames)

        kept: dict[tuple[int, int], Tensor] = {}

        def passes() -> int:
            most = 0
            advances = advance_together(rows, anchors, self.clip.num_frames, rows_per_step=self.rows_per_step)
            for advance in advances:
                most = max(most, advance.bank_bytes)
                for _ in pass_masks(advance, self.clip.height, self.clip.width):
                    pass
                for number, frame, part in advance.words:
                    kept[number, frame] = advance.logits[part].to("cpu", torch.float32)
            return most

        _, encode_s = self.clocked(encode)
        bank_bytes, passes_s = self.clocked(passes)
        return Shared(encode_s, passes_s, kept, rows.features.nbytes, bank_bytes)

    def clocked(self, work: Callable[[], Result]) -> tuple[Result, float]:
        """What `work` gives, and its wall seconds on the device."""
        self._wait()
        started = time.perf_counter()
        done = work()
        self._wait()
        return done, time.perf_counter() - started

    def peak_gib(self) -> float:
        """GPU memory since the last call, or this process's memory so far on a CPU."""
        if self.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self.device) / 2**30
            torch.cuda.reset_peak_memory_stats(self.device)
            return peak
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    def autocast(self) -> Any:
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


Result = TypeVar("Result")


def build(size: str, device: torch.device, overrides: Sequence[str]) -> tuple[Any, Any]:
    """Upstream's predictor and ours with the same random weights, under which there are objects."""
    torch.manual_seed(0)
    ours = build_predictor(size, overrides, device=device)
    ours.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data.fill_(10.0)
    upstream = build_sam2_video_predictor(CONFIGS[size], device=device, hydra_overrides_extra=list(overrides))
    upstream.load_state_dict(ours.state_dict())
    return upstream, ours


def main(
    model: Annotated[str, typer.Option(help="sam2 or sam3")] = "sam2",
    size: Annotated[str, typer.Option(help=f"of sam2: {', '.join(CONFIGS)}")] = "tiny",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, or bfloat16 by autocast")] = "float32",
    frames: Annotated[int, typer.Option(help="T")] = 81,
    anchors: Annotated[int, typer.Option(help="N, evenly spaced")] = 11,
    labels: Annotated[int, typer.Option(help="objects a pass, 1 or 2")] = 1,
    near: Annotated[int, typer.Option(help="votes a frame of the near-votes run")] = 3,
    naive: Annotated[int, typer.Option(help="run so many upstream passes and scale; 0: all")] = 0,
    height: Annotated[int, typer.Option()] = 720,
    width: Annotated[int, typer.Option()] = 1280,
    encode_batch: Annotated[int, typer.Option()] = 4,
    rows_per_step: Annotated[int, typer.Option()] = 16,
    features_on: Annotated[str, typer.Option(help="device or host")] = "device",
    features_dtype: Annotated[str, typer.Option(help="empty: the encoder's own")] = "",
    smoke: Annotated[bool, typer.Option(help="a tiny model and clip, for the tests")] = False,
) -> None:
    """Seconds, floors and agreement of the shared passes."""
    if smoke:
        size, device, frames, anchors, labels, height, width = "tiny", "cpu", 12, 3, 2, 64, 96
    # A convolution in TF32 depends on the batch's size by more than what is compared here.
    torch.backends.cudnn.allow_tf32 = pick_dtype(dtype) != torch.float32
    frame_size = (width, height)
    clip = moving_squares(frames, frame_size)
    kept_in = pick_dtype(features_dtype) if features_dtype else None
    options: tuple[Any, ...] = (clip, pick_dtype(dtype), encode_batch, rows_per_step, features_on, kept_in)
    if model == "sam3":
        from benchmarks.bait_sam3 import sam3_bench  # it needs this module

        bench: Bench = sam3_bench(pick_device(device), smoke, *options)
        name = "SAM 3's tracker"
    else:
        bench = Bench(*build(size, pick_device(device), SMOKE if smoke else ()), *options)
        name = f"sam2.1 {size}"
    places = [round(i * (frames - 1) / max(anchors - 1, 1)) for i in range(anchors)]
    all_anchors = [square_anchor(place, frames, frame_size, labels=labels) for place in places]
    console = Console(width=120)
    device_name = torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else "CPU"
    console.print(
        f"{name}{' (smoke)' if smoke else ''}, {dtype}, {device_name}, torch {torch.__version__},"
        f" {torch.get_num_threads()} threads; T {frames}, N {anchors}, labels {labels}, {width}x{height},"
        f" {rows_per_step} rows a step"
    )
    report(console, bench, all_anchors, naive or anchors, near)


def report(console: Console, bench: Bench, anchors: Sequence[Anchor], naive: int, near: int) -> None:
    """Runs both sides and prints the table."""
    clip, count = bench.clip, len(anchors)
    if bench.device.type == "cuda":
        bench.shared(anchors[:1])  # kernels are loaded and chosen once
    bench.peak_gib()
    exact = bench.shared(anchors)
    peak = bench.peak_gib()
    near_votes = bench.shared(NearVotes(anchors, clip.num_frames, near).anchors())
    bench.peak_gib()
    differences = Differences(exact.logits)
    naive_s = 0.0
    words = bench.naive(anchors[:naive])
    while True:
        word, seconds = bench.clocked(lambda: next(words, None))
        naive_s += seconds
        if word is None:
            break
        differences.add(*word)
    naive_peak = bench.peak_gib()
    pass_frames = naive * clip.num_frames
    e = sum(bench.encode_s) / len(bench.encode_s)
    m = (naive_s - sum(bench.encode_s)) / pass_frames
    naive_s *= count / naive
    console.print(f"E {e:.4f} s a frame, M {m:.4f} s a frame and pass (upstream, {naive} passes)")
    table = Table("passes", "encode s", "passes s", "total s", "floor s", "total / floor", "naive / total")
    table.add_row(f"naive, {count} x upstream", "", "", f"{naive_s:.2f}", "", "", "1.00")
    for name, run in ((f"exact, {count} in lockstep", exact), (f"{near} near votes", near_votes)):
        floor = clip.num_frames * e + len(run.logits) * m
        total = run.encode_s + run.passes_s
        table.add_row(
            name,
            f"{run.encode_s:.2f}",
            f"{run.passes_s:.2f}",
            f"{total:.2f}",
            f"{floor:.2f}",
            f"{total / floor:.2f}{'' if total <= SLACK * floor else ' (over)'}",
            f"{naive_s / total:.2f}",
        )
    console.print(table)
    console.print(differences.words())
    what = "GPU memory" if bench.device.type == "cuda" else "process memory (grows only)"
    console.print(
        f"{what}: exact {peak:.2f} GiB, of it frame features {exact.features_bytes / 2**30:.2f} and"
        f" {count} memory banks {exact.bank_bytes / 2**30:.3f} at most; naive {naive_peak:.2f} GiB"
    )


class Differences:
    """Ours against upstream at the clip's size."""

    def __init__(self, kept: dict[tuple[int, int], Tensor]) -> None:
        self._kept = kept
        self.worst = 0.0
        self.flipped = self.pixels = self.foreground = 0
        self._spread: list[float] = []

    def add(self, word: PassMask, logits: Tensor) -> None:
        ours = torch.nn.functional.interpolate(
            self._kept[word.anchor_index, word.frame_index][:, None].to(logits.device),
            logits.shape[-2:],
            mode="bilinear",
            align_corners=False,
        )[:, 0]
        theirs = logits.float()
        self.worst = max(self.worst, float((ours - theirs).abs().max()))
        self.flipped += int(((ours > 0).any(dim=0) != (theirs > 0).any(dim=0)).sum())
        self.pixels += word.mask.size
        self.foreground += int(word.mask.sum())
        self._spread.append(float(theirs.std()))

    def words(self) -> str:
        return (
            f"largest logit difference {self.worst:.2e} (logits' deviation {np.mean(self._spread):.2e}),"
            f" mask pixels that differ {100 * self.flipped / self.pixels:.5f} %,"
            f" foreground {100 * self.foreground / self.pixels:.1f} %"
        )


if __name__ == "__main__":
    typer.run(main)
