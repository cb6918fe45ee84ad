"""Flow networks with random weights, in the folders that `models --fetch` makes.

What a reader gets wrong: these are the real networks at their real size (RAFT small has a million
parameters); only the values are random.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torchvision.models.optical_flow import raft_large, raft_small

from actors.backends.flow_network import config_text, write_folder


def raft_folder(folder: Path, *, large: bool = False, sees: Sequence[float] | None = None) -> Path:
    """RAFT. With `sees` = (dx, dy) every update of the flow is that, in units of eight pixels of the grid,
    whatever the pictures.
    """
    torch.manual_seed(5)
    network = raft_large() if large else raft_small()
    if sees is not None:
        head = network.update_block.flow_head.conv2
        nn.init.zeros_(head.weight)
        head.bias.data = torch.tensor(sees)
    return _saved(network, folder, "raft_large" if large else "raft_small")


def unimatch_folder(folder: Path) -> Path:
    """UniMatch at two scales with six refinements; needs ptlflow."""
    from ptlflow.models.unimatch.unimatch import unimatch_sc2_ref6

    torch.manual_seed(5)
    return _saved(unimatch_sc2_ref6(), folder, "unimatch_sc2_ref6")


def _saved(network: nn.Module, folder: Path, architecture: str) -> Path:
    folder.mkdir(parents=True)
    write_folder(folder, network.state_dict(), config_text(architecture))
    return folder
