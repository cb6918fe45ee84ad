"""How the plan is cut into phases, and which rows a phase takes up from the one before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.backends.catalogue import CHECKPOINTS
from actors.backends.options import option_names
from actors.pipeline import PIPELINE, PlannedActor, resolve
from ray_jobs.gpus import nodes_known
from ray_jobs.models import require_weights
from ray_jobs.phases import cut, entering, undone
from ray_jobs.settings import apply, load_config
from schemas.config import ConfigError
from schemas.records import Row

EMBEDDED = resolve(apply({}, ()))
PAPER = resolve(load_config(Path("configs/sparkle.yaml")))


def costing(gpus: dict[str, float], seconds: dict[str, float] | None = None) -> list[PlannedActor]:
    """The pipeline with other needs: GPUs a worker and seconds a sample, by actor."""
    planned = []
    for item in EMBEDDED:
        spec = item.backend
        if spec is not None:
            spec = replace(
                spec, num_gpus=gpus.get(item.name, 0.0), seconds=(seconds or {}).get(item.name, 1.0)
            )
        planned.append(replace(item, backend=spec))
    return planned


def test_without_gpu_everything_streams_in_one_phase() -> None:
    (phase,) = cut(EMBEDDED, [0])
    assert [item.name for item in phase.actors] == [actor.__name__ for actor in PIPELINE]
    assert phase.gpus == 0


def test_one_gpu_runs_the_papers_models_and_a_large_cluster_streams_them_all_at_once() -> None:
    assert len(cut(PAPER, [1])) > 5
    assert len(cut(PAPER, [64])) == 1


@given(
    st.dictionaries(
        st.sampled_from([item.name for item in EMBEDDED]), st.sampled_from([0.25, 0.5, 1.0, 2.0])
    ),
    st.integers(2, 40),
)
def test_phases_keep_the_order_and_never_take_more_than_there_is(needs: dict[str, float], gpus: int) -> None:
    phases = cut(costing(needs), [gpus])
    assert [item.name for phase in phases for item in phase.actors] == [item.name for item in EMBEDDED]
    for phase in phases:
        assert phase.gpus <= gpus
        assert all(count >= 1 for count in phase.workers)


def test_an_actor_that_no_phase_can_place_is_refused_with_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"counts on 3 GPUs, and VideoGenerator \(embedded\) needs 4\."):
        cut(costing({"VideoGenerator": 4.0, "ForegroundTracker": 1.0}), [3])
    with pytest.raises(ConfigError, match="BackgroundAnimator"):
        cut(costing({"BackgroundAnimator": 0.25}), [0])


def test_the_slow_generators_are_kept_apart_where_that_is_clearly_faster() -> None:
    planned = costing(
        {"FirstFrameEditor": 1.0, "BackgroundAnimator": 1.0, "VideoGenerator": 1.0},
        {"FirstFrameEditor": 1.0, "BackgroundAnimator": 1000.0, "VideoGenerator": 1000.0},
    )
    phases = cut(planned, [4])
    workers = {
        item.name: count
        for phase in phases
        for item, count in zip(phase.actors, phase.workers, strict=True)
        if item.num_gpus
    }
    assert workers["BackgroundAnimator"] >= 2, phases
    assert len(cut(planned, [60])) == 1, "with room for all, one phase: nothing is clearly faster"


def test_what_the_journal_measured_counts_before_the_published_seconds() -> None:
    planned = costing({"FirstFrameEditor": 1.0, "VideoGenerator": 1.0})
    (phase,) = cut(planned, [12], {"FirstFrameEditor": 1.0, "VideoGenerator": 5.0})
    names = [item.name for item in phase.actors]
    assert phase.workers[names.index("VideoGenerator")] == 10
    assert phase.workers[names.index("FirstFrameEditor")] == 2


def test_a_pool_size_in_the_config_is_kept_and_counted() -> None:
    config = apply({"actors": {"VideoGenerator": {"pool_size": 3, "num_gpus": 0.5}}}, ())
    (phase,) = cut(resolve(config), [2])
    assert phase.gpus == 1.5
    with pytest.raises(ConfigError, match=r"needs 3 times 0\.5"):
        cut(resolve(config), [1])


def test_a_worker_has_its_part_of_one_gpu_and_not_of_two() -> None:
    config = apply({"actors": {"VideoGenerator": {"pool_size": 3, "num_gpus": 0.6}}}, ())
    with pytest.raises(ConfigError, match=r"needs 3 times 0\.6"):
        cut(resolve(config), [2])
    planned = costing(
        {"VideoGenerator": 0.6, "EditedFrameScorer": 0.5}, {"VideoGenerator": 10.0, "EditedFrameScorer": 9.0}
    )
    (phase,) = cut(planned, [3])
    names = [item.name for item in phase.actors]
    assert phase.workers[names.index("VideoGenerator")] == 2, "the third GPU is the scorer's"
    with pytest.raises(ConfigError, match=r"num_gpus 1\.5"):
        apply({"actors": {"VideoGenerator": {"num_gpus": 1.5}}}, ())


def test_a_worker_has_all_its_gpus_on_one_node() -> None:
    planned = costing({"VideoGenerator": 2.0})
    with pytest.raises(
        ConfigError, match=r"2 GPUs on 2 nodes, at most 1 on one, and VideoGenerator .* needs 2\."
    ):
        cut(planned, [1, 1])
    (phase,) = cut(planned, [3, 3, 1])
    assert phase.gpus == 4, "a node of three has room for one of them"


def test_the_config_says_the_gpus_before_the_machine_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert nodes_known(apply({"gpus": 7}, ())) == [7]
    assert nodes_known(apply({}, ())) is None, "a cluster is named, and only it knows"
    monkeypatch.delenv("RAY_ADDRESS")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert nodes_known(apply({}, ())) == [0]


def test_a_phase_takes_up_only_what_passed_every_actor_before_it() -> None:
    before = [item for item in EMBEDDED if item.name in ("Ingest", "CameraMotionFilter", "EditedFrameScorer")]
    limits = {"max_camera_step_pct": 0.2, "max_camera_drift_pct": 0.9, "min_edited_frame0_overall": 8.0}

    def source(
        key: str, step: float, *samples: Row, done: tuple[str, ...] = ("Ingest", "CameraMotionFilter")
    ) -> Row:
        return Row(
            key, {"camera_step_pct": step, "camera_drift_pct": 0.1}, done=list(done), samples=[*samples]
        )

    def sample(key: str, overall: float, *done: str) -> Row:
        return Row(key, {"edited_frame0_overall": overall}, done=list(done))

    rows = [
        source(
            "000001", 0.1, sample("good", 9.0, "EditedFrameScorer"), sample("poor", 7.9, "EditedFrameScorer")
        ),
        source("000002", 0.1, sample("not yet", 0.0)),
        source("000003", 0.5, sample("of a moving camera", 9.0, "EditedFrameScorer")),
        source("000004", 0.1, sample("of a failed source", 9.0, "EditedFrameScorer"), done=("Ingest",)),
    ]
    taken = entering(rows, before, limits)
    assert [[sample.key for sample in row.samples] for row in taken] == [["good"]]


def test_a_phase_with_nothing_left_takes_up_nothing() -> None:
    (phase,) = cut(EMBEDDED, [0])
    names = [item.name for item in EMBEDDED]
    of_source = [item.name for item in EMBEDDED if item.actor.keyed == "source"]
    of_sample = [name for name in names if name not in of_source]
    rows = [
        Row(
            "000001", {}, done=of_source, samples=[Row("done", {}, done=of_sample), Row("half", {}, done=[])]
        ),
        Row("000002", {}, done=of_source, samples=[Row("done too", {}, done=of_sample)]),
        Row("000003", {}, done=of_source[:1], samples=[Row("waits", {}, done=[])]),
    ]
    assert [[sample.key for sample in row.samples] for row in undone(rows, phase)] == [["half"], ["waits"]]


def test_the_papers_config_names_only_options_that_its_backends_take() -> None:
    for item in PAPER:
        if item.backend:
            assert set(item.config.options) <= option_names(item.backend)
            assert option_names(item.backend)


@pytest.mark.parametrize(
    ("role", "backend", "options", "message"),
    [
        ("VideoGenerator", "wan22_fun_control", {"stepz": 3}, "no such option; did you mean 'steps'"),
        ("VideoGenerator", "embedded", {"steps": 3}, "it takes none"),
        ("EditedFrameScorer", "editscore", {"adapter_revision": 1234567}, "quote a revision"),
        ("StaticCameraJudge", "openai", {"model": "m", "base_url": "u", "api_key": "sk-1"}, "api_key_env"),
        (
            "StaticCameraJudge",
            "openai",
            {"model": "m", "base_url": "http://me:word@host/v1"},
            "no user or password",
        ),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_written(
    role: str, backend: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        apply({"actors": {role: {"backend": backend, "options": options}}}, ())


def test_missing_weights_are_all_named_before_the_first_phase() -> None:
    with pytest.raises(ConfigError) as refused:
        require_weights(PAPER)
    for repository in ("Qwen/Qwen3-VL-32B-Instruct", "alibaba-pai/Wan2.2-Fun-A14B-Control"):
        assert f"hf download {repository}" in str(refused.value)


def test_a_written_default_and_another_server_do_not_change_the_fingerprint() -> None:
    def made_by(**options: object) -> str:
        raw = {"actors": {"ForegroundTracker": {"backend": "sam2", "options": options}}}
        return next(item.fingerprint for item in resolve(apply(raw, ())) if item.name == "ForegroundTracker")

    pin = CHECKPOINTS["facebook/sam2.1-hiera-large"].revision
    assert made_by() == made_by(model="facebook/sam2.1-hiera-large", revision=pin) == made_by(device="cpu")
    assert made_by() != made_by(revision="0" * 40)
    assert made_by() != made_by(model="facebook/sam2.1-hiera-tiny")
