"""Qwen3-VL, SAM 2.1 large and SAM 3's tracker at full size, as `benchmarks.full_size` has the other models.

What a reader gets wrong: Qwen's tokenizer is the toy one, so prompts have a token a letter; the tables behind
it have their full size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as untyped_transformers

from benchmarks.checkpoints import qwen3_vl as toy_qwen
from benchmarks.full_size import Arguments, save_hollow_model

transformers: Any = untyped_transformers

_QWEN3_VL: Arguments = {
    "vocab_size": 151936,
    "head_dim": 128,
    "num_key_value_heads": 8,
    "max_position_embeddings": 262144,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 5e6,
        "mrope_interleaved": True,
        "mrope_section": [24, 20, 20],
    },
}
QWEN3_VL_32B: Arguments = {
    **_QWEN3_VL,
    "hidden_size": 5120,
    "intermediate_size": 25600,
    "num_hidden_layers": 64,
    "num_attention_heads": 64,
}
"""`text_config` of Qwen/Qwen3-VL-32B-Instruct's config.json; 33 billion values with the vision encoder."""
QWEN3_VL_8B: Arguments = {
    **_QWEN3_VL,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
}
"""`text_config` of Qwen/Qwen3-VL-8B-Instruct's config.json; 8.8 billion values."""
QWEN3_VL_VISION: Arguments = {
    "depth": 27,
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_heads": 16,
    "patch_size": 16,
    "num_position_embeddings": 2304,
    "deepstack_visual_indexes": [8, 16, 24],
}
"""`vision_config` of both."""
_TOKENS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")

SAM21_LARGE: Arguments = {
    "hidden_size": 144,
    "num_attention_heads": 2,
    "embed_dim_per_stage": [144, 288, 576, 1152],
    "num_attention_heads_per_stage": [2, 4, 8, 16],
    "blocks_per_stage": [2, 6, 36, 4],
    "global_attention_blocks": [23, 33, 43],
    "window_size_per_stage": [8, 4, 16, 8],
    "window_positional_embedding_background_size": [7, 7],
}
"""`transformers.Sam2HieraDetConfig`: sam2's `configs/sam2.1/sam2.1_hiera_l.yaml`."""


def save_hollow_qwen3_vl(folder: Path, text: Arguments) -> Path:
    """A checkpoint whose language model is `text`."""
    toy = transformers.Qwen3VLConfig.from_pretrained(toy_qwen.build(folder))
    (folder / "model.safetensors").unlink()
    config = transformers.Qwen3VLConfig(
        text_config=text,
        vision_config={**QWEN3_VL_VISION, "out_hidden_size": text["hidden_size"]},
        **{name: getattr(toy, name) for name in _TOKENS},
    )
    with torch.device("meta"):
        model = transformers.Qwen3VLForConditionalGeneration(config)
    save_hollow_model(model, folder, torch.bfloat16)
    return folder


def save_hollow_sam21_large(folder: Path) -> Path:
    """In transformers' names, as the hub has it."""
    vision = transformers.Sam2VisionConfig(
        backbone_config=transformers.Sam2HieraDetConfig(**SAM21_LARGE),
        backbone_channel_list=SAM21_LARGE["embed_dim_per_stage"][::-1],
    )
    with torch.device("meta"):
        model = transformers.Sam2VideoModel(transformers.Sam2VideoConfig(vision_config=vision))
    folder.mkdir()
    save_hollow_model(model, folder, torch.float32)
    return folder


def save_hollow_sam3(folder: Path) -> Path:
    """Of the tracker alone; its size is transformers' default."""
    with torch.device("meta"):
        model = transformers.Sam3TrackerVideoModel(transformers.Sam3TrackerVideoConfig())
    folder.mkdir()
    save_hollow_model(model, folder, torch.float32)
    transformers.Sam3TrackerVideoProcessor(
        image_processor=transformers.Sam3ImageProcessor(),
        video_processor=transformers.Sam2VideoVideoProcessor(size={"height": 1008, "width": 1008}),
    ).save_pretrained(folder)
    return folder
