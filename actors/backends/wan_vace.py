"""Wan2.1-VACE-14B, the second choice of a control-guided generator: diffusers' `WanVACEPipeline`.

What a reader gets wrong: VACE takes a start picture as frame 0 of the control video itself, under a mask that
is black there (keep) and white on all other frames (make, guided by what the frame shows). Wan's
image-to-video masks mean the opposite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from diffusers import UniPCMultistepScheduler, WanVACEPipeline
from PIL import Image

from actors.backends.checkpoints import checkpoint_folder
from actors.backends.devices import seeded
from actors.backends.diffusion import Placement, load_pipeline, place, resized, to_frame, working_size
from actors.backends.wan22_fun_control import control_frames
from actors.backends.wan22_i2v import NEGATIVE_PROMPT
from actors.roles import ControlRequest, Frame

# Beside the weights, at 81 frames of 1280x720: as `wan22_i2v` reckons for the transformer, 8 GiB, and the
# hints of its 8 control blocks, which wait for their layers: 8 x 0.72 GiB of 75,600 tokens in bfloat16.
_ACTIVATIONS_GIB = 14.0
_ROWS = 720


class WanVace:
    """ControlToVideo. Weights on the GPU in bfloat16: 32 GiB of transformer, 10.6 of text encoder (UMT5-XXL),
    0.5 of VAE in float32: 43 GiB.

    Args:
        model: a folder, `s3://bucket/prefix` or hub name; a small one: "Wan-AI/Wan2.1-VACE-1.3B-diffusers".
        steps, guidance, shift: Wan2.1's `generate.py` for VACE; diffusers' example has shift 5 for 720 rows
            and 3 for 480.
        conditioning_scale: weight of the control in each layer.
        height: rows that the model works at, 480 or 720 as it was trained; None: the frame's own.
        negative_prompt: what guidance leads away from; guidance 1 is none and halves the time.
        vae_dtype: float32 as upstream recommends.
        vae_tiling: decode in tiles of 256 pixels: less memory, more time, faint seams.
        device, dtype, offload, quantization, attention: see `Placement`.

    Raises:
        CheckpointError: the weights are not here, are pickles, or do not fit the GPU.
    """

    def __init__(
        self,
        *,
        model: str = "Wan-AI/Wan2.1-VACE-14B-diffusers",
        revision: str | None = None,
        steps: int = 50,
        guidance: float = 5.0,
        shift: float = 16.0,
        conditioning_scale: float = 1.0,
        height: int | None = None,
        negative_prompt: str = NEGATIVE_PROMPT,
        vae_dtype: str = "float32",
        vae_tiling: bool = False,
        device: str = "auto",
        dtype: str = "bfloat16",
        offload: str = "none",
        quantization: str | Mapping[str, Any] | None = None,
        attention: str = "sdpa",
    ) -> None:
        placement = Placement(device, dtype, offload, quantization, attention, {"vae": vae_dtype})
        self.steps = steps
        self.guidance = guidance
        self.conditioning_scale = conditioning_scale
        self.height = height
        self.negative_prompt = negative_prompt
        self.pipeline = load_pipeline(
            WanVACEPipeline,
            checkpoint_folder(model, revision),
            placement,
            activations_gib=round(_ACTIVATIONS_GIB * ((height or _ROWS) / _ROWS) ** 2, 1),
        )
        scheduler: Any = UniPCMultistepScheduler
        self.pipeline.scheduler = scheduler.from_config(self.pipeline.scheduler.config, flow_shift=shift)
        if vae_tiling:
            self.pipeline.vae.enable_tiling()
        place(self.pipeline, placement)

    def synthesize(self, request: ControlRequest) -> Iterator[Frame]:
        """`num_frames` frames of the start picture's shape; Wan makes 4n + 1, what is beyond is cut off.

        The control video's frame 0 is not seen: the start picture stands in its place. Sizes as in
        `Wan22FunControl`.

        Raises:
            SampleError: the control video has no frames.
        """
        video = self._generate(request)
        shape = request.start_image.shape[:2]
        return (resized(to_frame(frame), *shape) for frame in video[: request.num_frames])

    @torch.inference_mode()
    def _generate(self, request: ControlRequest) -> torch.Tensor:
        """(T, 3, H, W) in 0..1 at the working size, T the next 4n + 1."""
        pipeline = self.pipeline
        every = pipeline.vae_scale_factor_temporal
        patch = pipeline.transformer.config.patch_size
        height, width = working_size(
            request.start_image, self.height, pipeline.vae_scale_factor_spatial * patch[1]
        )
        num_frames = -(-(request.num_frames - 1) // every) * every + 1
        frames = [request.start_image, *control_frames(request.control, num_frames)[1:]]
        keep, make = (Image.new("L", (width, height), grey) for grey in (0, 255))
        video: torch.Tensor = pipeline(
            video=[Image.fromarray(resized(frame, height, width)) for frame in frames],
            mask=[keep, *[make] * (num_frames - 1)],
            prompt=request.prompt,
            negative_prompt=self.negative_prompt,
            conditioning_scale=self.conditioning_scale,
            height=height,
            width=width,
            num_frames=num_frames,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            generator=seeded(request.seed),
            output_type="pt",
        ).frames[0]
        return video
