"""What was taken down from a root: `journal/removed/`, one record a source or sample.

What a reader gets wrong: the record is the removal. It is written before anything is deleted and never goes
away, so no later run takes the source up again, in any theme, whatever its list says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from actors.store import Store

REMOVED = "journal/removed"
REMAKING = "remaking"
"""Folder of `regenerate`'s own journal and artifacts (`ray_jobs.remake`); a takedown empties it."""


def again_folder(run: int) -> str:
    """Where the artifacts lie that this run, a `regenerate`, made and that came out with other bytes."""
    return f"artifacts/again-{run:06d}"


@dataclass(frozen=True)
class Removed:
    """Names of what was taken down."""

    sources: frozenset[str]
    """Source keys: all samples of these, also those that are planned later."""
    samples: frozenset[str]

    def of(self, samples: pa.Table) -> npt.NDArray[np.bool_]:
        """Which rows of the sample table (columns sample_id, source_key) were taken down."""
        found = np.zeros(samples.num_rows, dtype=bool)
        for column, names in (("source_key", self.sources), ("sample_id", self.samples)):
            if names:
                values = pa.array(sorted(names), pa.string())
                found |= pc.is_in(samples[column], value_set=values).to_numpy(zero_copy_only=False)
        return found


def record_key(kind: str, name: str) -> str:
    """Key of the record of one removal; `kind` is `source` or `sample`, `name` its key."""
    return f"{REMOVED}/{kind}/{name}.json"


def read_removed(store: Store) -> Removed:
    """Everything that was taken down; only the names of the records are read."""
    names: dict[str, set[str]] = {"source": set(), "sample": set()}
    for key in store.keys(REMOVED):
        path = PurePosixPath(key)
        if path.parent.name in names and path.suffix == ".json":
            names[path.parent.name].add(path.stem)
    return Removed(frozenset(names["source"]), frozenset(names["sample"]))


def record_removal(store: Store, kind: str, name: str, facts: Mapping[str, Any]) -> bool:
    """Write the record; False if it was there."""
    data = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    return store.put_bytes_if_absent(record_key(kind, name), data).won
