"""Tiny SAM 2.1 and SAM 3 tracker checkpoints with random weights, saved by transformers, and a made clip.

What a reader gets wrong: random SAM weights say "no object here" almost everywhere, and an empty mask agrees
with any other; the bias of the object score is raised so that the masks are there to be compared. What
upstream initialises with zeros (temporal positions, no-object embeddings) is made random too, else a mistake
in their order would not be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import (
    Sam2HieraDetConfig,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VideoVideoProcessor,
    Sam2VisionConfig,
    Sam3ImageProcessor,
    Sam3TrackerVideoConfig,
    Sam3TrackerVideoModel,
    Sam3TrackerVideoProcessor,
)

from actors.roles import Anchor, Frame

SAM2_SIDE = 128
SAM2_OVERRIDES = (
    f"++model.image_size={SAM2_SIDE}",
    "++model.image_encoder.trunk.embed_dim=8",
    "++model.image_encoder.trunk.stages=[1,1,2,1]",
    "++model.image_encoder.trunk.global_att_blocks=[3]",
    "++model.image_encoder.neck.backbone_channel_list=[64,32,16,8]",
    "++model.memory_attention.num_layers=1",
    "++model.memory_attention.layer.dim_feedforward=64",
)
"""`sam2.1_hiera_t.yaml` made as small as `sam2_folder`; the width 256 is fixed in the package's modules."""
SAM3_SIDE = 112


def sam2_folder(folder: Path) -> Path:
    """A checkpoint as `facebook/sam2.1-hiera-tiny` holds it in transformers' format."""
    torch.manual_seed(1)
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SAM2_SIDE, SAM2_SIDE],
        embed_dim_per_stage=[8, 16, 32, 64],
        blocks_per_stage=[1, 1, 2, 1],
        global_attention_blocks=[3],
    )
    side = SAM2_SIDE // 4
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[side, side], [side // 2, side // 2], [side // 4, side // 4]],
    )
    config = Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"image_size": SAM2_SIDE},
        image_size=SAM2_SIDE,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[side // 4, side // 4],
    )
    _saved(Sam2VideoModel(config), folder)
    return folder


def sam3_folder(folder: Path) -> Path:
    """A checkpoint of the tracker alone, with its processor."""
    torch.manual_seed(2)
    config = Sam3TrackerVideoConfig(
        vision_config={
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
        },
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
    config.image_size = SAM3_SIDE
    _saved(Sam3TrackerVideoModel(config), folder)
    size = {"height": SAM3_SIDE, "width": SAM3_SIDE}
    Sam3TrackerVideoProcessor(
        image_processor=Sam3ImageProcessor(size=size), video_processor=Sam2VideoVideoProcessor(size=size)
    ).save_pretrained(folder)
    return folder


class MemoryClip:
    """A clip that is not in a file."""

    fps = 16.0
    path = Path("made in memory")

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = list(frames)
        self.num_frames = len(frames)
        self.height, self.width = frames[0].shape[:2]

    def frames(self, *, height: int | None = None) -> Iterator[Frame]:
        return iter(self._frames)

    def pick(self, indices: Sequence[int], *, height: int | None = None) -> list[Frame]:
        return [self._frames[index] for index in indices]


def moving_squares(count: int, size: tuple[int, int] = (96, 64)) -> MemoryClip:
    """Noise with two squares that move towards each other; (width, height)."""
    random = np.random.default_rng(5)
    width, height = size
    ground = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    frames = []
    for index in range(count):
        frame = ground.copy()
        frame[20:44, 2 * index : 2 * index + 24] = (220, 40, 40)
        frame[8:30, width - 30 - index : width - 8 - index] = (40, 200, 60)
        frames.append(frame)
    return MemoryClip(frames)


def square_anchor(index: int, *, both: bool = True) -> Anchor:
    """The boxes of `moving_squares` on one frame: two labels, or one."""
    boxes = {"red square": (2.0 * index, 20.0, 2.0 * index + 24, 44.0)}
    if both:
        boxes["green square"] = (66.0 - index, 8.0, 88.0 - index, 30.0)
    return Anchor(index, boxes)


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
