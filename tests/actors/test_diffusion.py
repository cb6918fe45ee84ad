"""What the diffusers backends share: refusals before loading, the arithmetic of memory, sizes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.models.attention_dispatch import _AttentionBackendRegistry
from hypothesis import given
from hypothesis import strategies as st

from actors.backends.checkpoints import CheckpointError
from actors.backends.diffusion import (
    Placement,
    load_pipeline,
    needed_gib,
    require_pipeline,
    resized,
    to_frame,
    weights_gib,
    working_size,
)
from actors.backends.flux2_klein import Flux2Klein
from actors.backends.wan22_i2v import Wan22ImageToVideo
from actors.roles import SampleError
from benchmarks import full_size
from benchmarks.checkpoints.wan import save_tiny_wan_i2v

CPU = Placement(device="cpu", dtype="float32")
WAN: Any = diffusers.WanImageToVideoPipeline


@pytest.fixture(scope="module")
def wan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_wan_i2v(tmp_path_factory.mktemp("wan"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "int3"}, "dtype 'int3' is none of bfloat16, float16, float32"),
        ({"offload": "disk"}, "offload 'disk' is none of none, model, sequential"),
        ({"offload": "model"}, "frees GPU memory, and this runs on the CPU"),
        ({"attention": "flush"}, "attention 'flush' is none of sdpa, flash"),
        ({"attention": "flash_hub"}, "attention 'flash_hub' is none of sdpa, flash"),
        ({"quantization": "int5"}, "quantization 'int5' is none of int8, nf4"),
        ({"quantization": "nf4"}, "needs a GPU, this runs on the CPU"),
        ({"quantization": {"quant_backend": "magic", "quant_kwargs": {"a": 1}}}, "quant_backend=magic"),
    ],
)
@pytest.mark.parametrize("backend", [Flux2Klein, Wan22ImageToVideo])
def test_an_unknown_option_is_refused_before_weights_are_looked_for(
    backend: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        backend(model="nobody/has-this", device="cpu", **options)


def test_missing_weights_are_named_with_the_command_that_fetches_them() -> None:
    with pytest.raises(CheckpointError, match=r"hf download .*black-forest-labs/FLUX\.2-klein-4B"):
        Flux2Klein(model="black-forest-labs/FLUX.2-klein-4B", device="cpu")


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no diffusers pipeline: it has no model_index"):
        Wan22ImageToVideo(model=str(tmp_path), device="cpu")


def test_another_pipeline_is_refused_by_name(wan: Path) -> None:
    with pytest.raises(
        CheckpointError, match="holds a WanImageToVideoPipeline, a Flux2KleinPipeline is needed"
    ):
        Flux2Klein(model=str(wan), device="cpu")


def test_a_pickle_in_place_of_safetensors_is_refused(wan: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(wan, tmp_path / "pickled")
    (folder / "transformer_2" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "transformer_2" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(CheckpointError, match=r"transformer_2 holds no safetensors, found .*\.bin"):
        Wan22ImageToVideo(model=str(folder), device="cpu")


def test_a_download_that_lacks_a_shard_is_refused(wan: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(wan, tmp_path / "torn")
    index = {"weight_map": {"a": "diffusion_pytorch_model.safetensors", "b": "part-2.safetensors"}}
    (folder / "transformer" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"transformer lacks part-2\.safetensors; the download"):
        require_pipeline(WAN, folder)


def test_the_weights_on_the_gpu_are_counted_from_the_files_at_the_precision_asked_for(wan: Path) -> None:
    pipeline = load_pipeline(WAN, wan, CPU, activations_gib=0)
    held = {
        name: sum(parameter.numel() for parameter in part.parameters()) * 4 / 2**30
        for name, part in pipeline.components.items()
        if isinstance(part, torch.nn.Module)
    }
    assert weights_gib(wan, CPU) == pytest.approx(held)
    mixed = Placement(device="cpu", component_dtypes={"vae": "float32"})
    assert weights_gib(wan, mixed) == pytest.approx(
        {name: gib if name == "vae" else gib / 2 for name, gib in held.items()}
    )


def test_offload_leaves_the_largest_part_and_the_vae_on_the_gpu_or_one_layer() -> None:
    weights = {"transformer": 26.6, "transformer_2": 26.6, "text_encoder": 10.6, "vae": 0.5}
    assert needed_gib(weights, 9.0) == {"none": 73.3, "model": 36.1, "sequential": 11.0}


def test_an_attention_backend_reaches_the_transformers_and_no_other_model(wan: Path) -> None:
    registry: Any = _AttentionBackendRegistry
    active = registry.get_active_backend()
    model = Wan22ImageToVideo(model=str(wan), device="cpu", attention="_native_math")
    for transformer in (model.pipeline.transformer, model.pipeline.transformer_2):
        processors = {
            attention._attention_backend.value for attention in transformer.attn_processors.values()
        }
        assert processors == {"_native_math"}
    assert registry.get_active_backend() == active


@given(height=st.integers(1, 2000), width=st.integers(1, 2000), rows=st.none() | st.integers(16, 1080))
def test_the_working_size_is_the_nearest_multiple_of_the_scaled_picture(
    height: int, width: int, rows: int | None
) -> None:
    picture = np.broadcast_to(np.uint8(0), (height, width, 3))
    tall, wide = working_size(picture, rows, 16)
    assert tall % 16 == wide % 16 == 0
    assert tall >= 16
    assert wide >= 16
    scale = 1 if rows is None else rows / height
    assert tall == 16 or abs(tall - height * scale) <= 8
    assert wide == 16 or abs(wide - width * scale) <= 8


def test_hd_frames_are_worked_on_as_they_are() -> None:
    picture = np.zeros((720, 1280, 3), np.uint8)
    assert working_size(picture, None, 16) == (720, 1280)
    assert resized(picture, 720, 1280) is picture
    assert working_size(picture, 480, 16) == (480, 848)


def test_values_that_are_no_numbers_fail_the_sample() -> None:
    with pytest.raises(SampleError, match="no numbers"):
        to_frame(torch.full((3, 2, 2), torch.nan))


def test_pictures_become_bytes_by_rounding() -> None:
    picture = torch.tensor([-0.1, 0.5, 1.2]).view(3, 1, 1)
    assert to_frame(picture).tolist() == [[[0, 128, 255]]]


@pytest.mark.parametrize(
    ("build", "billions"),
    [
        (lambda: full_size.flux2_klein("9B"), {"transformer": 9.08, "text_encoder": 8.19, "vae": 0.08}),
        (lambda: full_size.flux2_klein("4B"), {"transformer": 3.88, "text_encoder": 4.02, "vae": 0.08}),
        (
            full_size.wan22_i2v,
            {"transformer": 14.29, "transformer_2": 14.29, "text_encoder": 5.68, "vae": 0.13},
        ),
    ],
)
def test_the_full_sizes_have_the_published_numbers_of_parameters(
    build: Any, billions: dict[str, float], tmp_path: Path
) -> None:
    pipeline = build()
    folder = full_size.save_hollow(pipeline, tmp_path)
    require_pipeline(type(pipeline), folder)
    placement = Placement(device="cpu", dtype="bfloat16")
    counted = {name: gib * 2**30 / 2 / 1e9 for name, gib in weights_gib(folder, placement).items()}
    assert counted == pytest.approx(billions, abs=0.01)
    assert sum(path.stat().st_blocks * 512 for path in folder.rglob("*.safetensors")) < 4e6, "no disk is used"


def test_a_hollow_checkpoint_loads_and_is_filled_with_random_weights(wan: Path, tmp_path: Path) -> None:
    folder = full_size.save_hollow(load_pipeline(WAN, wan, CPU, activations_gib=0), tmp_path)
    model = Wan22ImageToVideo(model=str(folder), device="cpu", steps=1)
    full_size.fill(model.pipeline)
    picture = np.zeros((32, 48, 3), np.uint8)
    frames = np.stack(list(model.animate(picture, "waves", num_frames=5, fps=16, seed=0, edit_seed=0)))
    assert frames.shape == (5, 32, 48, 3)
    assert frames.std() > 0
