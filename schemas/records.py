"""Identity of sources and samples, seeds, and the row that travels through Ray Data.

What a reader gets wrong: a row never holds media, only words, numbers and boxes, so it is cheap to copy; and
its `done` list is a statement about the journal, not about this process.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from schemas.columns import MEDIA, MediaColumn

Status = Literal["live", "accepted", "rejected", "failed", "removed"]
THEMES: tuple[str, ...] = ("location", "season", "time", "style", "openve3m")
"""Editing themes in published order; `openve3m` brings its own prompts."""


def source_key(source_id: int) -> str:
    """Key of a source in the journal, six digits at least: `000007`."""
    return f"{source_id:06d}"


def sample_id(name: str, edit_type: str, source_id: int) -> str:
    """Published id of a sample: `Sparkle_location_000007`."""
    return f"{name}_{edit_type}_{source_id:06d}"


def seed_for(run_seed: int, key: str, actor: str) -> int:
    """Seed of one actor's work on one sample, 0..2**63-1: the same on every worker and in every retry."""
    digest = hashlib.sha256(f"{run_seed}\0{key}\0{actor}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class Artifact:
    """One stored media file. `path` is relative to the artifact store, always with `/`."""

    column: str
    path: str
    size_bytes: int
    sha256: str


def artifact_path(column: MediaColumn, key: str, edit_type: str | None, name: str) -> str:
    """Where an artifact lives below `artifacts/`: the release's own path, or `sources/` for what is one a
    source.
    """
    if column.keyed == "source":
        return f"sources/{column.name}/{name}_source_{key}.{column.extension}"
    return release_path(column.name, key, str(edit_type))


def release_path(column: str, sample: str, edit_type: str) -> str:
    """Path of a sample's media file in the release (and, for sample media, in the artifact store)."""
    media = MEDIA[column]
    prefix = f"{media.folder}/" if media.folder else ""
    return f"{prefix}{edit_type}/{column}/{sample}.{media.extension}"


@dataclass
class Row:
    """What travels through Ray Data: a source with its planned samples, after the fan-out one sample."""

    key: str
    values: dict[str, Any]
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    """Actors whose result for this key is journaled already."""
    samples: list[Row] = field(default_factory=list)
    """Before the fan-out: the samples of this source that are live."""

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Row:
        return cls._from_dict(json.loads(text))

    @classmethod
    def _from_dict(cls, raw: dict[str, Any]) -> Row:
        return cls(
            key=raw["key"],
            values=raw["values"],
            artifacts={name: Artifact(**artifact) for name, artifact in raw["artifacts"].items()},
            done=raw["done"],
            samples=[cls._from_dict(sample) for sample in raw["samples"]],
        )

    def fan_out(self) -> list[Row]:
        """One row a sample, each with what is known of its source."""
        return [
            Row(
                key=sample.key,
                values={**self.values, **sample.values},
                artifacts={**self.artifacts, **sample.artifacts},
                done=[*self.done, *sample.done],
            )
            for sample in self.samples
        ]
