"""Wan2.2-Fun-A14B-Control, the paper's control-guided generator: start picture, control video and prompt in,
edited video out.

What a reader gets wrong: two repositories make one model. The two transformers come from the Fun repository,
in the original Wan names. Text encoder and VAE are pickles there and are never read: the same weights come as
safetensors from `components`, a diffusers folder of Wan2.2, whose own transformers are not needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image

from actors.backends.checkpoints import CheckpointError, checkpoint_folder
from actors.backends.devices import seeded
from actors.backends.diffusion import (
    Placement,
    component_gib,
    place,
    require_room,
    require_weights,
    resized,
    to_frame,
    working_size,
)
from actors.backends.wan22_i2v import NEGATIVE_PROMPT
from actors.backends.wan_fun_pipeline import HIGH_NOISE, LOW_NOISE, WanFunControlPipeline, load_expert
from actors.roles import Clip, ControlRequest, Frame, SampleError

# Beside the weights, at 81 frames of 1280x720: measured on an H200 (`benchmarks.gpu_models`), peak 84.8 GiB.
_ACTIVATIONS_GIB = 20.5
_ROWS = 720


class Wan22FunControl:
    """ControlToVideo. Weights on the GPU in bfloat16: 2 x 26.6 GiB of transformers, 10.6 of text encoder
    (UMT5-XXL), 0.5 of VAE in float32: 64.3 GiB; with offload "model" one at a time, one expert after the
    other: 26.6.

    Args:
        model: the Fun repository with `high_noise_model` and `low_noise_model`: folder, `s3://bucket/prefix`
            or hub name.
        components: text encoder, tokenizer and VAE as a diffusers folder.
        steps, guidance, shift: VideoX-Fun's `predict_v2v_control.py`; Euler steps, as there.
        boundary: share of the noise above which the high-noise expert denoises (its config).
        height: rows that the model works at, 480 or 720 as it was trained; None: the frame's own.
        negative_prompt: what guidance leads away from; guidance 1 is none and halves the time.
        vae_dtype: float32 as upstream recommends.
        vae_tiling: decode in tiles of 256 pixels: less memory, more time, faint seams.
        device, dtype, offload, quantization, attention: see `Placement`.

    Raises:
        CheckpointError: the weights are not here, are pickles or another model's, or do not fit the GPU.
    """

    def __init__(
        self,
        *,
        model: str = "alibaba-pai/Wan2.2-Fun-A14B-Control",
        revision: str | None = None,
        components: str = "Wan-AI/Wan2.2-I2V-A14B-Diffusers",
        components_revision: str | None = None,
        steps: int = 50,
        guidance: float = 6.0,
        shift: float = 5.0,
        boundary: float = 0.9,
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
        self.height = height
        self.negative_prompt = negative_prompt
        scheduler: Any = FlowMatchEulerDiscreteScheduler
        self.pipeline = _load(
            checkpoint_folder(model, revision),
            checkpoint_folder(components, components_revision),
            placement,
            activations_gib=round(_ACTIVATIONS_GIB * ((height or _ROWS) / _ROWS) ** 2, 1),
            boundary_ratio=boundary,
            scheduler=scheduler(shift=shift),
        )
        if vae_tiling:
            self.pipeline.vae.enable_tiling()
        place(self.pipeline, placement)

    def synthesize(self, request: ControlRequest) -> Iterator[Frame]:
        """`num_frames` frames of the start picture's shape; Wan makes 4n + 1, what is beyond is cut off.

        All frames of the control video are used, one for one, whatever its rate; what it lacks at its end is
        its last frame. Pictures are resized to `height` rows, both sides rounded to the nearest multiple of
        16, and the result back.

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
        control = control_frames(request.control, num_frames)
        video: torch.Tensor = pipeline(
            image=Image.fromarray(resized(request.start_image, height, width)),
            control_video=[Image.fromarray(resized(frame, height, width)) for frame in control],
            prompt=request.prompt,
            negative_prompt=self.negative_prompt,
            height=height,
            width=width,
            num_frames=num_frames,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            generator=seeded(request.seed),
            output_type="pt",
        ).frames[0]
        return video


def control_frames(clip: Clip, num_frames: int) -> list[Frame]:
    """The first `num_frames` frames of a clip, its last one repeated where it is shorter.

    Raises:
        SampleError: it has no frames.
    """
    frames = list(itertools.islice(clip.frames(), num_frames))
    if not frames:
        raise SampleError(f"the control video has no frames, {num_frames} are needed")
    return frames + [frames[-1]] * (num_frames - len(frames))


def _load(
    model: Path, components: Path, placement: Placement, *, activations_gib: float, **parts: Any
) -> Any:
    folders = {
        "transformer": model / HIGH_NOISE,
        "transformer_2": model / LOW_NOISE,
        "text_encoder": components / "text_encoder",
        "vae": components / "vae",
    }
    if not (components / "model_index.json").is_file():
        raise CheckpointError(f"{components} is no diffusers pipeline: it has no model_index.json")
    for folder in folders.values():
        require_weights(folder)
    weights = {name: component_gib(folder, name, placement) for name, folder in folders.items()}
    require_room(weights, placement, model.name, activations_gib=activations_gib)
    dtypes, quantization = placement.torch_dtypes(), placement.quantization_config()
    experts = {
        name: load_expert(
            folders[name],
            dtype=dtypes["default"],
            # what diffusers' own loader of pipelines asks for each of its models
            quantization_config=quantization and quantization._resolve_quant_config(module_name=name),
        )
        for name in ("transformer", "transformer_2")
    }
    try:
        pipeline: Any = WanFunControlPipeline.from_pretrained(
            components,
            **experts,
            **parts,
            dtype=dtypes,
            quantization_config=quantization,
            use_safetensors=True,
            local_files_only=True,
        )
    except (OSError, ImportError) as error:
        raise CheckpointError(f"{components} does not load beside {model.name}: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
