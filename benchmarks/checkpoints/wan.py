"""A Wan2.2 image-to-video pipeline of toy size, two transformers and all, and the two LoRAs of its 4-step
distillation, named as LightX2V names their parts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers as untyped_diffusers
import torch
import transformers as untyped_transformers
from safetensors.torch import save_file

from actors.backends.wan22_i2v import LIGHTX2V_FILES
from benchmarks.full_size import umt5_tokenizer

diffusers: Any = untyped_diffusers
transformers: Any = untyped_transformers

TEXT = 16
LATENTS = 4
WIDTH = 24
FFN = 32
LAYERS = 2


def save_tiny_wan_i2v(folder: Path) -> Path:
    """Writes the pipeline to `folder` as `save_pretrained` does; 0.1 million parameters."""
    torch.manual_seed(0)
    diffusers.WanImageToVideoPipeline(
        tokenizer=umt5_tokenizer(),
        text_encoder=tiny_text_encoder(),
        vae=tiny_vae(),
        scheduler=diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        transformer=tiny_transformer(in_channels=2 * LATENTS + 4),
        transformer_2=tiny_transformer(in_channels=2 * LATENTS + 4),
        boundary_ratio=0.9,
    ).save_pretrained(folder)
    return folder


def save_tiny_lightx2v(folder: Path, *, scale: float = 1.0) -> Path:
    """The LoRA of each transformer: rank 2 with an alpha, on every linear layer of every block."""
    shapes = {
        f"{attention}.{part}": (WIDTH, WIDTH) for attention in ("self_attn", "cross_attn") for part in "qkvo"
    }
    shapes |= {"ffn.0": (FFN, WIDTH), "ffn.2": (WIDTH, FFN)}
    for seed, name in enumerate(LIGHTX2V_FILES):
        generator = torch.Generator().manual_seed(seed)
        parts: dict[str, torch.Tensor] = {}
        for block in range(LAYERS):
            for layer, (rows, columns) in shapes.items():
                stem = f"diffusion_model.blocks.{block}.{layer}"
                parts[f"{stem}.lora_down.weight"] = scale * torch.randn(2, columns, generator=generator)
                parts[f"{stem}.lora_up.weight"] = scale * torch.randn(rows, 2, generator=generator)
                parts[f"{stem}.alpha"] = torch.tensor(2.0)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(parts, path)
    return folder


def tiny_transformer(in_channels: int) -> Any:
    """Random weights from torch's global seed."""
    return diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=WIDTH // 2,
        in_channels=in_channels,
        out_channels=LATENTS,
        text_dim=TEXT,
        freq_dim=16,
        ffn_dim=FFN,
        num_layers=LAYERS,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=128,
    ).eval()


def tiny_vae() -> Any:
    """8 times smaller in space and 4 in time, as the real one."""
    return diffusers.AutoencoderKLWan(
        base_dim=3,
        z_dim=LATENTS,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * LATENTS,
        latents_std=[1.0] * LATENTS,
    ).eval()


def tiny_text_encoder() -> Any:
    """Random weights from torch's global seed."""
    config = transformers.UMT5Config(
        vocab_size=128, d_model=TEXT, d_kv=8, d_ff=TEXT, num_layers=1, num_heads=2, dropout_rate=0.0
    )
    return transformers.UMT5EncoderModel(config).eval()
