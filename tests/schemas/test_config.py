"""The configuration: what is misspelt is refused, with the name that was meant."""

from __future__ import annotations

import pytest

from schemas.config import ActorConfig, ConfigError, ReleaseConfig, RunConfig, nearest, validated
from schemas.records import THEMES


def test_the_defaults_are_four_themes_and_published_sizes() -> None:
    config = RunConfig()
    assert config.themes == ("location", "season", "time", "style")
    assert config.release == ReleaseConfig(shard_bytes=5_000_000_000, previews=100, license="cc-by-4.0")


def test_a_config_survives_the_run_record() -> None:
    config = RunConfig(themes=("openve3m",), actors={"Ingest": {"min_frames": 21}}, seed=7)
    assert validated(RunConfig, config.model_dump(mode="json"), "") == config


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"sead": 1}, ["sead: unknown key", "did you mean 'seed'?"]),
        ({"release": {"shard_byte": 1}}, ["release.shard_byte", "did you mean 'shard_bytes'?"]),
        ({"seed": -1}, ["seed", "found -1"]),
        ({"themes": ["locaton"]}, ["locaton", "did you mean 'location'?"]),
        ({"themes": []}, ["at least one theme"]),
        ({"themes": ["time", "time"]}, ["each once"]),
        ({"name": "a/b"}, ["name", "a/b"]),
        ({"execution": "pool"}, ["execution", "found 'pool'"]),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(raw: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        validated(RunConfig, raw, "")
    for word in words:
        assert word in str(caught.value)


def test_every_fault_of_a_config_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        validated(RunConfig, {"sead": 1, "max_failures": 0}, "")
    assert len(str(caught.value).splitlines()) == 2


def test_the_place_of_an_actors_key_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"actors\.Ingest\.batchsize: unknown key; did you mean 'batch_size'"
    ):
        validated(ActorConfig, {"batchsize": 2}, "actors.Ingest")


def test_a_word_that_is_near_nothing_gets_the_list() -> None:
    assert nearest("qqq", THEMES) == f"; known are {', '.join(sorted(THEMES))}"
