"""The paper's diffusion models at full size, as the arguments of their classes, so that a benchmark can build
them with random weights: the time and memory of a step depend on the shapes and not on the values.

What a reader gets wrong: these are arguments of the upstream classes, not a second description of them. What
is left out is the class's default, which then is the published value.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import diffusers as untyped_diffusers
import torch
import transformers as untyped_transformers
from tokenizers.pre_tokenizers import ByteLevel

diffusers: Any = untyped_diffusers
transformers: Any = untyped_transformers

_STD = 0.02  # as the published models were initialised; larger ones overflow in 40 blocks
_SAFETENSORS = {torch.bfloat16: "BF16", torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}
_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)

Arguments = dict[str, Any]

_FLUX2_KLEIN: Arguments = {
    "patch_size": 1,
    "in_channels": 128,
    "attention_head_dim": 128,
    "timestep_guidance_channels": 256,
    "mlp_ratio": 3.0,
    "axes_dims_rope": (32, 32, 32, 32),
    "rope_theta": 2000,
    "guidance_embeds": False,
}
FLUX2_KLEIN_9B: Arguments = {
    **_FLUX2_KLEIN,
    "num_layers": 8,
    "num_single_layers": 24,
    "num_attention_heads": 32,
    "joint_attention_dim": 12288,
}
"""`diffusers.Flux2Transformer2DModel`: diffusers `scripts/convert_flux2_to_diffusers.py`, "klein-9b"."""
FLUX2_KLEIN_4B: Arguments = {
    **_FLUX2_KLEIN,
    "num_layers": 5,
    "num_single_layers": 20,
    "num_attention_heads": 24,
    "joint_attention_dim": 7680,
}
"""The same script, "klein-4b"."""
FLUX2_VAE: Arguments = {}
"""`diffusers.AutoencoderKLFlux2`: its defaults (the same script builds it without arguments)."""
FLUX2_SCHEDULER: Arguments = {"shift": 3.0, "use_dynamic_shifting": True}
"""`diffusers.FlowMatchEulerDiscreteScheduler`: FLUX.1-dev's, which the same script copies."""

_QWEN3: Arguments = {
    "vocab_size": 151936,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "rms_norm_eps": 1e-6,
}
QWEN3_8B: Arguments = {
    **_QWEN3,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "tie_word_embeddings": False,
}
"""`transformers.Qwen3Config`, the text encoder of klein 9B (`Qwen3ForCausalLM`; 12288 = 3 layers x 4096):
config.json of Qwen/Qwen3-8B.
"""
QWEN3_4B: Arguments = {
    **_QWEN3,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "tie_word_embeddings": True,
}
"""The text encoder of klein 4B (7680 = 3 x 2560): config.json of Qwen/Qwen3-4B."""

WAN22_I2V_A14B: Arguments = {
    "added_kv_proj_dim": None,
    "attention_head_dim": 128,
    "cross_attn_norm": True,
    "eps": 1e-6,
    "ffn_dim": 13824,
    "freq_dim": 256,
    "in_channels": 36,
    "num_attention_heads": 40,
    "num_layers": 40,
    "out_channels": 16,
    "patch_size": (1, 2, 2),
    "qk_norm": "rms_norm_across_heads",
    "text_dim": 4096,
}
"""`diffusers.WanTransformer3DModel`, each of the two: diffusers `scripts/convert_wan_to_diffusers.py`,
"Wan2.2-I2V-14B-720p"; the same values in Wan2.2 `wan/configs/wan_i2v_A14B.py`.
"""
WAN_VAE: Arguments = {}
"""`diffusers.AutoencoderKLWan`: its defaults, which are Wan2.1's VAE (the same script)."""
WAN_SCHEDULER: Arguments = {
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "num_train_timesteps": 1000,
    "flow_shift": 3.0,
}
"""`diffusers.UniPCMultistepScheduler`: the same script; the backend sets flow_shift 5."""
WAN22_I2V_PIPELINE: Arguments = {"boundary_ratio": 0.9}
"""`diffusers.WanImageToVideoPipeline`: the same script."""

UMT5_XXL: Arguments = {
    "vocab_size": 256384,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "relative_attention_num_buckets": 32,
}
"""`transformers.UMT5Config` of Wan's `UMT5EncoderModel`: Wan2.2 `wan/modules/t5.py`, `umt5_xxl`."""


def flux2_klein(size: str = "9B") -> Any:
    """The pipeline on torch's meta device: shapes without memory. `size`: 9B or 4B."""
    transformer, encoder = {"9B": (FLUX2_KLEIN_9B, QWEN3_8B), "4B": (FLUX2_KLEIN_4B, QWEN3_4B)}[size]
    with torch.device("meta"):
        return diffusers.Flux2KleinPipeline(
            scheduler=diffusers.FlowMatchEulerDiscreteScheduler(**FLUX2_SCHEDULER),
            vae=diffusers.AutoencoderKLFlux2(**FLUX2_VAE),
            text_encoder=transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**encoder)),
            tokenizer=qwen3_tokenizer(),
            transformer=diffusers.Flux2Transformer2DModel(**transformer),
            is_distilled=True,
        )


def wan22_i2v() -> Any:
    """The pipeline with both transformers on torch's meta device."""
    scheduler = diffusers.UniPCMultistepScheduler(
        **WAN_SCHEDULER
    )  # computes with its tables when it is built
    with torch.device("meta"):
        return diffusers.WanImageToVideoPipeline(
            tokenizer=umt5_tokenizer(),
            text_encoder=transformers.UMT5EncoderModel(transformers.UMT5Config(**UMT5_XXL)),
            vae=diffusers.AutoencoderKLWan(**WAN_VAE),
            scheduler=scheduler,
            transformer=diffusers.WanTransformer3DModel(**WAN22_I2V_A14B),
            transformer_2=diffusers.WanTransformer3DModel(**WAN22_I2V_A14B),
            **WAN22_I2V_PIPELINE,
        )


def qwen3_tokenizer() -> Any:
    """Of the same class and chat template as Qwen3's, one token a byte: prompts are padded to 512 anyway."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: index for index, token in enumerate([*special, *sorted(ByteLevel.alphabet())])}
    tokenizer = transformers.Qwen2Tokenizer(
        vocab=vocabulary, merges=[], additional_special_tokens=special[1:]
    )
    tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer


def umt5_tokenizer() -> Any:
    """Of the same class as UMT5's, one token a printable ASCII character."""
    characters = [(chr(code), -3.0) for code in range(33, 127)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *characters]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=0)


def save_hollow(pipeline: Any, folder: Path, *, dtype: torch.dtype = torch.bfloat16) -> Path:
    """Writes `pipeline` as `save_pretrained` would, but each weight file is a header and a hole: it takes no
    disk and reads as zeros. A backend loads it as any other checkpoint; `fill` then makes weights of it.
    """
    pipeline.save_config(folder)
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            save_hollow_model(part, folder / name, dtype)
        elif part is not None:
            part.save_pretrained(folder / name)
    return folder


def save_hollow_model(model: Any, folder: Path, dtype: torch.dtype) -> None:
    """One model of a pipeline, or a model of transformers with nothing beside it."""
    if isinstance(model, diffusers.ModelMixin):
        model.save_config(folder)
    else:
        model.config.save_pretrained(folder)
    tensors = model.state_dict(keep_vars=True)
    first_of = {id(tensor): name for name, tensor in reversed(tensors.items())}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        if first_of[id(tensor)] != name:
            continue  # tied to one that is written
        kind = dtype if tensor.is_floating_point() else tensor.dtype
        start, end = end, end + tensor.numel() * kind.itemsize
        header[name] = {
            "dtype": _SAFETENSORS[kind],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the values are aligned
    kind_of_file = "diffusion_pytorch_model" if isinstance(model, diffusers.ModelMixin) else "model"
    with (folder / f"{kind_of_file}.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def fill(pipeline: Any, *, seed: int = 0) -> None:
    """Normal random weights in place, where they lie: matrices of zeros would draw less power and run faster
    than real ones.
    """
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            seed = fill_module(part, seed=seed)


@torch.no_grad()
def fill_module(module: torch.nn.Module, *, seed: int = 0) -> int:
    """The same for one model; returns the first seed that is not used."""
    for parameter in module.parameters():
        if parameter.is_floating_point():
            # weights that wait in CPU memory are drawn on the GPU too: 28 billion take minutes on a CPU
            device = torch.device("cuda") if torch.cuda.is_available() else parameter.device
            generator = torch.Generator(device).manual_seed(seed)
            drawn = torch.empty(parameter.shape, dtype=parameter.dtype, device=device)
            parameter.copy_(drawn.normal_(0.0, _STD, generator=generator))
            seed += 1
    return seed
