"""The campaign of `benchmarks.chaos --publish`: kills of a standalone `publish` of many small parts.

What a reader gets wrong: a publish of small parts takes a second or two, so kills are not drawn over time but
over parts: one falls when so many of them are there. It counts only where the root says that the publish had
begun and had not ended.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import subprocess
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from actors.s3 import new_client, split_uri
from actors.store import LocalStore, Store, open_root, open_store
from benchmarks.chaos_oracle import Acknowledged, Losses, acknowledged, compare, judge
from benchmarks.chaos_processes import kill, kill_all
from ray_jobs.runs import end_key, newest_run
from ray_jobs.sealing import NOTES

if TYPE_CHECKING:
    from benchmarks.chaos import Campaign

THEMES = "location,season,time,style"
MANY_PARTS = tuple(
    word for knob in ("shard_bytes=1", "task_bytes=0", "previews=2") for word in ("--set", f"release.{knob}")
)
"""Every sample is a part of its own of each kind; as Ray tasks where a cluster is up."""
KILLS_A_ROOT = 4
"""Each falls after those parts that are there before it."""
INDEX = "release/shards.parquet"


def publish_round(campaign: Campaign, number: int, wanted: int, undisturbed: str) -> None:
    """One finished root without its release, whose publish is killed and started again until it is done."""
    root = f"{campaign.place}/published-{number}"
    store = _unpublished(open_store(undisturbed), root)
    total = sum(key.endswith(".tar") for key in open_store(undisturbed).keys("release"))
    moments, losses, before = list[Acknowledged](), Losses(), campaign.kills.total()
    while campaign.kills.total() - before < min(wanted, KILLS_A_ROOT):
        kept = sealed_parts(store)
        word = secrets.token_hex(8)
        process = campaign.start("publish", root, word)
        killed = _strike(campaign, store, process, word, campaign.random.randint(len(kept), total))
        kill(process.pid)
        process.wait()
        if campaign.random.random() < 0.5:  # otherwise what is left of it meets the next publish
            kill_all(word)
        moments.append(acknowledged(root))
        losses += judge_release(store, kept)
        if not killed or process.returncode == 0:
            break
    campaign.finish("publish", root)
    losses += judge(root, moments)
    losses += judge_release(store, {})
    losses.differing += compare(root, undisturbed)
    campaign.add(losses)
    campaign.console.print(f"round {number}: {campaign.kills.total() - before} kills, {total} parts")


def _strike(campaign: Campaign, store: Store, process: subprocess.Popen[bytes], word: str, aim: int) -> bool:
    """Kill something when `aim` parts are there, then wait for the end of what lives on; False where the
    publish ended before.
    """
    target = campaign.random.choice(("driver", "worker", "raylet") if campaign.cluster else ("driver",))
    while process.poll() is None:
        there = len(list(store.keys(NOTES)))
        if there >= aim and _publishing(store, process.pid) and campaign.strike(target, process, word):
            campaign.kills[target] += 1
            break
        time.sleep(0.005)
    else:
        return False
    end = ""
    if target != "driver":
        process.wait()
        end = ", then it goes on to its end" if process.returncode == 0 else ", then it fails and says so"
        campaign.ends[f"{target}{end}"] += 1
    campaign.console.print(f"kill {campaign.kills.total()}: {target} of publish after {there} parts{end}")
    return True


def _publishing(store: Store, pid: int) -> bool:
    """Whether this process opened the newest run and has not ended it."""
    record = newest_run(store)
    return record is not None and record.pid == pid and not store.exists(end_key(record.run))


def _unpublished(finished: Store, root: str) -> Store:
    """A copy of a finished root from which nothing was published yet."""
    store = open_root(root, create=True)
    for folder in ("artifacts", "journal"):
        for key in finished.keys(folder):
            if not key.startswith(("journal/release/", "journal/plan/")):
                store.put_bytes_if_absent(key, finished.get_bytes(key))
    return store


def sealed_parts(store: Store) -> dict[str, str]:
    """Parts with their note, and what tells one writing of a part from another of the same bytes."""
    notes = (key.removeprefix(f"{NOTES}/").removesuffix(".json") for key in store.keys(NOTES))
    return {f"release/{part}": _writing(store, f"release/{part}") for part in notes}


def _writing(store: Store, key: str) -> str:
    if not store.exists(key):
        return "gone"
    if isinstance(store, LocalStore):
        there = (store.root / key).stat()
        return f"{there.st_ino} {there.st_mtime_ns}"
    bucket, whole = split_uri(f"{store.uri}/{key}")
    return str(new_client().head_object(Bucket=bucket, Key=whole)["Metadata"]["writer"])


def judge_release(store: Store, kept: dict[str, str]) -> Losses:
    """Parts that were there with their note and are gone or were written again, and false claims."""
    losses, now = Losses(), sealed_parts(store)
    for part, was in kept.items():
        if now.get(part, "gone") == "gone" != was:
            losses.lost.append(f"{part} was there with its note")
        elif now.get(part) != was:
            losses.doubled.append(f"{part} was written again")
    if store.exists(INDEX):
        for row in pq.read_table(io.BytesIO(store.get_bytes(INDEX))).to_pylist():
            part = f"release/{row['shard']}"
            content = store.get_bytes(part) if store.exists(part) else b""
            if hashlib.sha256(content).hexdigest() != row["sha256"]:
                losses.differing.append(f"{INDEX} claims {part}, which is not there with these bytes")
    return losses
