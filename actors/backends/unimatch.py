"""`FlowEstimator`: UniMatch (Xu et al. 2023), the paper's: GMFlow at two scales with six refinements, as
ptlflow has it.

What a reader gets wrong: ptlflow's models take BGR in 0..1 and turn it round themselves. The network has the
authors' parameter names and computes what theirs does, so the authors' own weights are loaded.
"""

from __future__ import annotations

import torch
from ptlflow.models.unimatch.unimatch import unimatch_sc2_ref6

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

_MULTIPLE, _LEAST = 32, 64
"""Attention windows: a quarter of each side in eight parts."""
_GPU_GIB = 3.0
"""Weights 0.03 GiB; the global matching at an eighth of 640x360 takes 0.06 GiB a layer and direction."""


class UniMatch:
    """GMFlow-scale2-regrefine6-mixdata by default, which its authors recommend for pictures of any kind."""

    def __init__(
        self,
        *,
        model: str = "autonomousvision/unimatch",
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "float32",
        height: int = 360,
    ) -> None:
        """`height`: rows of the grid; the weights were trained on crops of 320x576.

        Raises:
            CheckpointError: weights missing or unusable, no such device, another dtype.
        """
        self._device = pick_flow_device(device, dtype, _GPU_GIB, "UniMatch")
        network = load_network(model, revision, {"unimatch_sc2_ref6": unimatch_sc2_ref6})
        self._network = network.to(self._device)
        self._height = height

    def estimate(self, first: Frame, second: Frame) -> FlowField:
        """Motion that carries `first` onto `second`, on a grid of at most `height` rows.

        Both directions are one batch of two.
        """
        pictures = on_grid(first, second, self._height)
        rows, columns = pictures.shape[1:3]
        images = padded(as_tensor(pictures, self._device), multiple=_MULTIPLE, least=_LEAST)
        bgr = images.flip(1).float() / 255
        with torch.inference_mode():
            flow = self._network({"images": torch.stack([bgr, bgr.flip(0)], dim=1)})["flows"][:, 0]
        return flow_field(pictures, as_displacements(flow[..., :rows, :columns]))
