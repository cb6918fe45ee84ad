"""The checkpoints of the paper's models: where they come from, what they weigh, under which licence, and
where they lie on this machine.

What a reader gets wrong: nothing is downloaded here while a pipeline runs. Weights are a local folder, an S3
mirror copied once, or a snapshot that `python -m ray_jobs models --fetch` or `hf download` put into the
Hugging Face cache; only safetensors are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Formats that can run code when they are read."""


class CheckpointError(Exception):
    """The weights are not here or cannot be used; the message says what would be right."""


@dataclass(frozen=True)
class Checkpoint:
    """One repository of a model hub."""

    repo: str
    licence: str
    download_gib: float
    gpu_gib: float
    """GPU memory that the backend takes at its default options, weights and activations."""
    gated: bool = False
    """Whether the hub asks for an accepted licence and a token."""


CHECKPOINTS: dict[str, Checkpoint] = {
    item.repo: item
    for item in (
        Checkpoint("Qwen/Qwen3-VL-32B-Instruct", "Apache-2.0", 62.0, 72.0),
        Checkpoint("Qwen/Qwen3-VL-8B-Instruct", "Apache-2.0", 16.4, 22.0),
        Checkpoint("EditScore/EditScore-Qwen3-VL-8B-Instruct", "Apache-2.0", 0.7, 0.7),
        Checkpoint("black-forest-labs/FLUX.2-klein-9B", "flux-non-commercial", 32.0, 36.0, gated=True),
        Checkpoint("black-forest-labs/FLUX.2-klein-4B", "Apache-2.0", 15.0, 18.0),
        Checkpoint("Wan-AI/Wan2.2-I2V-A14B-Diffusers", "Apache-2.0", 117.0, 76.0),
        Checkpoint("alibaba-pai/Wan2.2-Fun-A14B-Control", "Apache-2.0", 64.0, 76.0),
        Checkpoint("facebook/sam2.1-hiera-large", "Apache-2.0", 0.9, 8.0),
        Checkpoint("facebook/sam3", "sam-licence", 3.4, 12.0, gated=True),
    )
}


def checkpoint_folder(model: str, revision: str | None = None) -> Path:
    """The folder with the weights of `model`: a local folder, `s3://bucket/prefix` or a repository's name.

    Raises:
        CheckpointError: not here, with the command that fetches it, the size and the licence.
    """
    local = Path(model).expanduser()
    if local.is_dir():
        return local
    raise CheckpointError(_missing(model, revision))


def _missing(model: str, revision: str | None) -> str:
    known = CHECKPOINTS.get(model)
    at = f" --revision {revision}" if revision else ""
    words = f" ({known.download_gib:g} GiB, licence {known.licence})" if known else ""
    return f"the weights of {model} are not on this machine{words}; get them with: hf download {model}{at}"


def require_safetensors(folder: Path) -> None:
    """CheckpointError where a folder holds weights as pickles and none as safetensors."""
    if not any(folder.rglob("*.safetensors")):
        found = sorted(path.name for path in folder.rglob("*") if path.suffix in PICKLES)
        raise CheckpointError(f"{folder} holds no safetensors, found {', '.join(found) or 'no weights'}")
