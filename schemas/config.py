"""The run's configuration: strict pydantic models; an unknown key is an error that names the nearest key.

What a reader gets wrong: an actor's own knobs are declared at the top of the actor (a subclass of
`ActorConfig`), and `actors.pipeline.resolve` checks them; this module only knows what every actor has.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schemas.records import THEMES


class ConfigError(Exception):
    """The configuration cannot be used; the message names the key and what would be right."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ActorConfig(Strict):
    """What every actor has. Thresholds are fields `min_*` / `max_*` of the subclasses; None switches a gate
    off.
    """

    backend: str = Field("embedded", description="implementation of the actor's role, a name of BACKENDS")
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the backend")
    batch_size: int = Field(1, ge=1, description="samples a call; one journal part is written a call")
    pool_size: int | None = Field(
        None, ge=1, description="workers of this actor's pool; None: a share of the GPUs, one without GPU"
    )
    num_gpus: float | None = Field(
        None, ge=0, description="GPUs a worker takes, may be a fraction; None: as its backend says"
    )
    sample_timeout_s: float | None = Field(
        None,
        gt=0,
        description="seconds a sample may take before its worker is ended and it is failed; None: off",
    )


class ReleaseConfig(Strict):
    shard_bytes: int = Field(5_000_000_000, ge=1, description="a tar part is cut before it exceeds this size")
    task_bytes: int = Field(
        256 << 20,
        ge=0,
        description="more than one part and this many bytes to write: as Ray tasks, where a Ray is up",
    )
    previews: int = Field(100, ge=0, description="uncompressed samples a theme, in id order")
    license: str = Field("cc-by-4.0", description="licence of the release, as a hub's card names it")
    pretty_name: str = "Sparkle"
    allow: tuple[str, ...] | None = Field(
        None,
        description="licences that the release may hold, of sources and of models that bind what they make; "
        "`not-stated` for sources without one; None: all",
    )


class RunConfig(Strict):
    """One file of `configs/`; `actors` is checked by `actors.pipeline.resolve`."""

    name: str = Field(
        "Sparkle",
        pattern=r"^[A-Za-z0-9]+$",
        max_length=32,  # a plain tar header holds names of 100 bytes
        description="first part of every sample id",
    )
    seed: int = Field(42, ge=0)
    themes: tuple[str, ...] = ("location", "season", "time", "style")
    execution: Literal["functions", "pools"] = Field(
        "functions",
        description="functions: Ray Data fuses actors without GPU into one operator, those with GPU get "
        "pools; pools: one actor pool each",
    )
    gpus: int | None = Field(
        None,
        ge=0,
        description="GPUs to plan with, and to start Ray with where no cluster is named; None: those of the "
        "cluster, or what its autoscaler may grow to, or this machine's",
    )
    wave_sources: int = Field(2000, ge=1, description="sources that stream at once before the next wave")
    max_failures: int = Field(3, ge=1, description="a failed sample is tried again by later runs until then")
    release: ReleaseConfig = ReleaseConfig()
    actors: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @field_validator("themes")
    @classmethod
    def _known_themes(cls, themes: tuple[str, ...]) -> tuple[str, ...]:
        for theme in themes:
            if theme not in THEMES:
                raise ValueError(f"unknown theme {theme!r}{nearest(theme, THEMES)}")
        if not themes or len(set(themes)) != len(themes):
            raise ValueError("themes must name at least one theme, each once")
        return themes


def nearest(key: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for a misspelt key, otherwise the list of what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}"


Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], raw: Mapping[str, Any], where: str) -> Model:
    """`raw` as `model`; ConfigError names the key below `where`, what was found and what would be right."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(model, where, item) for item in error.errors())) from None


def _explain(model: type[BaseModel], where: str, item: Any) -> str:
    path = [str(part) for part in item["loc"]]
    name = ".".join([where, *path] if where else path)
    if item["type"] != "extra_forbidden":
        return f"{name}: {item['msg']} (found {item['input']!r})"
    for part in path[:-1]:
        annotation = model.model_fields[part].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
    return f"{name}: unknown key{nearest(path[-1], model.model_fields)}"
