"""A tiny Wan2.2-Fun-A14B-Control in the layout and with the names of its repository, and a tiny VACE.

What a reader gets wrong: the names are the original model's (`original_shapes`), not made by turning round
the renames of the code under test. The repository's pickles lie there too, as bytes that nothing may read.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.checkpoints.wan import (
    FFN,
    LATENTS,
    LAYERS,
    TEXT,
    WIDTH,
    save_tiny_wan_i2v,
    tiny_text_encoder,
    tiny_vae,
)
from benchmarks.full_size import diffusers, umt5_tokenizer
from benchmarks.full_size_fun import original_shapes

CONFIG = {
    "_class_name": "Wan2_2Transformer3DModel",
    "add_ref_conv": True,
    "dim": WIDTH,
    "eps": 1e-06,
    "ffn_dim": FFN,
    "freq_dim": 16,
    "in_dim": 3 * LATENTS + 4,
    "in_dim_ref_conv": LATENTS,
    "num_heads": 2,
    "num_layers": LAYERS,
    "out_dim": LATENTS,
    "text_dim": TEXT,
    "text_len": 512,
}
"""As in the repository, in small."""


def save_fun_components(folder: Path) -> Path:
    """Text encoder, tokenizer and VAE of a diffusers folder whose transformers were not downloaded.

    The VAE's latents are shifted and scaled, as the real ones are, so that forgetting it shows.
    """
    save_tiny_wan_i2v(folder)
    for expert in ("transformer", "transformer_2"):
        shutil.rmtree(folder / expert)
    path = folder / "vae" / "config.json"
    config = json.loads(path.read_text())
    config |= {"latents_mean": [0.3, -0.2, 0.1, 0.5][:LATENTS], "latents_std": [2.0, 0.5, 1.5, 0.8][:LATENTS]}
    path.write_text(json.dumps(config))
    return folder


def original_state(seed: int) -> dict[str, torch.Tensor]:
    """Random weights of one expert by their original names; norms near 1."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator) * (0.3 if len(shape) > 1 else 0.1)
        + (1.0 if "norm" in name and name.endswith("weight") else 0.0)
        for name, shape in original_shapes(CONFIG).items()
    }


def save_fun_control(folder: Path) -> Path:
    """Both experts, with different weights; the high-noise one in two files, as large ones are."""
    for name in ("high_noise_model", "low_noise_model"):
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text(json.dumps(CONFIG))
    high, low = original_state(1), original_state(2)
    names = sorted(high)
    for part, keys in enumerate((names[::2], names[1::2]), start=1):
        path = folder / "high_noise_model" / f"diffusion_pytorch_model-{part:05d}-of-00002.safetensors"
        save_file({key: high[key] for key in keys}, path)
    save_file(low, folder / "low_noise_model" / "diffusion_pytorch_model.safetensors")
    for pickle in ("models_t5_umt5-xxl-enc-bf16.pth", "Wan2.1_VAE.pth"):
        (folder / pickle).write_bytes(b"a pickle that nobody may read")
    return folder


def save_tiny_vace(folder: Path) -> Path:
    """Writes a VACE pipeline of toy size to `folder` as `save_pretrained` does."""
    torch.manual_seed(0)
    diffusers.WanVACEPipeline(
        tokenizer=umt5_tokenizer(),
        text_encoder=tiny_text_encoder(),
        vae=tiny_vae(),
        scheduler=diffusers.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True),
        transformer=diffusers.WanVACETransformer3DModel(
            num_attention_heads=2,
            attention_head_dim=WIDTH // 2,
            in_channels=LATENTS,
            out_channels=LATENTS,
            text_dim=TEXT,
            freq_dim=16,
            ffn_dim=FFN,
            num_layers=LAYERS,
            vace_layers=[0],
            vace_in_channels=2 * LATENTS + 64,
        ),
    ).save_pretrained(folder)
    return folder
