"""Journal parts: their typed schema, and how rows of many parts, runs and attempts settle into one row a key.

What a reader gets wrong: rows are never updated. A key may have several rows (a failed one and a later good
one, or two good ones after a race); `settle` says which one counts, and says the same in whatever order the
parts are read.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import ARTIFACT, MEDIA, value_type
from schemas.gates import Step

SCHEMA_VERSION = 1

_COMMON = (
    ("key", pa.string()),
    ("run", pa.int32()),
    ("attempt", pa.int32()),
    ("part", pa.string()),
    ("generation", pa.int32()),
    ("fingerprint", pa.string()),
    ("inputs_digest", pa.string()),
    ("seed", pa.int64()),
    ("outcome", pa.string()),
    ("error_class", pa.string()),
    ("error", pa.string()),
    ("elapsed_s", pa.float64()),
    ("cpu_s", pa.float64()),
    ("peak_rss_bytes", pa.int64()),
    ("finished_at", pa.timestamp("us", tz="UTC")),
    ("node", pa.string()),
    ("artifacts", pa.list_(ARTIFACT)),
)
SETTLING = ("key", "run", "attempt", "part", "generation", "outcome")
"""The columns that `settle` needs."""


class NewerSchemaError(Exception):
    """The journal was written by a newer version of this software; reading on would lose what it knows."""


def part_schema(step: Step) -> pa.Schema:
    """Schema of one actor's journal parts: identity and provenance, then the value columns that the actor
    adds.
    """
    values = [(name, value_type(name)) for name in step.adds if name not in MEDIA]
    return pa.schema(
        [*_COMMON, *values], metadata={"schema_version": str(SCHEMA_VERSION), "actor": step.name}
    )


def check_version(metadata: dict[bytes, bytes] | None, where: str) -> None:
    """Refuse a part of a newer schema version. Version 1 is the oldest there is, so nothing is migrated
    yet.
    """
    version = int((metadata or {}).get(b"schema_version", b"0"))
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{where}: schema version {version}, this software reads up to {SCHEMA_VERSION}"
        )


def settle(rows: pa.Table, generation: int, *, distinct: bool = False) -> pa.Table:
    """One row a key, of this generation.

    A good row beats a failed one; of two good rows the lower (run, attempt, part) counts, since artifacts are
    written once and the first writer won; of two failed rows the later one counts, since it is what happened
    last. The column `failures` counts the failed rows of the key. A row that `regenerate` made anew has the
    run of the row that it replaces and an attempt below it, so that it counts.

    `distinct`: the caller knows that no key has two rows.
    """
    current = pc.equal(rows["generation"], generation)
    if not pc.all(current, min_count=0).as_py():
        rows = rows.filter(current)
    if distinct or len(pc.unique(rows["key"])) == rows.num_rows:  # as a rule: saves sorting and copying
        failed = pc.cast(pc.equal(rows["outcome"], "failed"), pa.int64())
        return rows.append_column("failures", failed)
    rows = rows.combine_chunks()
    good = rows.filter(pc.equal(rows["outcome"], "ok"))
    bad = rows.filter(pc.equal(rows["outcome"], "failed"))
    good = _first_by_key(good, "ascending")
    counts = bad.group_by("key").aggregate([("key", "count")])
    bad = _first_by_key(bad, "descending")
    bad = bad.filter(pc.invert(pc.is_in(bad["key"], value_set=good["key"])))
    table = pa.concat_tables([good, bad])
    place = pc.index_in(table["key"], value_set=counts["key"])
    return table.append_column("failures", pc.fill_null(counts["key_count"].take(place), 0))


def _first_by_key(rows: pa.Table, order: str) -> pa.Table:
    if rows.num_rows < 2:
        return rows
    ordered = rows.take(
        pc.sort_indices(rows, sort_keys=[("run", order), ("attempt", order), ("part", order)])
    ).combine_chunks()
    firsts = pc.index_in(pc.unique(ordered["key"]), value_set=ordered["key"])
    return ordered.take(firsts)
