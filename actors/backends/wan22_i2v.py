"""Wan2.2-I2V-A14B, the paper's image-to-video model: diffusers' `WanImageToVideoPipeline`.

What a reader gets wrong: two transformers of 14 billion parameters take turns. `transformer` denoises above
0.9 of the noise, `transformer_2` below; each has a guidance scale and needs a distillation LoRA of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from PIL import Image

from actors.backends.checkpoints import CheckpointError, checkpoint_folder
from actors.backends.devices import seeded
from actors.backends.diffusion import Placement, load_pipeline, place, resized, to_frame, working_size
from actors.roles import Frame, SampleError

FPS = 16
"""Of what Wan makes (Wan2.2 `wan/configs/shared_config.py`, `sample_fps`)."""

NEGATIVE_PROMPT = (
    "色调艳丽 过曝 静态 细节模糊不清 字幕 风格 作品 画作 画面 静止 整体发灰 最差质量 低质量 "
    "JPEG压缩残留 丑陋的 残缺的 多余的手指 画得不好的手部 画得不好的脸部 畸形的 毁容的 "
    "形态畸形的肢体 手指融合 静止不动的画面 杂乱的背景 三条腿 背景人很多 倒着走"
).replace(" ", "\uff0c")
"""Wan's own (Wan2.2 `wan/configs/shared_config.py`, `sample_neg_prompt`), joined by full-width commas."""

LIGHTX2V_FILES = (
    "Wan2.2-I2V-A14B-4steps-lora-rank64-Seko-V1/high_noise_model.safetensors",
    "Wan2.2-I2V-A14B-4steps-lora-rank64-Seko-V1/low_noise_model.safetensors",
)
"""The LoRA of `transformer` and of `transformer_2` in the repository lightx2v/Wan2.2-Lightning."""

_LATER_FILES = {
    "lightx2v/Wan2.2-Distill-Loras": (
        "wan2.2_i2v_A14b_high_noise_lora_rank64_lightx2v_4step_1022.safetensors",
        "wan2.2_i2v_A14b_low_noise_lora_rank64_lightx2v_4step_1022.safetensors",
    )
}
"""Of other repositories. These load too, but diffusers 0.42 leaves out the part of them that is no LoRA
(`diff_m`, `diff`: changes of modulation and norms).
"""

# Beside the weights, at 81 frames of 1280x720: measured on an H200, where the peak was 84.9 GiB with 64.3 of
# weights (`benchmarks.gpu_models`). 75,600 tokens are 0.72 GiB a tensor of 5,120 values in bfloat16, twice
# that in float32, and 1.95 in the feed-forward.
_ACTIVATIONS_GIB = 20.6
_ROWS = 720


class DistilledScheduler(FlowMatchEulerDiscreteScheduler):
    """Euler steps at noise 1, 1 - 1/n, ..., 1/n, then shifted: for 4 steps those that the distillation was
    trained at (LightX2V `denoising_step_list` 1000, 750, 500, 250 with `sample_shift` 5).

    Upstream's own spacing ends near zero instead, so 4 steps would not be these, and the image-to-video
    pipeline has no argument for them.
    """

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        if sigmas is None and timesteps is None and num_inference_steps is not None:
            sigmas = [1 - step / num_inference_steps for step in range(num_inference_steps)]
        super().set_timesteps(num_inference_steps, device, sigmas, mu, timesteps)


class Wan22ImageToVideo:
    """ImageToVideo. Weights on the GPU in bfloat16: 2 x 26.6 GiB of transformers, 10.6 of text encoder
    (UMT5-XXL), 0.5 of VAE in float32: 64.3 GiB; one at a time with offload "model": 26.6. With activations
    84.9 GiB at 81 frames of 1280x720, so an 80 GB GPU needs offload "model" or fewer rows.

    Args:
        model: a folder, `s3://bucket/prefix` or hub name; a distilled one too.
        steps, guidance_scale, guidance_scale_2: None: 40 and (3.5, 3.5) as Wan's configuration and the paper;
            4 and (1, 1), which is no guidance, for distilled weights.
        flow_shift: of the noise schedule (Wan `sample_shift`).
        height: rows that the model works at, 480 or 720 as it was trained; None: the frame's own.
        negative_prompt: what guidance leads away from.
        lightx2v: folder or hub name of the 4-step LoRAs, "lightx2v/Wan2.2-Lightning" for instance.
        lightx2v_files: the LoRA of the high-noise and of the low-noise transformer in it; None: those that
            the two repositories of lightx2v have.
        distilled: the weights of `model` are distilled already; `lightx2v` implies it.
        vae_dtype: float32 as upstream recommends.
        vae_tiling: decode in tiles of 256 pixels: less memory, more time, faint seams.
        device, dtype, offload, quantization, attention: see `Placement`.

    Raises:
        CheckpointError: the weights are not here, are pickles, or do not fit the GPU.
    """

    def __init__(
        self,
        *,
        model: str = "Wan-AI/Wan2.2-I2V-A14B-Diffusers",
        revision: str | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        guidance_scale_2: float | None = None,
        flow_shift: float = 5.0,
        height: int | None = None,
        negative_prompt: str = NEGATIVE_PROMPT,
        lightx2v: str | None = None,
        lightx2v_revision: str | None = None,
        lightx2v_files: tuple[str, str] | None = None,
        distilled: bool = False,
        vae_dtype: str = "float32",
        vae_tiling: bool = False,
        device: str = "auto",
        dtype: str = "bfloat16",
        offload: str = "none",
        quantization: str | Mapping[str, Any] | None = None,
        attention: str = "sdpa",
    ) -> None:
        placement = Placement(device, dtype, offload, quantization, attention, {"vae": vae_dtype})
        distilled = distilled or lightx2v is not None
        unguided = 1.0 if distilled else 3.5
        self.steps = steps if steps is not None else 4 if distilled else 40
        self.guidance_scale = unguided if guidance_scale is None else guidance_scale
        self.guidance_scale_2 = unguided if guidance_scale_2 is None else guidance_scale_2
        self.height = height
        self.negative_prompt = negative_prompt
        folder = checkpoint_folder(model, revision)
        loras = None if lightx2v is None else _lora_files(lightx2v, lightx2v_revision, lightx2v_files)
        self.pipeline = load_pipeline(
            WanImageToVideoPipeline,
            folder,
            placement,
            activations_gib=round(_ACTIVATIONS_GIB * ((height or _ROWS) / _ROWS) ** 2, 1),
        )
        if loras is not None:
            _add_loras(self.pipeline, loras, fuse=quantization is None)
        self.pipeline.scheduler = _scheduler(self.pipeline.scheduler.config, flow_shift, distilled)
        if vae_tiling:
            self.pipeline.vae.enable_tiling()
        place(self.pipeline, placement)

    def animate(
        self, image: Frame, prompt: str, *, num_frames: int, fps: int, seed: int, edit_seed: int
    ) -> Iterator[Frame]:
        """`num_frames` frames of the shape of `image`; Wan makes 4n + 1, what is beyond is cut off.

        The picture is resized to `height` rows, both sides rounded to the nearest multiple of 16, and the
        frames back.

        Raises:
            SampleError: `fps` is not Wan's 16.
        """
        if fps != FPS:
            raise SampleError(f"Wan makes {FPS} frames a second, {fps} are asked for; set fps: {FPS}")
        video = self._generate(image, prompt, num_frames, seed)
        return (resized(to_frame(frame), *image.shape[:2]) for frame in video[:num_frames])

    @torch.inference_mode()
    def _generate(self, image: Frame, prompt: str, num_frames: int, seed: int) -> torch.Tensor:
        """(T, 3, H, W) in 0..1 at the working size, T the next 4n + 1."""
        pipeline = self.pipeline
        every = pipeline.vae_scale_factor_temporal
        patch = (pipeline.transformer or pipeline.transformer_2).config.patch_size
        height, width = working_size(image, self.height, pipeline.vae_scale_factor_spatial * patch[1])
        two_experts = pipeline.config.boundary_ratio is not None
        video: torch.Tensor = pipeline(
            image=Image.fromarray(resized(image, height, width)),
            prompt=prompt,
            negative_prompt=self.negative_prompt,
            height=height,
            width=width,
            num_frames=-(-(num_frames - 1) // every) * every + 1,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance_scale,
            guidance_scale_2=self.guidance_scale_2 if two_experts else None,
            generator=seeded(seed),
            output_type="pt",
        ).frames[0]
        return video


def _scheduler(config: Mapping[str, Any], flow_shift: float, distilled: bool) -> Any:
    """The checkpoint's own with another shift; for distilled weights the one they were trained with."""
    scheduler: Any = DistilledScheduler if distilled else UniPCMultistepScheduler
    return scheduler.from_config({"shift": flow_shift} if distilled else {**config, "flow_shift": flow_shift})


def _lora_files(model: str, revision: str | None, names: tuple[str, str] | None) -> tuple[Path, Path]:
    """Both LoRA files; CheckpointError where one is not there or no safetensors."""
    folder = checkpoint_folder(model, revision)
    high, low = (folder / name for name in names or _LATER_FILES.get(model, LIGHTX2V_FILES))
    for path in (high, low):
        if path.suffix != ".safetensors":
            raise CheckpointError(f"{path.name} is no safetensors file")
        if not path.is_file():
            found = sorted(str(other.relative_to(folder)) for other in folder.rglob("*.safetensors"))
            raise CheckpointError(f"{folder} has no {path.name}; found {', '.join(found) or 'none'}")
    return high, low


def _add_loras(pipeline: Any, files: tuple[Path, Path], *, fuse: bool) -> None:
    """`fuse` adds them to the weights, which saves their time at each step; quantised weights cannot take
    it.
    """
    for path, expert in zip(files, ("transformer", "transformer_2"), strict=True):
        pipeline.load_lora_weights(
            path.parent,
            weight_name=path.name,
            adapter_name=expert,
            load_into_transformer_2=expert == "transformer_2",
            use_safetensors=True,
            local_files_only=True,
        )
    if fuse:
        pipeline.fuse_lora(components=["transformer", "transformer_2"])
        pipeline.unload_lora_weights()
