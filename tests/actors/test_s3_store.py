"""The store in a bucket, against a real server whose answers are lost, late, torn or refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors import s3 as s3_client
from actors.s3_cache import KEEP_S, Copies
from actors.s3_store import S3Store
from actors.s3_upload import ConflictError
from actors.store import Stored, StoreError
from tests.s3_server import MIN_PART_BYTES, ROOT, Fault, S3Server

SMALL = b"a row or two"
LARGE = os.urandom(2 * MIN_PART_BYTES + 17)
"""Three parts of the store below."""


@pytest.fixture
def store(prefix: str) -> S3Store:
    return S3Store(prefix, read_timeout_s=0.5, part_bytes=MIN_PART_BYTES)


def uploads_left(store: S3Store) -> list[str]:
    bucket, prefix = s3_client.split_uri(store.uri)
    listed = s3_client.new_client().list_multipart_uploads(Bucket=bucket, Prefix=prefix)
    return [upload["Key"] for upload in listed.get("Uploads", ())]


def put_bytes(store: S3Store, data: bytes) -> Stored:
    return store.put_bytes_if_absent("k", data)


def put_stream(store: S3Store, data: bytes) -> Stored:
    return store.put_stream_if_absent("k", iter([data[:700], data[700:]]))


def put_file(store: S3Store, data: bytes) -> Stored:
    with store.scratch() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        return store.put_file_if_absent("k", path)


def expected(data: bytes, *, won: bool) -> Stored:
    return Stored("k", len(data), hashlib.sha256(data).hexdigest(), won=won)


# faults: whatever happens on the way, one object with the right bytes, and the truth about who wrote it


@pytest.mark.parametrize("kind", ["InternalError", "SlowDown", "cut", "lost", "hang", "lost-hang"])
def test_a_small_put_survives_and_knows_its_own_success(store: S3Store, s3: S3Server, kind: str) -> None:
    s3.fault(Fault(kind, "^PUT .*/k$"))
    assert put_bytes(store, SMALL) == expected(SMALL, won=True)
    assert len(s3.seen("^PUT")) > 1
    s3.fault(Fault(kind, "^PUT .*/k$"))
    assert put_bytes(store, b"later") == expected(SMALL, won=False)
    assert store.get_bytes("k") == SMALL


@pytest.mark.parametrize("kind", ["InternalError", "cut", "lost"])
@pytest.mark.parametrize("request_of", ["PUT .*partNumber=2", "POST .*uploadId="])
def test_an_upload_in_parts_survives_and_leaves_no_parts(
    store: S3Store, s3: S3Server, kind: str, request_of: str
) -> None:
    s3.fault(Fault(kind, request_of))
    assert put_stream(store, LARGE) == expected(LARGE, won=True)
    assert store.get_bytes("k") == LARGE
    s3.fault(Fault(kind, request_of))
    assert put_stream(store, LARGE[::-1]) == expected(LARGE, won=False)
    assert store.get_bytes("k") == LARGE
    assert uploads_left(store) == []


def test_an_upload_whose_begin_was_lost_is_swept_by_the_next_run(store: S3Store, s3: S3Server) -> None:
    s3.fault(Fault("lost", "^POST .*uploads"))
    assert put_stream(store, LARGE) == expected(LARGE, won=True)
    assert len(uploads_left(store)) == 1
    store.clear_scratch()
    assert uploads_left(store) == []
    assert store.get_bytes("k") == LARGE


@pytest.mark.parametrize("put", [put_bytes, put_file])
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "parts"])
def test_a_conflict_starts_the_whole_upload_anew(
    store: S3Store, s3: S3Server, put: Callable[[S3Store, bytes], Stored], data: bytes
) -> None:
    s3.fault(Fault("ConditionalRequestConflict", "^PUT .*/k$|^POST .*uploadId=", times=2))
    assert put(store, data) == expected(data, won=True)
    assert store.get_bytes("k") == data
    assert uploads_left(store) == []
    if data is LARGE:
        assert len(s3.seen("partNumber=1")) == 3


def test_a_stream_that_met_a_conflict_must_be_given_again(store: S3Store, s3: S3Server) -> None:
    s3.fault(Fault("ConditionalRequestConflict", "^POST .*uploadId="))
    with pytest.raises(ConflictError, match="409"):
        put_stream(store, LARGE)
    assert not store.exists("k")
    assert uploads_left(store) == []
    s3.fault(Fault("ConditionalRequestConflict", "^POST .*uploadId="))
    assert store.put_stream_if_absent("k", [LARGE[:700], LARGE[700:]]) == expected(LARGE, won=True)


def test_a_conflict_that_does_not_end_is_an_error(
    store: S3Store, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    s3.fault(Fault("ConditionalRequestConflict", "^PUT", times=1000))
    with pytest.raises(StoreError, match="409"):
        put_bytes(store, SMALL)


@pytest.mark.parametrize("kind", ["InternalError", "torn", "hang"])
def test_what_is_read_arrives_whole(store: S3Store, s3: S3Server, kind: str) -> None:
    content = os.urandom(3 << 20)
    S3Store(store.uri).put_bytes_if_absent("k", content)
    reads: list[Callable[[], bytes]] = [
        lambda: store.get_bytes("k"),
        lambda: store.local_path("k").read_bytes(),
        lambda: store.open_read("k").read(),
    ]
    for read in reads[: 1 if kind == "hang" else 3]:
        s3.fault(Fault(kind, "^GET .*/k$"))
        assert read() == content
    s3.fault(Fault("SlowDown", "^GET .*list-type"))
    assert list(store.keys("none")) == []


def test_a_stream_that_breaks_off_between_two_parts_gives_its_parts_back(store: S3Store) -> None:
    def torn(error: type[BaseException]) -> Iterator[bytes]:
        yield LARGE
        raise error("gone")

    for error in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error):
            store.put_stream_if_absent("k", torn(error))
        assert not store.exists("k")
        assert uploads_left(store) == []


def test_a_file_that_changes_while_it_goes_up_is_not_stored(
    store: S3Store, tmp_path: Path, s3: S3Server
) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    digest = hashlib.sha256(LARGE).hexdigest()
    with pytest.raises(StoreError, match="changed while it was uploaded"):
        store._uploads.put_chunks("k", [LARGE[::-1]], digest)
    assert uploads_left(store) == []


KILLED = """
import sys, time
from actors.s3_store import S3Store

def chunks():
    yield b"x" * 2500
    print("two parts are up", flush=True)
    time.sleep(60)

S3Store(sys.argv[1], part_bytes=1000).put_stream_if_absent("k", chunks())
"""


def test_a_writer_that_is_killed_leaves_nothing_to_see_and_the_next_run_frees_its_parts(
    store: S3Store,
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, store.uri], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "two parts are up\n"
    while not uploads_left(store):
        time.sleep(0.05)
    writer.kill()
    writer.communicate()
    assert not store.exists("k")
    store.clear_scratch()
    assert uploads_left(store) == []
    assert put_stream(store, LARGE) == expected(LARGE, won=True)


# several writers

RACE = """
import sys, json
from actors.s3_store import S3Store
store = S3Store(sys.argv[1], part_bytes=1000)
print("ready", flush=True)
sys.stdin.readline()
for number in range(12):
    size = 3000 if number % 2 else 30
    stored = store.put_bytes_if_absent(f"{number:02}", sys.argv[2].encode() * size)
    print(json.dumps([stored.won, stored.sha256, stored.size_bytes]), flush=True)
"""


def test_of_processes_that_write_the_same_keys_one_wins_each_and_all_learn_of_it(
    store: S3Store, s3: S3Server
) -> None:
    s3.fault(Fault("lost", "^PUT .*/0[02468]$", times=2), Fault("lost", "^POST .*uploadId=", times=2))
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, store.uri, letter],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for letter in "ab"
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    told = [[json.loads(line) for line in racer.communicate()[0].splitlines()] for racer in racers]
    for number, answers in enumerate(zip(*told, strict=True)):
        content = store.get_bytes(f"{number:02}")
        assert sum(won for won, _, _ in answers) == 1
        assert {(sha, size) for _, sha, size in answers} == {
            (hashlib.sha256(content).hexdigest(), len(content))
        }
    assert uploads_left(store) == []


def test_a_loser_believes_the_bytes_and_not_what_their_writer_said_of_them(store: S3Store) -> None:
    bucket, prefix = s3_client.split_uri(store.uri)
    s3_client.new_client().put_object(
        Bucket=bucket, Key=f"{prefix}/k", Body=SMALL, Metadata={"sha256": "0" * 64, "writer": "somebody"}
    )
    for put in (put_bytes, put_stream):
        assert put(store, LARGE) == expected(SMALL, won=False)


# copies on this machine


def test_a_copy_comes_once_and_is_asked_for_by_its_etag_after(store: S3Store, s3: S3Server) -> None:
    store.put_bytes_if_absent("a/clip.mp4", SMALL)
    first = store.local_path("a/clip.mp4")
    assert first.suffix == ".mp4"
    again = S3Store(store.uri).local_path("a/clip.mp4")
    assert again == first
    assert first.stat().st_mtime > time.time() - 60


def test_many_copies_come_in_their_order_and_one_that_is_missing_is_said(store: S3Store) -> None:
    keys = [f"{number}" for number in range(20)]
    for key in keys:
        store.put_bytes_if_absent(key, key.encode())
    assert [path.read_text() for path in store.local_paths(reversed(keys))] == keys[::-1]
    assert next(store.local_paths(keys)).read_text() == "0"
    with pytest.raises(KeyError, match="nothing is stored under none"):
        list(store.local_paths([*keys, "none"]))


def test_bytes_that_their_writer_did_not_upload_are_not_given_out(store: S3Store, tmp_path: Path) -> None:
    bucket, prefix = s3_client.split_uri(store.uri)
    s3_client.new_client().put_object(
        Bucket=bucket, Key=f"{prefix}/k", Body=b"flipped", Metadata={"sha256": "0" * 64}
    )
    for read in (store.local_path, store.get_bytes):
        with pytest.raises(StoreError, match="damaged on the way or in the bucket"):
            read("k")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_copies_stay_within_their_bound_but_those_just_given_away_stay(
    store: S3Store, tmp_path: Path
) -> None:
    bucket, prefix = s3_client.split_uri(store.uri)
    copies = Copies(s3_client.new_client(), bucket, tmp_path, max_bytes=2500)
    paths = []
    for number in range(4):
        store.put_bytes_if_absent(f"{number}", bytes([number]) * 1000)
        paths.append(copies.path(f"{prefix}/{number}"))
    assert all(path.exists() for path in paths)
    old = time.time() - KEEP_S - 100
    for number, path in enumerate(paths):
        os.utime(path, (old + number, old + number))
    copies.path(f"{prefix}/0")
    copies.drop_old()
    assert [path.exists() for path in paths] == [True, False, False, True]


def test_scratch_that_workers_left_long_ago_goes_and_fresh_scratch_stays(prefix: str) -> None:
    before = S3Store(prefix).scratch()
    left = Path(before.name).parent / "left"
    left.mkdir()
    os.utime(left, (0, 0))
    with S3Store(f"{prefix}/another").scratch():
        assert not left.exists()
        assert Path(before.name).exists()
    before.cleanup()
