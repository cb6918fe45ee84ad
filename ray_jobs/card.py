"""The release's README card: front matter for a hub's viewer, funnel, how to load, licences, backends.

What a reader gets wrong: the card holds no date, host or attempt, since the release's bytes are a function of
what was accepted; those are in the manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jinja2
import pyarrow as pa

from actors.pipeline import PlannedActor, thresholds
from ray_jobs.licences import backend_licence
from schemas.columns import INTERMEDIATES
from schemas.config import ReleaseConfig
from schemas.gates import GATES
from schemas.manifest import Funnel

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def card_text(
    config: ReleaseConfig, planned: Sequence[PlannedActor], funnels: Sequence[Funnel], accepted: pa.Table
) -> str:
    """The card; `accepted` has the column `licence`, one row an accepted sample."""
    count = accepted.num_rows
    configs = [funnel.theme for funnel in funnels if funnel.accepted]
    limits = thresholds(tuple(planned))
    return _template().render(
        license=config.license,
        pretty_name=config.pretty_name,
        size_category=next((name for limit, name in _SIZES if count < limit), "1M<n<10M"),
        configs=configs,
        accepted=count,
        funnels=funnels,
        removed=any(funnel.removed for funnel in funnels),
        allow=None if config.allow is None else [_cell(name) for name in config.allow],
        thresholds=[(gate.name, limits[gate.name]) for gate in GATES],
        backends=[_backend(item) for item in planned],
        embedded=any(item.backend is not None and item.backend.name == "embedded" for item in planned),
        previews=config.previews,
        shard_bytes=f"{config.shard_bytes:,}",
        intermediates=[f"`{name}`" for name in INTERMEDIATES],
        example=configs[0] if configs else "location",
        licences=_licences(accepted),
        openve="openve3m" in configs,
    )


def _backend(item: PlannedActor) -> dict[str, str]:
    if item.backend is None:
        return {"actor": item.name, "backend": "-", "revision": "-", "licence": "-", "about": "no model"}
    spec = item.backend
    return {
        "actor": item.name,
        "backend": spec.name,
        "revision": spec.revision,
        "licence": backend_licence(item.recipe) or "-",
        "about": spec.about,
    }


def _licences(accepted: pa.Table) -> list[tuple[str, int]]:
    counts = accepted.group_by("licence").aggregate([([], "count_all")]).to_pylist()
    named = [(_cell(row["licence"]) or "not stated", row["count_all"]) for row in counts]
    return sorted(named)


def _cell(text: str | None) -> str:
    """Text from a source list, fit for a table cell."""
    return " ".join((text or "").replace("|", "/").split())


def _template() -> jinja2.Template:
    text = Path(__file__).with_name("card.md.j2").read_text("utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(text)
