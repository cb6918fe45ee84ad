"""Identity and rows: published ids, seeds that depend on nothing else, rows that survive the journey."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.columns import MEDIA
from schemas.records import (
    THEMES,
    Artifact,
    Row,
    artifact_path,
    release_path,
    sample_id,
    seed_for,
    source_key,
)

text = st.text(max_size=20)
values = st.dictionaries(text, st.one_of(st.none(), text, st.integers(), st.booleans(), st.lists(text)))
artifacts = st.dictionaries(
    st.sampled_from(sorted(MEDIA)), st.builds(Artifact, text, text, st.integers(0), text), max_size=3
)
rows = st.builds(Row, text, values, artifacts, st.lists(text), st.just([]))
sources = st.builds(Row, text, values, artifacts, st.lists(text), st.lists(rows, max_size=3))


@given(sources)
def test_a_row_comes_back_from_json_as_it_was(row: Row) -> None:
    assert Row.from_json(row.to_json()) == row


@given(sources)
def test_fan_out_gives_each_sample_what_is_known_of_its_source(row: Row) -> None:
    samples = row.fan_out()
    assert [sample.key for sample in samples] == [sample.key for sample in row.samples]
    for sample, own in zip(samples, row.samples, strict=True):
        assert sample.values == {**row.values, **own.values}
        assert sample.artifacts == {**row.artifacts, **own.artifacts}
        assert sample.done == [*row.done, *own.done]
        sample.values["changed"] = True
    assert all("changed" not in sample.values for sample in row.samples)


def test_ids_are_the_published_ones() -> None:
    assert sample_id("Sparkle", "location", 7) == "Sparkle_location_000007"
    assert source_key(1_234_567) == "1234567"


@given(st.integers(0, 2**31), text, text)
def test_seeds_fit_every_generator_and_depend_on_all_three_words(run: int, key: str, actor: str) -> None:
    seed = seed_for(run, key, actor)
    assert 0 <= seed < 2**63
    assert seed == seed_for(run, key, actor)
    assert len({seed, seed_for(run + 1, key, actor), seed_for(run, key + "x", actor)}) == 3


def test_a_seed_is_the_same_on_every_machine_and_in_every_version() -> None:
    assert seed_for(42, "Sparkle_location_000000", "FirstFrameEditor") == 397044325866242406


def test_sample_media_lie_where_the_release_has_them_and_source_media_once_a_source() -> None:
    sample = "Sparkle_season_000111"
    path = artifact_path(MEDIA["edited_frame0"], sample, "season", "Sparkle")
    assert path == f"intermediate_data/season/edited_frame0/{sample}.png"
    assert path == release_path("edited_frame0", sample, "season")
    path = artifact_path(MEDIA["source_video"], "000111", None, "Sparkle")
    assert path == "sources/source_video/Sparkle_source_000111.mp4"
    for theme in THEMES:
        assert release_path("source_video", sample, theme) == f"{theme}/source_video/{sample}.mp4"
