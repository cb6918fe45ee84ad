"""A root in a bucket: the same release as in a folder, whatever the network does meanwhile."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from actors.s3 import new_client, split_uri
from actors.store import StoreError, open_root
from ray_jobs.publish import publish
from ray_jobs.regate import regate, regate_release
from ray_jobs.root import read_root
from ray_jobs.runs import end_key, ended, newest_run, open_run
from ray_jobs.settings import apply
from ray_jobs.status import print_status
from ray_jobs.synthesize import print_plan
from ray_jobs.verify import verify
from schemas.config import ConfigError
from tests.ray_jobs.commands import tree
from tests.ray_jobs.small_root import make_root
from tests.s3_server import Fault, S3Server

CONFIG = apply({"themes": ["location"]}, ["release.previews=1"])
STRICT = apply(CONFIG.model_dump(mode="json"), ["EditedVideoScorer.min_edited_video_overall=9.9"])


def content(root: str, folder: str) -> dict[str, bytes]:
    """Every object below a folder of a root, by relative path."""
    store = open_root(root, create=False)
    return {key.removeprefix(f"{folder}/"): store.get_bytes(key) for key in store.keys(folder)}


def test_a_release_in_a_bucket_has_the_bytes_of_one_in_a_folder(
    prefix: str, s3: S3Server, tmp_path: Path
) -> None:
    folder = tmp_path / "root"
    make_root(folder, sources=2, config=CONFIG)
    publish(str(folder))
    make_root(prefix, sources=2, config=CONFIG)
    s3.fault(
        Fault("SlowDown", "^PUT .*release/", times=2),
        Fault("lost", "^PUT .*(journal|release)/", times=3),
        Fault("torn", "^GET .*artifacts", times=2),
    )
    report = publish(prefix)
    assert (report.accepted, report.shards_written) == (2, 8)
    assert content(prefix, "release") == tree(folder / "release")
    assert verify(prefix) == []
    again = publish(prefix)
    assert (again.written, again.shards_written) == (0, 0)


def test_a_root_in_a_bucket_is_read_decided_and_its_damage_named(prefix: str) -> None:
    make_root(prefix, sources=1, config=CONFIG)
    publish(prefix)
    with pytest.raises(ConfigError, match="a copy on this machine"):
        regate_release(f"{prefix}/release", {}, "/tmp/none")
    assert regate(prefix, STRICT).no_longer_accepted == 1
    console = Console(record=True, width=200, file=io.StringIO())
    state = read_root(open_root(prefix, create=False))
    assert state is not None
    print_status(state, console)
    print_plan(prefix, [], STRICT, console)
    said = console.export_text()
    assert prefix in said
    assert "by gate min_edited_video_overall" in said
    assert any("older than the thresholds" in fault.message for fault in verify(prefix))
    regate(prefix, CONFIG)
    shard = "release/location_edited_video_part00.tar"
    damaged = bytearray(open_root(prefix, create=False).get_bytes(shard))
    damaged[700] ^= 1
    bucket, key = split_uri(f"{prefix}/{shard}")
    new_client().put_object(Bucket=bucket, Key=key, Body=bytes(damaged))
    assert {fault.path for fault in verify(prefix)} == {shard.removeprefix("release/")}


def test_what_is_no_release_in_a_bucket_is_said(prefix: str, s3: S3Server) -> None:
    open_root(prefix, create=True)
    assert "there is no release" in verify(prefix)[0].message
    assert "there is no release" in verify(f"{prefix}/nothing")[0].message
    for place in ("s3://bucket", "s3://bucket/"):
        with pytest.raises(StoreError, match="too much to be a copy"):
            verify(place)
    with pytest.raises(StoreError, match="the bucket does not exist"):
        verify("s3://no-such-bucket/x")


def test_a_run_opens_once_though_the_reply_to_its_lock_is_lost(prefix: str, s3: S3Server) -> None:
    store = open_root(prefix, create=True)
    s3.fault(Fault("lost", "^PUT .*journal/runs"))
    assert open_run(store, "synthesize", CONFIG).run == 1


def test_a_run_that_loses_its_bucket_says_what_ended_it(prefix: str, s3: S3Server) -> None:
    store = open_root(prefix, create=True)
    record = open_run(store, "synthesize", CONFIG)

    def forbidden() -> None:
        with ended(store, record):
            s3.fault(Fault("AccessDenied", "", times=1000))
            store.put_bytes_if_absent("journal/x", b"x")

    with pytest.raises(StoreError, match="journal/x cannot be put"):
        forbidden()
    s3.fault()
    newest = newest_run(store)
    assert newest is not None
    assert newest.run == record.run
    assert not store.exists(end_key(record.run))
