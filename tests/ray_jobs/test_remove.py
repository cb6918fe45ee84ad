"""Takedown: what is listed, what goes, what stays as it was; a kill between any two steps is safe."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from actors.store import StoreError, open_root
from ray_jobs.plan import work_left
from ray_jobs.publish import publish
from ray_jobs.remove import remove
from ray_jobs.root import read_samples
from ray_jobs.sealing import PublishError
from ray_jobs.sources import SourceEntry, plan_samples
from ray_jobs.verify import verify
from schemas.config import ConfigError, ReleaseConfig, RunConfig
from schemas.manifest import funnels
from tests.ray_jobs.commands import tree
from tests.ray_jobs.small_root import make_root, state_of

CONFIG = RunConfig(themes=("location",), release=ReleaseConfig(shard_bytes=10_240, previews=1))
"""Parts of about two samples."""
URI = "/videos/clip 2.mp4"
GONE = "Sparkle_location_000002"
SOURCES = 6


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("remove") / "root"
    make_root(root, sources=SOURCES, config=CONFIG)
    publish(str(root))
    return root


@pytest.fixture
def root(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "root"))


def statuses(root: Path) -> dict[str, str]:
    verdicts = state_of(root).verdicts()
    return dict(zip(verdicts["sample_id"].to_pylist(), verdicts["status"].to_pylist(), strict=True))


def mentions(root: Path, word: str) -> list[str]:
    """Files whose name or content has the word."""
    return [path for path, data in tree(root).items() if word in path or word.encode() in data]


def members(release: Path) -> dict[str, list[str]]:
    found = {}
    for part in sorted(release.rglob("*.tar")):
        with tarfile.open(part) as archive:
            found[part.relative_to(release).as_posix()] = archive.getnames()
    return found


def test_a_removed_source_leaves_the_release_and_the_other_parts_stay_byte_for_byte(root: Path) -> None:
    before, was = tree(root / "release"), members(root / "release")
    found = remove(str(root), source=URI, reason="asked for by its author")
    after, now = tree(root / "release"), members(root / "release")
    touched = {part for part, names in was.items() if any(GONE in name for name in names)}
    assert set(found.shards) == touched
    assert {name: now.get(name, []) for name in was} == {
        part: [name for name in names if GONE not in name] for part, names in was.items()
    }
    parts = {path for path in before if path.endswith(".tar")}
    assert all(before[path] == after[path] for path in parts - touched)
    assert verify(str(root)) == []
    assert statuses(root)[GONE] == "removed"
    row = next(
        r for r in pq.read_table(root / "manifest/location.parquet").to_pylist() if r["sample_id"] == GONE
    )
    assert (row["status"], row["reason"], row["prompt"], row["edited_video_sha256"]) == (
        "removed",
        "taken down",
        None,
        None,
    )
    left = mentions(root / "release", GONE)
    assert left == [path for path in left if path.startswith("manifest/")], "only the row that says so"
    assert mentions(root / "artifacts", GONE) == []
    assert not list((root / "artifacts/sources").rglob("*000002*"))


def test_a_part_that_held_nothing_else_is_gone_and_the_others_keep_their_names(tmp_path: Path) -> None:
    one_each = RunConfig(themes=("location",), release=ReleaseConfig(shard_bytes=1))
    make_root(tmp_path, sources=3, config=one_each)
    publish(str(tmp_path))
    was = members(tmp_path / "release")
    remove(str(tmp_path), source="1")
    now = members(tmp_path / "release")
    assert now == {part: names for part, names in was.items() if not part.endswith("_part01.tar")}
    assert len(was) - len(now) == 8
    assert verify(str(tmp_path)) == []
    publish(str(tmp_path))
    assert members(tmp_path / "release") == now


def test_a_dry_run_lists_everything_and_changes_nothing(root: Path) -> None:
    before = tree(root)
    found = remove(str(root), source="2", dry_run=True)
    assert tree(root) == before
    assert found.samples == (GONE,)
    assert set(found.artifacts) == {
        path for path in before if "000002" in path and path.startswith("artifacts")
    }
    assert len(found.artifacts) == 8
    assert set(found.rows) >= {"Ingest", "EditedVideoScorer"}
    assert set(found.shards) <= {path.removeprefix("release/") for path in before}
    assert "000003" not in str(found)
    assert "/videos/clip 1.mp4" in found.same_bytes, "small_root gives all sources one digest"


def test_one_sample_goes_and_its_source_stays(tmp_path: Path) -> None:
    make_root(tmp_path, sources=2)
    found = remove(str(tmp_path), sample="Sparkle_openve3m_000001")
    assert not any("sources/" in path for path in found.artifacts)
    assert statuses(tmp_path) == {
        "Sparkle_location_000000": "accepted",
        "Sparkle_location_000001": "accepted",
        "Sparkle_openve3m_000000": "accepted",
        "Sparkle_openve3m_000001": "removed",
    }
    publish(str(tmp_path))
    assert "| taken down |" in (tmp_path / "release/README.md").read_text()
    assert verify(str(tmp_path)) == []


def test_a_removed_source_is_not_taken_up_again_in_any_theme_and_its_number_is_not_given_away(
    root: Path,
) -> None:
    remove(str(root), source="/videos/clip 5.mp4")
    more = CONFIG.model_copy(update={"themes": ("location", "season")})
    entries = [SourceEntry(f"/videos/clip {number}.mp4") for number in (5, 6)]
    store = open_root(str(root), create=False)
    new, asked = plan_samples(entries, more, read_samples(store))
    numbers = {row["sample_id"]: row["source_id"] for row in new}
    assert numbers == {"Sparkle_season_000005": 5, "Sparkle_location_000006": 6, "Sparkle_season_000006": 6}
    (root / "journal/samples").mkdir(exist_ok=True)
    from ray_jobs.root import write_samples

    write_samples(store, 99, new)
    left = work_left(state_of(root), more, asked).samples["sample_id"].to_pylist()
    assert left == ["Sparkle_location_000006", "Sparkle_season_000006"]
    assert statuses(root)["Sparkle_season_000005"] == "removed"


def test_a_rejected_sample_that_is_removed_leaves_the_score_files_too(tmp_path: Path) -> None:
    low = "Sparkle_location_000001"
    make_root(tmp_path, sources=2, config=CONFIG, measured={low: {"edited_frame0_overall": 7.0}})
    publish(str(tmp_path))
    scores = tmp_path / "release/intermediate_data/location/edited_frame0_score.jsonl"
    assert low in scores.read_text()
    remove(str(tmp_path), source="1")
    assert low not in scores.read_text()
    assert verify(str(tmp_path)) == []


def test_what_a_takedown_left_behind_is_a_fault(root: Path) -> None:
    """A worker of a dead run on another machine may write an artifact late."""
    late = root / "artifacts" / "location/edited_video" / f"{GONE}.mp4"
    data = late.read_bytes()
    remove(str(root), source=URI)
    late.write_bytes(data)
    (fault,) = verify(str(root))
    assert "was taken down" in str(fault)
    assert "remove" in str(fault)
    remove(str(root), source=URI)
    assert verify(str(root)) == []


def test_a_takedown_that_another_sample_holds_up_says_so_and_goes_on_when_it_is_back(root: Path) -> None:
    """The neighbour in its part lost a file, and its copy there, so no part can be made without the one that
    goes.
    """
    parts = members(root / "release").items()
    (path, part), *_ = ((p, names) for p, names in parts if f"location/edited_video/{GONE}.mp4" in names)
    (root / "release" / path).unlink()
    neighbour = next(name for name in part if GONE not in name)
    artifact = root / "artifacts" / neighbour
    lost = artifact.rename(root / "lost.mp4")
    with pytest.raises(PublishError, match=rf"recorded as removed, but .*{neighbour}.*--missing"):
        remove(str(root), source=f"file://{URI.replace(' ', '%20')}")
    assert statuses(root)[GONE] == "removed"
    lost.rename(artifact)
    remove(str(root), source=URI)
    assert not list((root / "artifacts").rglob(f"{GONE}.*"))
    assert verify(str(root)) == []


def test_a_neighbour_whose_artifact_is_damaged_is_saved_from_the_part_that_goes(root: Path) -> None:
    parts = members(root / "release").values()
    (part,) = (names for names in parts if f"location/edited_video/{GONE}.mp4" in names)
    artifact = root / "artifacts" / next(name for name in part if GONE not in name)
    content = artifact.read_bytes()
    artifact.unlink()
    artifact.write_bytes(content[:-1] + b"x")
    remove(str(root), source=URI)
    assert artifact.read_bytes() == content
    assert verify(str(root)) == []


def test_what_is_not_there_cannot_be_removed(root: Path, tmp_path: Path) -> None:
    for wrong, words in (
        ({"source": "/videos/clip 22.mp4"}, "did you mean '/videos/clip 2.mp4'"),
        ({"sample": "Sparkle_location_0000002"}, "did you mean"),
        ({"source": ""}, "--source is empty"),
        ({"source": "²"}, "no such source"),
        ({"source": "/videos/\udcff.mp4"}, "no such source"),
        ({"sample": "\udcff"}, "not planned"),
        ({}, "give either"),
        ({"source": "1", "sample": GONE}, "give either"),
    ):
        with pytest.raises(ConfigError, match=words):
            remove(str(root), **wrong)  # type: ignore[arg-type]  # the table's values are all str
    with pytest.raises(StoreError, match="not an output root"):
        remove(str(tmp_path / "elsewhere"), source="1")


def test_the_record_says_what_was_removed_and_why(root: Path) -> None:
    remove(str(root), source=URI, reason="asked for")
    record = json.loads((root / "journal/removed/source/000002.json").read_text())
    assert (record["source_uri"], record["samples"], record["reason"]) == (URI, [GONE], "asked for")


def test_every_sample_is_exactly_one_of_accepted_rejected_failed_removed_and_live(tmp_path: Path) -> None:
    name = "Sparkle_location_00000{}".format
    make_root(
        tmp_path,
        sources=5,
        config=CONFIG,
        measured={name(1): {"edited_frame0_overall": 7.0}},
        failed={("VideoGenerator", name(2)): "80 frames", ("Ingest", "000003"): "no video in it"},
    )
    for number in (0, 3):
        remove(str(tmp_path), source=str(number))
    only = CONFIG.model_copy(update={"release": ReleaseConfig(allow=("cc-by-4.0",))})
    state = state_of(tmp_path)
    for config, left in ((CONFIG, {"accepted": 1}), (only, {"rejected": 1})):
        verdicts = state.verdicts(config)
        (funnel,) = funnels(state.samples, verdicts, ["location"])
        found = {
            "accepted": funnel.accepted,
            "rejected": sum(funnel.rejected.values()),
            "failed": funnel.failed,
            "removed": funnel.removed,
            "live": funnel.live,
        }
        expected = {"accepted": 0, "rejected": 1, "failed": 1, "removed": 2, "live": 0}
        for status, count in left.items():
            expected[status] += count
        assert found == expected
        assert sum(found.values()) == funnel.planned == 5
