"""Wan2.2-Fun-A14B-Control and Wan2.1-VACE-14B at full size, as `benchmarks.full_size` has the other models.

What a reader gets wrong: the Fun repository has the original Wan's names in config and weights, so its
arguments are those of VideoX-Fun's class and not of diffusers'; the backend translates them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.full_size import (
    UMT5_XXL,
    WAN22_I2V_A14B,
    WAN_SCHEDULER,
    WAN_VAE,
    Arguments,
    diffusers,
    save_hollow,
    transformers,
    umt5_tokenizer,
)

WAN22_FUN_A14B_CONTROL: Arguments = {
    "_class_name": "Wan2_2Transformer3DModel",
    "add_ref_conv": True,
    "dim": 5120,
    "eps": 1e-6,
    "ffn_dim": 13824,
    "freq_dim": 256,
    "in_dim": 52,
    "in_dim_ref_conv": 16,
    "num_heads": 40,
    "num_layers": 40,
    "out_dim": 16,
    "text_dim": 4096,
    "text_len": 512,
}
"""config.json of each expert in alibaba-pai/Wan2.2-Fun-A14B-Control: sizes from DiffSynth-Studio 2.1.12
`configs/model_configs.py` (which knows the file by a hash of its names and shapes), names from VideoX-Fun
`videox_fun/models/wan_transformer3d.py`. 14.3 billion values an expert.
"""

WAN21_VACE_14B: Arguments = {
    **WAN22_I2V_A14B,
    "in_channels": 16,
    "vace_in_channels": 96,
    "vace_layers": [0, 5, 10, 15, 20, 25, 30, 35],
}
"""`diffusers.WanVACETransformer3DModel`: diffusers `scripts/convert_wan_to_diffusers.py`, "Wan2.1-VACE-14B";
17.3 billion values.
"""


def original_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of an expert's weights in the Fun repository, for a config with its names."""
    width, inner, text, freq = (config[name] for name in ("dim", "ffn_dim", "text_dim", "freq_dim"))
    shapes: dict[str, tuple[int, ...]] = {
        "patch_embedding.weight": (width, config["in_dim"], 1, 2, 2),
        "patch_embedding.bias": (width,),
        "ref_conv.weight": (width, config["in_dim_ref_conv"], 2, 2),
        "ref_conv.bias": (width,),
        **_linear("text_embedding.0", text, width),
        **_linear("text_embedding.2", width, width),
        **_linear("time_embedding.0", freq, width),
        **_linear("time_embedding.2", width, width),
        **_linear("time_projection.1", width, 6 * width),
        **_linear("head.head", width, 4 * config["out_dim"]),
        "head.modulation": (1, 2, width),
    }
    for index in range(config["num_layers"]):
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
    return shapes


def save_hollow_fun_control(model: Path, components: Path) -> None:
    """Both folders that `Wan22FunControl` loads, each weight file a header and a hole (see `save_hollow`)."""
    for expert in ("high_noise_model", "low_noise_model"):
        (model / expert).mkdir(parents=True)
        (model / expert / "config.json").write_text(json.dumps(WAN22_FUN_A14B_CONTROL))
        _write_hollow(
            model / expert / "diffusion_pytorch_model.safetensors", original_shapes(WAN22_FUN_A14B_CONTROL)
        )
    save_hollow(diffusers.WanImageToVideoPipeline(**_parts()), components)


def wan_vace() -> Any:
    """The pipeline on torch's meta device, for `save_hollow`."""
    with torch.device("meta"):
        transformer = diffusers.WanVACETransformer3DModel(**WAN21_VACE_14B)
    return diffusers.WanVACEPipeline(transformer=transformer, **_parts())


def _parts() -> dict[str, Any]:
    """What all Wan pipelines share, models on the meta device."""
    with torch.device("meta"):
        text_encoder = transformers.UMT5EncoderModel(transformers.UMT5Config(**UMT5_XXL))
        vae = diffusers.AutoencoderKLWan(**WAN_VAE)
    return {
        "tokenizer": umt5_tokenizer(),
        "text_encoder": text_encoder,
        "vae": vae,
        "scheduler": diffusers.UniPCMultistepScheduler(**WAN_SCHEDULER),
    }


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _write_hollow(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + torch.Size(shape).numel() * torch.bfloat16.itemsize
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the values are aligned
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
