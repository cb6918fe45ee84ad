"""Regenerate: parts from artifacts to the byte, artifacts from the release, and what must be made again."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from actors.guard import Guard, RunContext
from actors.store import Store, open_root
from ray_jobs.phases import Phase
from ray_jobs.publish import publish
from ray_jobs.regenerate import Regenerated, regenerate
from ray_jobs.removals import record_removal
from ray_jobs.remove import remove
from ray_jobs.root import read_root
from ray_jobs.runs import finished, newest_run
from ray_jobs.sealing import PlannedShard, PublishError
from ray_jobs.verify import verify
from schemas.config import ConfigError, ReleaseConfig, RunConfig
from schemas.records import Row
from tests.crash_points import crash
from tests.ray_jobs.commands import tree
from tests.ray_jobs.small_root import make_root

CONFIG = RunConfig(
    themes=("location",),
    release=ReleaseConfig(shard_bytes=10_240, previews=1),
    actors={"EditedVideoScorer": {"min_edited_video_overall": None}},
)
SAMPLE = "Sparkle_location_000002"
CANNY = f"artifacts/intermediate_data/location/edited_video_canny/{SAMPLE}.mp4"
PART = "location_edited_video_part00.tar"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("regenerate") / "root"
    make_root(root, sources=3, config=CONFIG)
    publish(str(root))
    return root


@pytest.fixture
def root(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "root"))


def no_model(rows: Sequence[Row], phase: Phase, config: RunConfig, context: RunContext) -> None:
    raise AssertionError("an actor was asked though every artifact can be had without one")


def here(rows: Sequence[Row], phase: Phase, config: RunConfig, context: RunContext) -> None:
    """The actors of a phase, one after the other in this process."""
    fanned_out = False
    for item in phase.actors:
        if item.actor.keyed == "sample" and not fanned_out:
            rows, fanned_out = [sample for row in rows for sample in row.fan_out()], True
        rows = Guard(item.build(), context)(rows)


def again(root: Path, **what: object) -> Regenerated:
    return regenerate(str(root), through=no_model, **what)  # type: ignore[arg-type]  # as the command line


def flip(path: Path, place: int = 700) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.unlink()  # another name of it keeps its bytes
    path.write_bytes(data)


@pytest.mark.parametrize("name", [PART, "intermediate_data/location_source_frame0_part00.tar"])
def test_a_part_is_made_again_to_the_byte_without_a_model(root: Path, name: str) -> None:
    before = tree(root / "release")
    made = (root / "release" / name).stat().st_mtime_ns
    result = again(root, shard=Path(name).name)
    assert result.parts == {name: True}
    assert (root / "release" / name).stat().st_mtime_ns > made, "it was written, not left alone"
    assert tree(root / "release") == before
    assert verify(str(root)) == []


def test_missing_and_broken_parts_are_found_and_the_whole_ones_are_not_touched(root: Path) -> None:
    before = tree(root / "release")
    other = root / "release/intermediate_data/location_source_video_mask_part00.tar"
    (root / "release" / PART).unlink()
    flip(other)
    whole = {path: path.stat().st_ino for path in (root / "release").rglob("*.tar") if path != other}
    assert set(again(root, missing=True).parts) == {PART}
    assert again(root, broken=True).parts == {other.relative_to(root / "release").as_posix(): True}
    assert tree(root / "release") == before
    assert all(path.stat().st_ino == inode for path, inode in whole.items())
    assert str(again(root, broken=True)).startswith("no part, artifact or preview to make")


def test_a_part_that_is_asked_for_brings_others_along_that_are_not_in_place(root: Path) -> None:
    before = tree(root / "release")
    other = root / "release/intermediate_data/location_source_video_mask_part00.tar"
    other.write_bytes(other.read_bytes() + b"x")
    (root / "release" / PART).unlink()
    assert again(root, shard=PART).parts == {PART: True, other.relative_to(root / "release").as_posix(): True}
    assert tree(root / "release") == before


def test_a_lost_or_damaged_artifact_is_taken_back_from_the_release(root: Path) -> None:
    before = tree(root / "artifacts")
    first = root / f"artifacts/location/edited_video/{SAMPLE[:-1]}0.mp4"  # a preview
    lost = root / CANNY
    first.unlink()
    lost.unlink()
    damaged = root / f"artifacts/intermediate_data/location/edited_frame0/{SAMPLE}.png"
    flip(damaged, 60)
    assert len(again(root, missing=True).from_release) == 2
    assert again(root, broken=True).from_release == [damaged.relative_to(root).as_posix()]
    assert tree(root / "artifacts") == before


def test_previews_that_are_gone_or_damaged_come_back_from_their_artifacts(root: Path) -> None:
    before = tree(root)
    first = SAMPLE[:-1] + "0"
    gone, damaged = (
        root / f"release/location/{kind}/{first}.mp4" for kind in ("source_video", "edited_video")
    )
    gone.unlink()
    assert again(root, missing=True).previews == [f"location/source_video/{first}.mp4"]
    gone.unlink()
    flip(damaged, 60)
    (root / f"artifacts/sources/source_video/Sparkle_source_{first[-6:]}.mp4").unlink()
    result = again(root, broken=True)
    assert len(result.from_release) == 1, "from the part, since the preview is gone too"
    assert sorted(result.previews) == [
        f"location/{name}/{first}.mp4" for name in ("edited_video", "source_video")
    ]
    assert {path: data for path, data in tree(root).items() if path in before} == before
    assert verify(str(root)) == []


def test_the_parts_of_a_sample_are_made_again(root: Path) -> None:
    before = tree(root / "release")
    result = again(root, sample=SAMPLE)
    assert len(result.parts) == 8
    assert all(result.parts.values())
    assert tree(root / "release") == before


def lose_canny(root: Path) -> Path:
    """The artifact and the part that holds it; returns the part."""
    (artifact,) = (root / "artifacts").rglob(f"edited_video_canny/{SAMPLE}.mp4")
    artifact.unlink()
    (part,) = (p for p in (root / "release").rglob("*canny*.tar") if SAMPLE.encode() in p.read_bytes())
    part.unlink()
    return part


def artifacts_of(root: Path) -> dict[str, str]:
    state = read_root(open_root(str(root), create=False))
    assert state is not None
    return {
        item["column"]: item["sha256"]
        for name in ("ForegroundTracker", "GuidanceComposer", "VideoGenerator")
        for row in state.settled[name].to_pylist()
        if row["key"] == SAMPLE
        for item in row["artifacts"]
    }


def test_an_artifact_that_is_nowhere_is_made_by_its_actor_and_what_differs_is_a_new_generation(
    root: Path,
) -> None:
    """The small root's media are made up, so the first time the actor's bytes are others; then the same."""
    recorded, before = artifacts_of(root), tree(root / "release")
    lose_canny(root)
    result = regenerate(str(root), sample=SAMPLE, through=here)
    assert result.remade.failed == []
    (words,) = result.remade.changed
    assert words.startswith(f"{SAMPLE} edited_video_canny: {recorded['edited_video_canny'][:16]} -> ")
    assert "inputs" in words
    assert "host test -> " in words
    found = artifacts_of(root)
    assert {name for name in found if found[name] != recorded[name]} == {"edited_video_canny", "edited_video"}
    assert verify(str(root)) == []
    after = tree(root / "release")
    changed = {path for path in before if path.endswith(".tar") and before[path] != after[path]}
    assert len(changed) == 2
    assert all("edited_video" in path for path in changed)
    assert {path for path, same in result.parts.items() if not same} == changed
    assert not list((root / "remaking").rglob("*.mp4"))

    held = tree(root / "artifacts"), tree(root / "release"), found
    lose_canny(root)
    result = regenerate(str(root), missing=True, through=here)
    assert (result.remade.changed, result.remade.failed, len(result.remade.same)) == ([], [], 1)
    assert (tree(root / "artifacts"), tree(root / "release"), artifacts_of(root)) == held


def test_the_root_is_held_while_parts_go_for_a_new_generation(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []

    def watched(store: Store, part: PlannedShard) -> None:
        record = newest_run(store)
        assert record is not None
        ended.append(finished(store, record))
        take_away(store, part)

    take_away = sys.modules["ray_jobs.regenerate"]._take_away
    monkeypatch.setattr(sys.modules["ray_jobs.regenerate"], "_take_away", watched)
    lose_canny(root)
    assert regenerate(str(root), sample=SAMPLE, through=here).remade.changed
    assert ended
    assert not any(ended)


def test_killed_while_a_new_generation_comes_over_the_same_command_goes_on_without_a_model(
    root: Path,
) -> None:
    """Between two rows the artifact is still missing; between rows and publish the plan is the older one."""
    recorded = artifacts_of(root)
    lose_canny(root)

    def rows(path: str) -> bool:
        anew = ("GuidanceComposer", "VideoGenerator", "EditedVideoScorer")
        return "/remaking/" not in path and any(f"/journal/{actor}/" in path for actor in anew)

    with crash(3, rows) as before_the_last_row:
        regenerate(str(root), missing=True, through=here)
    half = artifacts_of(root)
    assert half["edited_video"] != recorded["edited_video"]
    assert half["edited_video_canny"] == recorded["edited_video_canny"], "what is missing is replaced last"
    taken_down = shutil.copytree(root, root.with_name("taken down"))
    remove(str(taken_down), sample=SAMPLE)
    assert not list((taken_down / "artifacts").rglob(f"{SAMPLE}.*")), "also what no row names"
    with crash(1, lambda path: "/journal/plan/" in path) as before_the_plan:
        regenerate(str(root), missing=True, through=no_model)
    assert before_the_last_row.dead
    assert before_the_plan.dead
    found = artifacts_of(root)
    assert {name for name in found if found[name] != recorded[name]} == {"edited_video_canny", "edited_video"}
    (words,) = again(root, missing=True).remade.changed
    assert "the plan is older" in words
    assert artifacts_of(root) == found
    assert verify(str(root)) == []


def test_what_cannot_be_made_is_said_and_the_release_is_left_as_it_is(root: Path) -> None:
    """The source file is not there, so nothing can be made from it."""
    lost = root / "artifacts/sources/source_video/Sparkle_source_000002.mp4"
    lost.unlink()
    for part in (root / "release").rglob("location_source_video_part*.tar"):
        part.unlink()
    result = regenerate(str(root), missing=True, through=here)
    assert result.parts == {}
    assert "000002: Ingest failed again: no file at /videos/clip 2.mp4" in result.remade.failed


def damage_everywhere(root: Path, name: str) -> Path:
    """An artifact, and its copy in a part; returns the part."""
    content = (root / name).read_bytes()
    flip(root / name, 60)
    (part,) = (p for p in (root / "release").rglob("*source_video_part*.tar") if content in p.read_bytes())
    flip(part, part.read_bytes().index(content) + 60)
    return part


def test_a_part_with_a_member_that_is_damaged_everywhere_stays_where_it_is(root: Path) -> None:
    name = "artifacts/sources/source_video/Sparkle_source_000002.mp4"
    part = damage_everywhere(root, name)
    before = tree(root / "release")
    result = regenerate(str(root), shard=part.name, through=here)
    assert result.parts == {}
    assert any(words.endswith(f"gone or damaged, first {name}") for words in result.remade.failed)
    assert tree(root / "release") == before


def test_it_stays_also_where_another_sample_gets_a_new_generation(root: Path) -> None:
    part = damage_everywhere(root, "artifacts/sources/source_video/Sparkle_source_000001.mp4")
    lose_canny(root)
    before = part.read_bytes()
    result = regenerate(str(root), broken=True, through=here)
    assert (len(result.remade.changed), len(result.remade.failed)) == (1, 1)
    assert part.read_bytes() == before


def test_what_a_broken_off_takedown_names_is_not_made_again(root: Path) -> None:
    store = open_root(str(root), create=False)
    record_removal(store, "sample", SAMPLE, {})
    lose_canny(root)
    for part in (root / "release").rglob("location_edited_video*_part*.tar"):
        part.unlink()
    result = regenerate(str(root), missing=True, through=no_model)
    assert all("edited_video_canny" not in path for path in result.parts)
    (lacking,) = result.remade.failed
    assert f"{SAMPLE}.mp4" in lacking
    remove(str(root), sample=SAMPLE)
    assert regenerate(str(root), missing=True, through=no_model).remade.failed == []
    assert verify(str(root)) == []


def test_what_to_regenerate_must_be_named_and_known(root: Path, tmp_path: Path) -> None:
    for wrong, words in (
        ({"shard": "location_edited_video_part99.tar"}, "no such part; did you mean"),
        ({"sample": "Sparkle_location_000009"}, "in no part of the release"),
        ({}, "give one of"),
        ({"missing": True, "broken": True}, "give one of"),
    ):
        with pytest.raises(ConfigError, match=words):
            again(root, **wrong)
    make_root(tmp_path / "new", sources=1)
    with pytest.raises(PublishError, match="was not published yet"):
        again(tmp_path / "new", missing=True)
