"""From a config file and `--set` to a checked RunConfig.

What a reader gets wrong: `--set ACTOR.knob=value` sets a knob of an actor, `--set key=value` one of the run;
both are checked before anything starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from actors.pipeline import PIPELINE, resolve
from schemas.config import ConfigError, RunConfig, nearest, validated

DEFAULT_CONFIG = Path("configs/embedded.yaml")
_ACTORS = tuple(actor.__name__ for actor in PIPELINE)


def load_config(path: Path, sets: Sequence[str] = (), themes: Sequence[str] = ()) -> RunConfig:
    """The file, then `--set`, then `--themes`; every key checked.

    Raises:
        ConfigError: no such file, no YAML mapping, or an unknown or unusable key, with the nearest key.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"config {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {path} is not YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"config {path} must hold keys and values, found {type(raw).__name__}")
    return apply(_unshared(raw), sets, themes)


def _unshared(node: Any) -> Any:
    """A copy in which YAML's anchors are copies too, so that `--set` on one actor changes no other."""
    if isinstance(node, dict):
        return {key: _unshared(value) for key, value in node.items()}
    return [_unshared(value) for value in node] if isinstance(node, list) else node


def apply(raw: dict[str, Any], sets: Sequence[str], themes: Sequence[str] = ()) -> RunConfig:
    """`--set` and `--themes` on top of a config as a mapping."""
    for item in sets:
        _set(raw, item)
    if themes:
        raw["themes"] = list(themes)
    config = validated(RunConfig, raw, "")
    resolve(config)
    return config


def _set(raw: dict[str, Any], item: str) -> None:
    key, equals, text = item.partition("=")
    if not equals:
        raise ConfigError(f"--set {item}: write --set key=value")
    path = key.strip().split(".")
    if path[0] in _ACTORS:
        path = ["actors", *path]
    elif path[0] not in RunConfig.model_fields:
        raise ConfigError(f"--set {key}: unknown key{nearest(path[0], (*_ACTORS, *RunConfig.model_fields))}")
    for part in path[:-1]:
        raw = raw.setdefault(part, {})
        if not isinstance(raw, dict):
            raise ConfigError(f"--set {key}: {part} has no keys below it")
    try:
        raw[path[-1]] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {item}: {text!r} is no YAML value; quote what is text") from None


def print_knobs(console: Console) -> None:
    """Every knob of every actor with default and meaning."""
    table = Table("actor", "knob", "default", "meaning", box=None, pad_edge=False)
    for actor in PIPELINE:
        for name, info in actor.Config.model_fields.items():
            table.add_row(
                actor.__name__, name, repr(info.get_default(call_default_factory=True)), info.description
            )
    console.print(table, markup=False)
