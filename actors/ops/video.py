"""Clips in and clips out: the one module that decodes and encodes media (PyAV for video, OpenCV for PNG).

What a reader gets wrong: `VideoClip` is for files this project wrote or has checked. A file of unknown
origin goes through `actors.ops.normalise` first, which decodes it in a child process with limits.

Colour: frames are full-range RGB, files are limited-range YUV 4:2:0. We write BT.709 and say so in the
file. A file that does not say what it is counts as BT.709 from 720 lines up and as BT.601 below (the
convention of most players; the published Sparkle clips are untagged). Flat colours survive a round trip
within 2 levels.

Bytes: one encoder thread, no sliced threads, CPU-independent x264 code paths, bit-exact muxing and no
metadata, so the same frames give the same file with the same PyAV wheel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import av.error
import cv2
import numpy as np
from av.container.input import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from actors.roles import Frame, SampleError

SCALING = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
)
"""swscale flags: without the last three, flat colours are up to 3 levels off and the CPU matters."""

PRESET = "veryfast"
"""81 frames of 1280x720 at CRF 18: veryfast 1.8 CPU s, 42.0 dB, 2.0 MB; faster 2.7 s, 42.8 dB, 1.9 MB."""

CRF_PICTURES = 18
CRF_LINES = 18
PRESET_LINES = "superfast"
"""For one-pixel white lines on black (`edited_video_canny`). 81 frames of dense grass, worst case: every
pixel is on its side of 127 up to CRF 23; superfast 2.2 CPU s and 21 MB, veryfast 3.4 s and 21 MB, ultrafast
0.9 s and 29 MB.
"""

_MUXING = {
    "movflags": "+faststart",
    "fflags": "+bitexact",  # no creation time, no encoder name
    "movie_timescale": "16000",  # the default of 1000 rounds the length of an 81-frame clip
}
_AVCOL_BT709 = 1  # colour space, primaries and transfer share this number in FFmpeg
_SWS_OF_AVCOL_SPC = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
HD_LINES = 720
PNG_COMPRESSION = 3
"""zlib level: 1280x720 photo in 0.05 s and 0.54 MB; level 6 takes twice as long for 7 % less."""


def source_colours(frame: VideoFrame) -> tuple[Colorspace, ColorRange]:
    """The YUV matrix and range of `frame`; the rule for untagged files is in the module's docstring."""
    assumed = Colorspace.ITU709 if min(frame.width, frame.height) >= HD_LINES else Colorspace.ITU601
    matrix = _SWS_OF_AVCOL_SPC.get(frame.colorspace, assumed)
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return matrix, ColorRange.JPEG if full else ColorRange.MPEG


class RgbReader:
    """Turns decoded frames into (height, width, 3) RGB; holds a swscale context: one a stream and size."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def read(self, frame: VideoFrame, *, width: int | None = None, height: int | None = None) -> Frame:
        matrix, value_range = source_colours(frame)
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=value_range,
            dst_color_range=ColorRange.JPEG,
            interpolation=SCALING,
            threads=1,
        )
        return cast(Frame, rgb.to_ndarray())


@dataclass(frozen=True)
class _Probe:
    num_frames: int
    fps: float
    width: int
    height: int


class VideoClip:
    """A video file that is decoded while it is read; implements `actors.roles.Clip`.

    Opening is lazy: the file is touched at the first property or frame, and pickling carries the path only.
    Every call of `frames` or `pick` opens the file anew. Raises SampleError where the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(path)

    def __repr__(self) -> str:
        return f"VideoClip({str(self._path)!r})"

    def __getstate__(self) -> dict[str, object]:
        return {"_path": self._path}

    @property
    def path(self) -> Path:
        return self._path

    @property
    def num_frames(self) -> int:
        """Exact: the container's count, or the packets counted where it has none (Matroska)."""
        return self._probe.num_frames

    @property
    def fps(self) -> float:
        """Average frames a second."""
        return self._probe.fps

    @property
    def width(self) -> int:
        return self._probe.width

    @property
    def height(self) -> int:
        return self._probe.height

    @cached_property
    def _probe(self) -> _Probe:
        try:
            with self._open() as container:
                stream = _video_stream(container.streams.video, self._path)
                num_frames = stream.frames
                if num_frames == 0:
                    num_frames = sum(packet.size > 0 for packet in container.demux(stream))
                rate = stream.average_rate or stream.guessed_rate or Fraction(0)
                return _Probe(num_frames, float(rate), stream.width, stream.height)
        except (av.error.FFmpegError, OSError) as error:
            raise SampleError(f"{self._path.name}: cannot be read as a video: {error}") from error

    def frames(self, *, height: int | None = None) -> Iterator[Frame]:
        """Every frame in order, (H, W, 3) RGB uint8; with `height`, scaled to it (even width)."""
        size = self._scaled_size(height)
        reader = RgbReader()
        for frame in self._decoded():
            yield reader.read(frame, width=size[0], height=size[1])

    def pick(self, indices: Sequence[int], *, height: int | None = None) -> list[Frame]:
        """The frames at these 0-based indices, in the order asked for; repeats allowed.

        Decodes up to the largest index only. Raises IndexError for an index outside the clip.
        """
        if not indices:
            return []
        if min(indices) < 0:
            raise IndexError(f"{self._path.name}: frame {min(indices)} asked for; indices start at 0")
        wanted, last = set(indices), max(indices)
        size = self._scaled_size(height)
        reader = RgbReader()
        found: dict[int, Frame] = {}
        for index, frame in enumerate(self._decoded()):
            if index in wanted:
                found[index] = reader.read(frame, width=size[0], height=size[1])
            if index == last:
                return [found[wanted_index] for wanted_index in indices]
        raise IndexError(f"{self._path.name}: frame {last} asked for, the clip has {self.num_frames}")

    def _decoded(self) -> Iterator[VideoFrame]:
        try:
            with self._open() as container:
                stream = _video_stream(container.streams.video, self._path)
                stream.thread_count = 1
                yield from container.decode(stream)
        except (av.error.FFmpegError, OSError) as error:
            raise SampleError(f"{self._path.name}: cannot be decoded: {error}") from error

    def _open(self) -> InputContainer:
        """As a video file and nothing else, whatever its bytes are; its texts may be in any encoding."""
        return av.open(
            str(self._path.absolute()),
            metadata_errors="replace",
            options={
                "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm",
                "protocol_whitelist": "file",
            },
        )

    def _scaled_size(self, height: int | None) -> tuple[int | None, int | None]:
        if height is None or height == self.height:
            return None, None
        return max(2, round(self.width * height / self.height / 2) * 2), height


def _video_stream(streams: Sequence[VideoStream], path: Path) -> VideoStream:
    if not streams:
        raise SampleError(f"{path.name}: no video stream in the file")
    return streams[0]


class VideoWriter:
    """Writes h264 yuv420p mp4 with reproducible bytes; a context manager that finishes the file on leaving.

    The first frame sets the size: width and height must be even. An exception in the block removes the file.
    """

    def __init__(self, path: Path, *, fps: int = 16, crf: int = CRF_PICTURES, preset: str = PRESET) -> None:
        self._path = Path(path)
        self._rate = Fraction(fps)
        self._options = {
            "preset": preset,
            "crf": str(crf),
            "x264-params": "threads=1:lookahead-threads=1:sliced-threads=0:cpu-independent=1",
            "flags": "+bitexact",
        }
        self._reformatter = VideoReformatter()
        self._stream: VideoStream | None = None
        self._shape: tuple[int, ...] = ()
        self.num_frames = 0
        """Frames written so far."""

    def __enter__(self) -> Self:
        self._container = av.open(str(self._path.absolute()), mode="w", format="mp4", options=_MUXING)
        return self

    def write(self, frame: Frame) -> None:
        """Appends one (H, W, 3) RGB uint8 frame. Raises ValueError if its shape or type does not fit."""
        if self._stream is None:
            self._stream = self._open_stream(frame)
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(f"frame {frame.shape} {frame.dtype} in a video of {self._shape} uint8")
        picture = self._reformatter.reformat(
            VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24"),
            format="yuv420p",
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=SCALING,
            threads=1,
        )
        picture.pts, picture.duration, picture.time_base = self.num_frames, 1, 1 / self._rate
        self._container.mux(self._stream.encode(picture))
        self.num_frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        finished = False
        try:
            self._finish(complete=error is None)
            finished = error is None
        finally:
            if not finished:
                self._path.unlink(missing_ok=True)

    def _finish(self, *, complete: bool) -> None:
        try:
            if complete:
                if self._stream is None:
                    raise ValueError(f"no frame was written to {self._path.name}")
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def _open_stream(self, frame: Frame) -> VideoStream:
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.shape[0] % 2 or frame.shape[1] % 2:
            raise ValueError(f"a frame must be (even height, even width, 3), this one is {frame.shape}")
        self._shape = frame.shape
        stream = self._container.add_stream("libx264", rate=self._rate, options=self._options)
        stream.height, stream.width = frame.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.color_range = ColorRange.MPEG
        stream.colorspace = stream.color_trc = stream.color_primaries = _AVCOL_BT709
        return stream


def encode_video(
    frames: Iterable[Frame], path: Path, *, fps: int = 16, crf: int = CRF_PICTURES, preset: str = PRESET
) -> int:
    """Writes `frames`, (H, W, 3) RGB uint8 of one even size, to `path`; returns how many.

    Consumes the iterable one frame at a time. Raises ValueError without frames or with frames of different
    shapes; whatever the iterable raises passes through, and no file is left behind.
    """
    with VideoWriter(path, fps=fps, crf=crf, preset=preset) as writer:
        for frame in frames:
            writer.write(frame)
    return writer.num_frames


def png_bytes(frame: Frame) -> bytes:
    """`frame`, (H, W, 3) RGB uint8, as PNG; same array and OpenCV wheel, same bytes."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(
            f"a PNG is made of an (H, W, 3) uint8 frame, this one is {frame.shape} {frame.dtype}"
        )
    done, data = cv2.imencode(
        ".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION]
    )
    if not done:
        raise RuntimeError(f"OpenCV did not encode a {frame.shape} frame as PNG")
    return data.tobytes()


def write_png(frame: Frame, path: Path) -> bytes:
    """Writes `png_bytes(frame)` to `path` and returns the bytes."""
    data = png_bytes(frame)
    path.write_bytes(data)
    return data


def read_png(source: Path | bytes) -> Frame:
    """An image file, or its bytes, as (H, W, 3) RGB uint8; alpha is dropped, grey becomes RGB.

    Raises SampleError where it cannot be decoded.
    """
    name = "image" if isinstance(source, bytes) else source.name
    data = source if isinstance(source, bytes) else source.read_bytes()
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise SampleError(f"{name}: cannot be decoded as an image ({len(data)} bytes)")
    return cast(Frame, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
