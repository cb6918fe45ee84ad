"""What the flow networks share: the grid they see, padding to sizes they take, weights, and which places of
their answer can be trusted.

What a reader gets wrong: flow is computed in float32. bfloat16 holds 8 binary digits, so a place at column
600 of the grid can only be told to 4 pixels, while the camera's gate stands at 1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from actors.backends.checkpoints import CheckpointError, checkpoint_folder, require_safetensors
from actors.backends.devices import pick_device, require_gpu_memory
from actors.ops.flow_checks import MIN_TEXTURE, round_trip_error, texture
from actors.roles import FlowField, Frame

ROUND_TRIP_SHARE = 0.0008
"""Forward and backward flow must cancel to this share of the grid's diagonal: 0.6 px of 640x360, the same
share as the embedded flow's."""
NAMES = ("model.safetensors", "config.json")
"""What a folder of a flow network holds; config.json names the `architecture`."""

Pictures = npt.NDArray[np.uint8]
"""(2, h, w, 3) RGB: the first and the second picture at the working size."""
Displacements = npt.NDArray[np.float32]
"""(2, h, w, 2): dx and dy in pixels of the grid, from the first to the second and back."""


def load_network(
    model: str, revision: str | None, architectures: Mapping[str, Callable[[], nn.Module]]
) -> nn.Module:
    """The network that the folder's config.json names, with the folder's weights, for inference on the CPU.

    Raises:
        CheckpointError: the weights are not here, are of another architecture, or do not fit it.
    """
    folder = checkpoint_folder(model, revision)
    require_safetensors(folder)
    weights, config = (folder / name for name in NAMES)
    for path in (weights, config):
        if not path.is_file():
            raise CheckpointError(f"{folder} holds no {path.name}; a flow network is {' and '.join(NAMES)}")
    name = json.loads(config.read_text("utf-8")).get("architecture")
    if name not in architectures:
        raise CheckpointError(f"{config} names architecture {name!r}, known are {', '.join(architectures)}")
    network = architectures[name]()
    try:
        network.load_state_dict(load_file(weights))
    except RuntimeError as error:  # what torch raises for other names or shapes
        raise CheckpointError(f"{weights} does not fit {name}: {error}") from None
    return network.eval().requires_grad_(False)


def pick_flow_device(device: str, dtype: str, need_gib: float, what: str) -> torch.device:
    """Where the network runs; CheckpointError for another precision than float32 and for a small GPU."""
    if dtype != "float32":
        raise CheckpointError(f"{what} runs in float32, not {dtype}: places of a grid do not fit into less")
    chosen = pick_device(device)
    require_gpu_memory(chosen, need_gib, what, instead="the option `height` with fewer rows needs less")
    return chosen


def working_size(frame_height: int, frame_width: int, height: int) -> tuple[int, int]:
    """Rows and columns of the grid: `height` rows with the frame's aspect, never more than the frame has."""
    if frame_height <= height:
        return frame_height, frame_width
    return height, max(round(height * frame_width / frame_height), 1)


def on_grid(first: Frame, second: Frame, height: int) -> Pictures:
    """Both frames at the working size; ValueError where their shapes differ."""
    if first.shape != second.shape:
        raise ValueError(f"frames of one shape are needed, found {first.shape} and {second.shape}")
    rows, columns = working_size(first.shape[0], first.shape[1], height)
    if first.shape[:2] == (rows, columns):
        return np.stack([first, second])
    scaled = [cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_AREA) for frame in (first, second)]
    return np.stack(scaled).astype(np.uint8)


def as_tensor(pictures: Pictures, device: torch.device) -> torch.Tensor:
    """(n, 3, h, w) uint8 on the device."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().to(device)


def padded(images: torch.Tensor, *, multiple: int, least: int) -> torch.Tensor:
    """(n, c, h, w) grown to the right and below, the edge repeated, to multiples and to no less than `least`;
    what `[..., :h, :w]` cuts out again.
    """
    height, width = images.shape[-2:]
    below, right = (max(-(-size // multiple) * multiple, least) - size for size in (height, width))
    if not below and not right:
        return images
    return functional.pad(images, (0, right, 0, below), mode="replicate")


def as_displacements(flow: torch.Tensor) -> Displacements:
    """(2, 2, h, w) of a network -> `Displacements`."""
    return np.ascontiguousarray(flow.permute(0, 2, 3, 1).float().cpu().numpy())


def flow_field(pictures: Pictures, displacements: Displacements) -> FlowField:
    """Reliable is where the flow there and back ends where it began and the first picture has texture.

    A network invents a smooth flow for a plain wall, mostly of zero, which would outvote what can be seen.
    The scene's subject is left in: the fit of the camera's motion has to see it as an outlier.
    """
    forward, backward = displacements
    limit = ROUND_TRIP_SHARE * float(np.hypot(*forward.shape[:2]))
    grey = np.asarray(cv2.cvtColor(pictures[0], cv2.COLOR_RGB2GRAY), np.uint8)
    agrees = round_trip_error(forward, backward) < limit
    return FlowField(forward, agrees & (texture(grey) > MIN_TEXTURE))


def config_text(architecture: str, **source: str) -> str:
    """The content of a folder's config.json."""
    return json.dumps({"architecture": architecture, **source}, indent=2) + "\n"


def write_folder(folder: Path, state: Mapping[str, torch.Tensor], config: str) -> None:
    """Weights and config as `load_network` reads them, into an existing folder."""
    save_file({name: value.contiguous() for name, value in state.items()}, folder / NAMES[0])
    (folder / NAMES[1]).write_text(config, "utf-8")
