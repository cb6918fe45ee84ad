"""Opening a root in a bucket: what is wrong with it is said before any work, and without a credential."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable

import pytest

from actors import s3 as s3_client
from actors.s3_store import S3Store
from actors.store import MARKER, StoreError, open_root
from tests.s3_server import ACCESS_KEY, SECRET_KEY, Fault, S3Server


def test_a_new_root_gets_its_marker_and_a_second_opening_writes_nothing(prefix: str, s3: S3Server) -> None:
    store = open_root(prefix, create=True)
    content = store.get_bytes(MARKER)
    open_root(prefix, create=True).put_bytes_if_absent("k", b"x")
    assert open_root(f"{prefix}/", create=False).get_bytes("k") == b"x"
    assert store.get_bytes(MARKER) == content


@pytest.mark.parametrize("create", [True, False])
def test_a_bucket_that_is_missing_is_said_before_any_work(s3: S3Server, create: bool) -> None:
    with pytest.raises(StoreError, match="the bucket does not exist"):
        open_root("s3://no-such-bucket/x", create=create)


@pytest.mark.parametrize("create", [True, False])
def test_a_bucket_that_is_forbidden_is_said_before_any_work(prefix: str, s3: S3Server, create: bool) -> None:
    s3.fault(Fault("AccessDenied", "", times=1000))
    with pytest.raises(StoreError, match="access is denied"):
        open_root(prefix, create=create)


@pytest.mark.parametrize("made", [True, False])
def test_a_bucket_that_is_read_only_is_said_before_any_work(prefix: str, s3: S3Server, made: bool) -> None:
    if made:
        open_root(prefix, create=True)
    s3.fault(Fault("AccessDenied", "^(PUT|POST|DELETE)", times=1000))
    with pytest.raises(StoreError, match="cannot be written: access is denied"):
        open_root(prefix, create=True)
    if made:
        assert open_root(prefix, create=False).uri == prefix


def test_a_prefix_that_holds_other_things_is_not_taken_for_a_root(prefix: str) -> None:
    S3Store(prefix).put_bytes_if_absent("thesis.tex", b"x")
    with pytest.raises(StoreError, match="holds other objects"):
        open_root(prefix, create=True)
    with pytest.raises(StoreError, match="is not an output root"):
        open_root(prefix, create=False)


@pytest.mark.parametrize("requests", ["^PUT", "^POST .*uploadId="])
def test_a_server_that_ignores_conditions_is_refused(prefix: str, s3: S3Server, requests: str) -> None:
    s3.fault(Fault("deaf", requests, times=1000))
    for _ in range(2):
        with pytest.raises(StoreError, match="ignores conditional writes"):
            open_root(prefix, create=True)


def test_a_server_that_is_not_there_is_a_clear_error(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_client, "ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://somebody:hidden@127.0.0.1:9")
    with pytest.raises(StoreError, match="Could not connect") as caught:
        open_root("s3://bucket/x", create=True)
    assert "hidden" not in str(caught.value)


def test_a_root_may_be_a_whole_bucket(s3: S3Server) -> None:
    bucket = "whole-bucket"
    s3_client.new_client().create_bucket(Bucket=bucket)
    store = open_root(f"s3://{bucket}", create=True)
    store.put_bytes_if_absent("a/k", b"x")
    assert (store.uri, list(store.keys("a"))) == (f"s3://{bucket}", ["a/k"])


@pytest.mark.parametrize(
    ("uri", "words"),
    [("s3://", "names no bucket"), ("s3:///x", "names no bucket"), ("s3://bucket/a/../b", "without `..`")],
)
def test_a_uri_that_names_no_place_is_refused(uri: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        open_root(uri, create=True)


# credentials


def test_no_credential_is_in_an_error_or_a_log(
    prefix: str, s3: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store = S3Store(prefix)
    s3.fault(Fault("AccessDenied", "", times=1000))
    texts: list[str] = []
    works: list[Callable[[], object]] = [
        lambda: store.put_bytes_if_absent("k", b"x"),
        lambda: store.get_bytes("k"),
        lambda: list(store.keys("a")),
        lambda: store.delete("k"),
    ]
    for work in works:
        with pytest.raises(StoreError) as caught:
            work()
        error = caught.value
        texts += ["".join(traceback.format_exception(error)), repr(error), repr(vars(error))]
        texts.append(str(pickle.loads(pickle.dumps(error))))
    said = "\n".join([*texts, caplog.text, repr(store), repr(pickle.dumps(store))])
    assert "access is denied" in said
    for secret in (ACCESS_KEY, SECRET_KEY, "Authorization", "Signature"):
        assert secret not in said
