"""How long new thresholds take on a large root: a synthetic journal, new verdicts, a new manifest.

    python -m benchmarks.regate --samples 140000

What a reader gets wrong: only the journal's values are synthetic. It has the real schema, with reasons and
score records of real length, and what is timed is the job `regate` itself.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer
from rich.console import Console

from actors.journal import ActorJournal, parquet_bytes
from actors.pipeline import STEPS, resolve
from actors.store import Store, open_root
from ray_jobs.regate import RegateReport, regate
from ray_jobs.root import SAMPLES
from ray_jobs.runs import end_run, open_run
from schemas.columns import ARTIFACT, MEDIA, value_type
from schemas.config import RunConfig
from schemas.gates import Step
from schemas.journal import part_schema
from schemas.records import artifact_path

PASSING_SHARE = 0.97
"""Of each scored column, so that about four fifths of the samples are accepted."""
STRICTER: dict[str, dict[str, Any]] = {"EditedVideoScorer": {"min_edited_video_overall": 8.8}}


def make_journal(root: Path, samples: int, *, parts: int = 4, seed: int = 0) -> RunConfig:
    """A root with `samples` planned samples of four themes, all measured to the end, and no media.

    `parts`: journal parts an actor, as compaction leaves them.
    """
    config = RunConfig()
    store = open_root(str(root), create=True)
    record = open_run(store, "synthesize", config)
    rng = np.random.default_rng(seed)
    sources = -(-samples // len(config.themes))
    keys = [f"{number:06d}" for number in range(sources)]
    planned = [(f"{config.name}_{theme}_{key}", theme, key) for theme in config.themes for key in keys][
        :samples
    ]
    table = pa.table(
        {
            "sample_id": [sample for sample, _, _ in planned],
            "source_id": [int(key) for _, _, key in planned],
            "source_key": [key for _, _, key in planned],
            "source_uri": [f"s3://bucket/videos/{key}.mp4" for _, _, key in planned],
            "edit_type": [theme for _, theme, _ in planned],
            "chosen_keyword": ["urban: rooftop overlooking skyline"] * samples,
            "given_prompt": pa.nulls(samples, pa.string()),
            "licence": ["CC-BY-4.0"] * samples,
            "reference_edit_uri": pa.nulls(samples, pa.string()),
        },
        schema=SAMPLES,
    )
    store.put_bytes_if_absent(f"journal/samples/{record.run:06d}.parquet", parquet_bytes(table))
    made = {item.name: item.fingerprint for item in resolve(config)}
    themes = {sample: theme for sample, theme, _ in planned}
    for step in STEPS:
        ids = keys if step.keyed == "source" else sorted(themes)
        for number, chunk in enumerate(np.array_split(np.array(ids, dtype=object), parts)):
            _write_part(store, step, chunk.tolist(), record.run, number, made[step.name], themes, rng)
    end_run(store, record.run, {})
    return config


def _write_part(
    store: Store,
    step: Step,
    ids: list[str],
    run: int,
    number: int,
    fingerprint: str,
    themes: dict[str, str],
    rng: np.random.Generator,
) -> None:
    count = len(ids)
    name = f"{run:06d}-compact-{number}.parquet"
    fixed = {
        "run": run,
        "attempt": 0,
        "part": name,
        "generation": 0,
        "fingerprint": fingerprint,
        "outcome": "ok",
        "error_class": None,
        "error": None,
        "finished_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "node": "node-0",
    }
    columns: dict[str, Any] = {key: [value] * count for key, value in fixed.items()}
    columns |= {
        "key": ids,
        "inputs_digest": [rng.bytes(32).hex() for _ in ids],
        "seed": rng.integers(0, 2**63, count),
        "elapsed_s": rng.gamma(2.0, 1.0, count),
        "cpu_s": rng.gamma(2.0, 1.0, count),
        "artifacts": _artifacts(step, ids, themes, rng),
    }
    columns |= {column: _values(column, count, rng) for column in step.adds if column not in MEDIA}
    schema = part_schema(step)
    table = pa.table(
        [pa.array(columns.get(field.name, [None] * count), field.type) for field in schema], schema=schema
    )
    store.put_bytes_if_absent(f"{ActorJournal(store, step).folder}/{name}", parquet_bytes(table))


def _artifacts(step: Step, ids: list[str], themes: dict[str, str], rng: np.random.Generator) -> pa.Array:
    media = [MEDIA[name] for name in step.adds if name in MEDIA]
    paths = [
        f"artifacts/{artifact_path(item, key, themes.get(key), 'Sparkle')}" for key in ids for item in media
    ]
    digests = rng.bytes(32 * len(paths)).hex()
    items = pa.StructArray.from_arrays(
        [
            pa.array([item.name for _ in ids for item in media], pa.string()),
            pa.array(paths, pa.string()),
            pa.array(rng.integers(100_000, 3_000_000, len(paths)), pa.int64()),
            pa.array([digests[64 * i : 64 * i + 64] for i in range(len(paths))], pa.string()),
        ],
        fields=list(ARTIFACT),
    )
    offsets = pa.array(np.arange(len(ids) + 1) * len(media), pa.int32())
    return pa.ListArray.from_arrays(offsets, items)


def _values(column: str, count: int, rng: np.random.Generator) -> Any:
    """Values of one column, near those of real runs."""
    if column.endswith("_overall"):
        return np.where(rng.random(count) < PASSING_SHARE, rng.uniform(8.5, 9.9, count), 7.0)
    if column.endswith("_score"):
        return [_score(value) for value in rng.uniform(7, 10, count).tolist()]
    known: dict[str, Any] = {
        "camera_step_pct": rng.uniform(0, 0.08, count),
        "camera_drift_pct": rng.uniform(0, 0.7, count),
        "static_camera": np.ones(count, bool),
        "background_dynamics": rng.uniform(1.6, 6, count),
        "vote_agreement": rng.uniform(0.8, 1, count),
        "foreground_share": rng.uniform(0.1, 0.5, count),
        "mask_area_step": rng.uniform(0, 0.2, count),
        "mask_lost_share": np.zeros(count),
        "label_lost_share": np.zeros(count),
        "num_frames": np.full(count, 81),
        "round1_count": np.ones(count, int),
        "source_size_bytes": rng.integers(1_000_000, 9_000_000, count),
        "source_kept": np.zeros(count, bool),
        "prompt": [
            f"Set the scene to a harbour at dusk {value:.9f}, " + "with gulls " * 15
            for value in rng.random(count)
        ],
        "original_scene": [f"A room with a window, {value:.9f}." for value in rng.random(count)],
        "source_sha256": [f"{value:064x}" for value in rng.integers(0, 2**63, count).tolist()],
    }
    if column in known:
        return known[column]
    kind = value_type(column)
    if pa.types.is_string(kind):
        return ["Nothing in the picture moves but the subject itself."] * count
    boxes = [{"bbox_2d": [100, 100, 600, 900], "label": "woman in a red coat"}]
    fixed: dict[str, Any] = {
        "round1_labels": ["woman in a red coat"],
        "round1_objects": boxes,
        "frame_objects": [boxes] * 11,
        "frame_indices": [1, 27, 54, 80],
    }
    return [fixed[column]] * count


def _score(value: float) -> str:
    return json.dumps({"overall": value, "SC_reasoning": "The edit follows the instruction. " * 20})


def measure(samples: int, root: Path) -> tuple[float, float, RegateReport]:
    """Seconds and CPU seconds that `regate` takes on a root of this size, and what it says."""
    make_journal(root, samples)
    started, cpu = time.monotonic(), time.process_time()
    report = regate(str(root), RunConfig(actors=STRICTER))
    return time.monotonic() - started, time.process_time() - cpu, report


def main(
    samples: Annotated[int, typer.Option(min=8, help="planned samples")] = 140_000,
    folder: Annotated[
        Path | None, typer.Option(help="where the root goes; a temporary folder by default")
    ] = None,
) -> None:
    """Time `regate` on a synthetic journal."""
    console = Console(soft_wrap=True)
    parent = Path(tempfile.mkdtemp(dir=folder))
    try:
        seconds, cpu, report = measure(samples, parent / "root")
        size = sum(path.stat().st_size for path in parent.rglob("*.parquet"))
        console.print(str(report), highlight=False)
        console.print(
            f"regate of {samples:,} samples: {seconds:.2f} s, {cpu:.2f} CPU s "
            f"({size / 1e6:,.0f} MB of Parquet)",
            highlight=False,
        )
    finally:
        shutil.rmtree(parent)


if __name__ == "__main__":
    typer.run(main)
