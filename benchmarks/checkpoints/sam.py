"""Tiny SAM 2.1 and SAM 3 tracker checkpoints with random weights, saved by transformers, and a made clip.

What a reader gets wrong: random SAM weights say "no object here" almost everywhere, and an empty mask agrees
with any other; the bias of the object score is raised so that the masks are there to be compared. What
upstream initialises with zeros (temporal positions, no-object embeddings) is made random too, else a mistake
in their order would not be seen.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    Sam2HieraDetConfig,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VideoVideoProcessor,
    Sam2VisionConfig,
    Sam3Config,
    Sam3ImageProcessor,
    Sam3TrackerVideoConfig,
    Sam3TrackerVideoProcessor,
    Sam3VideoConfig,
    Sam3VideoModel,
)

from benchmarks.bait import SMOKE_SIDE

SAM3_SIDE = 112


def sam2_folder(folder: Path) -> Path:
    """A checkpoint as `facebook/sam2.1-hiera-tiny` holds it in transformers' format, of the size `SMOKE`."""
    torch.manual_seed(1)
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SMOKE_SIDE, SMOKE_SIDE],
        embed_dim_per_stage=[8, 16, 32, 64],
        blocks_per_stage=[1, 1, 2, 1],
        global_attention_blocks=[3],
    )
    side = SMOKE_SIDE // 4
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[side, side], [side // 2, side // 2], [side // 4, side // 4]],
    )
    config = Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"image_size": SMOKE_SIDE},
        image_size=SMOKE_SIDE,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[side // 4, side // 4],
    )
    _saved(Sam2VideoModel(config), folder)
    return folder


def sam3_folder(folder: Path) -> Path:
    """A checkpoint as `facebook/sam3` is: detector and tracker in one file, the image encoder shared."""
    torch.manual_seed(2)
    vision = {
        "model_type": "sam3_vision_model",
        "fpn_hidden_size": 128,
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "window_size": 4,
            "global_attn_indexes": [1],
            "pretrain_image_size": SAM3_SIDE,
        },
    }
    tracker = Sam3TrackerVideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 128},
        mask_decoder_config={"hidden_size": 128, "mlp_dim": 64, "iou_head_hidden_dim": 32},
        memory_attention_hidden_size=128,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_encoder_hidden_size=128,
        mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=64,
    )
    tracker.image_size = SAM3_SIDE
    narrow = {"hidden_size": 128, "num_attention_heads": 2}
    shallow = {**narrow, "num_layers": 1, "intermediate_size": 32}
    detector = Sam3Config(
        vision_config=vision,
        text_config={
            **narrow,
            "model_type": "clip_text_model",
            "vocab_size": 64,
            "intermediate_size": 32,
            "projection_dim": 32,
            "num_hidden_layers": 1,
            "max_position_embeddings": 8,
        },
        geometry_encoder_config=shallow,
        detr_encoder_config=shallow,
        detr_decoder_config={**shallow, "num_queries": 4},
        mask_decoder_config=narrow,
    )
    detector.image_size = SAM3_SIDE
    _saved(Sam3VideoModel(Sam3VideoConfig(detector_config=detector, tracker_config=tracker)), folder)
    size = {"height": SAM3_SIDE, "width": SAM3_SIDE}
    Sam3TrackerVideoProcessor(
        image_processor=Sam3ImageProcessor(size=size), video_processor=Sam2VideoVideoProcessor(size=size)
    ).save_pretrained(folder)
    return folder


@torch.no_grad()
def lively(model: torch.nn.Module) -> None:
    """Random weights under which there are objects, logits are of order 1 and every parameter matters."""
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * fan_in**-0.5)
        elif not parameter.any():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.02)
        if name.endswith(("pred_obj_score_head.proj_out.bias", "pred_obj_score_head.layers.2.bias")):
            parameter.fill_(10.0)


def _saved(model: torch.nn.Module, folder: Path) -> None:
    lively(model)
    model.save_pretrained(folder)  # type: ignore[operator]  # every transformers model has it
