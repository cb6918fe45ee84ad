"""SAM 2 weights as the hub holds them in safetensors, renamed for the modules of the `sam2` package.

What a reader gets wrong: `facebook/sam2.1-hiera-*` holds the weights twice, as a pickle in the package's
names (`sam2.1_hiera_large.pt`) and as `model.safetensors` in transformers' names. Only the second is read
here. The numbers are the same; transformers' conversion only renames and stacks four point embeddings.
"""

from __future__ import annotations

import re
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from actors.backends.checkpoints import CheckpointError

WEIGHTS = "model.safetensors"

_THREE_LAYERS = r"(iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+|obj_ptr_proj)"
_RENAMES: tuple[tuple[str, str], ...] = (
    (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
    (r"^vision_encoder\.neck\.convs\.(\d+)\.", r"image_encoder.neck.convs.\1.conv."),
    (r"^mask_decoder\.", "sam_mask_decoder."),
    (r"^prompt_encoder\.", "sam_prompt_encoder."),
    (r"^object_pointer_proj\.", "obj_ptr_proj."),
    (r"^temporal_positional_encoding_projection_layer\.", "obj_ptr_tpos_proj."),
    (r"^memory_temporal_positional_encoding$", "maskmem_tpos_enc"),
    (r"^no_memory_embedding$", "no_mem_embed"),
    (r"^no_memory_positional_encoding$", "no_mem_pos_enc"),
    (r"^no_object_pointer$", "no_obj_ptr"),
    (r"^occlusion_spatial_embedding_parameter$", "no_obj_embed_spatial"),
    (r"patch_embed\.projection\.", "patch_embed.proj."),
    (r"shared_embedding\.positional_embedding$", "pe_layer.positional_encoding_gaussian_matrix"),
    (r"mask_embed\.conv1\.", "mask_downscaling.0."),
    (r"mask_embed\.layer_norm1\.", "mask_downscaling.1."),
    (r"mask_embed\.conv2\.", "mask_downscaling.3."),
    (r"mask_embed\.layer_norm2\.", "mask_downscaling.4."),
    (r"mask_embed\.conv3\.", "mask_downscaling.6."),
    (r"upscale_conv1\.", "output_upscaling.0."),
    (r"upscale_layer_norm\.", "output_upscaling.1."),
    (r"upscale_conv2\.", "output_upscaling.3."),
    (r"^memory_encoder\.projection\.", "memory_encoder.out_proj."),
    (r"^memory_encoder\.feature_projection\.", "memory_encoder.pix_feat_proj."),
    (r"\.memory_fuser\.", ".fuser."),
    (r"\.depthwise_conv\.", ".dwconv."),
    (r"\.pointwise_conv(\d)\.", r".pwconv\1."),
    (r"(fuser\.layers\.\d+)\.scale$", r"\1.gamma"),
    # In this order: what has just become `layers.0` must not be moved on.
    (_THREE_LAYERS + r"\.proj_out\.", r"\1.layers.2."),
    (_THREE_LAYERS + r"\.layers\.0\.", r"\1.layers.1."),
    (_THREE_LAYERS + r"\.proj_in\.", r"\1.layers.0."),
    (r"\.mlp\.proj_in\.", ".mlp.layers.0."),
    (r"\.mlp\.proj_out\.", ".mlp.layers.1."),
    (r"\.o_proj\.", ".out_proj."),
)
_POINTS = "sam_prompt_encoder.point_embed.weight"
_SAME_TWICE = "shared_image_embedding.positional_embedding"
_DOWNSAMPLER = re.compile(
    r"(memory_encoder\.mask_downsampler)\.(?:layers\.(\d+)\.(conv|layer_norm)|final_conv)\."
)


def sam2_state(folder: Path) -> dict[str, Tensor]:
    """The state of a `SAM2Base` from `folder`/model.safetensors, whichever of the two namings it has.

    Raises:
        CheckpointError: there is no such file.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {WEIGHTS}")
    state: dict[str, Tensor] = load_file(path)
    if any(name.startswith("image_encoder.") for name in state):
        return state
    return renamed(state)


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under the names of the `sam2` package."""
    layers = 1 + max(
        (int(found[2]) for name in state if (found := _DOWNSAMPLER.match(name)) and found[2]), default=-1
    )
    ours = {}
    for name, tensor in state.items():
        if name != _SAME_TWICE:
            ours[_name(name, layers)] = tensor
    if _POINTS in ours:
        points = ours.pop(_POINTS)
        ours |= {f"sam_prompt_encoder.point_embeddings.{i}.weight": points[i : i + 1] for i in range(4)}
    return ours


def _name(name: str, downsampler_layers: int) -> str:
    def place(found: re.Match[str]) -> str:
        # The package keeps convolution, norm and activation of each layer in one Sequential.
        number = (
            downsampler_layers * 3 if found[2] is None else int(found[2]) * 3 + (found[3] == "layer_norm")
        )
        return f"{found[1]}.encoder.{number}."

    name = _DOWNSAMPLER.sub(place, name)
    for theirs, ours in _RENAMES:
        name = re.sub(theirs, ours, name)
    return name.replace("layer_norm", "norm")
