"""Where a torch model runs, in which precision, and whether the GPU is large enough, said before loading.

What a reader gets wrong: noise is drawn on a CPU generator, whatever the device, so that a seed gives
the same noise on every kind of GPU.
"""

from __future__ import annotations

import os

import torch

from actors.backends.checkpoints import CheckpointError

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def pick_device(name: str = "auto") -> torch.device:
    """`auto`: the first GPU that this worker sees, else the CPU. CheckpointError where the named one is not
    there.
    """
    if name == "auto":
        given = os.environ.get("CUDA_VISIBLE_DEVICES", "").strip()
        if given not in ("", "-1") and not torch.cuda.is_available():
            raise CheckpointError(
                f"this worker was given GPU {given}, and torch sees none: `gpus` counts more than there are, "
                "or the driver is missing. `device: cpu` runs without"
            )
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise CheckpointError(f"device {name!r} is asked for, and torch sees no GPU here")
    return device


def pick_dtype(name: str) -> torch.dtype:
    """Raises CheckpointError for a name that is none of bfloat16, float16, float32."""
    if name not in _DTYPES:
        raise CheckpointError(f"dtype {name!r} is none of {', '.join(_DTYPES)}")
    return _DTYPES[name]


def require_gpu_memory(device: torch.device, need_gib: float, what: str, *, instead: str) -> None:
    """CheckpointError where the GPU has less memory than `need_gib`; `instead` says what would fit.

    The CPU is never refused: what runs there is small or a test.
    """
    if device.type != "cuda":
        return
    has = torch.cuda.get_device_properties(device).total_memory / 2**30
    if has < need_gib:
        name = torch.cuda.get_device_name(device)
        raise CheckpointError(f"{what} needs {need_gib:g} GiB of GPU memory, {name} has {has:.0f}; {instead}")


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU for one sample."""
    return torch.Generator("cpu").manual_seed(seed)


def place_of(features_on: str, device: torch.device) -> torch.device:
    """Where frame features wait: `device` or `host`. CheckpointError for another word."""
    if features_on not in ("device", "host"):
        raise CheckpointError(f"features_on {features_on!r} is none of device, host")
    return device if features_on == "device" else torch.device("cpu")
