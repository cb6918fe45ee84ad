"""Small clips for tests, made on the spot: ordinary ones of every kind, and hostile ones.

What a reader gets wrong: a frame of `counted_frames` says its number in seven black or white bars in the
middle half of its width, so a test can read which source frame it is looking at (`frame_number`) after
scaling, cropping and encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from actors.ops.normalise import DecodeLimits, NormalisedSource, normalise
from actors.roles import Frame

LIMITS = DecodeLimits()
SMALL = {"width": 320, "height": 180}
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (230, 230, 230)


def counted_frames(count: int, size: tuple[int, int] = (320, 180)) -> Iterator[Frame]:
    """Frames of `size` = (width, height) that say their number, at most 128, on a grey ground."""
    width, height = size
    for index in range(count):
        frame = np.full((height, width, 3), 128, np.uint8)
        for bit in range(7):
            left, right = (round(width * (4 + bit + end) / 16) for end in (0, 1))
            frame[:, left:right] = 230 if index >> bit & 1 else 25
        yield frame


def frame_number(frame: Frame) -> int:
    """Which of `counted_frames` this is."""
    height, width = frame.shape[:2]
    row = frame[height // 2 - 2 : height // 2 + 2].mean(axis=(0, 2))
    return sum(int(row[round(width * (4.5 + bit) / 16)] > 128) << bit for bit in range(7))


def quadrants(size: tuple[int, int]) -> Frame:
    """Red top left, green top right, blue bottom left, white bottom right; shows how a picture was turned."""
    width, height = size
    frame = np.empty((height, width, 3), np.uint8)
    frame[: height // 2, : width // 2], frame[: height // 2, width // 2 :] = RED, GREEN
    frame[height // 2 :, : width // 2], frame[height // 2 :, width // 2 :] = BLUE, WHITE
    return frame


def corner_names(frame: Frame) -> str:
    """The colours at the corners, as letters: top left, top right, bottom left, bottom right."""
    height, width = frame.shape[:2]
    names = ""
    for y, x in ((0.2, 0.2), (0.2, 0.8), (0.8, 0.2), (0.8, 0.8)):
        colour = frame[int(height * y), int(width * x)].astype(int)
        distances = [np.abs(colour - known).sum() for known in (RED, GREEN, BLUE, WHITE)]
        names += "RGBW"[int(np.argmin(distances))]
    return names


def write_clip(
    path: Path,
    frames: Iterable[Frame],
    *,
    codec: str = "libx264",
    fps: int = 16,
    times: Sequence[Fraction] | None = None,
    pixel_format: str = "yuv420p",
    container: str | None = None,
    sound: bool = False,
    turn: tuple[int, bool] | None = None,
    pixel_aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    interlaced: bool = False,
    tags: tuple[int, int] = (2, 0),
    transfer: int = 2,
) -> Path:
    """A video of `frames`; `times` in seconds makes it variable, `turn` = (degrees, mirrored) sets the
    display matrix.

    `tags` = (AVColorSpace, AVColorRange); the samples are converted to match them. `transfer` is a tag only.
    """
    rate = Fraction(fps)
    tick = Fraction(1, 1000) if times is not None else 1 / rate
    with av.open(str(path), mode="w", format=container, options={"fflags": "+bitexact"}) as file:
        stream: VideoStream | None = None
        tone = file.add_stream("aac", rate=16000) if sound else None
        for index, frame in enumerate(frames):
            if stream is None:
                codec_options = _codec_options(codec, options, interlaced)
                stream = cast(VideoStream, file.add_stream(codec, rate=rate, options=codec_options))
                stream.height, stream.width, stream.pix_fmt = *frame.shape[:2], pixel_format
                stream.thread_count = 1
                stream.time_base = tick
                stream.codec_context.time_base = tick
                stream.colorspace, stream.color_range = tags
                stream.color_trc = transfer
                if pixel_aspect is not None:
                    stream.codec_context.sample_aspect_ratio = pixel_aspect
                if turn is not None:
                    stream.set_display_rotation(turn[0], hflip=turn[1])
            picture = VideoFrame.from_ndarray(frame, format="rgb24").reformat(
                format=pixel_format,
                dst_colorspace=tags[0] if tags[0] != 2 else 1 if frame.shape[0] >= 720 else 5,
                src_color_range=2,
                dst_color_range=2 if pixel_format.startswith("yuvj") else tags[1] or 1,
                threads=1,
            )
            picture.pts = index if times is None else round(times[index] * 1000)
            picture.time_base = tick
            file.mux(stream.encode(picture))
        if stream is not None:
            file.mux(stream.encode(None))
        if tone is not None:
            for start in range(0, 16000, 1024):
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                samples.sample_rate, samples.pts = 16000, start
                file.mux(tone.encode(samples))
            file.mux(tone.encode(None))
    return path


def _codec_options(codec: str, options: dict[str, str] | None, interlaced: bool) -> dict[str, str]:
    quality = {
        "libx264": {"preset": "ultrafast", "crf": "10"},
        "libx265": {"preset": "ultrafast", "crf": "10"},
    }
    more = {"x264-params": "interlaced=1:tff=1"} if interlaced else {}
    return {**quality.get(codec, {}), **more, **(options or {})}


def truncated(path: Path, keep: float) -> Path:
    """The same file, cut after the fraction `keep` of its bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def claim_size(path: Path, width: int, height: int) -> Path:
    """Makes every JPEG of an mjpeg file say another size in its frame header (SOF0), as an attacker would."""
    data = bytearray(path.read_bytes())
    start = data.find(b"\xff\xc0")
    while start >= 0:
        data[start + 5 : start + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
        start = data.find(b"\xff\xc0", start + 9)
    path.write_bytes(data)
    return path


def _text(path: Path) -> None:
    path.write_text("this is not a video, whatever its name says\n" * 40)


def _playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")


def _sound_only(path: Path) -> None:
    write_clip(path, [], sound=True, container="mp4")


def _truncated_tail(path: Path) -> None:
    truncated(write_clip(path, counted_frames(81), container="mp4"), 0.6)


def _truncated_after_index(path: Path) -> None:
    options = {"movflags": "+faststart"}
    write_clip(path, _noise(81), container="mp4", options=options)
    truncated(path, 0.6)


def _ten_hours(path: Path) -> None:
    write_clip(
        path, counted_frames(3), times=[Fraction(0), Fraction(18000), Fraction(36000)], container="mp4"
    )


def _lying_header(path: Path, width: int = 20000, height: int = 20000) -> Path:
    write_clip(path, counted_frames(20), codec="mjpeg", pixel_format="yuvj420p")
    return claim_size(path, width, height)


def _claimed(path: Path, width: int, height: int) -> None:
    data = bytearray(_lying_header(path, width, height).read_bytes())
    size = data.find(b"strf") + 12
    data[size : size + 8] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    path.write_bytes(data)


def _noise(count: int) -> Iterator[Frame]:
    random = np.random.default_rng(5)
    for _ in range(count):
        yield random.integers(0, 255, (180, 320, 3), np.uint8)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.mp4": (lambda path: path.write_bytes(b""), "the file is empty (0 bytes)"),
    "text.mp4": (_text, "not a video: the file holds text"),
    "playlist.m3u8": (_playlist, "a playlist, not a video"),
    "playlist named.mp4": (_playlist, "a playlist, not a video"),
    "concat.txt": (lambda path: path.write_text("ffconcat version 1.0\nfile /etc/passwd\n"), "a playlist"),
    "audio only.mp4": (_sound_only, "no video stream: the file holds audio only"),
    "song.mp3": (lambda path: path.write_bytes(b"ID3\x04" + bytes(4000)), "audio only (mp3)"),
    "picture.mp4": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500)), "a PNG image"),
    "zeros.mp4": (lambda path: path.write_bytes(bytes(5000)), "nothing but zero bytes"),
    "truncated.mp4": (_truncated_tail, "truncated"),
    "cut download.mp4": (_truncated_after_index, "truncated"),
    "1x1.mkv": (
        lambda path: write_clip(path, counted_frames(20, (1, 1)), codec="mjpeg", pixel_format="yuvj444p"),
        "frame size 1x1 is too small",
    ),
    "lossless.mkv": (
        lambda path: write_clip(path, counted_frames(20), codec="ffv1"),
        "video codec ffv1 is not read",
    ),
    "hdr.mp4": (lambda path: write_clip(path, counted_frames(20), transfer=16), "HDR video (PQ)"),
    "2x2.mp4": (lambda path: write_clip(path, counted_frames(20, (2, 2))), "2x2 is too small"),
    "20000x20000.avi": (
        lambda path: _claimed(path, 20000, 20000),
        "beyond what any decoder takes; the cap is 8192 pixels a side",
    ),
    "9000x4000.avi": (
        lambda path: _claimed(path, 9000, 4000),
        "frame size 9000x4000 is over the cap of 8192 pixels a side",
    ),
    "lying header.avi": (_lying_header, "damaged: the video does not decode"),
    "ten hours.mp4": (_ten_hours, "10.00 hours long"),
    "short.mp4": (lambda path: write_clip(path, counted_frames(16)), "too short"),
    "-leading dash.mp4": (_text, "text"),
    'quote\'s "and" $(touch x); `id`.mp4': (_text, "text"),
    "überraschung 視頻 🎥.mp4": (_text, "text"),
}
"""File name -> how to make it, and words that its reason must hold."""


def normalised(path: Path, folder: Path, **more: int) -> NormalisedSource:
    """The source in `folder`/out, at 320x180 unless `more` says otherwise."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    return normalise(path, out, limits=LIMITS, **{**SMALL, **more})
