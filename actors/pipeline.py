"""The pipeline on one screen: the actors in order, their resolved configs, and the checks before any worker
starts.

What a reader gets wrong: order matters. An actor may read only what a source brings or an actor above it
adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actors.backends import WHERE_OPTIONS, BackendSpec, backend_spec, load_backend, weight_options, weights_of
from actors.backends.catalogue import CHECKPOINTS
from actors.backends.options import check_options
from actors.base import Actor, fingerprint
from actors.ingest import Ingest
from actors.stage1_camera import CameraMotionFilter, StaticCameraJudge
from actors.stage2_first_frame import EditedFrameScorer, FirstFrameEditor, InstructionWriter
from actors.stage3_background import (
    BackgroundAnimator,
    CleanBackgroundScorer,
    ForegroundGrounder,
    ForegroundRemover,
)
from actors.stage4_tracking import AnchorGrounder, ForegroundTracker
from actors.stage5_synthesis import EditedVideoScorer, GuidanceComposer, VideoGenerator
from schemas.config import ActorConfig, ConfigError, RunConfig, nearest, validated
from schemas.gates import Step, Thresholds

PIPELINE: tuple[type[Actor[Any]], ...] = (
    Ingest,
    CameraMotionFilter,
    StaticCameraJudge,
    # fan-out: each source becomes one sample a theme
    InstructionWriter,
    FirstFrameEditor,
    EditedFrameScorer,
    ForegroundGrounder,
    ForegroundRemover,
    CleanBackgroundScorer,
    BackgroundAnimator,
    AnchorGrounder,
    ForegroundTracker,
    GuidanceComposer,
    VideoGenerator,
    EditedVideoScorer,
)
STEPS: tuple[Step, ...] = tuple(actor.step() for actor in PIPELINE)
BROUGHT = frozenset(
    (
        "source_id",
        "source_uri",
        "edit_type",
        "chosen_keyword",
        "given_prompt",
        "licence",
        "reference_edit_uri",
    )
)
"""Columns that planning fills before the first actor."""


UNPINNED = "@unpinned"
"""In an actor's revision, behind weights of which neither config nor table says which they are."""


@dataclass(frozen=True)
class PlannedActor:
    """An actor with everything that its worker needs to be built; pickled to the workers."""

    actor: type[Actor[Any]]
    config: ActorConfig
    backend: BackendSpec | None
    recipe: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.actor.__name__

    @property
    def num_gpus(self) -> float:
        """GPUs that one worker takes."""
        if self.config.num_gpus is not None:
            return self.config.num_gpus
        return self.backend.num_gpus if self.backend else 0.0

    @property
    def seconds(self) -> float:
        """What a sample takes on one GPU, as measured, published or estimated."""
        return self.backend.seconds * self.actor.model_calls if self.backend else 0.0

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.recipe)

    def build(self) -> Actor[Any]:
        """The actor with its model loaded; equal backends share one model in a process."""
        model = None
        if self.backend is not None:
            model = load_backend(self.backend, self.config.options, self.num_gpus)
        return self.actor(self.config, model)


def resolve(config: RunConfig) -> tuple[PlannedActor, ...]:
    """Every actor with its checked config and backend.

    Raises:
        ConfigError: an unknown actor, knob or backend, with the nearest name.
    """
    names = [actor.__name__ for actor in PIPELINE]
    for name in config.actors:
        if name not in names:
            raise ConfigError(f"actors.{name}: unknown actor{nearest(name, names)}")
    planned = []
    for actor in PIPELINE:
        knobs = validated(actor.Config, config.actors.get(actor.__name__, {}), f"actors.{actor.__name__}")
        spec = backend_spec(actor.role, knobs.backend) if actor.role else None
        if spec is not None:
            check_options(spec, knobs.options, f"actors.{actor.__name__}")
        recipe = actor.recipe(knobs, revision(spec, knobs) if spec else "", config.seed)
        elsewhere = WHERE_OPTIONS | (weight_options(spec) if spec else frozenset())
        recipe["options"] = {key: value for key, value in knobs.options.items() if key not in elsewhere}
        if spec is not None and spec.checkpoints:
            recipe["weights"] = pinned_weights(spec, knobs)
        item = PlannedActor(actor, knobs, spec, recipe)
        check_gpus(item)
        planned.append(item)
    check_plan(planned)
    return tuple(planned)


def check_gpus(item: PlannedActor) -> None:
    """ConfigError where Ray would never place a worker, or a model is to be spread over more GPUs than a
    worker has.
    """
    if item.num_gpus > 1 and item.num_gpus != int(item.num_gpus):
        raise ConfigError(
            f"actors.{item.name}: num_gpus {item.num_gpus:g}: a worker takes a part of one GPU or whole ones"
        )
    spread = item.config.options.get("tensor_parallel_size") or 1
    if spread > max(1.0, item.num_gpus):
        raise ConfigError(
            f"actors.{item.name}: tensor_parallel_size {spread} needs num_gpus {spread}, "
            f"and a worker has {item.num_gpus:g}"
        )


def pinned_weights(spec: BackendSpec, config: ActorConfig) -> list[str]:
    """The weights behind an actor's results as `repository@commit`, or with `UNPINNED`."""
    words = []
    for weights in weights_of(spec, config.options):
        which = weights.revision or pin_of(weights.model)
        words.append(f"{weights.model}@{which}" if which else f"{weights.model}{UNPINNED}")
    return words


def pin_of(model: str) -> str:
    """The commit or digest that the table pins for a repository; empty without one."""
    known = CHECKPOINTS.get(model)
    if known is None:
        return ""
    return known.revision or (known.published.sha256[:12] if known.published else "")


def revision(spec: BackendSpec, config: ActorConfig) -> str:
    """What made an actor's results, as fingerprint and manifest have it: our code's revision, the weights,
    the version of the questions.
    """
    words = [spec.revision, *pinned_weights(spec, config)]
    if spec.asks:
        words.append(spec.asks)
    return " ".join(words)


def check_plan(planned: list[PlannedActor]) -> None:
    """Every column that an actor reads is there before it, no column is added twice, sources come before
    samples.
    """
    there = set(BROUGHT)
    samples_began = False
    for item in planned:
        actor = item.actor
        for name in actor.reads:
            if name not in there:
                raise ConfigError(f"{item.name} reads {name!r}, which nothing before it adds")
        for name in actor.adds:
            if name in there:
                raise ConfigError(f"{item.name} adds {name!r}, which is there already")
        there.update(actor.adds)
        if samples_began and actor.keyed == "source":
            raise ConfigError(f"{item.name} works on sources but comes after actors that work on samples")
        samples_began |= actor.keyed == "sample"


def thresholds(planned: tuple[PlannedActor, ...]) -> Thresholds:
    """Every gate's threshold, by gate name."""
    return {name: value for item in planned for name, value in item.actor.thresholds(item.config).items()}
