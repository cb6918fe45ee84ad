"""A FLUX.2 [klein] pipeline of toy size: 28 layers of text encoder, since the pipeline reads layers 9, 18 and
27, and a VAE that shrinks by 8 as the real one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers as untyped_diffusers
import torch
import transformers as untyped_transformers

from benchmarks.full_size import qwen3_tokenizer

diffusers: Any = untyped_diffusers
transformers: Any = untyped_transformers

HIDDEN = 16
LATENTS = 4


def save_tiny_flux2_klein(folder: Path) -> Path:
    """Writes the pipeline to `folder` as `save_pretrained` does; 0.1 million parameters."""
    torch.manual_seed(0)
    text_encoder = transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(
            vocab_size=300,
            hidden_size=HIDDEN,
            intermediate_size=HIDDEN,
            num_hidden_layers=28,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            max_position_embeddings=512,
        )
    )
    transformer = diffusers.Flux2Transformer2DModel(
        patch_size=1,
        in_channels=4 * LATENTS,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * HIDDEN,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    vae = diffusers.AutoencoderKLFlux2(
        block_out_channels=(4, 4, 4, 4),
        layers_per_block=1,
        latent_channels=LATENTS,
        norm_num_groups=1,
        sample_size=64,
    )
    diffusers.Flux2KleinPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=vae.eval(),
        text_encoder=text_encoder.eval(),
        tokenizer=qwen3_tokenizer(),
        transformer=transformer.eval(),
        is_distilled=True,
    ).save_pretrained(folder)
    return folder
