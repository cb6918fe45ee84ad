"""Mutated videos against Ingest's decoder: no case may crash its job, write a file elsewhere or pass as
another clip.

    python -m benchmarks.fuzz --cases 10000 --seed 1 --clips FOLDER --keep FOLDER

What a reader gets wrong: the decode child is forked from a process that has its libraries loaded, which saves
the start of an interpreter; limits, code and exit are the same. `--exec` starts it as Ingest does. A case is
a function of seed and number: `--only 1234` makes it again.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import typer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from rich.console import Console

from actors.ops import normalise as normalising
from actors.ops.decode_source import answer
from actors.ops.normalise import FRAME0_NAME, VIDEO_NAME, DecodeLimits, normalise
from actors.ops.normalise_child import limit_this_process
from actors.ops.video import VideoClip, read_png
from actors.roles import SampleError

LIMITS = DecodeLimits(cpu_s=20, wall_s=60.0)
SIZE = (320, 180)
"""Of the normalised clip: encoding 720p would be nine tenths of the time."""
KINDS = (
    ("mp4", "h264"),
    ("mp4", "h264"),
    ("mp4", "hevc"),
    ("mov", "mjpeg"),
    ("mkv", "h264"),
    ("webm", "vp9"),
    ("avi", "mpeg4"),
    ("ts", "mpeg2video"),
)
"""Containers and codecs of the made seeds; most sources are H.264 in mp4."""
BOXES = tuple(
    re.findall(
        rb"\w+",
        b"ftyp moov mvhd trak tkhd edts elst mdia mdhd hdlr minf vmhd dinf dref stbl stsd avc1 avcC hev1 "
        b"hvcC colr pasp stts ctts stss stsc stsz stco co64 mdat udta meta ilst moof traf trun mfra",
    )
)
"""Names in the index of ISO files (mp4, mov)."""
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Where sizes, counts and offsets tend to overflow."""


# ---------------------------------------------------------------- seeds and their mutations


def made_seed(path: Path, codec: str) -> bytes:
    """17 small frames of a moving bar in the container of the path's suffix."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25 if codec == "mpeg2video" else 16)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for index in range(17):
            picture = np.full((SIZE[1], SIZE[0], 3), 60, np.uint8)
            picture[:, 15 * index : 15 * index + 40] = 200
            container.mux(stream.encode(VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path.read_bytes()


def flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def lie_in_a_box(data: bytearray, rng: random.Random) -> None:
    """A size, count, offset or length of the container's index becomes another number."""
    places = [match.start() for name in BOXES for match in re.finditer(re.escape(name), data)]
    if not places:
        return flip_bits(data, rng)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.choice(places) + rng.choice((-4, *range(4, 44, 4)))
        if 0 <= at <= len(data) - 4:
            struct.pack_into(">I", data, at, rng.choice((*NUMBERS, rng.getrandbits(32))))


def rename_a_box(data: bytearray, rng: random.Random) -> None:
    places = [match.start() for name in BOXES for match in re.finditer(re.escape(name), data)]
    if places:
        at = rng.choice(places)
        data[at : at + 4] = rng.choice(BOXES)


def cut_off(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(1, len(data)) :]


def cut_out(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.choice((1, 4, 64, 4096))]


def repeat(data: bytearray, rng: random.Random) -> None:
    start, length = rng.randrange(len(data)), rng.choice((4, 64, 1024, 16384))
    data[start:start] = data[start : start + length] * rng.choice((1, 1, 8))


def overwrite(data: bytearray, rng: random.Random) -> None:
    start, length = rng.randrange(len(data)), rng.choice((4, 32, 512, 8192))
    data[start : start + length] = bytes(length) if rng.random() < 0.5 else rng.randbytes(length)


def put_first(data: bytearray, rng: random.Random) -> None:
    """Another format's beginning: a playlist, an archive, a picture."""
    playlists = (b"#EXTM3U\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n")
    data[:0] = rng.choice((*playlists, b"PK\x03\x04", b"GIF89a"))


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(flip_bits, lie_in_a_box, lie_in_a_box, lie_in_a_box, rename_a_box),
    *(cut_off, cut_out, repeat, overwrite, put_first),
)


def mutated(seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """Case `number` of campaign `seed`: one seed file with one to three mutations, or the tail of another."""
    rng = random.Random(f"{seed}/{number}")
    chosen = rng.choice(seeds)
    data = bytearray(chosen)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(MUTATIONS)(data, rng)
        if not data:
            break
    if data and rng.random() < 0.05:
        other = rng.choice(seeds)
        data[rng.randrange(len(data)) :] = other[rng.randrange(len(other)) :]
    while data == chosen:  # what was written was there before
        flip_bits(data, rng)
    return bytes(data)


# ---------------------------------------------------------------- one case


def forked_child(order: dict[str, Any], limits: DecodeLimits) -> subprocess.CompletedProcess[bytes]:
    """What `normalising.exec_child` returns, without the start of an interpreter."""
    (out, into), (errors, errors_into) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            os.chdir("/")
            os.dup2(errors_into, 2)
            limit_this_process(order["limits"])
            _write_all(into, json.dumps(answer(order)).encode())
            code = 0
        except BaseException as error:  # noqa: BLE001  as the interpreter would print it
            _write_all(errors_into, f"{type(error).__name__}: {error}".encode()[-2000:])
        finally:
            os._exit(code)
    os.close(into)
    os.close(errors_into)
    with os.fdopen(out, "rb") as reply, os.fdopen(errors, "rb") as words:
        stdout = reply.read()  # the child's own alarm ends it
        stderr = words.read()
    status = os.waitpid(pid, 0)[1]
    return subprocess.CompletedProcess([], os.waitstatus_to_exitcode(status), stdout, stderr)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@dataclass(frozen=True)
class Outcome:
    """What became of one case."""

    number: int
    kind: str
    """`kept`, `encoded`, `refused`, or `FAULT`."""
    words: str
    seconds: float


def run_case(seeds: Sequence[bytes], seed: int, folder: Path, keep: Path | None, number: int) -> Outcome:
    """Normalises one mutated file in a folder of its own and looks at everything that it left."""
    data = mutated(seeds, seed, number)
    place = folder / f"case{number}"
    (place / "out").mkdir(parents=True)
    source = place / "source.mp4"
    source.write_bytes(data)
    started = time.perf_counter()
    try:
        kind, words = _normalised(source, place / "out")
        left = sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())
        made = [f"out/{FRAME0_NAME}", f"out/{VIDEO_NAME}"] if kind in ("kept", "encoded") else []
        if left != [*made, "source.mp4"]:
            kind, words = "FAULT", f"left {left}"
        if source.read_bytes() != data:
            kind, words = "FAULT", "the source was changed"
    except Exception as error:  # noqa: BLE001  a job would have failed here
        kind, words = "FAULT", f"{type(error).__name__}: {error}"
    if kind == "FAULT" and keep:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{seed}_{number}.mp4").write_bytes(data)
    shutil.rmtree(place)
    return Outcome(number, kind, words, time.perf_counter() - started)


def _normalised(source: Path, out: Path) -> tuple[str, str]:
    try:
        found = normalise(
            source, out, limits=LIMITS, width=SIZE[0], height=SIZE[1], min_frames=5, max_frames=17
        )
    except SampleError as error:
        return "refused", re.sub(r"[\d,.]*\d", "N", str(error))[:90]
    clip = VideoClip(found.path)
    frames = sum(1 for _ in clip.frames())
    first = read_png(found.frame0_png_path.read_bytes())
    seen = (frames, clip.num_frames, clip.fps, first.shape)
    if seen != (found.num_frames, found.num_frames, 16, (SIZE[1], SIZE[0], 3)):
        return "FAULT", f"frames, frames said, fps, size of the first: {seen}; answered: {found}"
    return ("kept" if found.kept_bytes else "encoded"), ""


# ---------------------------------------------------------------- a campaign


@dataclass
class Campaign:
    """What came of many cases."""

    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    faults: list[Outcome] = field(default_factory=list)
    slowest: Outcome | None = None
    elsewhere: list[str] = field(default_factory=list)
    """Files that appeared in the temporary folder, the home folder or the working folder."""

    def add(self, outcome: Outcome) -> None:
        self.kinds[outcome.kind] += 1
        if outcome.kind == "refused":
            self.reasons[outcome.words] += 1
        if outcome.kind == "FAULT":
            self.faults.append(outcome)
        if self.slowest is None or outcome.seconds > self.slowest.seconds:
            self.slowest = outcome


def campaign(
    numbers: Sequence[int],
    seed: int,
    *,
    clips: Path | None = None,
    keep: Path | None = None,
    jobs: int = 2,
    fork: bool = True,
) -> Campaign:
    """Runs the numbered cases in `jobs` processes, whose home, temporary and working folder are watched."""
    result = Campaign()
    with tempfile.TemporaryDirectory() as root:
        watched = Path(root) / "watched"
        seeds_folder, cases = Path(root) / "seeds", Path(root) / "cases"
        for folder in (watched, seeds_folder, cases):
            folder.mkdir()
        seeds = [made_seed(seeds_folder / f"{n}.{suffix}", codec) for n, (suffix, codec) in enumerate(KINDS)]
        seeds += [path.read_bytes() for path in sorted(clips.glob("*.mp4"))] if clips else []
        clean = get_context("spawn")  # a fork would have the caller's memory, over the limit of the child's
        with ProcessPoolExecutor(jobs, clean, _begin, (str(watched), fork)) as pool:
            run = partial(run_case, seeds, seed, cases, keep)
            for outcome in pool.map(run, numbers, chunksize=20):
                result.add(outcome)
        result.elsewhere = sorted(str(path.relative_to(root)) for path in watched.rglob("*"))
        result.elsewhere += sorted(str(path.relative_to(root)) for path in cases.rglob("*"))
    return result


def _begin(watched: str, fork: bool) -> None:
    os.environ |= {"TMPDIR": watched, "HOME": watched}
    tempfile.tempdir = None
    os.chdir(watched)
    av.logging.set_level(av.logging.PANIC)
    if fork:
        normalising.exec_child = forked_child


def main(
    cases: Annotated[int, typer.Option(min=1)] = 10_000,
    seed: int = 1,
    only: Annotated[int | None, typer.Option(help="run this one case")] = None,
    clips: Annotated[Path | None, typer.Option(help="real mp4 files, mutated too")] = None,
    keep: Annotated[Path | None, typer.Option(help="where files of faults are kept")] = None,
    jobs: int = 2,
    exec_: Annotated[bool, typer.Option("--exec", help="start each child as Ingest does")] = False,
) -> None:
    """Run a campaign; exit code 1 where anything went wrong."""
    console = Console(width=120)
    numbers = range(cases) if only is None else [only]
    started = time.perf_counter()
    result = campaign(numbers, seed, clips=clips, keep=keep, jobs=jobs, fork=not exec_)
    seconds = time.perf_counter() - started
    for words, count in result.reasons.most_common(15):
        console.print(f"{count:6} refused: {words}", markup=False, highlight=False)
    for fault in result.faults:
        console.print(f"case {fault.number}: {fault.words}", style="red", markup=False, highlight=False)
    slowest = result.slowest
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(result.kinds.items()))
    console.print(
        f"{len(numbers)} cases, seed {seed}, {seconds:.0f} s: {kinds}; {len(result.reasons)} reasons; "
        f"crashed jobs {len(result.faults)}, files elsewhere {len(result.elsewhere)}; slowest "
        f"{slowest.seconds if slowest else 0:.1f} s (case {slowest.number if slowest else '-'})",
        markup=False,
        highlight=False,
    )
    raise typer.Exit(1 if result.faults or result.elsewhere else 0)


if __name__ == "__main__":
    typer.run(main)
