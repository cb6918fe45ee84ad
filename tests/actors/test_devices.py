"""Whether a model fits the worker's share of a GPU, said before it is loaded; the GPU's figures are given."""

from __future__ import annotations

import pytest
import torch

from actors.backends import WORKER_GPUS
from actors.backends.checkpoints import CheckpointError
from actors.backends.devices import pick_device, pick_dtype, require_gpu_memory

GPU = torch.device("cuda", 0)
GIB = 2**30


@pytest.fixture
def eighty_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of 80 GiB, of which 30 are free."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (30 * GIB, 80 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 5 * GIB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3 * GIB)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H100")


def refused(need: float, gpus: float) -> str:
    """The words of the refusal, empty where there is none."""
    token = WORKER_GPUS.set(gpus)
    try:
        require_gpu_memory(GPU, need, "The model", instead="offload needs 9")
    except CheckpointError as error:
        return str(error)
    finally:
        WORKER_GPUS.reset(token)
    return ""


@pytest.mark.parametrize(
    ("need", "gpus", "words"),
    [
        (90, 1.0, "needs 90 GiB of GPU memory, H100: has 80.0; offload needs 9"),
        (
            50,
            0.5,
            "a worker with num_gpus 0.5 has 40.0 of its 80.0; num_gpus: 1 gives a worker all of it; off",
        ),
        (90, 0.5, "a worker with num_gpus 0.5 has 40.0 of its 80.0; offload needs 9"),
        (90, 2.0, "H100: has 80.0"),
        (35, 0.5, "H100 has 32.0 of its 80.0 free: other processes hold the rest"),
        (35, 1.0, "32.0 of its 80.0 free"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(
    eighty_gib: None, need: float, gpus: float, words: str
) -> None:
    assert words in refused(need, gpus)


def test_what_fits_the_share_and_what_is_free_is_taken(eighty_gib: None) -> None:
    assert refused(31, 0.5) == refused(31, 1.0) == refused(20, 0.25) == ""


def test_nothing_is_refused_on_the_cpu() -> None:
    require_gpu_memory(torch.device("cpu"), 1e9, "The model", instead="nothing")


def test_a_gpu_that_ray_counts_and_torch_does_not_see_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(CheckpointError, match="was given GPU 3, and torch sees none"):
        pick_device()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert pick_device().type == "cpu"
    with pytest.raises(CheckpointError, match="'cuda' is asked for"):
        pick_device("cuda")
    with pytest.raises(CheckpointError, match="dtype 'int3'"):
        pick_dtype("int3")
