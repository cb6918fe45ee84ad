"""The sam3 backend: transformers' tracker with boxes as instances, passes in lockstep that equal its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Sam3TrackerVideoModel

from actors.backends.checkpoints import CheckpointError
from actors.backends.lockstep import advance_together, in_batches
from actors.backends.sam3_tracker import Sam3Rows, Sam3Tracker
from benchmarks.bait import moving_squares, square_anchor
from benchmarks.checkpoints.sam import sam3_folder

FRAMES = 18
CLIP = moving_squares(FRAMES)
ANCHORS = [square_anchor(0, FRAMES), square_anchor(7, FRAMES, labels=1), square_anchor(17, FRAMES)]
Logits = dict[tuple[int, int], torch.Tensor]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sam3_folder(tmp_path_factory.mktemp("sam3"))


@pytest.fixture(scope="module")
def tracker(folder: Path) -> Sam3Tracker:
    return Sam3Tracker(model=str(folder), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def upstream(folder: Path, tracker: Sam3Tracker) -> Logits:
    """N separate sessions of transformers' own model; logits of the model's size."""
    model = Sam3TrackerVideoModel.from_pretrained(folder)  # in evaluation mode
    video = np.stack(list(CLIP.frames()))
    found = {}
    for number, anchor in enumerate(ANCHORS):
        session = tracker._processor.init_video_session(video=video)
        tracker._processor.add_inputs_to_inference_session(
            session,
            anchor.frame_index,
            list(range(len(anchor.boxes))),
            input_boxes=[[list(box) for box in anchor.boxes.values()]],
        )
        for reverse in (False, True):
            for out in model.propagate_in_video_iterator(session, anchor.frame_index, reverse=reverse):
                found[number, out.frame_idx] = out.pred_masks[:, 0]
    return found


def test_passes_in_lockstep_give_the_logits_of_separate_upstream_runs(
    tracker: Sam3Tracker, upstream: Logits
) -> None:
    rows = Sam3Rows(tracker._model, tracker._processor, (CLIP.height, CLIP.width))
    for frames in in_batches(CLIP.frames(), 4):
        rows.encode(frames)
    ours = {
        (number, frame): advance.logits[part]
        for advance in advance_together(rows, ANCHORS, FRAMES, rows_per_step=16)
        for number, frame, part in advance.words
    }
    assert set(ours) == set(upstream)
    pixels = flipped = 0
    for key, theirs in upstream.items():
        assert float((ours[key] - theirs).abs().max()) < 1e-3
        flipped += int(((ours[key] > 0) != (theirs > 0)).sum())
        pixels += theirs.numel()
    assert flipped < 1e-4 * pixels
    assert 0.05 < np.mean([float((logits > 0).float().mean()) for logits in upstream.values()]) < 0.95


def test_every_pass_says_a_mask_of_every_frame(tracker: Sam3Tracker) -> None:
    clip, anchors = moving_squares(4), [square_anchor(0, 4), square_anchor(2, 4, labels=1)]
    words = list(tracker.track(clip, anchors))
    assert {(word.anchor_index, word.frame_index) for word in words} == {
        (number, frame) for number in range(2) for frame in range(4)
    }
    assert all(word.mask.shape == (clip.height, clip.width) for word in words)
    assert list(tracker.track(CLIP, [])) == []


def test_the_default_16_bit_runs_on_a_cpu_as_well(folder: Path) -> None:
    half = Sam3Tracker(model=str(folder), device="cpu", features_on="host")
    words = list(half.track(moving_squares(3), [square_anchor(1, 3)]))
    assert [word.frame_index for word in words] == [1, 2, 0]


def test_weights_that_are_missing_are_not_left_random(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "memory_encoder" not in name}
    assert len(kept) < len(weights)
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks \d+ tensors of the SAM 3 tracker \(memory_encoder"):
        Sam3Tracker(model=str(tmp_path), device="cpu")
