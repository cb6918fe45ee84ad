"""Sources that normalisation refuses: each with a reason, bounded, and nothing written outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from actors.ops.normalise import normalise
from actors.ops.video import encode_video
from actors.roles import SampleError
from tests.actors.clips import (
    HOSTILE,
    LIMITS,
    SMALL,
    counted_frames,
    normalised,
    truncated,
    write_clip,
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_source_fails_with_a_reason_a_person_understands(tmp_path: Path, name: str) -> None:
    make, words = HOSTILE[name]
    folder = tmp_path / "sources"
    folder.mkdir()
    make(folder / name)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(SampleError) as caught:
        normalise(folder / name, out, limits=LIMITS)
    assert words in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert list(out.iterdir()) == []
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize(
    "name",
    [
        "-rf.mp4",
        "a b.mp4",
        'quote\'s "x" $(touch pwned); `id`.mp4',
        "file:x|y.mp4",
        "視頻 🎥.mp4",
        "%03d.mp4",
    ],
)
def test_any_file_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    encode_video(counted_frames(17), tmp_path / name)
    assert normalised(tmp_path / name, tmp_path).kept_bytes
    (tmp_path / "sub").mkdir()
    assert normalised(tmp_path / "sub" / ".." / name, tmp_path).kept_bytes
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out", "sub"])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing.mp4", "No such file"),
        ("nul\0byte.mp4", "not possible"),
        (".", "not a file"),
        ("/dev/zero", "not a file"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, path: str, words: str) -> None:
    with pytest.raises(SampleError, match=words):
        normalise(tmp_path / path, tmp_path, limits=LIMITS)


def _wide(path: Path) -> Path:
    return write_clip(path, counted_frames(17, (1600, 160)))


def _fast(path: Path) -> Path:
    return write_clip(path, counted_frames(100), times=[Fraction(k, 1000) for k in range(100)])


def _noisy(path: Path) -> Path:
    random = np.random.default_rng(1)
    return write_clip(path, [random.integers(0, 255, (1080, 1920, 3), np.uint8) for _ in range(17)])


@pytest.mark.parametrize(
    ("make", "limits", "words"),
    [
        (_wide, {}, "1600x160 is shown as 10.00:1, the limit is 4:1"),
        (_fast, {"max_decoded_frames": 50}, "more than 50 frames"),
        (_wide, {"max_source_bytes": 10}, "the limit is 10 "),
        (_fast, {"max_duration_s": 0.05}, "max_duration_s"),
        (_wide, {"max_pixels": 250_000}, "frame size 1600x160 is over the cap"),
        (_noisy, {"wall_s": 0.05}, "did not end within 0.05 s"),
    ],
)
def test_crossing_a_limit_is_a_reason_and_not_a_crash(
    tmp_path: Path, make: Callable[[Path], Path], limits: dict[str, float], words: str
) -> None:
    made = make(tmp_path / "in.mp4")
    with pytest.raises(SampleError, match=words):
        normalise(made, tmp_path, limits=replace(LIMITS, **limits), **SMALL)  # type: ignore[arg-type]


def test_a_decoder_that_takes_too_much_processor_time_is_stopped(tmp_path: Path) -> None:
    limits = replace(LIMITS, cpu_s=1)
    with pytest.raises(SampleError, match="more than 1 s of processor time"):
        normalise(_noisy(tmp_path / "in.mp4"), tmp_path, limits=limits, width=3840, height=2160)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_decoder_that_wants_more_memory_than_allowed_fails_alone(tmp_path: Path) -> None:
    made = write_clip(
        tmp_path / "large.avi", counted_frames(2, (7000, 5000)), codec="mjpeg", pixel_format="yuvj444p"
    )
    with pytest.raises(SampleError, match=r"ran out of memory \(limit 560 MiB"):
        normalise(made, tmp_path, limits=replace(LIMITS, memory_bytes=560 * 2**20))


def test_bytes_flipped_in_the_middle_are_found(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    frames = [random.integers(0, 255, (180, 320, 3), np.uint8) for _ in range(33)]
    made = write_clip(tmp_path / "in.mp4", frames, options={"x264-params": "keyint=8"})
    data = bytearray(made.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 60_000] = random.bytes(60_000)
    made.write_bytes(data)
    with pytest.raises(SampleError, match="damaged"):
        normalised(made, tmp_path)


def test_a_matroska_file_cut_short_is_called_truncated(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    frames = [random.integers(0, 255, (180, 320, 3), np.uint8) for _ in range(64)]
    with pytest.raises(SampleError, match=r"truncated: the header promises 4\.00 s"):
        normalised(truncated(write_clip(tmp_path / "in.mkv", frames), 0.5), tmp_path)
