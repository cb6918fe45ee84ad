"""Normalisation: the rule as properties, and every kind of source that is handled."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ops.normalise import (
    NearestFrames,
    NormalisedSource,
    cover_crop,
    floor_to_4n1,
)
from actors.ops.video import VideoClip, encode_video, read_png
from tests.actors.clips import (
    corner_names,
    counted_frames,
    frame_number,
    normalised,
    quadrants,
    write_clip,
)


def numbers(source: NormalisedSource) -> list[int]:
    return [frame_number(frame) for frame in VideoClip(source.path).frames()]


# The rule


@given(st.integers(1, 10_000))
def test_flooring_gives_the_largest_4n_plus_1(count: int) -> None:
    floored = floor_to_4n1(count)
    assert floored % 4 == 1
    assert 0 <= count - floored < 4


@given(
    st.lists(st.integers(1, 900), min_size=1, max_size=60),
    st.integers(1, 500),
    st.integers(1, 100),
)
def test_every_tick_shows_the_frame_that_is_nearest_in_time(gaps: list[int], last: int, most: int) -> None:
    times = [Fraction(sum(gaps[:k]), 1000) for k in range(len(gaps))]
    duration = Fraction(last, 1000)
    nearest = NearestFrames(16, most)
    owned = [*[nearest.advance(time) for time in times][1:], nearest.finish(duration)]
    shown = [index for index, count in enumerate(owned) for _ in range(count)]
    ticks = [Fraction(k, 16) for k in range(most) if Fraction(k, 16) < times[-1] + duration]
    assert len(shown) == len(ticks)
    for tick, index in zip(ticks, shown, strict=True):
        assert abs(times[index] - tick) == min(abs(time - tick) for time in times)


@given(
    st.integers(144, 4000),
    st.integers(144, 4000),
    st.sampled_from([Fraction(1), Fraction(4, 3), Fraction(16, 11), Fraction(1, 2)]),
    st.booleans(),
)
def test_the_picture_covers_the_target_and_the_crop_is_centred(
    width: int, height: int, aspect: Fraction, turned: bool
) -> None:
    crop = cover_crop((width, height), pixel_aspect=aspect, quarter_turn=turned, target=(1280, 720))
    assert (crop.width, crop.height) == ((720, 1280) if turned else (1280, 720))
    for side, cut, start in (
        (crop.scaled_width, crop.width, crop.left),
        (crop.scaled_height, crop.height, crop.top),
    ):
        assert start >= 0
        assert 0 <= (side - cut - start) - start <= 1
    assert crop.scaled_width == crop.width or crop.scaled_height == crop.height
    shape = Fraction(crop.scaled_width, crop.scaled_height) / (width * aspect / height)
    assert abs(shape - 1) < Fraction(1, min(crop.scaled_width, crop.scaled_height))


@pytest.mark.parametrize(
    ("fps", "count", "expected"),
    [(16, 17, 17), (16, 20, 17), (16, 100, 81), (24, 48, 29), (30, 60, 29), (8, 10, 17), (25, 110, 69)],
)
def test_the_number_of_frames_follows_length_and_rate(
    tmp_path: Path, fps: int, count: int, expected: int
) -> None:
    made = write_clip(tmp_path / "in.mp4", counted_frames(count), fps=fps, sound=True)
    source = normalised(made, tmp_path)
    assert source.num_frames == VideoClip(source.path).num_frames == expected
    assert numbers(source) == [min(-(-(2 * k * fps - 16) // 32), count - 1) for k in range(expected)]


# Kept byte for byte


@pytest.mark.parametrize("count", [17, 33])
def test_a_clip_that_conforms_is_kept_byte_for_byte(tmp_path: Path, count: int) -> None:
    made = tmp_path / "conforms.mp4"
    encode_video(counted_frames(count), made)
    source = normalised(made, tmp_path)
    assert source.kept_bytes
    assert source.path.read_bytes() == made.read_bytes()
    assert (source.num_frames, source.distinct_frames, source.deviation) == (count, count, "")
    assert np.array_equal(read_png(source.frame0_png_path), VideoClip(made).pick([0])[0])


def test_what_normalisation_writes_conforms_itself_at_full_size(tmp_path: Path) -> None:
    made = write_clip(tmp_path / "in.webm", counted_frames(34, (640, 360)), codec="libvpx", fps=25)
    first = normalised(made, tmp_path, width=1280, height=720)
    again = tmp_path / "again.mp4"
    again.write_bytes(first.path.read_bytes())
    assert not first.kept_bytes
    second = normalised(again, tmp_path, width=1280, height=720)
    assert second.kept_bytes
    assert (second.num_frames, second.source_width, second.source_height) == (21, 1280, 720)


@pytest.mark.parametrize(
    ("deviation", "how"),
    [
        ("2 streams", {"sound": True}),
        ("qt container", {"container": "mov"}),
        ("matroska container", {"container": "matroska"}),
        ("hevc", {"codec": "libx265"}),
        ("pixel format yuv444p", {"pixel_format": "yuv444p"}),
        ("pixel format yuvj420p", {"tags": (1, 2)}),
        ("pixel aspect 4/3", {"pixel_aspect": Fraction(4, 3)}),
        ("25 frames a second", {"fps": 25}),
        ("display matrix", {"turn": (180, False)}),
        ("interlaced", {"interlaced": True}),
        ("uneven frame times", {"times": [Fraction(k, 16) + Fraction(k % 2, 100) for k in range(33)]}),
    ],
)
def test_a_clip_that_differs_in_one_thing_is_encoded_anew(
    tmp_path: Path, deviation: str, how: dict[str, object]
) -> None:
    made = write_clip(tmp_path / "in", counted_frames(33), **{"container": "mp4", **how})  # type: ignore[arg-type]
    source = normalised(made, tmp_path)
    assert not source.kept_bytes
    assert source.deviation == deviation
    with av.open(str(source.path)) as file:
        assert len(file.streams) == 1
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, float(stream.average_rate or 0)) == (320, 180, 16.0)
        assert (stream.sample_aspect_ratio or 1) == 1
        assert next(file.decode(video=0)).rotation == 0


def test_real_published_sources_are_kept(tmp_path: Path) -> None:
    default = Path(__file__).parents[3] / "shared" / "clips"
    clips = sorted(Path(os.environ.get("SPARKLE_CLIPS", default)).glob("*_source.mp4"))[:3]
    if not clips:
        pytest.skip("no real clips: set SPARKLE_CLIPS to a folder of *_source.mp4")
    for clip in clips:
        source = normalised(clip, tmp_path, width=1280, height=720)
        assert source.kept_bytes, source.deviation
        assert source.path.read_bytes() == clip.read_bytes()


# Kinds of source


def test_variable_frame_rate_is_sampled_by_nearest_time_stamp(tmp_path: Path) -> None:
    gaps = np.random.default_rng(3).integers(5, 180, 60)
    times = [Fraction(int(t), 1000) for t in np.concatenate([[0], np.cumsum(gaps)[:-1]])]
    source = normalised(write_clip(tmp_path / "vfr.mkv", counted_frames(60), times=times), tmp_path)
    expected = [
        min(range(60), key=[abs(time - Fraction(k, 16)) for time in times].__getitem__) for k in range(81)
    ]
    assert numbers(source) == expected[: source.num_frames]
    assert source.distinct_frames == len(set(expected[: source.num_frames]))


@pytest.mark.parametrize(
    ("matrix", "corners"),
    [
        ((1, 0, 0, 1), "RGBW"),
        ((0, 1, -1, 0), "BRWG"),  # what a phone held upright writes: shown turned clockwise
        ((-1, 0, 0, -1), "WBGR"),
        ((0, -1, 1, 0), "GWRB"),
        ((-1, 0, 0, 1), "GRWB"),
        ((0, 1, 1, 0), "RBGW"),
    ],
)
def test_the_display_matrix_is_applied(tmp_path: Path, matrix: tuple[int, ...], corners: str) -> None:
    a, b, c, d = (value * 65536 for value in matrix)
    plain = write_clip(tmp_path / "plain.mp4", [quadrants((320, 320))] * 17)
    turned = tmp_path / "turned.mp4"
    with av.open(str(plain)) as source, av.open(str(turned), mode="w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    shown = normalised(turned, tmp_path, width=320, height=320)
    assert not shown.kept_bytes or corners == "RGBW"
    assert corner_names(VideoClip(shown.path).pick([0])[0]) == corners


def test_a_portrait_keeps_its_centre(tmp_path: Path) -> None:
    frame = np.full((640, 360, 3), 40, np.uint8)
    frame[310:330] = 220  # a bar across the middle
    source = normalised(write_clip(tmp_path / "portrait.mp4", [frame] * 17), tmp_path)
    picture = read_png(source.frame0_png_path).astype(int)
    assert picture.shape == (180, 320, 3)
    assert picture[88:92].min() > 190
    assert picture[:70].max() < 70
    assert picture[110:].max() < 70


def test_a_wide_pixel_is_shown_wide(tmp_path: Path) -> None:
    frame = np.full((240, 320, 3), 40, np.uint8)
    frame[:, 140:180] = 220
    made = write_clip(tmp_path / "anamorphic.mp4", [frame] * 17, pixel_aspect=Fraction(4, 3))
    picture = read_png(normalised(made, tmp_path).frame0_png_path)
    assert abs(int((picture[90, :, 0] > 130).sum()) - 40) <= 2  # 320 shown as 427 wide, scaled by 0.75 to 320


@pytest.mark.parametrize("size", [(321, 181), (177, 301), (1001, 333)])
def test_odd_sizes_become_the_target_size(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = counted_frames(17, size)
    made = write_clip(tmp_path / "odd.mkv", frames, pixel_format="yuv444p")
    assert {frame.shape for frame in VideoClip(normalised(made, tmp_path).path).frames()} == {(180, 320, 3)}


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("ten bit.mp4", "libx264", "yuv420p10le"),
        ("ten bit hevc.mov", "libx265", "yuv420p10le"),
        ("alpha.mov", "prores_ks", "yuva444p10le"),  # decoded as 12 bit
        ("vp8.webm", "libvpx", "yuv420p"),
        ("vp9.mkv", "libvpx-vp9", "yuv420p"),
        ("av1.mp4", "libsvtav1", "yuv420p"),
        ("mpeg4.avi", "mpeg4", "yuv420p"),
        ("mjpeg.avi", "mjpeg", "yuvj420p"),
        ("mpeg2.ts", "mpeg2video", "yuv420p"),
        ("h264.ts", "libx264", "yuv420p"),
    ],
)
def test_codecs_depths_and_containers_of_cameras_and_sites_are_read(
    tmp_path: Path, name: str, codec: str, pixel_format: str
) -> None:
    made = write_clip(tmp_path / name, counted_frames(27), codec=codec, pixel_format=pixel_format, fps=25)
    source = normalised(made, tmp_path)
    assert source.source_pixel_format == pixel_format.replace("yuva444p10", "yuva444p12")
    expected = [(25 * k + 7) // 16 for k in range(17)]
    assert source.num_frames == 17
    assert max(abs(a - b) for a, b in zip(numbers(source), expected, strict=True)) <= 1


@pytest.mark.parametrize("tags", [(1, 1), (6, 1), (5, 1), (1, 2), (9, 1), (2, 0)])
def test_colours_stay_whatever_matrix_and_range_the_source_says(
    tmp_path: Path, tags: tuple[int, int]
) -> None:
    made = write_clip(tmp_path / "tagged.mp4", [quadrants((640, 360))] * 17, tags=tags)
    picture = read_png(normalised(made, tmp_path).frame0_png_path).astype(int)
    for part, wanted in zip(
        (
            picture[20:70, 20:140],
            picture[20:70, 180:300],
            picture[110:160, 20:140],
            picture[110:160, 180:300],
        ),
        ((220, 30, 30), (30, 200, 30), (30, 30, 220), (230, 230, 230)),
        strict=True,
    ):
        assert np.abs(part - np.array(wanted)).max() <= 8
        assert np.abs(part.mean(axis=(0, 1)) - np.array(wanted)).max() <= 3


def test_interlaced_lines_do_not_comb(tmp_path: Path) -> None:
    frames = []
    for index in range(20):  # a bar that moves 8 pixels a field
        frame = np.full((180, 320, 3), 40, np.uint8)
        for field in (0, 1):
            start = 20 + 8 * (2 * index + field)
            frame[field::2, start : start + 40] = 220
        frames.append(frame)
    made = write_clip(tmp_path / "fields.mkv", frames, interlaced=True)
    source = normalised(made, tmp_path)
    picture = VideoClip(source.path).pick([8])[0].astype(int)[20:160]
    assert source.num_frames == 17
    assert np.abs(np.diff(picture, axis=0)).max() < 60  # combing would give 180


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    made = write_clip(tmp_path / "in.mp4", counted_frames(50, (400, 300)), fps=30)
    first = normalised(made, tmp_path)
    video, image = first.path.read_bytes(), first.frame0_png_path.read_bytes()
    second = normalised(made, tmp_path)
    assert second == first
    assert (second.path.read_bytes(), second.frame0_png_path.read_bytes()) == (video, image)
