"""Kill real runs at random moments, start them again, and compare with a run that nobody disturbed.

    python -m benchmarks.chaos --kills 20               a Ray of each run's own: driver, worker, raylet, group
    python -m benchmarks.chaos --kills 6 --nodes 3      one Ray cluster of three nodes on this machine
    python -m benchmarks.chaos --kills 4 --submit       `ray job submit`, kill, submit again
    python -m benchmarks.chaos --kills 6 --s3           root in a bucket, one request in ten at fault
    python -m benchmarks.chaos --kills 12 --publish     only `publish`, of 64 parts; with --nodes as Ray tasks

Prints how many kills there were, and how many acknowledged results were lost, made again, or came out
otherwise. The first undisturbed run takes its time twice: kills are spread over as long as it took.

What a reader gets wrong: a kill is only as good as its moment. Moments are drawn anew for each, by a seed,
but what a process does in that moment is not repeatable; the oracle (`benchmarks.chaos_oracle`) is what is.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from actors.ops.made_clips import make_demo_sources
from actors.ops.video import VideoClip, encode_video
from actors.store import open_root
from benchmarks import chaos_publish
from benchmarks.chaos_oracle import Acknowledged, Losses, accepted, acknowledged, compare, judge
from benchmarks.chaos_processes import (
    RAY,
    Cluster,
    kill,
    kill_all,
    raylets,
    requests_seen,
    s3_server,
    start,
    submitted,
    workers,
)

FRAMES = 17
"""Of every clip: the shortest that is allowed."""
FINISHED = (0, 3)
"""Exit codes of a run that came to its end; 3 where a source is broken."""
TARGETS = ("driver", "worker", "raylet", "group")


@dataclass
class Campaign:
    """Runs on roots below one folder, and what was found."""

    folder: Path
    sources: Path
    place: str
    """Where roots are made: the folder, or a bucket's prefix."""
    options: tuple[str, ...]
    themes: str
    random: random.Random
    console: Console
    cluster: Cluster | None = None
    submit: bool = False
    kills: Counter[str] = field(default_factory=Counter)
    losses: Losses = field(default_factory=Losses)
    refused: int = 0
    """Second runs on a root that was held."""
    ends: Counter[str] = field(default_factory=Counter)
    """How runs ended that were killed in a part, not as a whole."""
    seconds: float = 0.0
    """Of the undisturbed run."""

    def command(self, job: str, root: str) -> list[str]:
        inner = ["-m", "ray_jobs", job]
        if job == "synthesize":
            inner += ["--sources", str(self.sources), "--output", root, "--themes", self.themes]
            inner += ["--set", f"BackgroundAnimator.num_frames={FRAMES}", *self.options]
        else:
            inner += [root]
        if self.submit and self.cluster:
            address = f"http://127.0.0.1:{self.cluster.dashboard}"
            return [RAY, "job", "submit", "--address", address, "--working-dir", ".", "--", "python", *inner]
        return [sys.executable, *inner]

    def start(self, job: str, root: str, word: str) -> subprocess.Popen[bytes]:
        more = dict(self.cluster.environment) if self.cluster else {}
        if self.cluster and not self.submit:
            more["RAY_ADDRESS"] = self.cluster.address
        return start(self.command(job, root), word, self.folder / "log", **more)

    def finish(self, job: str, root: str) -> None:
        """One run that nobody disturbs."""
        word = secrets.token_hex(8)
        process = self.start(job, root, word)
        code = process.wait()
        kill_all(word)
        if code not in ((0, 1) if self.submit else FINISHED):  # 1 is what `submit` makes of 3
            raise RuntimeError(f"{job} ended with {code}, see {self.folder / 'log'}")
        if not accepted(root):
            raise RuntimeError(f"nothing was accepted in {root}, see {self.folder / 'log'}")

    # killing

    def strike(self, target: str, process: subprocess.Popen[bytes], word: str) -> bool:
        """Kill one thing; False where there is none of it at this moment."""
        words = [word, *(self.cluster.words() if self.cluster else ())]
        if target == "worker":
            there = [pid for each in words for pid in workers(each)]
        elif target == "raylet" and self.cluster:
            self.cluster.kill_a_node(self.random.randrange(1 << 20))
            return True
        elif target == "raylet":
            there = raylets(word)
        elif target == "driver" and self.submit:
            there = [pid for each in words for pid in submitted(each)]
        elif target == "driver":
            there = [process.pid]
        else:
            kill_all(word)
            return True
        if not there:
            return False
        kill(self.random.choice(there))
        return True

    def disturbed(self, root: str, job: str, wanted: int) -> list[Acknowledged]:
        """Start and kill the job until it came to its end or `wanted` kills were made; returns what was
        acknowledged after each.
        """
        moments: list[Acknowledged] = []
        while wanted > 0:
            word = secrets.token_hex(8)
            process = self.start(job, root, word)
            while process.poll() is None and wanted > 0:
                target = self.random.choice(TARGETS if not self.submit else ("driver", "worker"))
                self._wait(process, self.random.random() * self.random.random() * 0.7 * self.seconds)
                if process.poll() is not None:
                    break
                if self.random.random() < 0.3 and not self.submit:
                    self._second(root)
                if not self.strike(target, process, word):
                    continue
                wanted -= 1
                self.kills[target] += 1
                if target in ("driver", "group"):
                    self.console.print(f"kill {self.kills.total()}: {target} of {job}")
                    break
                end = self._end(process)
                self.ends[f"{target}, then {end}"] += 1
                self.console.print(f"kill {self.kills.total()}: {target} of {job}, then {end}")
            finished = process.poll() in FINISHED
            if process.poll() is None and not self.submit:
                kill(process.pid)
            process.wait()
            moments.append(acknowledged(root))
            if self.random.random() < 0.5:  # otherwise what is left of it meets the next run
                kill_all(word)
            if finished:
                kill_all(word)
                break
        return moments

    def _wait(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _end(self, process: subprocess.Popen[bytes]) -> str:
        """Wait a while; how the run took the loss of a part."""
        self._wait(process, self.random.uniform(0.2, 0.6) * self.seconds)
        if process.poll() is None:
            return "it goes on"
        return "it ends in order" if process.returncode in FINISHED else "it fails and says so"

    def _second(self, root: str) -> None:
        """A second run on a root that is held must be refused."""
        first = acknowledged(root).run
        if first == 0:
            return
        word = secrets.token_hex(8)
        process = self.start("synthesize", root, word)
        code = process.wait()
        kill_all(word)
        if acknowledged(root).run == first and code == 1:
            self.refused += 1

    def round(self, number: int, wanted: int, undisturbed: str) -> None:
        """One root, killed and continued until it is finished, and its publish after that."""
        root = f"{self.place}/killed-{number}"
        before = self.kills.total()
        moments = self.disturbed(root, "synthesize", wanted)
        self.finish("synthesize", root)
        losses = judge(root, moments)
        losses.differing += compare(root, undisturbed)
        left = wanted - (self.kills.total() - before)
        if left > 0:
            store = open_root(root, create=False)
            for key in list(store.keys("release"))[:: self.random.randint(1, 3)]:
                store.delete(key)
            moments += self.disturbed(root, "publish", min(left, 2))
            self.finish("publish", root)
            losses += judge(root, moments)
            losses.differing += compare(root, undisturbed)
        self.add(losses)
        self.console.print(f"round {number}: {self.kills.total() - before} kills, {accepted(root)} accepted")

    def add(self, losses: Losses) -> None:
        """Count and print what a round found."""
        self.losses += losses
        for words in (*losses.lost, *losses.doubled, *losses.differing):
            self.console.print(f"fault: {words}", markup=False)


def short_clips(folder: Path) -> Path:
    """The demo's clips, each as short as is allowed; one of them is broken."""
    made = make_demo_sources(folder / "made")
    sources = folder / "sources"
    sources.mkdir()
    for path in made:
        if "broken" in path.name:
            shutil.copy(path, sources)
        elif path.suffix == ".mp4":
            encode_video(list(VideoClip(path).frames())[:FRAMES], sources / path.name, fps=16)
    return sources


@contextmanager
def prepared(folder: Path, *, s3: bool, nodes: int) -> Iterator[tuple[str, Cluster | None]]:
    """Where roots are made, and the cluster if one is wanted."""
    with ExitStack() as stack:
        place = str(folder)
        if s3:
            os.environ.update(stack.enter_context(s3_server()))
            place = f"s3://bucket/{secrets.token_hex(4)}"
        cluster = Cluster(nodes, folder / "node") if nodes else None
        if cluster:
            stack.callback(cluster.close)
        yield place, cluster


def main(
    kills: Annotated[int, typer.Option(min=1)] = 20,
    root: Annotated[Path | None, typer.Option(help="folder for everything; kept if given")] = None,
    seed: Annotated[int, typer.Option(help="of targets and moments")] = 0,
    execution: Annotated[str, typer.Option(help="functions or pools")] = "functions",
    nodes: Annotated[int, typer.Option(min=0, help="of one cluster; 0: a Ray of each run's own")] = 0,
    submit: Annotated[bool, typer.Option(help="by `ray job submit`, to a cluster")] = False,
    s3: Annotated[bool, typer.Option(help="roots in a bucket of the tests' server, with faults")] = False,
    publish: Annotated[bool, typer.Option(help="kill only `publish`, of many small parts")] = False,
) -> None:
    """Kill, continue, compare."""
    console = Console(soft_wrap=True, highlight=False)
    folder = (root or Path(tempfile.mkdtemp())).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    sources = short_clips(folder)
    with prepared(folder, s3=s3, nodes=max(nodes, int(submit))) as (place, cluster):
        campaign = Campaign(
            folder,
            sources,
            place,
            ("--set", f"execution={execution}", *(chaos_publish.MANY_PARTS if publish else ())),
            chaos_publish.THEMES if publish else "location",
            random.Random(seed),
            console,
            cluster,
            submit,
        )
        began = time.monotonic()
        undisturbed = f"{folder}/undisturbed"
        campaign.finish("synthesize", undisturbed)
        campaign.seconds = time.monotonic() - began
        console.print(f"undisturbed: {campaign.seconds:.0f} s, {accepted(undisturbed)} accepted")
        number = 0
        while campaign.kills.total() < kills:
            number += 1
            wanted = kills - campaign.kills.total()
            if publish:
                chaos_publish.publish_round(campaign, number, wanted, undisturbed)
            else:
                campaign.round(number, wanted, undisturbed)
        _say(campaign, requests_seen(os.environ["AWS_ENDPOINT_URL"]) if s3 else 0, number)
    if root is None:
        shutil.rmtree(folder)
    losses = campaign.losses
    if losses.lost or losses.doubled or losses.differing:
        raise typer.Exit(1)


def _say(campaign: Campaign, requests: int, rounds: int) -> None:
    losses = campaign.losses
    said = ", ".join(f"{count} {target}" for target, count in sorted(campaign.kills.items()))
    ends = "; ".join(f"{end}: {count}" for end, count in sorted(campaign.ends.items()))
    campaign.console.print(
        f"{campaign.kills.total()} kills ({said}) on {rounds} roots; lost {len(losses.lost)}, "
        f"doubled {len(losses.doubled)}, differing {len(losses.differing)}; "
        f"{campaign.refused} second runs refused{f'; {requests} requests' if requests else ''}"
    )
    if ends:
        campaign.console.print(f"  {ends}")


if __name__ == "__main__":
    typer.run(main)
