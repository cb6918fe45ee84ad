"""VideoTracker `sam3`: the tracker half of SAM 3 in transformers, boxes as instances, never as concepts.

What a reader gets wrong: `Sam3VideoModel` would find every thing that a word names. Here a box means the one
object in it, so the model is `Sam3TrackerVideoModel`, which loads its part of the same checkpoint. Every
frame runs through the model's own single-frame inference; `BatchedSam3` mends the two places where upstream
assumes a single object. The order is `lockstep`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import Sam3TrackerVideoModel, Sam3TrackerVideoProcessor
from transformers.conversion_mapping import (
    get_checkpoint_conversion_mapping,
    register_checkpoint_conversion_mapping,
)

from actors.backends.checkpoints import CheckpointError, checkpoint_folder, require_safetensors
from actors.backends.devices import pick_device, pick_dtype, place_of, require_gpu_memory
from actors.backends.lockstep import FrameFeatures, Memory, advance_together, in_batches, pass_masks
from actors.roles import Anchor, Box, Clip, Extend, Frame, Mask, PassMask

MODEL = "facebook/sam3"
GPU_GIB = 12.0
_OBJECT = 0


class BatchedSam3(Sam3TrackerVideoModel):
    """The model with one batch of rows (objects on frames of their own) where upstream has one object."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        # Upstream squeezes (1, rows, HW, C) at dimension 1, where only a single row disappears.
        self.memory_attention.register_forward_hook(lambda module, inputs, output: output.transpose(0, 1))

    def _single_frame_forward(self, *, multimask_output: bool = True, **kwargs: Any) -> Any:  # type: ignore[override]  # called by keyword only
        """Upstream picks the best of three masks by an index that mixes rows; here the decoder's own three
        are reduced to the best before upstream sees them, which is the same for one row.
        """
        if not multimask_output:
            return super()._single_frame_forward(multimask_output=False, **kwargs)
        hooks = (
            self.mask_decoder.register_forward_pre_hook(_ask_for_three, with_kwargs=True),
            self.mask_decoder.register_forward_hook(_best_of_three),
        )
        try:
            return super()._single_frame_forward(multimask_output=False, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()


# transformers renames a checkpoint's tensors by the class's name, and a class of ours is unknown to it:
# without this it would load a part and leave the rest random.
_mapping: Callable[[str], Any] = get_checkpoint_conversion_mapping
register_checkpoint_conversion_mapping(BatchedSam3.__name__, _mapping("sam3_tracker_video"), overwrite=True)


def _ask_for_three(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args, kwargs | {"multimask_output": True}


def _best_of_three(module: Any, args: Any, output: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """`output`: masks (rows, 1, 3, h, w), predicted IoU (rows, 1, 3), tokens (rows, 1, 3, C), object score.

    The same with 1 in the place of 3.
    """
    masks, iou, tokens, score = output
    best = iou.argmax(dim=-1)[:, 0]
    rows = torch.arange(len(best), device=best.device)
    return masks[rows, :, best, None], iou[rows, :, best, None], tokens[rows, :, best, None], score


@dataclass(frozen=True)
class _Features:
    """In the place of the session's cache: every row's own frame, whatever frame is asked for."""

    vision_feats: list[Tensor]
    vision_pos_embeds: list[Tensor]

    def get_vision_features(self, frame_idx: int) -> dict[str, list[Tensor]]:
        return vars(self)


@dataclass(frozen=True)
class _Session:
    """As much of an inference session as single-frame inference reads."""

    cache: _Features
    num_frames: int
    dtype: torch.dtype
    output_dict_per_obj: dict[int, dict[str, dict[int, dict[str, Tensor | None]]]]


class Sam3Tracker:
    """Box prompts in, masks out; options as `Sam2Tracker`, `attention` by transformers' names.

    Raises CheckpointError for weights that are not here and for a GPU that is too small.
    """

    def __init__(
        self,
        *,
        model: str = MODEL,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "bfloat16",
        attention: str = "sdpa",
        encode_batch: int = 4,
        rows_per_step: int = 16,
        features_on: str = "device",
        features_dtype: str | None = None,
    ) -> None:
        self._device = pick_device(device)
        self._features_dtype = None if features_dtype is None else pick_dtype(features_dtype)
        self._features_on = place_of(features_on, self._device)
        self._encode_batch, self._rows_per_step = encode_batch, rows_per_step
        folder = checkpoint_folder(model, revision)
        require_safetensors(folder)
        require_gpu_memory(self._device, GPU_GIB, "sam3", instead="the backend sam2 needs less")
        self._processor = Sam3TrackerVideoProcessor.from_pretrained(folder, local_files_only=True)
        # Any: transformers' annotations of what is called below are not those of what it takes and gives.
        loading: Any = BatchedSam3.from_pretrained
        self._model, loaded = loading(
            folder,
            dtype=pick_dtype(dtype),
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        if loaded["missing_keys"]:
            missing = sorted(loaded["missing_keys"])
            raise CheckpointError(
                f"{folder} lacks {len(missing)} tensors of the SAM 3 tracker ({', '.join(missing[:3])})"
            )
        self._model.to(self._device).eval()

    def track(
        self, clip: Clip, anchors: Sequence[Anchor], extend: Extend | None = None
    ) -> Iterator[PassMask]:
        """One pass an anchor over its span, both directions."""
        if not anchors:
            return
        rows = Sam3Rows(self._model, self._processor, (clip.height, clip.width))
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


class Sam3Rows:
    """`lockstep.Rows` by the model's own single-frame inference."""

    def __init__(self, model: Any, processor: Any, size: tuple[int, int]) -> None:
        self.spatial_reach = model.config.num_maskmem - 1
        self.pointer_reach = max(model.config.max_object_pointers_in_encoder - 1, self.spatial_reach)
        self._model, self._processor, self._size = model, processor, size
        self.features = FrameFeatures(model.device, model.device, None)
        self._positions: list[Tensor] = []
        self._memory_positions = torch.empty(0)

    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame]) -> None:
        """Runs the image encoder on the clip's next frames."""
        pixels = self._processor.video_processor(
            videos=[np.stack(frames)], device=self._model.device, return_tensors="pt"
        ).pixel_values_videos[0]
        out = self._model.get_image_features(
            pixels.to(self._model.device, self._model.dtype), return_dict=True
        )
        self.features.append([level.permute(1, 2, 0) for level in out.fpn_hidden_states])
        self._positions = [level[:, :1] for level in out.fpn_position_encoding]

    @torch.inference_mode()
    def prompt(self, frames: Sequence[int], boxes: Sequence[Box]) -> tuple[Tensor, Memory]:
        """A box an object, as the processor gives it to the prompt encoder: two corners labelled 2 and 3."""
        coded = self._processor(
            input_boxes=[[list(box) for box in boxes]], original_sizes=[list(self._size)], return_tensors="pt"
        )
        corners = coded["input_boxes"].reshape(-1, 1, 2, 2).to(self._model.device)
        labels = torch.tensor([2, 3], dtype=torch.int32, device=self._model.device).expand(len(boxes), 1, 2)
        session = self._session(frames, {}, {})
        return self._inferred(
            session, frame=0, first=True, prompt={"point_coords": corners, "point_labels": labels}
        )

    @torch.inference_mode()
    def step(
        self, frames: Sequence[int], anchor: Memory, since_anchor: int, past: Mapping[int, Memory]
    ) -> tuple[Tensor, Memory]:
        """One frame of `propagate_in_video_iterator`, with the last frame of the clip's length as "now"."""
        now = len(self.features) - 1
        session = self._session(
            frames,
            {now - since_anchor: self._output(anchor)},
            {now - distance: self._output(memory) for distance, memory in past.items()},
        )
        return self._inferred(session, frame=now, first=False, prompt=None)

    def _inferred(
        self, session: _Session, *, frame: int, first: bool, prompt: dict[str, Tensor] | None
    ) -> tuple[Tensor, Memory]:
        out = self._model._run_single_frame_inference(
            inference_session=session,
            frame_idx=frame,
            obj_idx=_OBJECT,
            batch_size=1,  # the features are expanded already
            is_init_cond_frame=first,
            point_inputs=prompt,
            mask_inputs=None,
            reverse=False,
        )
        features, positions = self._model._encode_new_memory(
            current_vision_feats=session.cache.vision_feats[-1],
            pred_masks_high_res=out["high_res_masks"],
            object_score_logits=out["object_score_logits"],
            is_mask_from_pts=first,
        )
        self._memory_positions = positions[:, :1]
        return out["pred_masks"][:, 0], Memory(features.transpose(0, 1), out["object_pointer"])

    def _session(
        self,
        frames: Sequence[int],
        anchor: dict[int, dict[str, Tensor | None]],
        past: dict[int, dict[str, Tensor | None]],
    ) -> _Session:
        return _Session(
            cache=_Features(
                [level.permute(2, 0, 1) for level in self.features.rows(frames)], self._positions
            ),
            num_frames=len(self.features),
            dtype=self._model.dtype,
            output_dict_per_obj={_OBJECT: {"cond_frame_outputs": anchor, "non_cond_frame_outputs": past}},
        )

    def _output(self, memory: Memory) -> dict[str, Tensor | None]:
        """A frame's output as the session stores it: (HW, rows, C)."""
        return {
            "maskmem_features": None if memory.features is None else memory.features.transpose(0, 1),
            "maskmem_pos_enc": self._memory_positions.expand(-1, len(memory.pointer), -1),
            "object_pointer": memory.pointer,
        }
