"""The release: its tree, its text, its tars, and what stays when a publish is repeated, changed or killed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import webdataset
from datasets import load_dataset

from actors.ops.masks import read_mask_npz, unpack_video
from ray_jobs.publish import publish
from ray_jobs.regate import regate
from ray_jobs.runs import RootBusyError
from ray_jobs.sealing import PublishError
from ray_jobs.verify import verify
from schemas.config import ReleaseConfig, RunConfig
from schemas.release import JSONL_FILES, KINDS
from tests.ray_jobs.small_root import GOOD, HEIGHT, WIDTH, make_root, redo

UNDER = {"edited_frame0_overall": 7.5}
"""Measured, and under its gate."""


def tree(root: Path) -> dict[str, bytes]:
    """Every file of a root's release with its bytes."""
    folder = root / "release"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of two themes; location 1 is rejected, source 2 failed to be read."""
    root = tmp_path_factory.mktemp("published")
    make_root(
        root,
        sources=4,
        measured={"Sparkle_location_000001": UNDER},
        failed={("Ingest", "000002"): "no video in it"},
        config=RunConfig(themes=("location", "openve3m"), release=ReleaseConfig(previews=1)),
    )
    publish(str(root))
    return root / "release"


def test_the_tree_is_the_published_one_with_manifest_and_index(published: Path) -> None:
    expected = {"README.md", "shards.parquet"}
    for theme in ("location", "openve3m"):
        expected |= {f"manifest/{theme}.parquet"}
        expected |= {f"prompts/{theme}_train.csv", f"prompts/{theme}_train_metadata.jsonl"}
        first = f"Sparkle_{theme}_000000"
        for kind, extension in (
            ("source_video", "mp4"),
            ("edited_video", "mp4"),
        ):
            expected |= {f"{theme}/{kind}/{first}.{extension}", f"{theme}_{kind}_part00.tar"}
        for kind, extension in (
            ("source_frame0", "png"),
            ("edited_frame0", "png"),
            ("edited_frame0_foreground_removed", "png"),
            ("edited_background_video", "mp4"),
            ("source_video_mask", "npz"),
            ("edited_video_canny", "mp4"),
        ):
            expected |= {
                f"intermediate_data/{theme}/{kind}/{first}.{extension}",
                f"intermediate_data/{theme}_{kind}_part00.tar",
            }
        for name in (
            "edited_frame0_score",
            "edited_frame0_foreground_removed_score",
            "foreground_grounding_r1",
            "foreground_grounding_r2",
            "edited_video_score",
        ):
            expected |= {f"intermediate_data/{theme}/{name}.jsonl"}
    assert set(tree(published.parent)) == expected


def test_csv_and_metadata_hold_accepted_samples_and_load_with_pandas_and_datasets(published: Path) -> None:
    pairs = pd.read_csv(published / "prompts/location_train.csv")
    assert list(pairs.columns) == ["prompt", "src_video", "tgt_video", "task"]
    assert pairs.task.tolist() == ["Sparkle_location_000000", "Sparkle_location_000003"]
    assert pairs.src_video[0] == "location/source_video/Sparkle_location_000000.mp4"
    assert pairs.tgt_video[0] == "location/edited_video/Sparkle_location_000000.mp4"
    metadata = pd.read_json(published / "prompts/location_train_metadata.jsonl", lines=True)
    assert metadata.id.tolist() == pairs.task.tolist()
    assert metadata.prompt.tolist() == pairs.prompt.tolist()
    assert metadata.metadata[0] == {
        "edit_type": "location",
        "chosen_keyword": "urban: rooftop overlooking skyline",
        "original_scene": GOOD["original_scene"],
    }


def test_the_card_configures_the_viewer_so_that_datasets_loads_each_theme(
    published: Path, tmp_path: Path
) -> None:
    for theme, count in (("location", 2), ("openve3m", 3)):
        rows = load_dataset(str(published), theme, split="train", cache_dir=str(tmp_path))
        assert len(rows) == count
        assert "港" in rows[0]["prompt"]
    for file in JSONL_FILES:
        path = str(published / f"intermediate_data/location/{file.name}.jsonl")
        assert len(load_dataset("json", data_files=path, split="train", cache_dir=str(tmp_path))) == 3


def test_openve3m_is_named_differently_in_its_metadata_and_nowhere_else(published: Path) -> None:
    for record in lines(published / "prompts/openve3m_train_metadata.jsonl"):
        assert record["metadata"] == {
            "edit_type": "openve3m_background_change",
            "original_scene": GOOD["original_scene"],
        }
    for name in ("foreground_grounding_r1", "foreground_grounding_r2"):
        for record in lines(published / f"intermediate_data/openve3m/{name}.jsonl"):
            assert record["edit_type"] == "openve3m"


@pytest.mark.parametrize("file", JSONL_FILES, ids=lambda file: file.name)
def test_jsonl_files_hold_every_measured_sample_rejected_ones_too(published: Path, file: Any) -> None:
    records = lines(published / f"intermediate_data/location/{file.name}.jsonl")
    assert [record["id"][-1] for record in records] == ["0", "1", "3"]
    if file.name == "edited_frame0_score":
        assert records[1]["editscore"]["overall"] == UNDER["edited_frame0_overall"]
        assert list(records[1]["editscore"]) == [
            "prompt_following",
            "consistency",
            "perceptual_quality",
            "overall",
            "SC_reasoning",
            "PQ_reasoning",
        ]
    if file.name == "edited_video_score":
        assert list(records[0]) == ["id", "prompt", "frame_indices", "editscore"]
    if file.name == "foreground_grounding_r2":
        assert records[0]["frame_objects"] == GOOD["frame_objects"]


def test_previews_are_the_same_files_as_the_artifacts(published: Path) -> None:
    preview = published / "location/edited_video/Sparkle_location_000000.mp4"
    artifact = published.parent / "artifacts/location/edited_video/Sparkle_location_000000.mp4"
    assert preview.samefile(artifact)


def test_the_tars_extract_in_place_as_the_readme_says_and_the_csv_resolves(
    published: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    (copy / "intermediate_data").mkdir(parents=True)
    for path in published.rglob("*.tar"):
        os.link(path, copy / path.relative_to(published))
    script = re.search(r"```bash\n(.*?)```", (published / "README.md").read_text(), re.S)
    assert script is not None
    subprocess.run(["bash", "-ec", script[1]], cwd=copy, check=True)
    for theme in ("location", "openve3m"):
        pairs = pd.read_csv(published / f"prompts/{theme}_train.csv")
        for path in [*pairs.src_video, *pairs.tgt_video]:
            assert (copy / path).stat().st_size > 0
        for kind in KINDS[2:]:
            assert len(list((copy / "intermediate_data" / theme / kind).iterdir())) == len(pairs)


def test_the_code_that_the_card_prints_runs_in_the_release(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    monkeypatch.chdir(published)
    names: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.S):
        exec(code, names)
    assert list(names["dataset"]["task"]) == names["pairs"].task.tolist() != []
    path = published / "intermediate_data/location/source_video_mask/Sparkle_location_000000.npz"
    mask = names["load_mask"](str(path))
    assert mask.dtype == bool
    assert mask.shape == (GOOD["num_frames"], HEIGHT, WIDTH)
    packed, width = read_mask_npz(path)
    assert np.array_equal(mask, np.stack(list(unpack_video(packed, width))))


def test_webdataset_reads_the_tars(published: Path) -> None:
    rows = list(
        webdataset.WebDataset(str(published / "location_edited_video_part00.tar"), shardshuffle=False)
    )
    assert [row["__key__"] for row in rows] == [
        "location/edited_video/Sparkle_location_000000",
        "location/edited_video/Sparkle_location_000003",
    ]
    preview = published / "location/edited_video/Sparkle_location_000000.mp4"
    assert rows[0]["mp4"] == preview.read_bytes()


def test_tar_headers_know_no_time_owner_or_host(published: Path) -> None:
    with tarfile.open(published / "location_source_video_part00.tar") as archive:
        for info in archive:
            assert (info.mtime, info.uid, info.gid, info.uname, info.gname) == (0, 0, 0, "", "")
            assert info.mode == 0o644
            assert info.pax_headers == {}


def test_the_index_tells_where_every_member_lies(published: Path) -> None:
    for row in pq.read_table(published / "shards.parquet").to_pylist():
        data = (published / row["shard"]).read_bytes()
        assert len(data) == row["size_bytes"]
        with tarfile.open(published / row["shard"]) as archive:
            assert [m.name for m in archive.getmembers()] == [m["name"] for m in row["members"]]
            for info, member in zip(archive.getmembers(), row["members"], strict=True):
                assert (info.offset_data, info.size) == (member["offset"], member["size_bytes"])


def test_the_manifest_has_a_row_for_every_planned_sample_with_its_reason(published: Path) -> None:
    table = pd.read_parquet(published / "manifest").set_index("sample_id")
    assert len(table) == 8
    accepted = table.loc["Sparkle_location_000000"]
    assert accepted.status == "accepted"
    assert accepted[["gate", "reason"]].isna().all()
    assert accepted.edited_video_size_bytes > 0
    assert accepted.FirstFrameEditor["backend"] == "embedded"
    assert accepted.FirstFrameEditor["seed"] >= 0
    rejected = table.loc["Sparkle_location_000001"]
    assert (rejected.status, rejected.gate) == ("rejected", "min_edited_frame0_overall")
    assert rejected.reason == "edited_frame0_overall 7.5 is under min_edited_frame0_overall = 8"
    failed = table.loc["Sparkle_openve3m_000002"]
    assert (failed.status, failed.stopped_at, failed.reason) == ("failed", "Ingest", "no video in it")
    assert pq.read_schema(published / "manifest/location.parquet").metadata[b"schema_version"] == b"1"


def test_a_second_publish_writes_nothing(published: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in published.rglob("*")}
    report = publish(str(published.parent))
    assert (report.written, report.removed, report.shards_written) == (0, 0, 0)
    assert {path: path.stat().st_mtime_ns for path in published.rglob("*")} == before


def test_two_roots_with_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_root(tmp_path / name, sources=2)
        publish(str(tmp_path / name))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_a_root_without_an_accepted_sample_gives_empty_tables_and_no_tars(tmp_path: Path) -> None:
    make_root(tmp_path, sources=1, failed={("Ingest", "000000"): "torn"})
    publish(str(tmp_path))
    assert (
        tmp_path / "release/prompts/location_train.csv"
    ).read_text() == "prompt,src_video,tgt_video,task\n"
    assert not list((tmp_path / "release").rglob("*.tar"))
    assert verify(str(tmp_path)) == []


def small_shards(**actors: Any) -> RunConfig:
    """A config whose tar parts hold about two samples."""
    return RunConfig(
        themes=("location",), actors=actors, release=ReleaseConfig(shard_bytes=10_240, previews=2)
    )


def test_parts_are_cut_by_size_in_id_order_and_only_changed_ones_are_rewritten(tmp_path: Path) -> None:
    low = {f"Sparkle_location_{number:06d}": {"edited_video_overall": 8.2} for number in (7, 8)}
    make_root(tmp_path, sources=12, measured=low, config=small_shards())
    publish(str(tmp_path))
    release = tmp_path / "release"
    parts = sorted(release.glob("location_edited_video_part*.tar"))
    assert len(parts) > 2
    assert all(part.stat().st_size <= 10_240 for part in parts)
    names: list[str] = []
    for part in parts:
        with tarfile.open(part) as archive:
            names += archive.getnames()
    assert names == [f"location/edited_video/Sparkle_location_{number:06d}.mp4" for number in range(12)]
    first = tree(tmp_path)
    inodes = {part.name: part.stat().st_ino for part in parts}

    strict = small_shards(EditedVideoScorer={"min_edited_video_overall": 9.0})
    regate(str(tmp_path), strict)
    report = publish(str(tmp_path))
    assert verify(str(tmp_path)) == []
    assert 0 < report.shards_written < report.shards_kept
    rewritten = {part.name for part in parts if part.exists() and part.stat().st_ino != inodes[part.name]}
    changed = {name for name, data in tree(tmp_path).items() if first.get(name) != data}
    assert rewritten <= changed
    assert "Sparkle_location_000007" not in (release / "prompts/location_train.csv").read_text()

    regate(str(tmp_path), small_shards())
    publish(str(tmp_path))
    again = tree(tmp_path)
    assert again == first


def test_a_release_of_another_set_leaves_no_file_behind_but_keeps_foreign_ones(tmp_path: Path) -> None:
    make_root(tmp_path, sources=3, measured={"Sparkle_location_000000": {"edited_video_overall": 8.1}})
    publish(str(tmp_path))
    (tmp_path / "release/notes.txt").write_text("mine")
    strict = RunConfig(
        themes=("location", "openve3m"),
        actors={"EditedVideoScorer": {"min_edited_video_overall": 8.5}},
    )
    regate(str(tmp_path), strict)
    publish(str(tmp_path))
    assert not [path for path in tree(tmp_path) if "location_000000" in path]
    assert (tmp_path / "release/notes.txt").read_text() == "mine"


def test_a_new_generation_of_an_actor_replaces_its_media_and_nothing_else(tmp_path: Path) -> None:
    config = RunConfig(themes=("location",))
    make_root(tmp_path, sources=2, config=config)
    publish(str(tmp_path))
    before = tree(tmp_path)
    redo(tmp_path, "VideoGenerator", config, sources=2)
    report = publish(str(tmp_path))
    assert verify(str(tmp_path)) == []
    changed = {name for name, data in tree(tmp_path).items() if before[name] != data}
    assert changed == {
        "location_edited_video_part00.tar",
        "location/edited_video/Sparkle_location_000000.mp4",
        "location/edited_video/Sparkle_location_000001.mp4",
        "manifest/location.parquet",
        "shards.parquet",
    }
    assert report.shards_written == 1


def test_a_root_that_another_process_works_on_is_left_alone(tmp_path: Path) -> None:
    config = make_root(tmp_path, sources=1)
    command = (
        "import sys; from ray_jobs.runs import open_run; from actors.store import open_root;"
        "from schemas.config import RunConfig;"
        "open_run(open_root(sys.argv[1], create=False), 'synthesize',"
        " RunConfig.model_validate_json(sys.argv[2])); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command, str(tmp_path), config.model_dump_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(RootBusyError, match="held by run 2"):
            publish(str(tmp_path))
        holder.communicate("")
    publish(str(tmp_path))
    assert verify(str(tmp_path)) == []


def test_a_missing_artifact_is_named_and_nothing_claims_to_be_complete(tmp_path: Path) -> None:
    make_root(tmp_path, sources=2)
    gone = "artifacts/location/edited_video/Sparkle_location_000001.mp4"
    (tmp_path / gone).unlink()
    with pytest.raises(PublishError, match=gone):
        publish(str(tmp_path))
    assert not (tmp_path / "release/shards.parquet").exists()


def test_a_publish_that_broke_off_keeps_the_parts_that_it_sealed(tmp_path: Path) -> None:
    config = RunConfig(themes=("location",), release=ReleaseConfig(previews=0))
    make_root(tmp_path, sources=2, config=config)
    folder = tmp_path / "artifacts/intermediate_data/location/edited_video_canny"
    artifact = folder / "Sparkle_location_000001.mp4"  # of the last part
    data = artifact.read_bytes()
    artifact.unlink()
    with pytest.raises(PublishError):
        publish(str(tmp_path))
    parts = {path: path.stat().st_ino for path in (tmp_path / "release").rglob("*.tar")}
    assert len(parts) == len(KINDS) - 1
    artifact.write_bytes(data)
    left = tmp_path / "scratch/of a killed one/stream"
    left.parent.mkdir(parents=True)
    left.touch()
    report = publish(str(tmp_path))
    assert not left.exists()
    assert report.shards_kept == len(parts)
    assert {path: path.stat().st_ino for path in parts} == parts
    assert verify(str(tmp_path)) == []


def test_an_artifact_that_was_changed_is_named(tmp_path: Path) -> None:
    make_root(tmp_path, sources=2, config=RunConfig(themes=("location",)))
    path = tmp_path / "artifacts/location/edited_video/Sparkle_location_000001.mp4"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(PublishError, match=r"Sparkle_location_000001\.mp4.*changed after it was written"):
        publish(str(tmp_path))
