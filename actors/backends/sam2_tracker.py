"""VideoTracker `sam2`: SAM 2.1 of the package `sam2`, a box prompt a label on the anchor frame of each pass.

What a reader gets wrong: nothing of the model is written again here. The predictor is built by the package's
own `build_sam2_video_predictor`, and its own methods run every frame; `BatchedPredictor` only hands them the
encoded frames of a whole batch where upstream would encode one frame. The order is `lockstep`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sam2.build_sam import build_sam2_video_predictor
from sam2.sam2_video_predictor import SAM2VideoPredictor
from torch import Tensor

from actors.backends.checkpoints import CheckpointError, checkpoint_folder, require_safetensors
from actors.backends.devices import pick_device, pick_dtype, place_of, require_gpu_memory
from actors.backends.lockstep import FrameFeatures, Memory, advance_together, in_batches, pass_masks
from actors.backends.sam2_weights import sam2_state
from actors.roles import Anchor, Box, Clip, Extend, Frame, Mask, PassMask

MODEL = "facebook/sam2.1-hiera-large"
CONFIGS = {
    "tiny": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "small": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "base-plus": "configs/sam2.1/sam2.1_hiera_b+.yaml",
    "large": "configs/sam2.1/sam2.1_hiera_l.yaml",
}
"""The package's own configurations, by the size in the hub's repository name."""
GPU_GIB = {"tiny": 6.0, "small": 6.0, "base-plus": 6.0, "large": 8.0}
"""Weights, 0.7 GB of frame features and a step of 16 rows at 1024; estimated, see `benchmarks/bait.py`."""
IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
"""As in `sam2.utils.misc.load_video_frames`."""


class BatchedPredictor(SAM2VideoPredictor):  # type: ignore[misc]  # the package has no types
    """The predictor, which finds the features of every row's own frame in the inference state."""

    def _get_image_feature(self, inference_state: dict[str, Any], frame_idx: int, batch_size: int) -> Any:
        return None, *self._prepare_backbone_features(inference_state["features"])


def build_predictor(size: str, overrides: Sequence[str] = (), *, device: torch.device) -> BatchedPredictor:
    """The package's predictor of a size of `CONFIGS` with random weights; `overrides` in Hydra's words."""
    target = f"++model._target_={BatchedPredictor.__module__}.{BatchedPredictor.__name__}"
    predictor: BatchedPredictor = build_sam2_video_predictor(
        CONFIGS[size],
        device=device,
        hydra_overrides_extra=[target, *overrides],
    )
    return predictor


class Sam2Tracker:
    """Box prompts in, masks out; labels are separate objects of one pass and united at its end.

    `size` chooses the package's configuration, None: as the repository's name ends; `overrides` are Hydra
    overrides of that configuration (`++model.image_size=512`). `features_on`: `device` or `host`, where the
    encoded frames of the clip wait, in `features_dtype` (None: as the encoder gives them). `encode_batch`
    frames and `rows_per_step` objects run at once: less of both needs less memory and changes no mask.

    Raises CheckpointError for weights that are not here or do not fit the configuration, a GPU too small.
    """

    def __init__(
        self,
        *,
        model: str = MODEL,
        size: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "bfloat16",
        overrides: Sequence[str] = (),
        encode_batch: int = 4,
        rows_per_step: int = 16,
        features_on: str = "device",
        features_dtype: str | None = None,
    ) -> None:
        self._device = pick_device(device)
        self._dtype = pick_dtype(dtype)
        self._features_dtype = None if features_dtype is None else pick_dtype(features_dtype)
        self._features_on = place_of(features_on, self._device)
        self._encode_batch, self._rows_per_step = encode_batch, rows_per_step
        size = size or Path(model).name.removeprefix("sam2.1-hiera-")
        if size not in CONFIGS:
            raise CheckpointError(
                f"sam2 has no size {size!r}; set the option size, one of {', '.join(CONFIGS)}"
            )
        folder = checkpoint_folder(model, revision)
        require_safetensors(folder)
        require_gpu_memory(self._device, GPU_GIB[size], f"sam2 {size}", instead="a smaller model needs less")
        self._model = build_predictor(size, overrides, device=self._device)
        missing, extra = self._model.load_state_dict(sam2_state(folder), strict=False)
        if missing or extra:
            raise CheckpointError(
                f"the weights of {folder} are not those of sam2 {size}: {len(missing)} tensors are missing"
                f" ({', '.join(missing[:3])}), {len(extra)} are of no use ({', '.join(extra[:3])})"
            )

    def track(
        self, clip: Clip, anchors: Sequence[Anchor], extend: Extend | None = None
    ) -> Iterator[PassMask]:
        """One pass an anchor over its span, both directions."""
        if not anchors:
            return
        rows = Sam2Rows(self._model, (clip.height, clip.width), self._dtype)
        rows.features = FrameFeatures(self._device, self._features_on, self._features_dtype)
        for frames in in_batches(clip.frames(), self._encode_batch):
            rows.encode(frames)
        for advance in advance_together(
            rows, anchors, len(rows.features), rows_per_step=self._rows_per_step, extend=extend
        ):
            yield from pass_masks(advance, clip.height, clip.width)

    def refine(self, clip: Clip, masks: Iterator[Mask]) -> Iterator[Mask]:
        """The voted masks as they are: SAM's are sharp."""
        yield from masks


class Sam2Rows:
    """`lockstep.Rows` by the predictor's own single-frame inference."""

    def __init__(self, model: BatchedPredictor, size: tuple[int, int], dtype: torch.dtype) -> None:
        if model.memory_temporal_stride_for_eval != 1:
            raise CheckpointError("memory_temporal_stride_for_eval must be 1, as in all published models")
        self.spatial_reach = model.num_maskmem - 1
        self.pointer_reach = max(model.max_obj_ptrs_in_encoder - 1, self.spatial_reach)
        self._model, self._size, self._dtype = model, size, dtype
        self.features = FrameFeatures(model.device, model.device, None)
        self._positions: list[Tensor] = []
        self._constants: dict[str, Any] = {}

    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> None:
        """Runs the image encoder on the clip's next frames."""
        pixels = pixel_values(frames, self._model.image_size, self._model.device)
        with self._autocast():
            out = self._model.forward_image(pixels)
        self.features.append(out["backbone_fpn"])
        self._positions = [level[:1] for level in out["vision_pos_enc"]]

    @torch.inference_mode()
    def prompt(self, frames: Sequence[int], boxes: Sequence[Box]) -> tuple[Tensor, Memory]:
        """`add_new_points_or_box` and `propagate_in_video_preflight`, for all rows at once."""
        state = self._state(frames)
        height, width = self._size
        corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 2, 2)
        points = corners / torch.tensor([width, height]) * self._model.image_size
        labels = torch.tensor([[2, 3]], dtype=torch.int32).expand(len(boxes), 2)
        with self._autocast():
            out, logits = self._model._run_single_frame_inference(
                inference_state=state,
                output_dict={},
                frame_idx=0,
                batch_size=len(frames),
                is_init_cond_frame=True,
                point_inputs={
                    "point_coords": points.to(self._model.device),
                    "point_labels": labels.to(self._model.device),
                },
                mask_inputs=None,
                reverse=False,
                run_mem_encoder=False,
            )
            side = self._model.image_size
            high = torch.nn.functional.interpolate(
                out["pred_masks"], (side, side), mode="bilinear", align_corners=False
            )
            features, _ = self._model._run_memory_encoder(
                inference_state=state,
                frame_idx=0,
                batch_size=len(frames),
                high_res_masks=high,
                object_score_logits=out["object_score_logits"],
                is_mask_from_pts=True,
            )
        return logits[:, 0], Memory(features, out["obj_ptr"])

    @torch.inference_mode()
    def step(
        self, frames: Sequence[int], anchor: Memory, since_anchor: int, past: Mapping[int, Memory]
    ) -> tuple[Tensor, Memory]:
        """One frame of `propagate_in_video`, with the last frame of the clip's length as "now"."""
        now = len(self.features) - 1
        with self._autocast():
            out, logits = self._model._run_single_frame_inference(
                inference_state=self._state(frames),
                output_dict={
                    "cond_frame_outputs": {now - since_anchor: self._output(anchor)},
                    "non_cond_frame_outputs": {
                        now - distance: self._output(memory) for distance, memory in past.items()
                    },
                },
                frame_idx=now,
                batch_size=len(frames),
                is_init_cond_frame=False,
                point_inputs=None,
                mask_inputs=None,
                reverse=False,
                run_mem_encoder=True,
            )
        return logits[:, 0], Memory(out["maskmem_features"], out["obj_ptr"])

    def _output(self, memory: Memory) -> dict[str, Any]:
        """A frame's output as the predictor stores it."""
        rows = len(memory.pointer)
        positions = [one.expand(rows, -1, -1, -1) for one in self._constants["maskmem_pos_enc"]]
        return {
            "maskmem_features": memory.features,
            "maskmem_pos_enc": positions,
            "obj_ptr": memory.pointer,
        }

    def _state(self, frames: Sequence[int]) -> dict[str, Any]:
        """As much of an inference state as single-frame inference reads."""
        positions = [level.expand(len(frames), -1, -1, -1) for level in self._positions]
        return {
            "features": {"backbone_fpn": self.features.rows(frames), "vision_pos_enc": positions},
            "num_frames": len(self.features),
            "device": self._model.device,
            "storage_device": self._model.device,
            "constants": self._constants,
        }

    def _autocast(self) -> AbstractContextManager[Any]:
        """Upstream's way to 16 bit: weights stay float32."""
        if self._dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self._model.device.type, self._dtype)


def pixel_values(frames: Sequence[Frame], side: int, device: torch.device) -> Tensor:
    """(frames, 3, side, side) float32, scaled and normalised as the package does with a folder."""
    small = [np.asarray(Image.fromarray(frame).resize((side, side))) for frame in frames]
    pixels = torch.from_numpy(np.stack(small)).to(device).permute(0, 3, 1, 2).float() / 255.0
    mean, std = (torch.tensor(three, device=device)[:, None, None] for three in (IMAGE_MEAN, IMAGE_STD))
    return (pixels - mean) / std
