"""Which licences bear on a sample: that of its source and those of the models that made it.

What a reader gets wrong: a model's licence counts only where it reaches what the model makes
(`schemas.licences.reaches_outputs`): Apache-2.0 or MIT weights do not, a non-commercial licence does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from actors.backends import BACKENDS, BackendSpec
from actors.backends.catalogue import CHECKPOINTS
from actors.pipeline import PIPELINE
from schemas.config import ConfigError, nearest
from schemas.gates import Rows, Step
from schemas.licences import EXAMPLES, UNSTATED, allowed, conditions, normalised, reaches_outputs, stricter

_ROLES = {actor.__name__: actor.role for actor in PIPELINE}
UNKNOWN = "unknown"


def backend_licence(recipe: Mapping[str, Any]) -> str | None:
    """The licence of the model behind a recipe, as the tables of backends and checkpoints state it.

    None for an actor without a model; `unknown` for a backend or for weights that are in neither table.
    """
    role = _ROLES.get(str(recipe.get("actor")))
    if role is None:
        return None
    spec = BACKENDS.get((role, str(recipe.get("backend"))))
    if spec is None:
        return UNKNOWN
    return weights_licence(spec, [word.rpartition("@")[0] for word in recipe.get("weights") or ()])


def weights_licence(spec: BackendSpec, models: Collection[str]) -> str:
    """The licence that binds most of those under which a backend's weights are published."""
    if not models:
        return spec.licence
    found = {entry.licence if (entry := CHECKPOINTS.get(model)) else UNKNOWN for model in models}
    return max(found, key=_weight)


def _weight(licence: str) -> tuple[bool, int, str]:
    """The licence that binds most comes last, an unknown one after all."""
    asked = conditions(licence)
    return asked is None, len(asked or ()), licence


def reaching(made_by: Mapping[str, str | None]) -> dict[str, str]:
    """By fingerprint: licences of models that reach what the models make."""
    return {key: licence for key, licence in made_by.items() if licence and reaches_outputs(licence)}


def withheld(
    samples: pa.Table,
    settled: Mapping[str, pa.Table],
    steps: Sequence[Step],
    rows: Rows,
    made_by: Mapping[str, str | None],
    allow: Collection[str],
) -> pa.Array:
    """For every planned sample why `release.allow` keeps it out of the release, in words; null if it does
    not.

    Args:
        samples: the sample table, with `licence`.
        settled, steps, rows: as `schemas.gates.verdicts` gets them.
        made_by: licence of the model by fingerprint (`backend_licence`).
    """
    words = np.full(samples.num_rows, None, dtype=object)
    free = np.ones(samples.num_rows, dtype=bool)
    for licence in pc.unique(samples["licence"]).to_pylist():
        if not allowed(licence, allow):
            mine = (
                pc.is_null(samples["licence"]) if licence is None else pc.equal(samples["licence"], licence)
            )
            found = pc.fill_null(mine, False).to_numpy(zero_copy_only=False)
            words[found] = f"the source's licence {normalised(licence)} is not in release.allow"
            free &= ~found
    barred = {key: name for key, name in reaching(made_by).items() if not allowed(name, allow)}
    for step in steps:
        for licence in sorted(set(barred.values())):
            mine = [key for key, name in barred.items() if name == licence]
            found = free & _made_with(settled.get(step.name), rows[step.name], mine)
            words[found] = f"the licence {licence} of {step.name}'s model is not in release.allow"
            free &= ~found
    return pa.array(words, pa.string())


def refuse_unknown(allow: Collection[str], stated: Collection[str | None]) -> None:
    """Refuse what would empty a release without a word.

    Args:
        stated: licences of the root's sources and models.

    Raises:
        ConfigError: no licence, or one that neither the table nor the root has.
    """
    if not allow:
        raise ConfigError("release.allow names no licence; `--allow all` is every one")
    for word in allow:
        if conditions(word) is None and not any(allowed(licence, [word]) for licence in (*stated, None)):
            known = {*EXAMPLES, UNSTATED, *map(normalised, stated)}
            raise ConfigError(
                f"release.allow {word}: no source and no model here is under it, nor is it in the table of "
                f"licences{nearest(normalised(word), known)}"
            )


def _made_with(
    table: pa.Table | None, row: npt.NDArray[np.int64], fingerprints: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """Which samples an actor made by one of these recipes; none where fingerprints were not read, as for
    planning, which asks what is left to do and not what is accepted.
    """
    if table is None or not table.num_rows or not fingerprints or "fingerprint" not in table.column_names:
        return np.zeros(len(row), dtype=bool)
    made = pc.is_in(table["fingerprint"], value_set=pa.array(sorted(fingerprints), pa.string()))
    return np.asarray(made.to_numpy(zero_copy_only=False)[np.maximum(row, 0)] & (row >= 0))


def warnings(
    accepted: pa.Table,
    models: Mapping[str, str | None],
    release_licence: str,
) -> list[str]:
    """What a publisher should know: licences that ask more than the release's own, and unknown ones.

    Args:
        accepted: column `licence`, one row an accepted sample.
        models: licence of the model of each actor that made them; None where there is none.
    """
    if conditions(release_licence) is None:
        return [f"release.license {release_licence} is in no table, so no licence can be compared with it"]
    counts: dict[str, int] = {}
    for row in accepted.group_by("licence").aggregate([([], "count_all")]).to_pylist():
        counts[normalised(row["licence"])] = counts.get(normalised(row["licence"]), 0) + row["count_all"]
    lines = [
        f"{count} accepted with sources under {licence}{words}"
        for licence, count in sorted(counts.items())
        if (words := _complaint(licence, release_licence))
    ]
    if accepted.num_rows:
        lines += [
            f"{actor} used a model under {licence}{words}"
            for actor, licence in models.items()
            if licence and reaches_outputs(licence) and (words := _complaint(licence, release_licence))
        ]
    return lines


def _complaint(licence: str, release_licence: str) -> str:
    more = stricter(licence, release_licence)
    if more is None:
        return f", which is unknown: read it before you publish under {release_licence}"
    return f", stricter than the release's {release_licence} ({', '.join(more)})" if more else ""
