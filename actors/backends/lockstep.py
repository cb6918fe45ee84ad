"""The passes of BAIT advanced together: frames encoded once, every step batched over the passes.

What a reader gets wrong: batching changes no answer. A pass attends to its own anchor and its own last frames
only, at the same temporal distances as in the upstream predictor; what is shared is the image encoder's
output, which depends on the frame alone. Passes are at different frames of the clip but equally far from
their anchors, and time is counted backwards from the frame in hand, so that equal banks can share a batch.

As upstream, when `propagate_in_video(reverse=True)` follows `propagate_in_video()`: the backward direction
starts with the memories that the forward one left behind the anchor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from actors.roles import Anchor, Box, Extend, Frame, PassMask


@dataclass(frozen=True)
class Memory:
    """What tracked frames leave for later ones, one row an object: a label of a pass."""

    features: Tensor | None
    """(rows, ...) spatial memory; None where only the pointer is within reach."""
    pointer: Tensor
    """(rows, ...) object pointer."""


class Rows(Protocol):
    """A model and the encoded frames of one clip; every call takes and gives one row an object."""

    spatial_reach: int
    """How many frames back the spatial memory is attended to (SAM2: 6)."""
    pointer_reach: int
    """How many frames back object pointers are attended to (SAM2: 15)."""

    def prompt(self, frames: Sequence[int], boxes: Sequence[Box]) -> tuple[Tensor, Memory]:
        """Mask logits (rows, h, w) and memories of the anchor frames, a box a row."""
        ...

    def step(
        self, frames: Sequence[int], anchor: Memory, since_anchor: int, past: Mapping[int, Memory]
    ) -> tuple[Tensor, Memory]:
        """Mask logits and memories of the rows' frames, all `since_anchor` frames away from their anchors.

        `past`: the other memories within reach, by how many frames ago they were seen.
        """
        ...


class FrameFeatures:
    """The image encoder's output for every frame of a clip, a few levels of (C, H, W) a frame.

    `place`: the device that keeps them (sam2.1 at 1024: 8.4 MB a frame in 16 bit, 0.7 GB for 81 frames);
    `dtype`: to keep them in, None for the encoder's own, which loses nothing.
    """

    def __init__(self, device: torch.device, place: torch.device, dtype: torch.dtype | None) -> None:
        self._device, self._place, self._dtype = device, place, dtype
        self._frames: list[list[Tensor]] = []
        self._own: list[torch.dtype] = []

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def nbytes(self) -> int:
        return sum(level.nbytes for levels in self._frames for level in levels)

    def append(self, levels: Sequence[Tensor]) -> None:
        """Adds the frames of one encoder batch, every level (frames, C, H, W)."""
        self._own = [level.dtype for level in levels]
        kept = [level.to(self._place, self._dtype or level.dtype) for level in levels]
        self._frames += [[level[i] for level in kept] for i in range(len(kept[0]))]

    def rows(self, frames: Sequence[int]) -> list[Tensor]:
        """Every level of these frames, (rows, C, H, W), on the model's device and in its dtype."""
        return [
            torch.stack([self._frames[frame][level] for frame in frames]).to(self._device, own)
            for level, own in enumerate(self._own)
        ]


@dataclass
class _Pass:
    number: int
    anchor: Anchor
    reached: dict[int, int] = field(default_factory=dict)
    """The last frame seen, by direction."""
    bank: dict[int, Memory] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.anchor.boxes)

    def next_frame(self, direction: int, num_frames: int) -> int | None:
        first, last = self.anchor.span(num_frames)
        frame = self.reached.get(direction, self.anchor.frame_index) + direction
        return frame if first <= frame <= last else None

    def past(self, frame: int, direction: int, reach: int) -> dict[int, Memory]:
        """The memories within reach of `frame` except the anchor's, by distance."""
        found = {}
        for distance in range(1, reach + 1):
            seen = frame - direction * distance
            if seen in self.bank and seen != self.anchor.frame_index:
                found[distance] = self.bank[seen]
        return found

    def forget(self, rows: Rows) -> None:
        """Drops what no next frame of either direction looks back at; at most the anchor, `spatial_reach`
        spatial memories and `pointer_reach` pointers a direction stay.
        """
        start = self.anchor.frame_index
        ends = [(self.reached.get(direction, start), direction) for direction in (1, -1)]
        for seen, memory in list(self.bank.items()):
            if seen == start:
                continue
            back = [behind for end, direction in ends if (behind := (end - seen) * direction) >= 0]
            if min(back, default=rows.pointer_reach) >= rows.pointer_reach:
                del self.bank[seen]
            elif min(back) >= rows.spatial_reach and memory.features is not None:
                self.bank[seen] = Memory(None, memory.pointer)


@dataclass(frozen=True)
class Advance:
    """One batch of frames that passes have reached: `words` are (pass, frame, rows of `logits`)."""

    words: list[tuple[int, int, slice]]
    logits: Tensor
    """(rows, h, w)"""
    _passes: Sequence[_Pass]

    @property
    def bank_bytes(self) -> int:
        """What the memory banks of all passes hold right now, as allocated."""
        storages = {
            storage.data_ptr(): storage.nbytes()
            for each in self._passes
            for memory in each.bank.values()
            for tensor in (memory.features, memory.pointer)
            if tensor is not None and (storage := tensor.untyped_storage())
        }
        return sum(storages.values())


def advance_together(
    rows: Rows,
    anchors: Sequence[Anchor],
    num_frames: int,
    *,
    rows_per_step: int,
    extend: Extend | None = None,
) -> Iterator[Advance]:
    """All passes over their spans, forward and then backward from their anchors, at most `rows_per_step` rows
    a batch (one pass at least). Then, if `extend` asks for more, on from where they stopped.
    """
    passes = [_Pass(number, anchor) for number, anchor in enumerate(anchors)]
    for group in _batches(passes, rows_per_step):
        frames = [each.anchor.frame_index for each in group]
        boxes = [box for each in group for box in each.anchor.boxes.values()]
        logits, memory = rows.prompt(_by_row(group, frames), boxes)
        yield Advance(_taken(group, frames, memory), logits, passes)
    while True:
        for direction in (1, -1):
            yield from _onward(rows, passes, direction, num_frames, rows_per_step)
        wider = None if extend is None else extend()
        if wider is None:
            return
        for each in passes:
            each.anchor = wider[each.number]


def _onward(
    rows: Rows, passes: Sequence[_Pass], direction: int, num_frames: int, rows_per_step: int
) -> Iterator[Advance]:
    """Every pass to the end of its span in one direction, a frame a turn."""
    while True:
        live = {
            each.number: frame
            for each in passes
            if (frame := each.next_frame(direction, num_frames)) is not None
        }
        if not live:
            return
        kinds: dict[tuple[int, ...], list[_Pass]] = {}
        for number, frame in live.items():
            each = passes[number]
            # Equal distances, equal shapes and temporal positions. In a whole forward turn all passes are
            # of one kind; backward, an anchor near the clip's end starts with fewer memories.
            seen = each.past(frame, direction, rows.pointer_reach)
            kinds.setdefault((abs(frame - each.anchor.frame_index), *seen), []).append(each)
        for (since_anchor, *distances), alike in kinds.items():
            for group in _batches(alike, rows_per_step):
                frames = [live[each.number] for each in group]
                anchor = _stacked([each.bank[each.anchor.frame_index] for each in group])
                past = {
                    distance: _stacked(
                        [
                            each.bank[frame - direction * distance]
                            for each, frame in zip(group, frames, strict=True)
                        ],
                        spatial=distance <= rows.spatial_reach,
                    )
                    for distance in distances
                }
                logits, memory = rows.step(_by_row(group, frames), anchor, since_anchor, past)
                for each, frame in zip(group, frames, strict=True):
                    each.reached[direction] = frame
                words = _taken(group, frames, memory)
                for each in group:
                    each.forget(rows)
                yield Advance(words, logits, passes)


def pass_masks(advance: Advance, height: int, width: int) -> Iterator[PassMask]:
    """The masks of one batch at the clip's size, as upstream: logits resized, cut at 0; labels united."""
    big = torch.nn.functional.interpolate(
        advance.logits[:, None].float(), (height, width), mode="bilinear", align_corners=False
    )
    seen = big[:, 0] > 0
    masks = torch.stack([seen[rows].any(dim=0) for _, _, rows in advance.words]).cpu().numpy()
    for (number, frame, _), mask in zip(advance.words, masks, strict=True):
        yield PassMask(number, frame, mask)


def in_batches(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    """Lists of `size` frames, the last one shorter."""
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _batches(passes: Sequence[_Pass], rows_per_step: int) -> Iterator[list[_Pass]]:
    """In order, at least one pass and at most `rows_per_step` rows each."""
    group: list[_Pass] = []
    for each in passes:
        if group and sum(one.rows for one in group) + each.rows > rows_per_step:
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def _by_row(group: Sequence[_Pass], frames: Sequence[int]) -> list[int]:
    return [frame for each, frame in zip(group, frames, strict=True) for _ in range(each.rows)]


def _stacked(memories: Sequence[Memory], spatial: bool = True) -> Memory:
    pointer = torch.cat([memory.pointer for memory in memories])
    features = [memory.features for memory in memories if memory.features is not None]
    return Memory(torch.cat(features) if spatial else None, pointer)


def _taken(group: Sequence[_Pass], frames: Sequence[int], memory: Memory) -> list[tuple[int, int, slice]]:
    """Puts every pass's rows into its own bank, as copies: a view would keep the whole batch in memory for as
    long as the last of its passes needs it. Returns `Advance.words`.
    """
    words, start = [], 0
    for each, frame in zip(group, frames, strict=True):
        rows = slice(start, start + each.rows)
        features = None if memory.features is None else memory.features[rows].clone()
        each.bank[frame] = Memory(features, memory.pointer[rows].clone())
        words.append((each.number, frame, rows))
        start = rows.stop
    return words
