"""Implementations of the roles, one file a model family; heavy libraries are imported there only, on the
worker.

What a reader gets wrong: this table is data. Naming a backend imports nothing; `load_backend` does, once a
process.
"""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from actors.backends.editscore_prompts import protocol_version
from actors.prompts import PROMPTS_VERSION
from schemas.config import ConfigError, nearest


@dataclass(frozen=True)
class BackendSpec:
    """One implementation of a role. `target` is `module:Class`; `num_gpus` may be a fraction."""

    role: str
    name: str
    target: str
    revision: str
    licence: str
    about: str
    num_gpus: float = 0.0
    seconds: float = 0.0
    """GPU seconds a call at 720p, 81 frames (docs/backends.md), for plans until the journal has figures."""
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    """By the option that names other weights: the repository of `CHECKPOINTS` that is loaded without it."""
    imports: tuple[str, ...] = ()
    """Modules beyond the light set that must be installed where the backend runs."""
    extra: str = ""
    """The extra of pyproject.toml that brings them; "gpu" stands for all that `make install-gpu` installs."""
    options_of: tuple[str, ...] = ()
    """`module:Class` of what its constructor passes `**options` on to."""
    asks: str = ""
    """Version of the questions that it is asked, of `actors.prompts` or EditScore's; in the fingerprint."""
    pip: tuple[str, ...] = ()
    """Packages of a runtime environment of its own, where they clash with the others'."""


WHERE_OPTIONS = frozenset(
    (
        *("device", "offload", "features_on", "encode_batch", "rows_per_step"),
        *("base_url", "api_key_env", "timeout_s", "max_retries", "max_concurrency", "check"),
        *("tensor_parallel_size", "gpu_memory_utilization"),
    )
)
"""Options that say where and how fast a backend works, not what comes out: no part of the fingerprint, so a
run may continue on another kind of GPU or ask another server for the same model."""
_OURS = f"prompts {PROMPTS_VERSION}"
_EDITSCORE = protocol_version()
_EMBEDDED = "actors.backends.embedded"
_TORCH: dict[str, Any] = {"imports": ("torch", "transformers", "diffusers"), "extra": "gpu"}
BACKENDS: dict[tuple[str, str], BackendSpec] = {
    (spec.role, spec.name): spec
    for spec in (
        BackendSpec(
            "FlowEstimator",
            "embedded",
            f"{_EMBEDDED}.flow:DisFlow",
            "1",
            "Apache-2.0",
            "DIS optical flow of OpenCV with forward/backward check, the subject left out",
        ),
        BackendSpec(
            "VisionLanguageModel",
            "embedded",
            f"{_EMBEDDED}.language:EmbeddedLanguageModel",
            "1",
            "Apache-2.0",
            "SSD MobileNetV2 (COCO), U2-Net-P, MediaPipe selfie models, written rules; no language model",
        ),
        BackendSpec(
            "ImageEditor",
            "embedded",
            f"{_EMBEDDED}.editor:SceneEditor",
            "1",
            "Apache-2.0",
            "procedural scene behind the segmented subject; erases by rendering the scene again",
        ),
        BackendSpec(
            "ImageEditor",
            "embedded_inpaint",
            f"{_EMBEDDED}.remover:InpaintEditor",
            "1",
            "Apache-2.0",
            "as embedded, but erases by SHIFTMAP inpainting",
        ),
        BackendSpec(
            "ImageToVideo",
            "embedded",
            f"{_EMBEDDED}.animator:SceneAnimator",
            "1",
            "Apache-2.0",
            "the procedural scene's own moving layers; image-based motion for foreign pictures",
        ),
        BackendSpec(
            "VideoTracker",
            "embedded",
            f"{_EMBEDDED}.tracker:FlowTracker",
            "1",
            "Apache-2.0",
            "U2-Net-P and MediaPipe selfie models at the anchors, carried by DIS flow as far as it holds",
        ),
        BackendSpec(
            "ControlToVideo",
            "embedded",
            f"{_EMBEDDED}.compositor:SceneCompositor",
            "1",
            "Apache-2.0",
            "a compositor: the source's foreground over the background video, relit",
        ),
        BackendSpec(
            "EditScorer",
            "embedded",
            f"{_EMBEDDED}.scorer:EmbeddedScorer",
            "1",
            "Apache-2.0",
            "measurements of faithfulness and damage; does not judge beauty",
        ),
        BackendSpec(
            "FlowEstimator",
            "raft",
            "actors.backends.raft:Raft",
            "1",
            "BSD-3-Clause",
            "RAFT large, torchvision's",
            num_gpus=0.25,
            seconds=3.5,
            checkpoints={"model": "torchvision/raft_large"},
            **(_TORCH | {"imports": ("torch", "torchvision")}),
        ),
        BackendSpec(
            "FlowEstimator",
            "unimatch",
            "actors.backends.unimatch:UniMatch",
            "1",
            "MIT",
            "UniMatch (GMFlow), ptlflow's network: the paper's coarse camera filter",
            num_gpus=0.25,
            seconds=3.5,
            checkpoints={"model": "autonomousvision/unimatch"},
            **(_TORCH | {"imports": ("torch", "ptlflow")}),
        ),
        BackendSpec(
            "VisionLanguageModel",
            "qwen3_vl",
            "actors.backends.qwen3_vl:QwenLanguageModel",
            "1",
            "Apache-2.0",
            "Qwen3-VL-32B-Instruct of transformers: the paper's",
            num_gpus=1.0,
            seconds=2.5,
            checkpoints={"model": "Qwen/Qwen3-VL-32B-Instruct"},
            asks=_OURS,
            **(_TORCH | {"imports": ("torch", "torchvision", "transformers", "peft")}),
            options_of=(
                "actors.backends.qwen3_vl:QwenChat",
                "actors.backends.prompted:PromptedLanguageModel",
            ),
        ),
        BackendSpec(
            "VisionLanguageModel",
            "openai",
            "actors.backends.openai_endpoint:OpenAILanguageModel",
            "1",
            "of the model served",
            "any OpenAI-compatible endpoint: vLLM, SGLang, Ray Serve LLM, hosted models",
            asks=_OURS,
            imports=("openai",),
            extra="openai",
            options_of=(
                "actors.backends.openai_endpoint:OpenAIChat",
                "actors.backends.prompted:PromptedLanguageModel",
            ),
        ),
        BackendSpec(
            "VisionLanguageModel",
            "vllm",
            "actors.backends.vllm_engine:VllmLanguageModel",
            "1",
            "Apache-2.0",
            "Qwen3-VL-32B-Instruct in vLLM inside the actor, in a runtime environment of its own",
            num_gpus=1.0,
            seconds=1.0,
            checkpoints={"model": "Qwen/Qwen3-VL-32B-Instruct"},
            asks=_OURS,
            imports=("vllm",),
            extra="vllm",
            pip=("vllm==0.32.0",),
            options_of=(
                "actors.backends.vllm_engine:VllmChat",
                "actors.backends.prompted:PromptedLanguageModel",
            ),
        ),
        BackendSpec(
            "ImageEditor",
            "flux2_klein",
            "actors.backends.flux2_klein:Flux2Klein",
            "1",
            "flux-non-commercial",
            "FLUX.2 [klein] 9B of diffusers: the paper's; the 4B of the option `model` is Apache-2.0",
            num_gpus=0.5,
            seconds=1.4,
            checkpoints={"model": "black-forest-labs/FLUX.2-klein-9B"},
            asks=_OURS,
            **_TORCH,
        ),
        BackendSpec(
            "ImageToVideo",
            "wan22_i2v",
            "actors.backends.wan22_i2v:Wan22ImageToVideo",
            "1",
            "Apache-2.0",
            "Wan2.2-I2V-A14B of diffusers: the paper's; 40 steps, 4 with the option `lightx2v`",
            num_gpus=1.0,
            seconds=1031.0,
            checkpoints={"model": "Wan-AI/Wan2.2-I2V-A14B-Diffusers"},
            **_TORCH,
        ),
        BackendSpec(
            "VideoTracker",
            "sam2",
            "actors.backends.sam2_tracker:Sam2Tracker",
            "1",
            "Apache-2.0",
            "SAM 2.1 large of the package sam2, features encoded once for all passes",
            num_gpus=0.25,
            seconds=7.2,
            checkpoints={"model": "facebook/sam2.1-hiera-large"},
            **(_TORCH | {"imports": (*_TORCH["imports"], "sam2")}),
        ),
        BackendSpec(
            "VideoTracker",
            "sam3",
            "actors.backends.sam3_tracker:Sam3Tracker",
            "1",
            "sam-licence",
            "SAM 3's tracker of transformers, boxes as instances: the paper's",
            num_gpus=0.5,
            seconds=7.7,
            checkpoints={"model": "facebook/sam3"},
            imports=("torch", "torchvision", "transformers"),
            extra="sam3",
        ),
        BackendSpec(
            "ControlToVideo",
            "wan22_fun_control",
            "actors.backends.wan22_fun_control:Wan22FunControl",
            "1",
            "Apache-2.0",
            "Wan2.2-Fun-A14B-Control: the paper's",
            num_gpus=1.0,
            seconds=1398.0,
            checkpoints={
                "model": "alibaba-pai/Wan2.2-Fun-A14B-Control",
                "components": "Wan-AI/Wan2.2-I2V-A14B-Diffusers",
            },
            **_TORCH,
        ),
        BackendSpec(
            "ControlToVideo",
            "wan_vace",
            "actors.backends.wan_vace:WanVace",
            "1",
            "Apache-2.0",
            "Wan2.1-VACE-14B of diffusers, the second choice",
            num_gpus=1.0,
            seconds=1320.0,
            checkpoints={"model": "Wan-AI/Wan2.1-VACE-14B-diffusers"},
            **_TORCH,
        ),
        BackendSpec(
            "EditScorer",
            "editscore",
            "actors.backends.editscore:EditScore",
            "1",
            "Apache-2.0",
            "EditScore on Qwen3-VL-8B with its LoRA, four passes: the paper's",
            asks=_EDITSCORE,
            num_gpus=0.5,
            seconds=38.6,
            checkpoints={
                "model": "Qwen/Qwen3-VL-8B-Instruct",
                "adapter": "EditScore/EditScore-Qwen3-VL-8B-Instruct",
            },
            **(_TORCH | {"imports": ("torch", "torchvision", "transformers", "peft", "editscore")}),
            options_of=("actors.backends.qwen3_vl:QwenChat",),
        ),
        BackendSpec(
            "EditScorer",
            "editscore_openai",
            "actors.backends.editscore:EditScoreEndpoint",
            "1",
            "of the model served",
            "EditScore's protocol over an OpenAI-compatible endpoint",
            asks=_EDITSCORE,
            imports=("openai", "editscore"),
            extra="gpu",
            options_of=("actors.backends.openai_endpoint:OpenAIChat",),
        ),
    )
}


@dataclass(frozen=True)
class Weights:
    """A folder, mirror or repository that a backend loads, and its revision, None for the pinned one."""

    model: str
    revision: str | None = None


MORE_WEIGHTS = ("adapter", "lightx2v")
"""Options that name weights beside those of `BackendSpec.checkpoints`."""


def named_weights(spec: BackendSpec, options: Mapping[str, Any]) -> dict[str, Weights]:
    """What a backend loads with these options, by the option that names it (or would)."""
    named = {option: options.get(option, repository) for option, repository in spec.checkpoints.items()}
    if spec.checkpoints:
        named |= {option: options[option] for option in MORE_WEIGHTS if option in options}
    return {
        option: Weights(str(model), options.get(revision_option(option)))
        for option, model in named.items()
        if model is not None
    }


def revision_option(option: str) -> str:
    """The option that pins the weights which `option` names."""
    return "revision" if option == "model" else f"{option}_revision"


def weights_of(spec: BackendSpec, options: Mapping[str, Any]) -> tuple[Weights, ...]:
    """What a backend loads with these options."""
    return tuple(named_weights(spec, options).values())


def weight_options(spec: BackendSpec) -> frozenset[str]:
    """Options of a backend that `weights_of` reads: the fingerprint has what they name, with its pin: a
    default that is written out changes nothing.
    """
    if not spec.checkpoints:
        return frozenset()
    names = {*spec.checkpoints, *MORE_WEIGHTS}
    return frozenset(names | {revision_option(name) for name in names})


def backend_spec(role: str, name: str) -> BackendSpec:
    """The named implementation of a role; ConfigError with the nearest name if there is none."""
    try:
        return BACKENDS[role, name]
    except KeyError:
        known = [other for kind, other in BACKENDS if kind == role]
        raise ConfigError(f"{role} has no backend {name!r}{nearest(name, known)}") from None


WORKER_GPUS: ContextVar[float] = ContextVar("WORKER_GPUS", default=1.0)
"""GPUs of the worker that loads a model now; of a fraction, the rest belongs to other workers."""


def load_backend(spec: BackendSpec, options: dict[str, Any], num_gpus: float = 1.0) -> Any:
    """The model, built once a process for equal options, for a worker with `num_gpus` GPUs."""
    token = WORKER_GPUS.set(num_gpus)
    try:
        return _load(spec.target, json.dumps(options, sort_keys=True))
    finally:
        WORKER_GPUS.reset(token)


@functools.cache
def _load(target: str, options: str) -> Any:
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)(**json.loads(options))
