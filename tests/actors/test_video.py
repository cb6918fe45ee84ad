"""Video and PNG in and out: reproducible bytes, true colours, lazy and exact reading."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ops.video import (
    CRF_LINES,
    VideoClip,
    encode_video,
    png_bytes,
    read_png,
    write_png,
)
from actors.roles import Clip, Frame, SampleError
from tests.actors.clips import counted_frames, frame_number, quadrants, write_clip

channel = st.integers(0, 255)


def textured(count: int, size: tuple[int, int] = (320, 180)) -> list[Frame]:
    """Frames with some noise and a moving edge, so that the encoder has decisions to make."""
    random = np.random.default_rng(7)
    ground = random.integers(60, 190, (size[1], size[0], 3), np.uint8)
    frames = []
    for index in range(count):
        frame = ground.copy()
        frame[:, 10 * index : 10 * index + 40] = random.integers(0, 255, 3)
        frames.append(frame)
    return frames


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        encode_video(textured(20), tmp_path / name)
    first = (tmp_path / "a.mp4").read_bytes()
    assert first == (tmp_path / "b.mp4").read_bytes()
    encode_video(textured(20), tmp_path / "c.mp4", crf=30)
    assert first != (tmp_path / "c.mp4").read_bytes()


def test_the_file_is_what_the_release_promises(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    assert encode_video(textured(17), path) == 17
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.frames, float(stream.average_rate or 0)) == (17, 16.0)
        assert stream.duration is not None
        assert stream.time_base is not None
        assert stream.duration * stream.time_base == Fraction(17, 16)
        assert (stream.colorspace, stream.color_range) == (1, 1)
        assert set(file.metadata) <= {"major_brand", "minor_version", "compatible_brands"}
        frames = list(file.decode(video=0))
    assert [frame.time for frame in frames] == [index / 16 for index in range(17)]
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@given(channel, channel, channel)
def test_flat_colours_survive_a_round_trip_within_two_levels(red: int, green: int, blue: int) -> None:
    frame = np.empty((32, 32, 3), np.uint8)
    frame[:] = red, green, blue
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flat.mp4"
        encode_video([frame], path)
        (back,) = VideoClip(path).frames()
    assert np.abs(back.astype(int) - frame).max() <= 2


@pytest.mark.parametrize(("size", "tags"), [((64, 64), (2, 0)), ((64, 720), (2, 0)), ((64, 64), (1, 1))])
def test_untagged_files_are_bt601_below_720_lines_and_bt709_from_there(
    tmp_path: Path, size: tuple[int, int], tags: tuple[int, int]
) -> None:
    wide = (1280, 720) if size[1] == 720 else size
    path = write_clip(tmp_path / "clip.mp4", [quadrants(wide)] * 2, tags=tags)
    picture = VideoClip(path).pick([0])[0].astype(int)
    height, width = picture.shape[:2]
    patch = picture[height // 8 : height // 4, width // 8 : width // 4]
    assert np.abs(patch.mean(axis=(0, 1)) - np.array((220, 30, 30))).max() <= 3


def test_one_pixel_lines_stay_sharp_at_the_setting_for_lines(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    edges = [np.repeat(np.where(random.random((180, 320, 1)) < 0.04, 255, 0), 3, 2).astype(np.uint8)] * 5
    path = tmp_path / "canny.mp4"
    encode_video(edges, path, crf=CRF_LINES)
    for back in VideoClip(path).frames():
        assert np.array_equal(back[..., 1] > 127, edges[0][..., 1] > 127)


def test_a_clip_is_read_in_order_and_by_index(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    encode_video(counted_frames(25), path)
    clip: Clip = VideoClip(path)
    assert (clip.num_frames, clip.fps, clip.width, clip.height) == (25, 16.0, 320, 180)
    assert [frame_number(frame) for frame in clip.frames()] == list(range(25))
    assert [frame_number(frame) for frame in clip.pick([24, 0, 7, 7])] == [24, 0, 7, 7]
    assert clip.pick([]) == []
    for frame, again in zip(clip.frames(), clip.pick(range(25)), strict=True):
        assert np.array_equal(frame, again)
    with pytest.raises(IndexError, match="the clip has 25"):
        clip.pick([25])
    with pytest.raises(IndexError, match="start at 0"):
        clip.pick([-1])


@pytest.mark.parametrize(("height", "width"), [(90, 160), (100, 178), (360, 640)])
def test_scaling_keeps_the_aspect_and_gives_an_even_width(tmp_path: Path, height: int, width: int) -> None:
    path = tmp_path / "clip.mp4"
    encode_video(counted_frames(3), path)
    clip = VideoClip(path)
    assert [frame.shape for frame in clip.frames(height=height)] == [(height, width, 3)] * 3
    assert [frame_number(frame) for frame in clip.pick([2], height=height)] == [2]


def test_matroska_states_no_count_and_is_counted(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", counted_frames(23))
    assert VideoClip(path).num_frames == 23


def test_a_clip_is_lazy_and_pickles_as_its_path(tmp_path: Path) -> None:
    clip = VideoClip(tmp_path / "not yet.mp4")
    copy = pickle.loads(pickle.dumps(clip))
    encode_video(counted_frames(5), clip.path)
    assert copy.num_frames == clip.num_frames == 5
    assert len(pickle.dumps(clip)) == len(pickle.dumps(VideoClip(clip.path)))


def test_a_relative_name_is_never_read_as_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("http:clip.mp4")
    encode_video(counted_frames(3), path)
    assert VideoClip(path).num_frames == 3
    assert [path.name for path in tmp_path.iterdir()] == ["http:clip.mp4"]


def test_frames_can_be_left_half_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    encode_video(counted_frames(9), path)
    reader = VideoClip(path).frames()
    assert frame_number(next(reader)) == 0
    del reader
    assert frame_number(next(VideoClip(path).frames())) == 0


@pytest.mark.parametrize("content", [None, b"", b"no video at all" * 100])
def test_what_cannot_be_read_is_a_sample_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SampleError, match=r"bad\.mp4"):
        assert VideoClip(path).num_frames
    with pytest.raises(SampleError, match=r"bad\.mp4"):
        next(VideoClip(path).frames())


def test_an_error_in_the_frames_leaves_no_file(tmp_path: Path) -> None:
    def failing() -> Iterator[Frame]:
        yield from counted_frames(3)
        raise LookupError("the model broke")

    with pytest.raises(LookupError):
        encode_video(failing(), tmp_path / "clip.mp4")
    with pytest.raises(ValueError, match="no frame"):
        encode_video([], tmp_path / "clip.mp4")
    with pytest.raises(ValueError, match="even height"):
        encode_video([np.zeros((33, 32, 3), np.uint8)], tmp_path / "clip.mp4")
    with pytest.raises(ValueError, match="in a video of"):
        encode_video(
            [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 34, 3), np.uint8)], tmp_path / "clip.mp4"
        )
    assert list(tmp_path.iterdir()) == []


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_png_keeps_every_value_and_gives_the_same_bytes(height: int, width: int, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    data = png_bytes(frame)
    assert data == png_bytes(frame.copy())
    assert np.array_equal(read_png(data), frame)


def test_png_files_are_rgb(tmp_path: Path) -> None:
    frame = np.zeros((4, 4, 3), np.uint8)
    frame[..., 0] = 255
    path = tmp_path / "red.png"
    assert write_png(frame, path) == path.read_bytes()
    assert read_png(path)[0, 0].tolist() == [255, 0, 0]
    path.write_bytes(b"\x89PNG but not really")
    with pytest.raises(SampleError, match=r"red\.png"):
        read_png(path)
    with pytest.raises(ValueError, match="uint8"):
        png_bytes(frame.astype(np.float32))
