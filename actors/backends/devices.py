"""Where a torch model runs, in which precision, and whether the GPU is large enough, said before loading.

What a reader gets wrong: noise is drawn on a CPU generator, whatever the device, so that a seed gives
the same noise on every kind of GPU.
"""

from __future__ import annotations

import os

import torch

from actors.backends import WORKER_GPUS
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
    """CheckpointError where this worker's share of the GPU is less than `need_gib`, or what others left free
    is; `instead` says what would fit.

    The share is `num_gpus` of the plan. The CPU is never refused: what runs there is small or a test.
    """
    if device.type != "cuda":
        return
    name = torch.cuda.get_device_name(device)
    free, total = (amount / 2**30 for amount in torch.cuda.mem_get_info(device))
    gpus = min(1.0, WORKER_GPUS.get() or 1.0)
    needs = f"{what} needs {need_gib:g} GiB of GPU memory"
    if total * gpus < need_gib:
        if gpus < 1 and total >= need_gib:
            instead = f"num_gpus: 1 gives a worker all of it; {instead}"
        part = f"a worker with num_gpus {gpus:g} has {total * gpus:.1f} of its" if gpus < 1 else "has"
        raise CheckpointError(f"{needs}, {name}: {part} {total:.1f}; {instead}")
    cached = (torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)) / 2**30
    if free + cached < need_gib:
        raise CheckpointError(
            f"{needs}, {name} has {free + cached:.1f} of its {total:.1f} free: other processes hold the rest "
            f"(nvidia-smi shows which); {instead}"
        )


def seeded(seed: int) -> torch.Generator:
    """A generator on the CPU for one sample."""
    return torch.Generator("cpu").manual_seed(seed)


def place_of(features_on: str, device: torch.device) -> torch.device:
    """Where frame features wait: `device` or `host`. CheckpointError for another word."""
    if features_on not in ("device", "host"):
        raise CheckpointError(f"features_on {features_on!r} is none of device, host")
    return device if features_on == "device" else torch.device("cpu")
