"""What the diffusers backends share: which files a pipeline folder must hold, how much GPU memory it takes,
how it is loaded and where it is put.

What a reader gets wrong: everything that can be refused is refused before the first weight is read. The
size comes from the headers of the safetensors files, so a smaller or a quantised checkpoint is counted as it
is.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from diffusers.models.attention_dispatch import AttentionBackendName, attention_backend
from diffusers.quantizers.pipe_quant_config import PipelineQuantizationConfig

from actors.backends.checkpoints import PICKLES, CheckpointError, listed_files
from actors.backends.devices import pick_device, pick_dtype, require_gpu_memory
from actors.roles import Frame, SampleError

OFFLOADS = ("none", "model", "sequential")
"""All on the GPU; one component at a time; one layer at a time (diffusers' model and sequential offload)."""

QUANTIZATIONS: dict[str, dict[str, Any]] = {
    "int8": {"quant_backend": "bitsandbytes_8bit", "quant_kwargs": {"load_in_8bit": True}},
    "nf4": {
        "quant_backend": "bitsandbytes_4bit",
        "quant_kwargs": {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_compute_dtype": "bfloat16",
        },
    },
}
"""Short names for the arguments of `diffusers.PipelineQuantizationConfig`, which may be given in full."""

_BYTES = {"bitsandbytes_4bit": 0.56, "bitsandbytes_8bit": 1.05}  # with scales, and norms that stay in 16 bit
_QUANTIZED = ("transformer", "transformer_2", "text_encoder")  # 99 % of the weights; a VAE suffers too much
_LAYER_GIB = 2.0  # sequential offload holds one layer, the largest of which is UMT5-XXL's embedding (1.96)
_ATTENTIONS = tuple(  # less those that would download code from a hub while the pipeline runs
    backend.value for backend in AttentionBackendName if not backend.value.endswith("_hub")
)


@dataclass(frozen=True)
class Placement:
    """The options of a diffusers backend that say where and in which precision it runs; CheckpointError for
    unknown ones.
    """

    device: str = "auto"
    dtype: str = "bfloat16"
    offload: str = "none"
    """One of `OFFLOADS`."""
    quantization: str | Mapping[str, Any] | None = None
    """A name of `QUANTIZATIONS` or the arguments of `diffusers.PipelineQuantizationConfig`."""
    attention: str = "sdpa"
    """`sdpa` (torch's), or a backend that diffusers names: `flash`, `_flash_3`, `sage`, ..."""
    component_dtypes: Mapping[str, str] = field(default_factory=dict)
    """Components with another precision than `dtype`: {"vae": "float32"}."""

    def __post_init__(self) -> None:
        for name in (self.dtype, *self.component_dtypes.values()):
            pick_dtype(name)
        if self.offload not in OFFLOADS:
            raise CheckpointError(f"offload {self.offload!r} is none of {', '.join(OFFLOADS)}")
        if self.offload != "none" and self.torch_device.type != "cuda":
            raise CheckpointError(f"offload {self.offload!r} frees GPU memory, and this runs on the CPU")
        if self.attention not in ("sdpa", *_ATTENTIONS):
            raise CheckpointError(f"attention {self.attention!r} is none of sdpa, {', '.join(_ATTENTIONS)}")
        try:
            with attention_backend("native" if self.attention == "sdpa" else self.attention):
                pass  # it looks for the packages that the backend needs
        except (RuntimeError, ImportError) as error:
            raise CheckpointError(f"attention {self.attention!r} cannot be used: {error}") from error
        self.quantization_config()
        quantizer = self.quantization_arguments().get("quant_backend", "")
        if quantizer.startswith("bitsandbytes"):
            if self.torch_device.type != "cuda":
                raise CheckpointError(f"quantization {self.quantization!r} needs a GPU, this runs on the CPU")
            if importlib.util.find_spec("bitsandbytes") is None:
                raise CheckpointError(f"quantization {self.quantization!r} needs: pip install bitsandbytes")

    @property
    def torch_device(self) -> torch.device:
        return pick_device(self.device)

    def torch_dtypes(self) -> dict[str, torch.dtype]:
        """As `from_pretrained(dtype=...)` takes them."""
        components = {name: pick_dtype(dtype) for name, dtype in self.component_dtypes.items()}
        return {"default": pick_dtype(self.dtype), **components}

    def quantization_arguments(self) -> dict[str, Any]:
        """Of `diffusers.PipelineQuantizationConfig`; empty for none."""
        if self.quantization is None:
            return {}
        if not isinstance(self.quantization, str):
            return {"components_to_quantize": list(_QUANTIZED), **self.quantization}
        if self.quantization not in QUANTIZATIONS:
            raise CheckpointError(
                f"quantization {self.quantization!r} is none of {', '.join(QUANTIZATIONS)}; others are "
                f"given as the arguments of diffusers.PipelineQuantizationConfig"
            )
        return {"components_to_quantize": list(_QUANTIZED), **QUANTIZATIONS[self.quantization]}

    def quantization_config(self) -> Any:
        """Diffusers' own; None for none."""
        arguments = self.quantization_arguments()
        if not arguments:
            return None
        try:
            return PipelineQuantizationConfig(**arguments)
        except (ValueError, TypeError, ImportError) as error:
            raise CheckpointError(f"quantization {self.quantization!r} cannot be used: {error}") from error

    def bytes_per_parameter(self, component: str) -> float:
        """Of a component's weights on the GPU."""
        quantization = self.quantization_arguments()
        if component in quantization.get("components_to_quantize", ()):
            return _BYTES.get(quantization["quant_backend"], 1.0)  # most others: 8 bit
        dtypes = self.torch_dtypes()
        return float(dtypes.get(component, dtypes["default"]).itemsize)


def weights_gib(folder: Path, placement: Placement) -> dict[str, float]:
    """GiB on the GPU of each component of a pipeline folder."""
    return {
        component: component_gib(folder / component, component, placement)
        for component in _components(folder)
    }


def component_gib(folder: Path, component: str, placement: Placement) -> float:
    """GiB on the GPU of the weights in a folder, as the pipeline's `component`."""
    values = sum(map(_parameters, folder.glob("*.safetensors")))
    return values * placement.bytes_per_parameter(component) / 2**30


def load_pipeline(cls: Any, folder: Path, placement: Placement, *, activations_gib: float) -> Any:
    """The pipeline of class `cls` in CPU memory (quantised parts: on the GPU); `place` moves it.

    `activations_gib`: what the GPU holds beside weights at the largest moment.

    Raises:
        CheckpointError: files are missing or pickled, or the GPU is too small.
    """
    require_pipeline(cls, folder)
    require_room(weights_gib(folder, placement), placement, folder.name, activations_gib=activations_gib)
    try:
        pipeline = cls.from_pretrained(
            folder,
            dtype=placement.torch_dtypes(),
            quantization_config=placement.quantization_config(),
            use_safetensors=True,
            local_files_only=True,
        )
    except (OSError, ImportError) as error:
        raise CheckpointError(f"{folder} does not load as {cls.__name__}: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def require_room(
    weights: Mapping[str, float], placement: Placement, what: str, *, activations_gib: float
) -> None:
    """CheckpointError where the GPU is too small for components of these GiB, with what would fit."""
    needs = needed_gib(weights, activations_gib)
    require_gpu_memory(
        placement.torch_device,
        needs[placement.offload],
        f"{what} with offload {placement.offload!r} ({sum(weights.values()):.1f} GiB of weights)",
        instead="; ".join(
            f"offload {offload!r} needs {gib:g}"
            for offload, gib in needs.items()
            if offload != placement.offload
        ),
    )


def needed_gib(weights: Mapping[str, float], activations_gib: float) -> dict[str, float]:
    """GiB of GPU memory for each of `OFFLOADS`; with `model` the VAE stays beside the largest component."""
    held = {
        "none": sum(weights.values()),
        "model": max(weights.values()) + weights.get("vae", 0.0),
        "sequential": _LAYER_GIB,
    }
    return {offload: round(gib + activations_gib, 1) for offload, gib in held.items()}


def place(pipeline: Any, placement: Placement) -> None:
    """Puts a loaded pipeline where it runs; afterwards no adapter can be fused into it."""
    if placement.attention != "sdpa":  # which is what diffusers uses unless told otherwise
        with attention_backend("native"):  # the setter also changes what other models use: put it back
            for name, component in pipeline.components.items():
                if name.startswith("transformer") and component is not None:
                    component.set_attention_backend(placement.attention)
    if placement.offload == "model":
        pipeline.enable_model_cpu_offload(device=placement.torch_device)
    elif placement.offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=placement.torch_device)
    else:
        pipeline.to(placement.torch_device)


def require_pipeline(cls: Any, folder: Path) -> None:
    """CheckpointError unless `folder` holds a pipeline of class `cls`, each model of it with all of its
    safetensors files.
    """
    index = folder / "model_index.json"
    if not index.is_file():
        raise CheckpointError(f"{folder} is no diffusers pipeline: it has no model_index.json")
    saved = json.loads(index.read_text())["_class_name"]
    if saved != cls.__name__:
        raise CheckpointError(f"{folder} holds a {saved}, a {cls.__name__} is needed")
    for component in _components(folder):
        require_weights(folder / component)


def _components(folder: Path) -> list[str]:
    """Names of the models in a pipeline folder: what is neither scheduler, tokenizer nor processor."""
    index = json.loads((folder / "model_index.json").read_text())
    parts = [name for name, entry in index.items() if isinstance(entry, list) and entry[1]]
    return [name for name in parts if not name.endswith(("scheduler", "tokenizer", "processor"))]


def require_weights(folder: Path) -> None:
    """CheckpointError unless the folder of one model has all of its safetensors files."""
    for index in folder.glob("*.safetensors.index.json"):
        missing = [name for name in listed_files(index) if not (folder / name).is_file()]
        if missing:
            raise CheckpointError(f"{folder} lacks {', '.join(missing)}; the download is not complete")
    if not any(folder.glob("*.safetensors")):
        found = sorted(path.name for path in folder.glob("*") if path.suffix in PICKLES)
        raise CheckpointError(f"{folder} holds no safetensors, found {', '.join(found) or 'no weights'}")


def _parameters(path: Path) -> int:
    """The number of values in a safetensors file, read from its header: 8 bytes of length, then JSON."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def working_size(image: Frame, rows: int | None, multiple: int) -> tuple[int, int]:
    """Height and width that a model works at: `rows` rows (None: the picture's own), the same aspect, both
    rounded to the nearest multiple. Results are resized back by `resized`, so nothing is cropped.
    """
    height, width = image.shape[:2]
    scale = 1.0 if rows is None else rows / height
    return _nearest(height * scale, multiple), _nearest(width * scale, multiple)


def _nearest(length: float, multiple: int) -> int:
    return max(multiple, round(length / multiple) * multiple)


def resized(image: Frame, height: int, width: int) -> Frame:
    """The picture at (height, width, 3); the same array where it is that large already."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = height * width < image.shape[0] * image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)


def to_frame(picture: torch.Tensor) -> Frame:
    """(3, H, W) in 0..1, as pipelines return with `output_type="pt"`, as a Frame.

    Raises:
        SampleError: it holds values that are no numbers.
    """
    if not torch.isfinite(picture).all():
        raise SampleError("the model returned values that are no numbers; try dtype float32 or another seed")
    return (
        (picture.float().clamp(0, 1) * 255)
        .round()
        .to(torch.uint8)
        .permute(1, 2, 0)
        .contiguous()
        .cpu()
        .numpy()
    )
