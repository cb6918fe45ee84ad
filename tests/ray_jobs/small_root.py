"""Small output roots for tests: written by the real journal and store, with tiny real media, without a model.

What a reader gets wrong: nothing here imitates the pipeline. Rows are put where the guard would put them, and
everything after that (settling, gates, publish, verify, regate) is the code under test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from actors.journal import ActorJournal
from actors.ops.editscore import FrameRecord, frame_indices, mean_o_score
from actors.ops.masks import mask_npz_bytes, pack_video
from actors.ops.video import encode_video, png_bytes
from actors.pipeline import STEPS, resolve
from actors.store import Store, open_root
from ray_jobs.root import RootState, read_root, write_samples
from ray_jobs.runs import RunRecord, end_run, open_run
from schemas.columns import MEDIA
from schemas.config import RunConfig
from schemas.gates import Step
from schemas.records import artifact_path, sample_id, seed_for, source_key

HEIGHT, WIDTH, FRAMES = 48, 60, 5
"""60 pixels are not a multiple of 8, which the mask's packing must survive."""
GOOD: dict[str, Any] = {
    "num_frames": FRAMES,
    "source_size_bytes": 1000,
    "source_kept": False,
    "camera_step_pct": 0.01,
    "camera_drift_pct": 0.02,
    "static_camera": True,
    "camera_reasoning": "Nothing moves but the subject.",
    "original_scene": "A room with a window.",
    "edited_frame0_overall": 9.0,
    "round1_labels": ["woman in a red coat"],
    "round1_objects": [{"bbox_2d": [100, 100, 600, 900], "label": "woman in a red coat"}],
    "round1_count": 1,
    "removal_prompt": "Remove the woman in a red coat.",
    "edited_frame0_foreground_removed_overall": 9.1,
    "background_dynamics": 2.5,
    "frame_objects": [
        [{"bbox_2d": [100, 100, 600, 900], "label": "woman in a red coat"}],
        [{"bbox_2d": [], "label": "woman in a red coat"}],
    ],
    "vote_agreement": 0.95,
    "foreground_share": 0.2,
    "mask_area_step": 0.05,
    "mask_lost_share": 0.0,
    "label_lost_share": 0.0,
    "frame_indices": list(frame_indices(FRAMES)),
    "edited_video_overall": 9.2,
}
"""Measurements of a sample that every gate lets through."""


def make_root(
    path: Path | str,
    *,
    sources: int = 3,
    measured: Mapping[str, Mapping[str, Any]] | None = None,
    failed: Mapping[tuple[str, str], str] | None = None,
    config: RunConfig | None = None,
) -> RunConfig:
    """An output root of one finished run.

    Args:
        measured: by key (sample id or source key), measurements that differ from `GOOD`.
        failed: by (actor, key), the error with which the actor failed.
    """
    config = config or RunConfig(themes=("location", "openve3m"))
    store = open_root(str(path), create=True)
    record = open_run(store, "synthesize", config)
    keys = [source_key(number) for number in range(sources)]
    samples = [
        {
            "sample_id": sample_id(config.name, theme, number),
            "source_id": number,
            "source_key": keys[number],
            "source_uri": f"/videos/clip {number}.mp4",
            "edit_type": theme,
            "chosen_keyword": None if theme == "openve3m" else "urban: rooftop overlooking skyline",
            "given_prompt": f"Swap the backdrop, take {number}" if theme == "openve3m" else None,
            "licence": "CC0-1.0",
            "reference_edit_uri": None,
        }
        for theme in config.themes
        for number in range(sources)
    ]
    write_samples(store, record.run, samples)
    by_id = {str(sample["sample_id"]): sample for sample in samples}
    _write_results(store, record, config, STEPS, by_id, measured or {}, failed or {})
    end_run(store, record.run, {})
    return config


def redo(path: Path | str, actor: str, config: RunConfig, sources: int) -> None:
    """Results of a new generation of this actor and all after it, with other media."""
    store = open_root(str(path), create=False)
    record = open_run(store, "synthesize", config, redo=actor)
    by_id = {
        sample_id(config.name, theme, number): {"edit_type": theme, "source_key": source_key(number)}
        for theme in config.themes
        for number in range(sources)
    }
    names = [step.name for step in STEPS]
    _write_results(store, record, config, STEPS[names.index(actor) :], by_id, {}, {})
    end_run(store, record.run, {})


def _write_results(
    store: Store,
    record: RunRecord,
    config: RunConfig,
    steps: Sequence[Step],
    samples: Mapping[str, Mapping[str, Any]],
    measured: Mapping[str, Mapping[str, Any]],
    failed: Mapping[tuple[str, str], str],
) -> None:
    made = {item.name: item.fingerprint for item in resolve(config)}
    sources = sorted({str(sample["source_key"]) for sample in samples.values()})
    stopped: set[str] = set()
    for step in steps:
        rows = []
        generation = record.generations[step.name]
        for key in sources if step.keyed == "source" else sorted(samples):
            if key in stopped or (key in samples and samples[key]["source_key"] in stopped):
                continue
            error = failed.get((step.name, key))
            if error:
                stopped.add(key)
            row = {
                **_common(step, key, record.run, config, made[step.name]),
                "generation": generation,
                "outcome": "failed" if error else "ok",
                "error_class": "SampleError" if error else None,
                "error": error,
            }
            if not error:
                row |= _values(step, key, {**GOOD, **measured.get(key, {})})
                row["artifacts"] = _put_media(store, step, key, samples.get(key), config.name, generation)
            rows.append(row)
        journal = ActorJournal(store, step)
        journal.write(journal.part_key(record.run, [row["key"] for row in rows]), rows)


def _common(step: Step, key: str, run: int, config: RunConfig, fingerprint: str) -> dict[str, Any]:
    return {
        "key": key,
        "run": run,
        "attempt": 0,
        "fingerprint": fingerprint,
        "inputs_digest": "",
        "seed": seed_for(config.seed, key, step.name),
        "elapsed_s": 0.5,
        "cpu_s": 0.4,
        "finished_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "node": "test",
        "artifacts": [],
    }


def _values(step: Step, key: str, values: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "prompt": f'Set the scene to a "quiet" harbour, with gulls drifting by; 港 of {key}',
        "source_sha256": "0" * 64,
        "edited_frame0_score": evaluate_json(values["edited_frame0_overall"]),
        "edited_frame0_foreground_removed_score": evaluate_json(
            values["edited_frame0_foreground_removed_overall"]
        ),
        "edited_video_score": json.dumps(frame_records(values["edited_video_overall"])),
    }
    made |= values
    if "edited_video_overall" in step.adds:
        made["edited_video_overall"] = mean_o_score(frame_records(values["edited_video_overall"]))
    return {name: made[name] for name in step.adds if name not in MEDIA}


def evaluate_json(overall: float) -> str:
    return json.dumps(
        {
            "prompt_following": overall,
            "consistency": overall,
            "perceptual_quality": overall,
            "overall": overall,
            "SC_reasoning": "The instruction is followed.\nThe subject stays.",
            "PQ_reasoning": "No artefacts.",
        }
    )


def frame_records(overall: float) -> list[FrameRecord]:
    return [
        {
            "SC_score": overall,
            "PQ_score": overall,
            "O_score": overall,
            "SC_score_reasoning": "Followed.",
            "PQ_score_reasoning": "Clean.",
            "SC_raw_output": '{"score": [22, 22]}',
            "PQ_raw_output": '{"score": [22]}',
        }
        for _ in range(4)
    ]


def _put_media(
    store: Store, step: Step, key: str, sample: Mapping[str, Any] | None, name: str, generation: int
) -> list[dict[str, Any]]:
    artifacts = []
    for column in step.adds:
        if column not in MEDIA:
            continue
        media = MEDIA[column]
        folder = f"artifacts/generation-{generation}" if generation else "artifacts"
        path = f"{folder}/{artifact_path(media, key, sample['edit_type'] if sample else None, name)}"
        content = media_bytes(media.extension, f"{column} {key} {generation}")
        stored = store.put_bytes_if_absent(path, content)
        artifacts.append(
            {
                "column": column,
                "path": stored.key,
                "size_bytes": stored.size_bytes,
                "sha256": stored.sha256,
            }
        )
    return artifacts


@cache
def media_bytes(extension: str, name: str) -> bytes:
    """A real file of its kind whose content differs by name."""
    rng = np.random.default_rng(list(name.encode()))
    if extension == "npz":
        masks = rng.random((FRAMES, HEIGHT, WIDTH)) < 0.3
        return mask_npz_bytes(pack_video(list(masks)), WIDTH)
    picture = np.full((HEIGHT, WIDTH, 3), rng.integers(30, 220, 3), np.uint8)
    picture[10:30, 10:30] = rng.integers(0, 256, 3)
    if extension == "png":
        return png_bytes(picture)
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        encode_video((np.roll(picture, shift, axis=1) for shift in range(FRAMES)), path, fps=16)
        return path.read_bytes()


def state_of(root: Path | Store) -> RootState:
    """What the journal of an existing root says."""
    state = read_root(open_root(str(root), create=False) if isinstance(root, Path) else root)
    assert state is not None
    return state
