"""`FlowEstimator`: RAFT (Teed and Deng 2020) as torchvision has it.

What a reader gets wrong: torchvision publishes its weights as a pickle, so `models --fetch` has made the
safetensors that are read here. RAFT looks at a quarter-second step at 360 rows as well as at 720, and takes a
quarter of the time.
"""

from __future__ import annotations

import torch
from torchvision.models.optical_flow import Raft_Large_Weights, raft_large, raft_small

from actors.backends.flow_network import (
    as_displacements,
    as_tensor,
    flow_field,
    load_network,
    on_grid,
    padded,
    pick_flow_device,
)
from actors.roles import FlowField, Frame

_MULTIPLE, _LEAST = 8, 128
"""Features are at an eighth, and the correlation pyramid halves them three times: 16 is what it needs."""
_GPU_GIB = 2.0
"""Weights 0.02 GiB; all pairs at an eighth of 640x360 take 0.07 GiB a direction, of 1280x720 1.1 GiB."""


class Raft:
    """`raft_large` (trained on Chairs, Things, Sintel, KITTI, HD1K) by default."""

    def __init__(
        self,
        *,
        model: str = "torchvision/raft_large",
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "float32",
        height: int = 360,
        updates: int = 12,
    ) -> None:
        """`height`: rows of the grid; `updates`: refinements of the flow, 12 as torchvision and the paper.

        Raises:
            CheckpointError: weights missing or unusable, no such device, another dtype.
        """
        self._device = pick_flow_device(device, dtype, _GPU_GIB, "RAFT")
        network = load_network(model, revision, {"raft_large": raft_large, "raft_small": raft_small})
        self._network = network.to(self._device)
        self._height, self._updates = height, updates
        self._to_input = (
            Raft_Large_Weights.C_T_SKHT_V2.transforms()
        )  # 0..255 to -1..1; raft_small has the same

    def estimate(self, first: Frame, second: Frame) -> FlowField:
        """Motion that carries `first` onto `second`, on a grid of at most `height` rows.

        Both directions are one batch of two.
        """
        pictures = on_grid(first, second, self._height)
        rows, columns = pictures.shape[1:3]
        images = padded(as_tensor(pictures, self._device), multiple=_MULTIPLE, least=_LEAST)
        with torch.inference_mode():
            there, back = self._to_input(images, images.flip(0))
            flow = self._network(there, back, num_flow_updates=self._updates)[-1]
        return flow_field(pictures, as_displacements(flow[..., :rows, :columns]))
