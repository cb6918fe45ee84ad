"""The flow networks answer as a FlowEstimator does: with random weights, through the loading path that users
take; what they find can only be checked where the weights say what they see.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from actors.backends.checkpoints import CheckpointError
from actors.backends.flow_network import ROUND_TRIP_SHARE, flow_field, on_grid, padded, working_size
from actors.backends.raft import Raft
from actors.ops.camera import camera_motion, pair_motion
from actors.roles import FlowEstimator, Frame
from benchmarks.checkpoints.flow import raft_folder, unimatch_folder
from tests.actors.test_camera import FramesInMemory, textured

HEIGHT, WIDTH = 56, 90
"""Less than every network takes, so that padding is used."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("flow")
    return {
        "raft": raft_folder(root / "raft"),
        "still": raft_folder(root / "still", sees=(0.0, 0.0)),
        "shift": raft_folder(root / "shift", sees=(0.25, -0.125)),
    }


@pytest.fixture(scope="module")
def unimatch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unimatch_folder(tmp_path_factory.mktemp("flow") / "unimatch")


@pytest.fixture(scope="module", params=["raft", "unimatch"])
def estimator(request: pytest.FixtureRequest) -> FlowEstimator:
    if request.param == "raft":
        return Raft(model=str(request.getfixturevalue("folders")["raft"]), device="cpu", updates=2)
    from actors.backends.unimatch import UniMatch

    return UniMatch(model=str(request.getfixturevalue("unimatch")), device="cpu")


def moved(picture: Frame, dx: float, dy: float) -> Frame:
    height, width = picture.shape[:2]
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    return np.asarray(
        cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def test_a_field_has_the_grids_size_and_types_and_is_the_same_each_time(estimator: FlowEstimator) -> None:
    first, second = textured(HEIGHT, WIDTH, 1), textured(HEIGHT, WIDTH, 2)
    field = estimator.estimate(first, second)
    assert field.displacement.shape == (HEIGHT, WIDTH, 2)
    assert field.displacement.dtype == np.float32
    assert np.isfinite(field.displacement).all()
    assert field.reliable.shape == (HEIGHT, WIDTH)
    assert field.reliable.dtype == np.bool_
    estimator.estimate(second, first)
    again = estimator.estimate(first, second)
    assert np.array_equal(field.displacement, again.displacement)
    assert np.array_equal(field.reliable, again.reliable)


def test_the_camera_filter_runs_over_it(estimator: FlowEstimator) -> None:
    clip = FramesInMemory(tuple(textured(HEIGHT, WIDTH, seed) for seed in range(2)), fps=4.0)
    motion = camera_motion(clip, estimator)
    assert motion.pairs == 1
    assert motion.step_pct >= 0


def test_pictures_without_texture_say_nothing() -> None:
    walls = np.full((2, HEIGHT, WIDTH, 3), 90, np.uint8)
    assert pair_motion(flow_field(walls, np.zeros((2, HEIGHT, WIDTH, 2), np.float32))) is None


def test_a_network_that_sees_no_motion_makes_a_still_camera(folders: dict[str, Path]) -> None:
    clip = FramesInMemory(tuple(textured(HEIGHT, WIDTH, seed) for seed in range(5)), fps=8.0)
    motion = camera_motion(clip, Raft(model=str(folders["still"]), device="cpu", updates=2))
    assert motion.measured_pairs == motion.pairs
    assert motion.step_pct < 1e-4


@pytest.mark.parametrize("updates", [1, 2])
@pytest.mark.parametrize("size", [(HEIGHT, WIDTH), (128, 136), (144, 200)])
def test_flow_is_in_pixels_of_the_grid_x_before_y_however_large_the_padding(
    folders: dict[str, Path], size: tuple[int, int], updates: int
) -> None:
    raft = Raft(model=str(folders["shift"]), device="cpu", height=HEIGHT, updates=updates)
    field = raft.estimate(textured(*size, 1), textured(*size, 2))
    assert field.displacement.shape[0] == HEIGHT
    inside = field.displacement[8:-8, 8:-8]
    assert np.allclose(inside, np.array([2.0, -1.0]) * updates, atol=1e-3)
    assert not field.reliable.any(), "there and back it goes the same way, which cannot be"


def test_unimatch_gets_its_pictures_in_the_channel_order_of_its_library(unimatch: Path) -> None:
    from ptlflow.models.unimatch.unimatch import unimatch_sc2_ref6
    from safetensors.torch import load_file

    from actors.backends.unimatch import UniMatch

    first, second = textured(64, 96, 1), textured(64, 96, 2)
    network = unimatch_sc2_ref6().eval()
    network.load_state_dict(load_file(unimatch / "model.safetensors"))
    with torch.inference_mode():  # ptlflow's own reader gives cv2's pictures, BGR, in 0..1
        bgr = torch.stack(
            [torch.from_numpy(f[..., ::-1].copy()).permute(2, 0, 1) / 255 for f in (first, second)]
        )
        right = network({"images": bgr[None]})["flows"][0, 0].permute(1, 2, 0).numpy()
        wrong = network({"images": bgr.flip(1)[None]})["flows"][0, 0].permute(1, 2, 0).numpy()
    found = UniMatch(model=str(unimatch), device="cpu").estimate(first, second).displacement
    assert np.abs(found - right).max() < 0.05 < np.abs(found - wrong).max()


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([8, 32]), st.sampled_from([64, 128]))
def test_padding_grows_to_the_right_and_below_and_is_cut_away_again(
    height: int, width: int, multiple: int, least: int
) -> None:
    image = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width)
    grown = padded(image, multiple=multiple, least=least)
    rows, columns = grown.shape[-2:]
    assert rows % multiple == columns % multiple == 0
    assert rows >= max(height, least)
    assert columns >= max(width, least)
    assert rows - height < max(multiple, least)
    assert torch.equal(grown[..., :height, :width], image)
    assert torch.equal(
        grown[..., height - 1 :, :width], image[..., -1:, :].expand_as(grown[..., height - 1 :, :width])
    )


@given(st.integers(1, 2160), st.integers(1, 3840), st.integers(64, 720))
def test_the_grid_keeps_the_aspect_and_is_never_larger_than_the_frame(
    height: int, width: int, rows: int
) -> None:
    grid_rows, grid_columns = working_size(height, width, rows)
    assert grid_rows == min(height, rows)
    assert 1 <= grid_columns <= width
    assert abs(grid_columns - width * grid_rows / height) <= 0.5 or grid_columns == 1


@given(st.floats(-6, 6), st.floats(-6, 6), st.floats(0, 3))
def test_reliable_is_where_there_and_back_cancel(dx: float, dy: float, error: float) -> None:
    pictures = np.stack([textured(60, 80, 1)] * 2)
    forward = np.full((60, 80, 2), (dx, dy), np.float32)
    field = flow_field(pictures, np.stack([forward, (error - forward).astype(np.float32)]))
    limit = ROUND_TRIP_SHARE * 100  # 60 x 80 has a diagonal of 100
    off = float(np.hypot(error, error))
    if abs(off - limit) > 1e-3:
        assert field.reliable[20:40, 20:60].all() == (off < limit)


def test_a_true_flow_of_a_moved_picture_gives_the_cameras_motion() -> None:
    picture = textured(144, 256, 3)
    pictures = on_grid(picture, moved(picture, 4.0, -3.0), 360)
    forward = np.full((144, 256, 2), (4.0, -3.0), np.float32)
    motion = pair_motion(flow_field(pictures, np.stack([forward, -forward])))
    assert motion is not None
    assert abs(motion.displacement_pct - 5.0 / np.hypot(144, 256) * 100) < 0.01


def test_frames_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        on_grid(textured(64, 96, 1), textured(64, 98, 1), 360)


def test_what_cannot_be_used_is_said_before_loading(tmp_path: Path, folders: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match="float32, not bfloat16"):
        Raft(model=str(folders["raft"]), dtype="bfloat16")
    with pytest.raises(CheckpointError, match=r"models --fetch"):
        Raft(model="torchvision/raft_small")
    other = raft_folder(tmp_path / "other")
    (other / "config.json").write_text(json.dumps({"architecture": "raft_large"}))
    with pytest.raises(CheckpointError, match="does not fit raft_large"):
        Raft(model=str(other), device="cpu")
    (other / "config.json").write_text(json.dumps({"architecture": "pwc"}))
    with pytest.raises(CheckpointError, match="'pwc', known are raft_large, raft_small"):
        Raft(model=str(other), device="cpu")
    (other / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        Raft(model=str(other), device="cpu")
