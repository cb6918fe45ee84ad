"""The dead-letter list: `ROOT/manifest/failed.parquet`, one row a failed sample, for people and for `retry`.

What a reader gets wrong: it is derived from the journal like the manifest and never read back as truth;
`retry` makes it anew. It is not part of the release, whose manifest says of each failed sample why it failed.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actors.pipeline import PIPELINE, STEPS
from ray_jobs.release_folder import replace_file
from ray_jobs.root import RootState, read_actor

KEY = "manifest/failed.parquet"
SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("source_id", pa.int64()),
        ("source_uri", pa.string()),
        ("edit_type", pa.string()),
        ("stage", pa.int32()),
        ("actor", pa.string()),
        ("error_class", pa.string()),
        ("error", pa.string()),
        ("attempts", pa.int64()),
        ("deaths", pa.int32()),
        ("node", pa.string()),
        ("finished_at", pa.timestamp("us", tz="UTC")),
    ],
    metadata={"schema_version": "1", "table": "failed"},
)
"""`stage`: the paper's, null for Ingest. `attempts`: failed results so far, one a run. `deaths`: workers that
the sample took with it in the last of them. `node`, `finished_at`: of the last."""
_STAGES = {actor.__name__: actor.stage for actor in PIPELINE}


def dead_letters(state: RootState, verdicts: pa.Table) -> pa.Table:
    """Schema SCHEMA, by sample id, of the samples that `verdicts` (of all of them) call failed."""
    where = pc.equal(verdicts["status"], "failed")
    failed, samples = verdicts.filter(where), state.samples.filter(where)
    tables = [SCHEMA.empty_table()]
    for step in STEPS:
        here = pc.fill_null(pc.equal(failed["actor"], step.name), False)
        mine, planned = failed.filter(here), samples.filter(here)
        if not mine.num_rows:
            continue
        keys = planned["sample_id" if step.keyed == "sample" else "source_key"].combine_chunks()
        columns = ["error_class", "error", "attempt", "node", "finished_at"]
        rows = read_actor(state.store, state.record, step, columns=columns, only=keys)
        rows = rows.take(pc.index_in(keys, value_set=rows["key"]))
        found = {name: rows[name] for name in ("error_class", "error", "node", "finished_at")}
        found |= {name: planned[name] for name in ("sample_id", "source_id", "source_uri", "edit_type")}
        found |= {"actor": mine["actor"], "attempts": rows["failures"], "deaths": rows["attempt"]}
        found["stage"] = pa.array([_STAGES[step.name]] * mine.num_rows, pa.int32())
        tables.append(pa.table([found[name] for name in SCHEMA.names], schema=SCHEMA))
    return pa.concat_tables(tables).sort_by("sample_id").combine_chunks()


def write_dead_letters(state: RootState, verdicts: pa.Table) -> None:
    """Bring ROOT/manifest/failed.parquet up to date; an empty one says that nothing failed."""
    with state.store.scratch() as scratch:
        path = Path(scratch) / "failed"
        pq.write_table(dead_letters(state, verdicts), path, compression="zstd")
        replace_file(state.store, KEY, path)
