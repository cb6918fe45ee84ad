"""Wan2.2-Fun-A14B-Control over the classes of diffusers, which has no pipeline for it: one embedding more in
the transformer, one block of channels more in the image-to-video pipeline, and the loader of an expert.

What a reader gets wrong: the checkpoint always sees a reference picture in front of the video. Without one it
is a latent frame of zeros, as VideoX-Fun passes it, and not no frame: its embedding has a bias that the model
was trained with.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from diffusers.utils import logging
from diffusers.utils.constants import SAFETENSORS_WEIGHTS_NAME
from diffusers.utils.torch_utils import get_module_execution_device
from PIL.Image import Image
from safetensors.torch import load_file, save_file
from torch import nn

from actors.backends.checkpoints import CheckpointError

HIGH_NOISE, LOW_NOISE = "high_noise_model", "low_noise_model"
"""Folders of the two experts in the repository."""

_CONFIG = {
    "num_heads": "num_attention_heads",
    "in_dim": "in_channels",
    "out_dim": "out_channels",
    "text_dim": "text_dim",
    "freq_dim": "freq_dim",
    "ffn_dim": "ffn_dim",
    "num_layers": "num_layers",
    "eps": "eps",
    "in_dim_ref_conv": "reference_channels",
}
"""Names in the original config.json (VideoX-Fun's `Wan2_2Transformer3DModel`) to ours; `dim` is beside."""


class _PatchEmbedding(nn.Conv3d):
    """Patches of a video behind its reference: latent frame 0 goes through a convolution of its own."""

    def __init__(
        self, channels: int, width: int, patch_size: tuple[int, int, int], *, reference_channels: int
    ) -> None:
        super().__init__(channels, width, patch_size, stride=patch_size)
        self.reference = nn.Conv2d(reference_channels, width, patch_size[1:], stride=patch_size[1:])

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        reference = self.reference(latents[:, : self.reference.in_channels, 0])
        return torch.cat([reference.unsqueeze(2), super().forward(latents[:, :, 1:])], dim=2)


class WanFunTransformer3DModel(WanTransformer3DModel):
    """One expert. Defaults are those of Wan2.2-Fun-A14B-Control.

    The reference takes the place of a latent frame before the video: it gets rotary positions as frame 0,
    attends and is attended to, and is cut off the result.
    """

    @register_to_config  # type: ignore[untyped-decorator]  # of diffusers
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        num_attention_heads: int = 40,
        attention_head_dim: int = 128,
        in_channels: int = 52,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 13824,
        num_layers: int = 40,
        eps: float = 1e-6,
        reference_channels: int = 16,
    ) -> None:
        super().__init__(
            patch_size=patch_size,
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            text_dim=text_dim,
            freq_dim=freq_dim,
            ffn_dim=ffn_dim,
            num_layers=num_layers,
            eps=eps,
        )
        width = num_attention_heads * attention_head_dim
        self.patch_embedding = _PatchEmbedding(
            in_channels, width, patch_size, reference_channels=reference_channels
        )

    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_image: None = None,
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """As `WanTransformer3DModel.forward`, for a video without reference picture."""
        no_reference = torch.zeros_like(hidden_states[:, :, :1])
        (sample,) = super().forward(
            torch.cat([no_reference, hidden_states], dim=2),
            timestep,
            encoder_hidden_states,
            return_dict=False,
            attention_kwargs=attention_kwargs,
        )
        sample = sample[:, :, 1:]
        return Transformer2DModelOutput(sample=sample) if return_dict else (sample,)


class WanFunControlPipeline(WanImageToVideoPipeline):
    """Image to video under the control of a second video.

    Channels that a transformer gets, in VideoX-Fun's order: noise (16), control video (16), mask (4, 1 where
    the picture is given: the first frame), start picture followed by grey (16). The last two are what
    `WanImageToVideoPipeline` makes; the control goes before them.
    """

    @torch.no_grad()
    def __call__(self, *args: Any, control_video: Sequence[Image] = (), **kwargs: Any) -> Any:
        """`control_video`: as many frames as `num_frames`; the rest as of `WanImageToVideoPipeline`."""
        self._control_video = list(control_video)
        return super().__call__(*args, **kwargs)

    def prepare_latents(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise, and the channels that stay the same over the steps."""
        latents, condition = super().prepare_latents(*args, **kwargs)
        height, width = (side * self.vae_scale_factor_spatial for side in condition.shape[-2:])
        control = self.video_processor.preprocess_video(self._control_video, height, width)
        return latents, torch.cat([self._encoded(control).to(condition), condition], dim=1)

    def _encoded(self, video: torch.Tensor) -> torch.Tensor:
        """(1, 3, T, H, W) in -1..1 as normalised latents."""
        video = video.to(get_module_execution_device(self.vae), self.vae.dtype)
        latents: torch.Tensor = self.vae.encode(video).latent_dist.mode().float()
        mean, std = (
            torch.tensor(values).view(1, -1, 1, 1, 1).to(latents)
            for values in (self.vae.config.latents_mean, self.vae.config.latents_std)
        )
        return (latents - mean) / std


def load_expert(folder: Path, *, dtype: torch.dtype, quantization_config: Any = None) -> Any:
    """A `WanFunTransformer3DModel` from a folder with the original config.json and safetensors.

    Raises:
        CheckpointError: the folder holds another model, or not all of its weights.
    """
    config = _diffusers_config(folder)
    weights = {
        name: value for path in folder.glob("*.safetensors") for name, value in load_file(path).items()
    }
    for name in ("ref_conv.weight", "ref_conv.bias"):
        if name in weights:
            weights[name.replace("ref_conv", "patch_embedding.reference")] = weights.pop(name)
    weights = convert_wan_transformer_to_diffusers(weights)
    with torch.device("meta"):
        expected = WanFunTransformer3DModel(**config).state_dict()
    _require_same(folder, expected, weights)
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # it warns of the original names in config.json, and of bfloat16 throughout
    try:
        if quantization_config is None:
            return WanFunTransformer3DModel.from_single_file(
                weights, config=str(folder), local_files_only=True, torch_dtype=dtype, **config
            )
        return quantized(weights, config, dtype, quantization_config)
    finally:
        logging.set_verbosity(verbosity)


def quantized(
    weights: dict[str, torch.Tensor], config: dict[str, Any], dtype: torch.dtype, quantization_config: Any
) -> Any:
    """By way of a folder below TMPDIR, as large as the weights: `from_single_file` takes only weights that
    were quantised before.
    """
    with tempfile.TemporaryDirectory() as folder:
        with torch.device("meta"):
            WanFunTransformer3DModel(**config).save_config(folder)
        save_file(weights, Path(folder) / SAFETENSORS_WEIGHTS_NAME)
        weights.clear()
        return WanFunTransformer3DModel.from_pretrained(
            folder, local_files_only=True, torch_dtype=dtype, quantization_config=quantization_config
        )


def _diffusers_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} has no config.json; an expert of Wan2.2-Fun-A14B-Control has one")
    original = json.loads(path.read_text())
    if not {"dim", "num_heads"} <= original.keys():
        raise CheckpointError(f"{path} names no dim and num_heads; the original Wan names are expected")
    config = {ours: original[theirs] for theirs, ours in _CONFIG.items() if theirs in original}
    return {**config, "attention_head_dim": original["dim"] // original["num_heads"]}


def _require_same(folder: Path, expected: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> None:
    wanted, has = ({name: tuple(value.shape) for name, value in state.items()} for state in (expected, found))
    differ = sorted(name for name in wanted.keys() | has.keys() if wanted.get(name) != has.get(name))
    if differ:
        raise CheckpointError(
            f"{folder} holds no expert of Wan2.2-Fun-A14B-Control, or not all of it; {len(differ)} weights "
            f"differ, the first: {differ[0]}, found {has.get(differ[0])}, expected {wanted.get(differ[0])}"
        )
