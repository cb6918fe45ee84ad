"""A tiny Wan2.2-Fun-A14B-Control in the layout and with the names of the published repository.

What a reader gets wrong: the names are written out here from the original model, not made by turning round
the renames of the code under test. The pickles of the repository lie there too, as bytes that nothing may
read.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

CONFIG = {
    "_class_name": "Wan2_2Transformer3DModel",
    "add_ref_conv": True,
    "dim": 24,
    "eps": 1e-06,
    "ffn_dim": 32,
    "freq_dim": 16,
    "in_dim": 52,
    "in_dim_ref_conv": 16,
    "num_heads": 2,
    "num_layers": 2,
    "out_dim": 16,
    "text_dim": 32,
    "text_len": 512,
}
"""As in the repository, in small; rotary positions need dim / num_heads to be 12 at least."""


def original_state(seed: int, *, config: dict[str, object] = CONFIG) -> dict[str, torch.Tensor]:
    """Random weights of one expert by their original names."""
    size = {name: value for name, value in config.items() if isinstance(value, int)}
    width, inner, text, freq = size["dim"], size["ffn_dim"], size["text_dim"], size["freq_dim"]
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embedding.weight": (width, size["in_dim"], 1, 2, 2),
        "patch_embedding.bias": (width,),
        "ref_conv.weight": (width, size["in_dim_ref_conv"], 2, 2),
        "ref_conv.bias": (width,),
        **_linear("text_embedding.0", text, width),
        **_linear("text_embedding.2", width, width),
        **_linear("time_embedding.0", freq, width),
        **_linear("time_embedding.2", width, width),
        **_linear("time_projection.1", width, 6 * width),
        **_linear("head.head", width, 4 * size["out_dim"]),
        "head.modulation": (1, 2, width),
    }
    for index in range(size["num_layers"]):
        block = f"blocks.{index}"
        for attention in ("self_attn", "cross_attn"):
            for part in "qkvo":
                shapes |= _linear(f"{block}.{attention}.{part}", width, width)
            shapes |= {f"{block}.{attention}.norm_{part}.weight": (width,) for part in "qk"}
        shapes |= _linear(f"{block}.ffn.0", width, inner) | _linear(f"{block}.ffn.2", inner, width)
        shapes |= {
            f"{block}.norm3.weight": (width,),
            f"{block}.norm3.bias": (width,),
            f"{block}.modulation": (1, 6, width),
        }
    generator = torch.Generator("cpu").manual_seed(seed)
    return {
        name: torch.randn(shape, generator=generator) * (0.3 if len(shape) > 1 else 0.1)
        + (1.0 if "norm" in name and name.endswith("weight") else 0.0)
        for name, shape in shapes.items()
    }


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


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
