"""Procedural scenes: every scene has a builder, and what is built is a function of scene, seed and size."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from actors.backends.embedded.scenes.build import BUILDERS, build
from actors.ops.dynamics import background_dynamics
from actors.roles import Frame
from benchmarks.scenes import main
from schemas.taxonomy import SceneSpec, all_scenes

WIDTH, HEIGHT = 320, 180
SAMPLED = ("field", "coast", "ruins", "nightsky", "clouds", "reef", "waterfall")


def spec_of(builder: str) -> SceneSpec:
    return next(spec for spec in all_scenes() if spec.builder == builder)


@cache
def second_of(builder: str, seed: int) -> list[Frame]:
    scene = build(spec_of(builder), seed, WIDTH, HEIGHT)
    return [scene.frame(t) for t in range(17)]


def test_every_scene_of_the_taxonomy_has_a_builder_and_no_builder_is_idle() -> None:
    assert {spec.builder for spec in all_scenes()} == set(BUILDERS)


@pytest.mark.parametrize("builder", SAMPLED)
def test_the_same_scene_and_seed_give_the_same_bytes_after_another_was_built(builder: str) -> None:
    first = second_of(builder, 1)
    build(spec_of("desert"), 5, WIDTH, HEIGHT)
    again = build(spec_of(builder), 1, WIDTH, HEIGHT)
    assert again.frame(0).shape == (HEIGHT, WIDTH, 3)
    assert again.frame(0).dtype == np.uint8
    np.testing.assert_array_equal(again.frame(0), first[0])
    np.testing.assert_array_equal(again.frame(16), first[16])


@pytest.mark.parametrize("builder", SAMPLED)
def test_frame_zero_is_the_same_however_many_frames_were_drawn_before(builder: str) -> None:
    scene = build(spec_of(builder), 1, WIDTH, HEIGHT)
    late = scene.frame(40)
    np.testing.assert_array_equal(scene.frame(0), second_of(builder, 1)[0])
    np.testing.assert_array_equal(scene.frame(40), late)


@pytest.mark.parametrize("builder", SAMPLED)
def test_another_seed_is_another_picture_of_the_same_light(builder: str) -> None:
    one, two = second_of(builder, 1)[0].astype(int), second_of(builder, 2)[0].astype(int)
    assert np.abs(one - two).mean() > 3
    assert abs(one.mean() - two.mean()) < 25


@pytest.mark.parametrize("builder", SAMPLED)
def test_a_scene_lives_and_its_brightness_does_not_flicker(builder: str) -> None:
    frames = second_of(builder, 1)
    assert background_dynamics(frames) > 1.5
    levels = np.array([frame.mean() for frame in frames])
    assert np.abs(np.diff(levels)).max() < 1.5


def test_walls_stand_still_while_what_grows_on_them_moves() -> None:
    castle = next(spec for spec in all_scenes() if spec.options.get("kind") == "castle")
    scene = build(castle, 1, WIDTH, HEIGHT)
    frames = np.stack([cv2.cvtColor(scene.frame(t), cv2.COLOR_RGB2GRAY) for t in range(0, 81, 8)]).astype(int)
    moving = np.ptp(frames, axis=0) > 12
    wall = moving[int(HEIGHT * 0.4) : int(HEIGHT * 0.62)]
    assert 0.02 < wall.mean() < 0.6
    assert frames[0][: int(HEIGHT * 0.62)].std() > 10


def test_one_frame_equals_another_at_the_same_moment_of_another_rate() -> None:
    scene = build(spec_of("field"), 3, WIDTH, HEIGHT)
    np.testing.assert_array_equal(scene.frame(8, 16), scene.frame(4, 8))


def test_the_light_for_a_subject_comes_from_the_scene() -> None:
    night = build(spec_of("nightsky"), 1, WIDTH, HEIGHT)
    dark = night.light.brightness
    measured = cv2.cvtColor(night.frame(0), cv2.COLOR_RGB2GRAY).mean() / 255
    day = build(spec_of("field"), 1, WIDTH, HEIGHT).light.brightness
    assert dark == pytest.approx(measured, abs=0.01)
    assert dark < day


@pytest.mark.parametrize("size", [(180, 320), (240, 240), (322, 182)])
def test_a_scene_fits_any_size(size: tuple[int, int]) -> None:
    scene = build(spec_of("field"), 1, *size)
    assert scene.frame(3).shape == (size[1], size[0], 3)


def test_the_smoke_benchmark_draws_sheets_and_names_an_unknown_builder(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(main)
    good = CliRunner().invoke(app, ["--output", str(tmp_path), "--smoke", "--builder", "field,reef"])
    assert good.exit_code == 0, good.output
    assert "2 scenes, 0 under" in good.output
    assert (tmp_path / "scenes_00.png").stat().st_size > 10_000
    bad = CliRunner().invoke(app, ["--output", str(tmp_path), "--builder", "volcano"])
    assert bad.exit_code == 2
    assert "volcano" in bad.output
