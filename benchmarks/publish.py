"""How fast a tar part is made: beside `tar` and `webdataset.ShardWriter`, on the same disk in one run.

    python -m benchmarks.publish --gib 1 --folder /somewhere/on/the/disk

What a reader gets wrong: one number says little on a machine that does other things. All variants take turns
in every round, the first one changes, and both the median and the best of the rounds are printed; a ratio is
that of `tar` by the variant, so above 1 is faster than `tar`.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import webdataset
from rich.console import Console
from rich.table import Table

from actors.hashing import HashingThread, write_all
from actors.store import LocalStore
from ray_jobs.sealing import PlannedShard, ShardBytes, build_shard
from schemas.release import member_name, shard_path
from schemas.shards import Chunk, Member

MEMBER_BYTES = 1_000_000
"""About that of an 81-frame clip at 720p; random bytes, which nothing compresses."""


@dataclass
class Timings:
    """Seconds of wall clock and of CPU (children too) of every round of one variant."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)


def make_members(root: Path, size_bytes: int) -> PlannedShard:
    """Artifacts of this size together in a store at `root`, and the part that holds them all."""
    rng = np.random.default_rng(0)
    members, keys = [], []
    for number in range(max(1, size_bytes // MEMBER_BYTES)):
        name = member_name("location", "edited_video", f"Sparkle_location_{number:06d}")
        data = rng.bytes(MEMBER_BYTES)
        path = root / "artifacts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        members.append(Member(name, len(data), hashlib.sha256(data).hexdigest()))
        keys.append(f"artifacts/{name}")
    return PlannedShard(shard_path("location", "edited_video", 0), tuple(members), tuple(keys))


class Variants:
    """Every way to make the part: each writes `out` and returns its SHA-256 where it computes one."""

    def __init__(self, root: Path, shard: PlannedShard, *, fsync: bool) -> None:
        self.root, self.shard, self.fsync = root, shard, fsync
        self.store = LocalStore(root)
        self.out = root / "out.tar"
        self._list = root / "members.txt"
        self._list.write_text("".join(f"{member.name}\n" for member in shard.members))

    def all(self) -> dict[str, Callable[[], str | None]]:
        variants = {
            "tar": self.tar,
            "ours, member digests": self.ours_members,
            "ours, both digests": self.ours_both,
            "ShardWriter, member digests": self.webdataset_members,
            "ShardWriter, both digests": self.webdataset_both,
        }
        if self.fsync:
            variants["build_shard, as published"] = self.build_shard
        return variants

    def tar(self) -> None:
        """GNU tar as one types it, with the same members in the same order."""
        folder, names = str(self.root / "artifacts"), str(self._list)
        subprocess.run(["tar", "--format=ustar", "-C", folder, "-cf", str(self.out), "-T", names], check=True)
        self._sync()

    def ours_members(self) -> None:
        self._stream(ShardBytes(self.store, self.shard), None)

    def ours_both(self) -> str:
        with HashingThread() as digest:
            self._stream(ShardBytes(self.store, self.shard), digest)
            return digest.hexdigest()

    def build_shard(self) -> str:
        """Both digests as `publish` has them: through the store, with a link and the folder's fsync."""
        return build_shard(self.store, self.shard, self.out.name).sha256

    def webdataset_members(self, post: Callable[[str], None] | None = None) -> None:
        pattern = str(self.out.with_suffix(".%d"))
        with webdataset.ShardWriter(
            pattern, maxsize=1e15, verbose=0, encoder=False, mtime=0, post=post, opener=_open
        ) as writer:
            for member in self.shard.members:
                data = (self.root / "artifacts" / member.name).read_bytes()
                if hashlib.sha256(data).hexdigest() != member.sha256:
                    raise ValueError(f"{member.name} was changed")
                writer.write({"__key__": member.name.removesuffix(".mp4"), "mp4": data})
        Path(pattern % 0).rename(self.out)
        self._sync()

    def webdataset_both(self) -> None:
        """The shard's digest as its `post` hook can compute it: from the finished file."""
        self.webdataset_members(post=_file_digest)

    def _stream(self, chunks: Iterable[Chunk], digest: HashingThread | None) -> None:
        """What `LocalStore.put_stream_if_absent` does before it links, with a digest or not."""
        with self.out.open("wb", buffering=0) as file:
            for chunk in chunks:
                if digest is not None:
                    digest.update(chunk)
                write_all(file, chunk)
        self._sync()

    def _sync(self) -> None:
        if self.fsync:
            with self.out.open("rb") as file:
                os.fsync(file.fileno())


def _open(name: str) -> object:
    return Path(name).open("wb")


def _file_digest(name: str) -> None:
    with Path(name).open("rb") as file:
        hashlib.file_digest(file, "sha256").hexdigest()


def measure(variants: Variants, rounds: int) -> dict[str, Timings]:
    """Every variant once a round, in turns; the digests computed on the way must be that of the file."""
    timings = {name: Timings() for name in variants.all()}
    names = list(timings)
    variants.ours_members()
    with variants.out.open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").hexdigest()
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            variants.out.unlink(missing_ok=True)  # with what of it was not written back yet
            cpu, started = _cpu_s(), time.perf_counter()
            digest = variants.all()[name]()
            timings[name].wall_s.append(time.perf_counter() - started)
            timings[name].cpu_s.append(_cpu_s() - cpu)
            if digest not in (None, expected):
                raise ValueError(f"{name}: the digest is not that of the file")
    return timings


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def sha_instructions() -> str:
    """Whether the CPU has instructions for SHA-256, as the kernel lists them (x86 sha_ni, ARM sha2)."""
    words = set(Path("/proc/cpuinfo").read_text().split())
    return next((name for name in ("sha_ni", "sha2") if name in words), "none")


def table(timings: dict[str, Timings], size_bytes: int) -> Table:
    shown = Table("variant", "median s", "best s", "CPU s", "GB/s", "tar / it", "of the best", box=None)
    tar = timings["tar"]
    for name, found in timings.items():
        median, best = statistics.median(found.wall_s), min(found.wall_s)
        shown.add_row(
            name,
            f"{median:.2f}",
            f"{best:.2f}",
            f"{min(found.cpu_s):.2f}",
            f"{size_bytes / median / 1e9:.2f}",
            f"{statistics.median(tar.wall_s) / median:.2f}",
            f"{min(tar.wall_s) / best:.2f}",
        )
    return shown


def main(
    gib: Annotated[float, typer.Option(min=0.001, help="size of the part")] = 1.0,
    folder: Annotated[
        Path | None, typer.Option(help="on the disk to measure; a temporary folder by default")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Make one part in every way, with fsync on all sides and on none."""
    console = Console(soft_wrap=True, highlight=False, width=110)
    parent = Path(tempfile.mkdtemp(dir=folder))
    try:
        shard = make_members(parent, int(gib * 2**30))
        os.sync()
        console.print(
            f"{shard.size_bytes / 1e9:.2f} GB in {len(shard.members)} members, page cache warm, {rounds} "
            f"rounds in turns; {os.cpu_count()} cores, SHA instructions: {sha_instructions()}, load at the "
            f"start {os.getloadavg()[0]:.1f}"
        )
        for fsync in (True, False):
            timings = measure(Variants(parent, shard, fsync=fsync), rounds)
            console.print(f"\n{'fsync on all sides' if fsync else 'fsync on none'}")
            console.print(table(timings, shard.size_bytes))
    finally:
        shutil.rmtree(parent)


if __name__ == "__main__":
    typer.run(main)
