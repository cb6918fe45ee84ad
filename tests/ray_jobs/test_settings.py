"""Config files and `--set`: what is unknown is refused before anything starts, with the nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.backends import editscore_prompts
from actors.backends.editscore_prompts import protocol_version
from actors.pipeline import PIPELINE, resolve, thresholds
from ray_jobs.settings import apply, load_config
from schemas.config import ConfigError, RunConfig
from schemas.gates import GATES

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_resolves_and_has_every_gate(path: Path) -> None:
    planned = resolve(load_config(path))
    assert [item.actor for item in planned] == list(PIPELINE)
    assert set(thresholds(planned)) == {gate.name for gate in GATES}


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("EditedFrameScorer.min_edited_frame_overall=7", "did you mean 'min_edited_frame0_overall'"),
        ("EditedFrameScorr.backend=embedded", "did you mean 'EditedFrameScorer'"),
        ("sed=3", "did you mean 'seed'"),
        ("release.shard_byts=3", "did you mean 'shard_bytes'"),
        ("FirstFrameEditor.backend=embeded", "did you mean 'embedded'"),
        ("Ingest.batch_size=0", "greater than or equal to 1"),
        ("seed", "write --set key=value"),
        ("seed.deep=1", "has no keys below it"),
        ("themes=[season, seeson]", "did you mean 'season'"),
    ],
)
def test_an_unknown_or_unusable_key_names_what_would_be_right(item: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        apply({"seed": 1}, [item])


def test_set_reaches_actor_and_run_keys() -> None:
    config = apply({}, ["EditedFrameScorer.min_edited_frame0_overall=7.5", "release.previews=3", "seed=9"])
    assert thresholds(resolve(config))["min_edited_frame0_overall"] == 7.5
    assert (config.release.previews, config.seed) == (3, 9)


def test_a_threshold_set_to_null_switches_its_gate_off() -> None:
    config = apply({}, ["BackgroundAnimator.min_background_dynamics=null"])
    assert thresholds(resolve(config))["min_background_dynamics"] is None


def test_thresholds_and_batch_sizes_do_not_change_a_fingerprint_and_knobs_do() -> None:
    def fingerprints(*sets: str) -> dict[str, str]:
        return {item.name: item.fingerprint for item in resolve(apply({}, sets))}

    plain = fingerprints()
    assert (
        fingerprints("EditedFrameScorer.min_edited_frame0_overall=1", "EditedFrameScorer.batch_size=8")
        == plain
    )
    changed = fingerprints("GuidanceComposer.canny_low=50")
    assert {name for name in plain if plain[name] != changed[name]} == {"GuidanceComposer"}
    reseeded = fingerprints("seed=7")
    assert plain["FirstFrameEditor"] != reseeded["FirstFrameEditor"]
    assert plain["CameraMotionFilter"] == reseeded["CameraMotionFilter"]


def test_the_questions_asked_are_in_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours of the language models, EditScore's of its judges, with their sampling."""
    paper = load_config(Path("configs/sparkle.yaml"), [])
    asked = {item.name: item.backend.asks for item in resolve(paper) if item.backend and item.backend.asks}
    ours = {"StaticCameraJudge", "InstructionWriter", "ForegroundGrounder", "AnchorGrounder"}
    scorers = {"EditedFrameScorer", "CleanBackgroundScorer", "EditedVideoScorer"}
    assert set(asked) == ours | scorers | {"ForegroundRemover", "FirstFrameEditor"}
    assert {asked[name] for name in scorers} == {protocol_version()}
    assert all(
        asked[name] in item.recipe["revision"] for item in resolve(paper) if (name := item.name) in asked
    )
    before = protocol_version()
    for name, other in (("TEMPERATURE", 0.0), ("MAX_NEW_TOKENS", 256), ("DIGEST", "0" * 64), ("_NUMBER", 99)):
        with monkeypatch.context() as patch:
            patch.setattr(editscore_prompts, name, other)
            assert protocol_version() != before


def test_a_model_spread_over_more_gpus_than_a_worker_has_is_refused() -> None:
    judge = {"backend": "vllm", "options": {"tensor_parallel_size": 4}, "num_gpus": 2}
    with pytest.raises(ConfigError, match="tensor_parallel_size 4 needs num_gpus 4, and a worker has 2"):
        resolve(RunConfig(actors={"StaticCameraJudge": judge}))
    resolve(RunConfig(actors={"StaticCameraJudge": {**judge, "num_gpus": 4}}))


def test_a_missing_config_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_a_set_on_one_actor_leaves_the_others_that_share_its_options() -> None:
    config = load_config(Path("configs/sparkle.yaml"), ["InstructionWriter.options.retries=5"])
    assert config.actors["InstructionWriter"]["options"]["retries"] == 5
    assert "retries" not in config.actors["StaticCameraJudge"]["options"]
