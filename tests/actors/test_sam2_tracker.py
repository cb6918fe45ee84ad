"""The sam2 backend: the hub's safetensors in the package's model, passes in lockstep as upstream's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sam2.build_sam import build_sam2_video_predictor
from transformers import Sam2VideoModel

from actors.backends.checkpoints import CheckpointError
from actors.backends.lockstep import advance_together, in_batches
from actors.backends.sam2_tracker import CONFIGS, Sam2Rows, Sam2Tracker
from actors.roles import Anchor
from benchmarks.bait import (
    SMOKE,
    SMOKE_SIDE,
    MemoryClip,
    in_memory,
    moving_squares,
    square_anchor,
    upstream_passes,
)
from benchmarks.checkpoints.sam import sam2_folder

FRAMES = 18
CLIP = moving_squares(FRAMES)
ANCHORS = [square_anchor(0, FRAMES), square_anchor(7, FRAMES, labels=1), square_anchor(17, FRAMES)]
"""Two labels, one label; the clip's ends; backward, full and empty banks of forward memories."""
Logits = dict[tuple[int, int], torch.Tensor]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sam2_folder(tmp_path_factory.mktemp("sam2.1-hiera-tiny"))


@pytest.fixture(scope="module")
def tracker(folder: Path) -> Sam2Tracker:
    return loaded(folder)


def loaded(folder: Path, **options: object) -> Sam2Tracker:
    keywords = {"device": "cpu", "dtype": "float32", "overrides": SMOKE, "size": "tiny"} | options
    return Sam2Tracker(model=str(folder), **keywords)  # type: ignore[arg-type]


def in_lockstep(tracker: Sam2Tracker, clip: MemoryClip, anchors: list[Anchor]) -> Logits:
    rows = Sam2Rows(tracker._model, (clip.height, clip.width), torch.float32)
    for frames in in_batches(clip.frames(), 4):
        rows.encode(frames)
    return {
        (number, frame): advance.logits[part]
        for advance in advance_together(rows, anchors, clip.num_frames, rows_per_step=16)
        for number, frame, part in advance.words
    }


@pytest.fixture(scope="module")
def upstream(tracker: Sam2Tracker) -> Logits:
    """N separate runs of the package's own predictor, at the clip's size."""
    predictor = build_sam2_video_predictor(CONFIGS["tiny"], device="cpu", hydra_overrides_extra=list(SMOKE))
    predictor.load_state_dict(tracker._model.state_dict())
    with in_memory(CLIP, predictor):
        passes = upstream_passes(predictor, ANCHORS)
        return {(word.anchor_index, word.frame_index): logits for word, logits in passes}


def at_clip_size(logits: torch.Tensor) -> torch.Tensor:
    size = (CLIP.height, CLIP.width)
    return torch.nn.functional.interpolate(logits[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def test_passes_in_lockstep_give_the_logits_of_separate_upstream_runs(
    tracker: Sam2Tracker, upstream: Logits
) -> None:
    ours = in_lockstep(tracker, CLIP, ANCHORS)
    assert set(ours) == set(upstream)
    assert len(ours) == len(ANCHORS) * FRAMES
    pixels = flipped = 0
    for key, theirs in upstream.items():
        mine = at_clip_size(ours[key])
        assert float((mine - theirs).abs().max()) < 1e-3
        flipped += int(((mine > 0) != (theirs > 0)).sum())
        pixels += mine.numel()
    assert flipped < 1e-4 * pixels
    assert 0.05 < np.mean([float((logits > 0).float().mean()) for logits in upstream.values()]) < 0.95


def test_the_comparison_would_see_a_lost_memory(tracker: Sam2Tracker, upstream: Logits) -> None:
    rows = Sam2Rows(tracker._model, (CLIP.height, CLIP.width), torch.float32)
    rows.spatial_reach = rows.pointer_reach = 1  # the last frame and the anchor only
    for frames in in_batches(CLIP.frames(), 4):
        rows.encode(frames)
    advances = advance_together(rows, ANCHORS[:1], FRAMES, rows_per_step=4)
    worst = max(
        float((at_clip_size(advance.logits[part]) - upstream[number, frame]).abs().max())
        for advance in advances
        for number, frame, part in advance.words
    )
    assert worst > 5e-3


def test_memory_is_the_frames_features_and_a_bank_a_pass(tracker: Sam2Tracker) -> None:
    """Bytes as allocated: a bank that keeps views of whole batches would be seen."""
    clip = moving_squares(16)
    rows = Sam2Rows(tracker._model, (clip.height, clip.width), torch.float32)
    rows.spatial_reach = rows.pointer_reach = 3  # in so short a clip banks of full reach are never full
    for frames in in_batches(clip.frames(), 4):
        rows.encode(frames)
    cached = rows.features.nbytes
    anchors = [square_anchor(frame, 16, labels=1) for frame in (0, 4, 7, 10, 15)]
    _, memory = rows.prompt([0], [next(iter(anchors[0].boxes.values()))])
    assert memory.features is not None
    bank = (1 + 2 * 3) * (memory.features.nbytes + memory.pointer.nbytes)
    held = [advance.bank_bytes for advance in advance_together(rows, anchors, 16, rows_per_step=16)]
    assert 0.8 * len(anchors) * bank < max(held) <= len(anchors) * bank
    assert rows.features.nbytes == cached


def test_masks_are_the_union_of_the_labels_and_small_steps_change_none(
    folder: Path, upstream: Logits
) -> None:
    words = list(loaded(folder, rows_per_step=1, encode_batch=1).track(CLIP, ANCHORS))
    assert len(words) == len(ANCHORS) * FRAMES
    for word in words:
        assert word.mask.shape == (CLIP.height, CLIP.width)
        theirs = (upstream[word.anchor_index, word.frame_index] > 0).any(dim=0).numpy()
        assert np.count_nonzero(theirs != word.mask) <= 2


def test_a_pass_stays_in_its_span_and_goes_on_from_there_when_extended(
    tracker: Sam2Tracker, upstream: Logits
) -> None:
    near = [replace(ANCHORS[1], first_frame=5, last_frame=9)]
    whole = [replace(ANCHORS[1], first_frame=0, last_frame=None)]
    asked: Iterator[list[Anchor] | None] = iter([whole, None])
    words = list(tracker.track(CLIP, near, lambda: next(asked)))
    assert [word.frame_index for word in words[:5]] == [7, 8, 9, 6, 5]
    assert sorted(word.frame_index for word in words) == list(range(FRAMES))
    assert sorted(word.frame_index for word in tracker.track(CLIP, near)) == [5, 6, 7, 8, 9]
    # Up to where it first stopped, forward is what upstream gives; backward has seen fewer later frames.
    for word in words[:3]:
        theirs = (upstream[1, word.frame_index] > 0).any(dim=0).numpy()
        assert np.count_nonzero(theirs != word.mask) <= 2


def test_features_wait_on_the_host_unchanged_and_in_16_bit_nearly(folder: Path, tracker: Sam2Tracker) -> None:
    clip, anchors = moving_squares(6), [square_anchor(0, 6, labels=1)]
    here = [word.mask for word in tracker.track(clip, anchors)]
    host = [word.mask for word in loaded(folder, features_on="host").track(clip, anchors)]
    half = [word.mask for word in loaded(folder, features_dtype="bfloat16").track(clip, anchors)]
    assert np.array_equal(here, host)
    # The median, since the mask of a box may flip to another of the decoder's three candidates.
    assert np.median([np.mean(one != other) for one, other in zip(here, half, strict=True)]) < 0.01


def test_the_default_16_bit_runs_on_a_cpu_as_well(folder: Path) -> None:
    words = list(loaded(folder, dtype="bfloat16").track(moving_squares(3), [square_anchor(1, 3)]))
    assert [word.frame_index for word in words] == [1, 2, 0]


def test_the_packages_model_computes_what_transformers_does_from_the_same_file(
    folder: Path, tracker: Sam2Tracker
) -> None:
    model = Sam2VideoModel.from_pretrained(folder)
    pixels = torch.rand((1, 3, SMOKE_SIDE, SMOKE_SIDE), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs = model.get_image_features(pixels, return_dict=True).fpn_hidden_states
        ours = tracker._model.forward_image(pixels)["backbone_fpn"]
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other.permute(1, 2, 0).reshape(one.shape), atol=1e-4)


def test_no_anchor_gives_no_word(tracker: Sam2Tracker) -> None:
    assert list(tracker.track(CLIP, [])) == []
    assert [frame.sum() for frame in tracker.refine(CLIP, iter([np.ones((2, 2), np.bool_)]))] == [4]


def test_weights_of_another_size_are_refused_with_what_is_missing(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"not those of sam2 tiny: \d+ tensors are missing"):
        loaded(folder, overrides=(*SMOKE, "++model.memory_attention.num_layers=2"))


def test_the_size_is_read_from_the_repositorys_name() -> None:
    with pytest.raises(CheckpointError, match=r"hf download facebook/sam2\.1-hiera-small"):
        Sam2Tracker(model="facebook/sam2.1-hiera-small", device="cpu")
    with pytest.raises(CheckpointError, match="set the option size, one of tiny"):
        Sam2Tracker(model="somebody/finetuned", device="cpu")


def test_a_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sam2.1_hiera_tiny.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"holds no safetensors, found sam2\.1_hiera_tiny\.pt"):
        loaded(tmp_path)
