"""From a published pickle of tensors to the folder that a flow network is loaded from; at fetch time only.

What a reader gets wrong: `weights_only=True` is what makes this safe, not the digest alone: torch's own
unpickler builds tensors and plain containers and calls nothing else.
"""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch

from actors.backends.catalogue import PublishedFile
from actors.backends.checkpoints import CheckpointError
from actors.backends.flow_network import config_text, write_folder


def convert(pickled: Path, folder: Path, published: PublishedFile) -> None:
    """Writes `model.safetensors` and `config.json` into `folder`; CheckpointError for all but tensors."""
    try:
        state = torch.load(pickled, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(f"{published.url} holds more than tensors: {error}") from None
    state = state.get("model", state)  # UniMatch's authors wrap theirs
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointError(f"{published.url} holds other things than named tensors")
    config = config_text(published.architecture, source=published.url, source_sha256=published.sha256)
    write_folder(folder, state, config)
