"""The SAM 3 side of `benchmarks.bait`: transformers' own tracker, one session an anchor, against ours.

What a reader gets wrong: upstream sees the same random weights, made lively once, and the same frames; its
session is given the boxes of one anchor and run forward, then backward, as `sam2` is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers import Sam3TrackerVideoModel

from actors.backends.sam3_tracker import Sam3Rows, Sam3Tracker
from actors.roles import Anchor, Clip, PassMask
from benchmarks.bait import Bench, Encoding
from benchmarks.checkpoints.sam import lively, sam3_folder
from benchmarks.full_size_transformers import save_hollow_sam3


class Sam3Bench(Bench):
    """`batched` is our backend with its processor; weights have their dtype themselves."""

    encoder: ClassVar[str] = "get_image_features"

    def rows(self) -> Encoding:
        size = (self.clip.height, self.clip.width)
        return Sam3Rows(self.batched._model, self.batched._processor, size)

    @torch.inference_mode()
    def separate_passes(self, anchors: Sequence[Anchor]) -> Iterator[tuple[PassMask, Tensor]]:
        processor, size = self.batched._processor, (self.clip.height, self.clip.width)
        video = np.stack(list(self.clip.frames()))
        for number, anchor in enumerate(anchors):
            session = processor.init_video_session(
                video=video, inference_device=self.device, dtype=self.dtype
            )
            boxes = [[list(box) for box in anchor.boxes.values()]]
            labels = list(range(len(anchor.boxes)))
            processor.add_inputs_to_inference_session(session, anchor.frame_index, labels, input_boxes=boxes)
            for reverse in (False, True):
                for out in self.upstream.propagate_in_video_iterator(
                    session, anchor.frame_index, reverse=reverse
                ):
                    logits = torch.nn.functional.interpolate(
                        out.pred_masks.float(), size, mode="bilinear", align_corners=False
                    )[:, 0]
                    mask = (logits > 0).any(dim=0).cpu().numpy()
                    yield PassMask(number, out.frame_idx, mask), logits

    def autocast(self) -> AbstractContextManager[Any]:
        return nullcontext()


def sam3_bench(device: torch.device, smoke: bool, clip: Clip, dtype: torch.dtype, *options: Any) -> Sam3Bench:
    """Both sides with the same random weights, of full size or tiny; `options` as `Bench`."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "sam3"
        saved = sam3_folder(place) if smoke else save_hollow_sam3(place)
        name = str(dtype).removeprefix("torch.")
        tracker = Sam3Tracker(model=str(saved), device=str(device), dtype=name)
        lively(tracker._model)
        loading: Any = Sam3TrackerVideoModel.from_pretrained
        upstream = loading(saved, dtype=dtype, local_files_only=True)
    upstream.load_state_dict(tracker._model.state_dict())
    return Sam3Bench(upstream.to(device).eval(), tracker, clip, dtype, *options)
