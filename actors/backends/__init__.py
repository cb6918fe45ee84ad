"""Implementations of the roles, one file a model family; heavy libraries are imported there only, on the
worker.

What a reader gets wrong: this table is data. Naming a backend imports nothing; `load_backend` does, once a
process.
"""

from __future__ import annotations

import functools
import importlib
import json
from dataclasses import dataclass
from typing import Any

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
    """GPU seconds a sample on an H100 at 720p and 81 frames, for the plan; `docs/backends.md` has sources."""
    checkpoints: tuple[str, ...] = ()
    """Repositories of `CHECKPOINTS` that the backend loads unless an option names others."""
    imports: tuple[str, ...] = ()
    """Modules beyond the light set that must be installed where the backend runs."""
    extra: str = ""
    """The extra of pyproject.toml that brings them."""
    prompted: bool = False
    """Whether its answers depend on `actors.prompts`, whose version then is part of the fingerprint."""
    pip: tuple[str, ...] = ()
    """Packages of a runtime environment of its own, where they clash with the others'."""


_EMBEDDED = "actors.backends.embedded"
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
    )
}


def backend_spec(role: str, name: str) -> BackendSpec:
    """The named implementation of a role; ConfigError with the nearest name if there is none."""
    try:
        return BACKENDS[role, name]
    except KeyError:
        known = [other for kind, other in BACKENDS if kind == role]
        raise ConfigError(f"{role} has no backend {name!r}{nearest(name, known)}") from None


def load_backend(spec: BackendSpec, options: dict[str, Any]) -> Any:
    """The model, built once a process for equal options."""
    return _load(spec.target, json.dumps(options, sort_keys=True))


@functools.cache
def _load(target: str, options: str) -> Any:
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)(**json.loads(options))
