"""`python -m ray_jobs models`: which backends there are, what they need, and whether it is here.

What a reader gets wrong: nothing is loaded to find that out. Packages are looked up by name and weights by
folder, on this machine: the workers of a cluster have their own.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from actors.backends import BACKENDS, BackendSpec, Weights, weights_of
from actors.backends.catalogue import CHECKPOINTS
from actors.backends.checkpoints import (
    MIRROR,
    CheckpointError,
    checkpoint_folder,
    folder_identity,
    refuse_commit,
    require_safetensors,
)
from actors.pipeline import UNPINNED, PlannedActor, resolve
from ray_jobs.licences import weights_licence
from schemas.config import ConfigError, RunConfig, nearest


@dataclass(frozen=True)
class Choice:
    """A backend with the weights that it loads."""

    spec: BackendSpec
    weights: tuple[Weights, ...]
    actors: tuple[str, ...]
    """Of the config, that use it so; none: the config does not choose it."""


def choices(config: RunConfig, names: Sequence[str] = ()) -> list[Choice]:
    """Every backend, as the config uses it or else with its defaults; `names` leaves the others out.

    Raises:
        ConfigError: an unknown backend, with the nearest name.
    """
    known = {name for _, name in BACKENDS}
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no backend {name!r}{nearest(name, known)}")
    planned = resolve(config)
    found = []
    for spec in BACKENDS.values():
        users: dict[tuple[Weights, ...], list[str]] = {}
        for item in planned:
            if item.backend == spec:
                users.setdefault(weights_of(spec, item.config.options), []).append(item.name)
        if not users:
            users[weights_of(spec, {})] = []
        found += [Choice(spec, weights, tuple(actors)) for weights, actors in users.items()]
    return [choice for choice in found if not names or choice.spec.name in names]


def missing_packages(spec: BackendSpec) -> list[str]:
    """The modules that a backend imports and that are not installed here."""
    return [name for name in spec.imports if importlib.util.find_spec(name.split(".")[0]) is None]


def place_of(weights: Weights) -> Path:
    """The folder with the weights; CheckpointError where they are not here, or not whole."""
    folder = checkpoint_folder(weights.model, weights.revision)
    require_safetensors(folder)
    return folder


def require_weights(planned: Sequence[PlannedActor]) -> None:
    """Raises ConfigError with everything that the actors' backends would not find on this machine."""
    missing: dict[str, str] = {}
    for item in planned:
        for weights in weights_of(item.backend, item.config.options) if item.backend else ():
            try:
                if weights.model.startswith(MIRROR):  # copied when it is loaded
                    refuse_commit(weights.model, weights.revision)
                else:
                    place_of(weights)
            except CheckpointError as error:
                missing[weights.model] = str(error)
    if missing:
        raise ConfigError("\n".join(missing.values()))


def say_unpinned(planned: Sequence[PlannedActor], console: Console) -> None:
    """Names the weights of which nothing says which they are: each worker loads what it has of them."""
    words = {word for item in planned for word in item.recipe.get("weights", ()) if word.endswith(UNPINNED)}
    if words:
        names = ", ".join(sorted(word.removesuffix(UNPINNED) for word in words))
        console.print(
            f"no revision pins {names}, and this machine has none to go by: each worker loads what it has; "
            "`models --fetch` prints the revision, for the config",
            style="yellow",
            markup=False,
            highlight=False,
        )


def print_models(found: Sequence[Choice], console: Console) -> None:
    """One row a backend; `*` marks those that the config chooses."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "role", "backend", "licence", "packages", "weights", "where"):
        table.add_column(name, overflow="fold")
    for name in ("GiB to fetch", "GPUs", "GPU GiB"):
        table.add_column(name, justify="right")
    for choice in found:
        for row in _rows(choice):
            table.add_row(*row)
    console.print(table, markup=False)
    chosen = {item for choice in found if choice.actors for item in choice.weights}
    lacking = [CHECKPOINTS[item.model] for item in chosen if item.model in CHECKPOINTS and not _is_here(item)]
    gib = sum(entry.download_gib for entry in lacking)
    console.print(
        f"* chosen by the config, which lacks {gib:.1f} GiB of weights. GPU GiB: what a "
        "worker asks for at the default options.",
        style="dim",
        highlight=False,
    )


def _rows(choice: Choice) -> Iterator[tuple[str, ...]]:
    spec = choice.spec
    known = [CHECKPOINTS[item.model] for item in choice.weights if item.model in CHECKPOINTS]
    head = ("*" if choice.actors else "", spec.role, spec.name, _licence(choice), _packages(spec))
    memory = f"{max(item.gpu_gib for item in known):g}" if known else "-"
    tail = (f"{spec.num_gpus:g}" if spec.num_gpus else "-", memory)
    if not choice.weights:
        yield (*head, "-", "-", "-", *tail)
    for number, weights in enumerate(choice.weights):
        entry = CHECKPOINTS.get(weights.model)
        size = f"{entry.download_gib:g}" if entry else "?"
        row = (weights.model, _where(weights), size)
        yield (*head, *row, *tail) if number == 0 else ("",) * len(head) + row + ("", "")


def _licence(choice: Choice) -> str:
    """Of the weights that are chosen."""
    models = [weights.model for weights in choice.weights]
    gated = any(entry.gated for model in models if (entry := CHECKPOINTS.get(model)))
    return weights_licence(choice.spec, models) + (", gated" if gated else "")


def _packages(spec: BackendSpec) -> str:
    if spec.pip:
        return f"in an environment of its own: {' '.join(spec.pip)}"
    gone = missing_packages(spec)
    if not gone:
        return "installed"
    # sam2 is built against torch, and two packages come without their own pins: more than one pip line
    how = "make install-gpu" if spec.extra == "gpu" else f"pip install -e '.[{spec.extra}]'"
    return f"{', '.join(gone)} missing: {how}"


def _where(weights: Weights) -> str:
    if weights.model.startswith(MIRROR):
        return "a mirror, copied when it is first used"
    return str(place_of(weights)) if _is_here(weights) else "not here"


def _is_here(weights: Weights) -> bool:
    try:
        place_of(weights)
    except CheckpointError:
        return False
    return True


def fetch_models(found: Sequence[Choice], console: Console) -> None:
    """Gets what the chosen backends lack, and prints what each one's revision is.

    Raises:
        CheckpointError: some cannot be had, each with its reason, after all the others were fetched.
    """
    failed = []
    for weights in dict.fromkeys(item for choice in found for item in choice.weights):
        try:
            folder, word = _fetched(weights, console)
        except CheckpointError as error:
            failed.append(str(error))
            continue
        console.print(f"{weights.model} {word}: {folder}", markup=False, highlight=False, soft_wrap=True)
        console.print(f"  revision: {folder_identity(folder)}", markup=False, highlight=False)
    if failed:
        raise CheckpointError("\n".join(failed))


def _fetched(weights: Weights, console: Console) -> tuple[Path, str]:
    """The folder with the weights, and whether they were there."""
    if _is_here(weights):
        return place_of(weights), "is here"
    # huggingface_hub, and torch for weights that are published as pickles
    from actors.backends.fetching import fetch

    entry = CHECKPOINTS.get(weights.model)
    size = f", {entry.download_gib:g} GiB, licence {entry.licence}" if entry else ""
    console.print(f"fetching {weights.model}{size}", markup=False, highlight=False)
    folder = fetch(weights.model, weights.revision)
    require_safetensors(folder)
    return folder, "fetched"
