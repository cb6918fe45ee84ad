"""Which weights a root is made with, where its config does not say.

What a reader gets wrong: nothing is fetched here. A run takes what lies on this machine and writes down which
that is, so that its workers, later runs and `regenerate` load the same or are refused.
"""

from __future__ import annotations

from actors.backends import Weights, named_weights, revision_option
from actors.backends.checkpoints import MIRROR, CheckpointError, folder_identity, is_exact
from actors.pipeline import pin_of, resolve
from ray_jobs.models import place_of
from schemas.config import RunConfig


def pin_weights(config: RunConfig, before: RunConfig | None) -> RunConfig:
    """The config with a revision for all weights that neither it nor the table of checkpoints pins.

    It is that of the root's run before, if that loaded weights of this name for the same actor; otherwise the
    commit in this machine's cache, or the digest of a local folder. A branch or a tag becomes the commit that
    it names here. Mirrors, and weights that are not on this machine, stay as they are.
    """
    known = _weights(before) if before else {}
    actors = {name: dict(knobs) for name, knobs in config.actors.items()}
    for (name, option), weights in _weights(config).items():
        if is_exact(weights.revision) if weights.revision else pin_of(weights.model):
            continue
        earlier = known.get((name, option))
        if earlier and earlier.model == weights.model and not weights.revision:
            pin = earlier.revision
        else:
            pin = _found_here(weights)
        if pin:
            options = actors[name].get("options") or {}
            actors[name]["options"] = {**options, revision_option(option): pin}
    return config.model_copy(update={"actors": actors})


def _weights(config: RunConfig) -> dict[tuple[str, str], Weights]:
    """By actor and option."""
    return {
        (item.name, option): weights
        for item in resolve(config)
        if item.backend is not None
        for option, weights in named_weights(item.backend, item.config.options).items()
    }


def _found_here(weights: Weights) -> str | None:
    if weights.model.startswith(MIRROR):
        return None
    try:
        return folder_identity(place_of(weights))
    except CheckpointError:
        return None
