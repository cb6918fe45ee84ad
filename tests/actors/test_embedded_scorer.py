"""The embedded scorer on a made portrait: good edits pass, damaged ones do not, and it says why."""

from __future__ import annotations

import functools
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from actors.backends.embedded import image_quality
from actors.backends.embedded.edit_evidence import agreement, make_pair
from actors.backends.embedded.scorer import EmbeddedScorer
from actors.ops.editscore import overall
from actors.roles import Frame, SampleError, ScorePass, ScoreRequest, ScoreTask
from benchmarks import scores
from benchmarks.damages import DAMAGES, Damage, Scene, blend

CALIBRATED = [damage for damage in DAMAGES if not damage.held_out]


@functools.cache
def scorer() -> EmbeddedScorer:
    return EmbeddedScorer()


@functools.cache
def scene() -> Scene:
    first, second = scores.made_footage()
    mattes = [scores.foreground_of(footage.frames[0]) for footage in (first, second)]
    background = scores.noise_scene(7, *mattes[0].shape)
    source = first.frames[0]
    return Scene(
        source=source,
        edited=blend(source, background, mattes[0]),
        background=background,
        matte=mattes[0],
        stranger=second.frames[0],
        stranger_matte=mattes[1],
    )


def request(picture: Frame, task: ScoreTask) -> ScoreRequest:
    made = scene()
    if task == "foreground_removal":
        return ScoreRequest("it", made.edited, picture, "", task, 3, scores.objects_of(made.matte))
    return ScoreRequest("it", made.source, picture, "", task, 3)


def judged(picture: Frame, task: ScoreTask) -> ScorePass:
    passes = scorer().score([request(picture, task)])["it"]
    assert not isinstance(passes, SampleError)
    assert len(passes) == 1
    return passes[0]


def test_a_good_replacement_reaches_the_gates_of_stages_2_and_5() -> None:
    for task in ("background_replacement", "video_frame"):
        assert overall([judged(scene().edited, task)]) >= scores.GATES[2]


def test_a_good_removal_reaches_the_gate_of_stage_3() -> None:
    assert overall([judged(scene().background, "foreground_removal")]) >= scores.GATES[3]


@pytest.mark.parametrize("damage", CALIBRATED, ids=lambda damage: damage.name)
def test_a_damaged_picture_stays_under_its_gate(damage: Damage) -> None:
    task: ScoreTask = "background_replacement" if damage.stage == 2 else "foreground_removal"
    assert overall([judged(damage.apply(scene(), 1), task)]) < scores.GATES[damage.stage]


def test_the_answer_is_whole_marks_with_reasoning_that_names_the_measurements() -> None:
    answer = judged(scene().edited, "background_replacement")
    assert all(isinstance(mark, int) and 0 <= mark <= 25 for mark in (*answer.semantic, *answer.perceptual))
    for raw, reasoning, marks in (
        (answer.semantic_raw, answer.semantic_reasoning, answer.semantic),
        (answer.perceptual_raw, answer.perceptual_reasoning, answer.perceptual),
    ):
        assert json.loads(raw) == {"reasoning": reasoning, "score": list(marks)}
    assert "the foreground keeps 100% of its structure" in answer.semantic_reasoning


def test_the_same_request_gets_the_same_answer_whatever_the_seed_and_its_neighbours() -> None:
    asked = request(scene().edited, "video_frame")
    other = request(scene().source, "video_frame")
    alone = scorer().score([asked])["it"]
    again = scorer().score([replace(other, key="other"), replace(asked, seed=2)])
    assert again["it"] == alone != again["other"]


def test_new_light_on_the_foreground_does_not_count_as_a_new_foreground() -> None:
    made = scene()
    warm = np.clip(made.source * np.array([0.9, 0.7, 0.45]) + 12, 0, 255).astype(np.uint8)
    picture = blend(warm, made.background, made.matte)
    assert judged(picture, "background_replacement").semantic[1] >= 22


def test_pictures_of_unequal_size_are_refused() -> None:
    small = np.ascontiguousarray(scene().edited[::2, ::2])
    with pytest.raises(ValueError, match="only equal sizes"):
        judged(small, "background_replacement")


def test_a_picture_agrees_with_itself_and_not_with_its_mirror_image() -> None:
    source = scene().source
    everywhere = np.ones(source.shape[:2], np.bool_)
    same = agreement(make_pair(source, source), everywhere)
    mirrored = agreement(make_pair(source, np.ascontiguousarray(source[:, ::-1])), everywhere)
    assert same is not None
    assert mirrored is not None
    assert (round(same.kept, 3), same.gone_share, same.colour_distance) == (1.0, 0.0, 0.0)
    assert mirrored.kept < 0.2
    assert mirrored.gone_share > 0.8


def test_a_region_of_nothing_gives_no_agreement() -> None:
    source = scene().source
    assert agreement(make_pair(source, source), np.zeros(source.shape[:2], np.bool_)) is None


def test_brisque_is_worse_for_a_blurred_portrait_than_for_a_sharp_one() -> None:
    portrait = scores.packaged_picture("astronaut.png")
    blurred = next(damage for damage in DAMAGES if damage.name == "blur")
    alone = Scene(
        portrait, portrait, portrait, np.ones(portrait.shape[:2], np.float32), portrait, scene().matte
    )
    assert image_quality.brisque(portrait) < 20
    assert image_quality.brisque(blurred.apply(alone, 0)) > 50


def test_the_noise_floor_rises_with_noise_and_hardly_with_texture() -> None:
    plane = image_quality.luminance(scores.packaged_picture("coffee.png"))
    noise = np.random.default_rng(0).normal(0, 8, plane.shape).astype(np.float32)
    assert image_quality.noise_floor(plane) < 2.5
    assert 5 < image_quality.noise_floor(plane + noise) < 12


def test_a_damage_is_the_same_bytes_for_the_same_seed() -> None:
    for damage in DAMAGES:
        assert np.array_equal(damage.apply(scene(), 5), damage.apply(scene(), 5)), damage.name


def test_the_smoke_benchmark_accepts_the_good_and_rejects_the_bad() -> None:
    output = io.StringIO()
    verdicts = scores.run(scores.made_footage(), own_edits=False, held_out=False)
    scores.report(Console(file=output, width=120), verdicts, explain=True)
    assert {verdict.label.stage for verdict in verdicts} == {2, 3}
    assert [verdict.label.what for verdict in verdicts if not verdict.right] == []
    assert f"calibration: bad rejected {len(CALIBRATED)} of {len(CALIBRATED)}" in output.getvalue()
    assert len(verdicts) == len(CALIBRATED) + 2
