"""How long a run plans on a large journal, and what memory that takes: a synthetic root, planned in a fresh
process.

    python -m benchmarks.planning --rows 14000000 --parts 1000
    python -m benchmarks.planning --rows 1000000 --parts 20000

What a reader gets wrong: only the values are synthetic. The parts have the real schema, with digests, paths
and boxes of real size, and what is timed is what `synthesize` does before it starts Ray: the sample table,
compaction, verdicts, and the rows of the first wave.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import typer
from rich.console import Console

from actors.journal import ActorJournal, parquet_bytes
from actors.pipeline import STEPS, resolve
from actors.store import open_root
from ray_jobs.phases import measured_seconds
from ray_jobs.plan import deadly, stream_rows
from ray_jobs.root import SAMPLES
from ray_jobs.runs import end_run, open_run
from ray_jobs.sources import SourceEntry, planned_otherwise
from ray_jobs.synthesize import plan
from schemas.columns import ARTIFACT, MEDIA, value_type
from schemas.config import RunConfig
from schemas.gates import Step
from schemas.journal import part_schema

LAST = STEPS[-1].name
LEFT_SHARE = 0.01
"""Of the last actor's results that are missing, so that there is something to plan."""
WHOLE_NUMBERS: dict[str, int] = {"num_frames": 81, "round1_count": 1, "source_size_bytes": 4_000_000}
BOX = {"bbox_2d": [100, 100, 600, 900], "label": "woman in a red coat"}
LISTS: dict[str, Any] = {
    "round1_labels": [BOX["label"]],
    "round1_objects": [BOX],
    "frame_objects": [[BOX]] * 11,
    "frame_indices": [1, 27, 54, 80],
}


def make_root(folder: Path, rows: int, parts: int, *, left_share: float = LEFT_SHARE) -> RunConfig:
    """A root with about `rows` journal rows over all actors in about `parts` parts.

    `left_share`: of the last actor's results, those that are missing.
    """
    config = RunConfig()
    themes = len(config.themes)
    of_source = sum(step.keyed == "source" for step in STEPS)
    sources = max(1, round(rows / (of_source + themes * (len(STEPS) - of_source))))
    store = open_root(str(folder), create=True)
    record = open_run(store, "synthesize", config)
    numbers = np.arange(sources)
    keys = np.char.zfill(numbers.astype(str), 6)
    planned = pa.concat_tables(_planned(config.name, theme, numbers, keys) for theme in config.themes)
    store.put_bytes_if_absent(f"journal/samples/{record.run:06d}.parquet", parquet_bytes(planned))
    samples = planned["sample_id"].combine_chunks().sort()
    made = {item.name: item.fingerprint for item in resolve(config)}
    rng = np.random.default_rng(0)
    for step in STEPS:
        mine = pa.array(keys.tolist(), pa.string()) if step.keyed == "source" else samples
        if step.name == LAST:
            mine = mine.slice(0, int(len(mine) * (1 - left_share)))
        # workers finish in any order: each part has keys from everywhere
        mine = mine.take(pa.array(rng.permutation(len(mine))))
        target = Path(store.uri) / ActorJournal(store, step).folder
        target.mkdir(parents=True)
        count = min(len(mine), max(1, round(parts / len(STEPS))))
        for chosen in np.array_split(np.arange(len(mine)), count):
            name = f"{record.run:06d}-{rng.bytes(12).hex()}.parquet"
            table = _part(step, mine.slice(chosen[0], len(chosen)), record.run, name, made[step.name], rng)
            (target / name).write_bytes(parquet_bytes(table))  # not fsynced: building is not what is timed
    end_run(store, record.run, {})
    return config


def entries_of(rows: int, config: RunConfig) -> list[SourceEntry]:
    """The source list of such a root."""
    of_source = sum(step.keyed == "source" for step in STEPS)
    sources = max(1, round(rows / (of_source + len(config.themes) * (len(STEPS) - of_source))))
    return [SourceEntry(f"s3://bucket/videos/{number:06d}.mp4") for number in range(sources)]


def _planned(name: str, theme: str, numbers: Any, keys: Any) -> pa.Table:
    count = len(numbers)
    ids = pc.binary_join_element_wise(f"{name}_{theme}_", pa.array(keys.tolist(), pa.string()), "")
    uris = pc.binary_join_element_wise("s3://bucket/videos/", pa.array(keys.tolist()), ".mp4", "")
    same = {
        "edit_type": theme,
        "chosen_keyword": "urban: rooftop overlooking skyline",
        "licence": "CC-BY-4.0",
    }
    columns: dict[str, Any] = {name: pa.repeat(value, count) for name, value in same.items()}
    columns |= {"sample_id": ids, "source_id": numbers, "source_key": keys.tolist(), "source_uri": uris}
    return pa.table(
        [
            pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(count, f.type)
            for f in SAMPLES
        ],
        schema=SAMPLES,
    )


def _part(
    step: Step, keys: pa.Array, run: int, name: str, fingerprint: str, rng: np.random.Generator
) -> pa.Table:
    count = len(keys)
    columns: dict[str, Any] = {
        "key": keys,
        "run": run,
        "attempt": 0,
        "part": name,
        "generation": 0,
        "fingerprint": fingerprint,
        "inputs_digest": _digests(count, rng),
        "seed": rng.integers(0, 2**63, count),
        "outcome": "ok",
        "elapsed_s": rng.gamma(2.0, 1.0, count),
        "cpu_s": rng.gamma(2.0, 1.0, count),
        "peak_rss_bytes": 2 << 30,
        "finished_at": pa.scalar(1_800_000_000_000_000, pa.timestamp("us", tz="UTC")),
        "node": "node-0",
        "artifacts": _artifacts(step, keys, rng),
    }
    columns |= {column: _value(column, count, rng) for column in step.adds if column not in MEDIA}
    schema = part_schema(step)
    return pa.table([_array(columns.get(f.name), f.type, count) for f in schema], schema=schema)


def _array(value: Any, kind: pa.DataType, count: int) -> pa.Array:
    if isinstance(value, pa.Array | pa.ChunkedArray | np.ndarray):
        return pa.array(value, kind)
    return pa.repeat(pa.scalar(value, kind) if not isinstance(value, pa.Scalar) else value, count)


def _digests(count: int, rng: np.random.Generator) -> pa.Array:
    """SHA-256 digests as text, 64 characters each."""
    offsets = np.arange(count + 1, dtype=np.int32) * 64
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(rng.bytes(32 * count).hex().encode())]
    return pa.Array.from_buffers(pa.string(), count, buffers)


def _artifacts(step: Step, keys: pa.Array, rng: np.random.Generator) -> pa.Array:
    media = [MEDIA[name] for name in step.adds if name in MEDIA][:1]
    count = len(keys) * len(media)
    path = pc.binary_join_element_wise("artifacts/location/", keys, ".mp4", "") if media else keys.slice(0, 0)
    name = pa.repeat(media[0].name if media else "", count)
    sizes = pa.array(rng.integers(100_000, 3_000_000, count), pa.int64())
    items = pa.StructArray.from_arrays([name, path, sizes, _digests(count, rng)], fields=list(ARTIFACT))
    return pa.ListArray.from_arrays(pa.array(np.arange(len(keys) + 1) * len(media), pa.int32()), items)


def _value(column: str, count: int, rng: np.random.Generator) -> Any:
    kind = value_type(column)
    if column in LISTS:
        return LISTS[column]
    if pa.types.is_floating(kind):
        low, high = (8.5, 9.9) if column.endswith("_overall") else (0.0, 0.08)
        return rng.uniform(1.6, 6, count) if "dynamics" in column else rng.uniform(low, high, count)
    if pa.types.is_boolean(kind):
        return True
    if pa.types.is_string(kind):
        return _digests(count, rng) if column in ("prompt", "source_sha256") else "Nothing moves. " * 20
    return WHOLE_NUMBERS[column]


def measure(folder: Path, rows: int) -> dict[str, float]:
    """Plan a root in this process: seconds by step, samples left, peak resident memory in MB."""
    config = RunConfig()
    started = time.monotonic()
    entries = entries_of(rows, config)
    store = open_root(str(folder), create=False)
    record = open_run(store, "synthesize", config)
    opened = time.monotonic()
    work, _ = plan(store, record, entries, config)
    planned = time.monotonic()
    planned_otherwise(entries, config, work.state.samples)
    deadly(work.state)
    measured_seconds(work.state)
    wave = next(work.waves(config.wave_sources))
    first = stream_rows(work.state, wave)
    ended = time.monotonic()
    end_run(store, record.run, {})
    return {
        "open_s": opened - started,
        "plan_s": planned - opened,
        "first_wave_s": ended - planned,
        "all_s": ended - started,
        "cpu_s": time.process_time(),
        "samples": work.state.samples.num_rows,
        "left": work.samples.num_rows,
        "rows_of_first_wave": len(first),
        "peak_mb": _peak_bytes() / 1e6,
    }


def _peak_bytes() -> int:
    """Peak resident memory of this process; `ru_maxrss` would count the parent that started it too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def measured_in_a_fresh_process(folder: Path, rows: int) -> dict[str, float]:
    """`measure`, with the time of the whole process as `process_s`."""
    started = time.monotonic()
    code = "import json, sys, pathlib; from benchmarks.planning import measure;"
    code += "print(json.dumps(measure(pathlib.Path(sys.argv[1]), int(sys.argv[2]))))"
    run = [sys.executable, "-c", code, str(folder), str(rows)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**figures, "process_s": time.monotonic() - started}


def main(
    rows: Annotated[int, typer.Option(min=100, help="journal rows over all actors")] = 1_000_000,
    parts: Annotated[int, typer.Option(min=15, help="journal parts over all actors")] = 20_000,
    folder: Annotated[Path | None, typer.Option(help="where the root goes; kept if it is named")] = None,
    runs: Annotated[int, typer.Option(min=1, help="runs on the root, one after another")] = 2,
) -> None:
    """Build such a root unless it is there, and plan on it."""
    console = Console(soft_wrap=True, highlight=False)
    root = folder or Path(tempfile.mkdtemp()) / "root"
    if not root.exists():
        started = time.monotonic()
        make_root(root, rows, parts)
        console.print(f"{rows:,} rows in {parts:,} parts built in {time.monotonic() - started:.0f} s")
    for number in range(1, runs + 1):
        figures = measured_in_a_fresh_process(root, rows)
        console.print(f"run {number}: " + ", ".join(f"{k} {v:,.2f}" for k, v in figures.items()))
    if folder is None:
        shutil.rmtree(root.parent)


if __name__ == "__main__":
    typer.run(main)
