"""The one place of the normalisation rule: what every source clip looks like after Ingest.

The rule: 1280x720 (scaled to cover, centre crop), 16 frames a second by nearest time stamp, the first 81
frames floored to 4n+1, at least 17 (`min_frames`) or a SampleError with the reason. A slower source repeats
frames.

- Kept byte for byte: an mp4 with one stream, h264 yuv420p (8 bit, limited range, BT.709 or BT.601 or
  untagged), square pixels, upright, progressive, the target size, every frame at k / 16 s, and 4n+1 of them
  within the bounds.
- Applied, so that what is stored is what a player shows: display matrix, pixel aspect, interlacing (bwdif),
  colour matrix and range. Dropped: sound, subtitles, alpha. 10 bit becomes 8; HLG is read as SDR (it is
  made for that), PQ is refused.
- The last frame counts as long as it says, but not longer than the longest one before it.

What a reader gets wrong: this module never opens the source. A child process with limits does
(`normalise_child`), because a video from the internet may crash or exhaust a decoder: FFmpeg's list of
security fixes grows every month. The child takes its whole order as JSON on stdin, so no name is ever
parsed by a shell or by FFmpeg's protocol syntax.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

from actors.roles import SampleError

CHILD = Path(__file__).with_name("normalise_child.py")
VIDEO_NAME = "source_video.mp4"
FRAME0_NAME = "source_frame0.png"


@dataclass(frozen=True)
class DecodeLimits:
    """What one untrusted file may cost. Crossing any of them is a SampleError that names the limit."""

    max_source_bytes: int = 16 * 2**30
    max_duration_s: float = 3600.0
    """Of the whole file, although only its first seconds are decoded: a longer one is not a clip."""
    max_side: int = 8192
    """Pixels of the longer side; with max_pixels it admits 8K (7680x4320)."""
    max_pixels: int = 40_000_000
    min_side: int = 144
    """Pixels of the shorter side; under it, scaling to 720 lines enlarges more than five times."""
    max_aspect_ratio: float = 4.0
    """Of the longer side to the shorter as shown; covering 16:9 would drop more than half of the picture."""
    max_decoded_frames: int = 1500
    """In the span that is needed (5 s): 300 frames a second."""
    memory_bytes: int = 2 * 2**30
    """Address space of the child, code and libraries included (0.6 GB)."""
    cpu_s: int = 60
    wall_s: float = 180.0
    """Longer than cpu_s: the machine may be shared."""
    max_output_bytes: int = 512 * 2**20


@dataclass(frozen=True)
class NormalisedSource:
    """What Ingest stores of one source; the files lie in the folder given to `normalise`."""

    path: Path
    frame0_png_path: Path
    """First frame of `path`, decoded from it."""
    num_frames: int
    """4n+1, in min_frames..max_frames."""
    kept_bytes: bool
    """True: `path` has the bytes of the source."""
    deviation: str
    """Why the source was encoded anew ("24 frames a second"); empty when kept."""
    distinct_frames: int
    """How many frames of the source are in `path`; fewer than num_frames where the source is slower than 16
    fps.
    """
    source_width: int
    source_height: int
    """Stored size, before rotation and sample aspect ratio."""
    source_fps: float
    """Average over the decoded span; 0 for a single frame."""
    source_codec: str
    source_pixel_format: str


def floor_to_4n1(count: int) -> int:
    """The largest 4n+1 that is at most `count`; 0 for 0. Video models take lengths of this form only."""
    return (count - 1) // 4 * 4 + 1 if count > 0 else 0


class NearestFrames:
    """Which source frame is nearest to each tick k / fps, while the source is being read.

    `advance(time)` takes the time of the next frame, in seconds after the first, and returns how many ticks
    the frame BEFORE it owns (0 for the first call); `finish(last_duration)` returns what the last frame
    owns. A tick half-way between two frames belongs to the earlier one. A tick exists while a frame is
    being shown: 0 <= tick < end of the last.
    """

    def __init__(self, fps: int, max_ticks: int) -> None:
        self._fps = fps
        self._max_ticks = max_ticks
        self._assigned = 0
        self._time: Fraction | None = None

    @property
    def complete(self) -> bool:
        return self._assigned >= self._max_ticks

    def advance(self, time: Fraction) -> int:
        if self._time is None:
            if time != 0:
                raise ValueError(f"the first frame is at 0 by definition, not {time}")
            self._time = time
            return 0
        if time <= self._time:
            raise ValueError(f"frame times must rise: {time} after {self._time}")
        owned = self._assign_before(((self._time + time) / 2 * self._fps).__floor__() + 1)
        self._time = time
        return owned

    def finish(self, last_duration: Fraction) -> int:
        if self._time is None:
            return 0
        return self._assign_before(ceil((self._time + last_duration) * self._fps))

    def _assign_before(self, end: int) -> int:
        end = min(max(end, self._assigned), self._max_ticks)
        owned, self._assigned = end - self._assigned, end
        return owned


@dataclass(frozen=True)
class CoverCrop:
    """Scale the stored picture to (scaled_width, scaled_height), then cut (left, top, width, height) out of
    it.

    All before the display matrix is applied: width and height are swapped for a quarter turn.
    """

    scaled_width: int
    scaled_height: int
    left: int
    top: int
    width: int
    height: int


def cover_crop(
    stored: tuple[int, int], *, pixel_aspect: Fraction, quarter_turn: bool, target: tuple[int, int]
) -> CoverCrop:
    """How a stored picture covers the target; both sizes are (width, height). The crop is centred, rounded
    down.
    """
    width, height = target[::-1] if quarter_turn else target
    shown_width = stored[0] * pixel_aspect
    scale = max(Fraction(width) / shown_width, Fraction(height, stored[1]))
    scaled_width = max(width, round(shown_width * scale))
    scaled_height = max(height, round(stored[1] * scale))
    left, top = (scaled_width - width) // 2, (scaled_height - height) // 2
    return CoverCrop(scaled_width, scaled_height, left, top, width, height)


def normalise(
    source_path: Path,
    out_dir: Path,
    *,
    limits: DecodeLimits,
    width: int = 1280,
    height: int = 720,
    fps: int = 16,
    max_frames: int = 81,
    min_frames: int = 17,
) -> NormalisedSource:
    """Checks `source_path` in a child process and writes the normalised clip and its first frame into
    `out_dir`.

    `out_dir` must exist; nothing else is written. Raises SampleError with a reason a person understands
    when the source is missing, damaged, no video, too short or over a limit; RuntimeError when the child
    itself is at fault.
    """
    if max_frames != floor_to_4n1(max_frames) or not 0 < min_frames <= max_frames:
        raise ValueError(f"max_frames must be 4n+1 and at least min_frames: {max_frames}, {min_frames}")
    _check_file(source_path, limits)
    order = {
        "source": os.path.abspath(source_path),
        "out_dir": os.path.abspath(out_dir),
        "limits": asdict(limits),
        "width": width,
        "height": height,
        "fps": fps,
        "max_frames": max_frames,
        "min_frames": min_frames,
    }
    video, frame0 = out_dir / VIDEO_NAME, out_dir / FRAME0_NAME
    try:
        reply = _run_child(order, limits)
        if "reason" in reply:
            raise SampleError(reply["reason"])
    except (SampleError, RuntimeError):
        video.unlink(missing_ok=True)  # a child that was killed leaves half a file
        frame0.unlink(missing_ok=True)
        raise
    return NormalisedSource(path=video, frame0_png_path=frame0, **reply["result"])


def _check_file(path: Path, limits: DecodeLimits) -> None:
    try:
        status = path.stat()
    except OSError as error:
        raise SampleError(f"the file cannot be read: {error.strerror}") from error
    except ValueError as error:  # a null byte in the name
        raise SampleError(f"the file name is not possible: {error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise SampleError("not a file: a folder, a device or a pipe; a source must be a regular file")
    if status.st_size == 0:
        raise SampleError("the file is empty (0 bytes)")
    if status.st_size > limits.max_source_bytes:
        raise SampleError(
            f"the file has {status.st_size:,} bytes, "
            f"the limit is {limits.max_source_bytes:,} (max_source_bytes)"
        )


def _run_child(order: dict[str, Any], limits: DecodeLimits) -> dict[str, Any]:
    try:
        child = exec_child(order, limits)
    except subprocess.TimeoutExpired as error:
        raise SampleError(f"decoding did not end within {limits.wall_s:g} s (wall_s)") from error
    if child.returncode < 0:
        raise SampleError(_death_reason(-child.returncode, limits))
    if child.returncode > 0:
        tail = child.stderr.decode("utf-8", "replace").strip()[-2000:]
        if f"[Errno {errno.ENOSPC}]" in tail:
            raise OSError(errno.ENOSPC, "no space left for the normalised clip", str(order["out_dir"]))
        raise RuntimeError(f"the decode child itself failed (exit code {child.returncode}): {tail}")
    reply: dict[str, Any] = json.loads(child.stdout)
    return reply


def exec_child(order: dict[str, Any], limits: DecodeLimits) -> subprocess.CompletedProcess[bytes]:
    """Runs the order in a clean interpreter, not a fork: no sockets, locks or secrets of the worker, its own
    limits from the start. Raises subprocess.TimeoutExpired after `limits.wall_s`.
    """
    return subprocess.run(
        [sys.executable, "-I", "-B", str(CHILD)],
        input=json.dumps({**order, "import_paths": list(_import_paths())}).encode("ascii"),
        capture_output=True,
        cwd="/",
        env={
            "PATH": os.defpath,
            "LC_ALL": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        },
        timeout=limits.wall_s,
        start_new_session=True,
        check=False,
    )


def _death_reason(number: int, limits: DecodeLimits) -> str:
    if number == signal.SIGXCPU:
        return f"decoding took more than {limits.cpu_s} s of processor time (cpu_s)"
    if number == signal.SIGALRM:
        return f"decoding did not end within {limits.wall_s:g} s (wall_s)"
    if number == signal.SIGKILL:
        return "the decoder was killed, most likely for memory (the machine ran short)"
    return f"the decoder crashed on this file ({signal.Signals(number).name})"


def _import_paths() -> Iterator[str]:
    """Where the child finds `actors`, av, numpy, cv2: what this process uses, absolute and existing only."""
    yield str(Path(__file__).resolve().parents[2])
    for entry in sys.path:
        if os.path.isabs(entry) and os.path.isdir(entry):
            yield entry
