"""Where weights are looked for, what is said when they are not there, and what is never taken."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save

from actors.backends import BACKENDS
from actors.backends.catalogue import CHECKPOINTS, PublishedFile
from actors.backends.checkpoints import (
    CheckpointError,
    checkpoint_folder,
    folder_identity,
    published_folder,
    require_safetensors,
)
from actors.backends.fetching import fetch_published
from actors.backends.mirrors import is_plain_path
from tests.actors.hub_servers import bucket, plain

KLEIN = "black-forest-labs/FLUX.2-klein-9B"
WEIGHTS = save({"a": torch.zeros(2, 3)})


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty ones: the machine's own may hold weights."""
    monkeypatch.setenv("SPARKLE_CACHE", str(tmp_path / "sparkle"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def snapshot(hub: Path, model: str, commit: str, branch: str = "") -> Path:
    """What the hub's tools leave in their cache."""
    repo = hub / f"models--{model.replace('/', '--')}"
    folder = repo / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    if branch:
        (repo / "refs").mkdir()
        (repo / "refs" / branch).write_text(commit)
    return folder


def test_every_checkpoint_of_a_backend_is_in_the_table() -> None:
    named = {repo for spec in BACKENDS.values() for repo in spec.checkpoints.values()}
    assert named <= set(CHECKPOINTS)


def test_pins_are_whole_digests() -> None:
    for entry in CHECKPOINTS.values():
        assert re.fullmatch(r"[0-9a-f]{40}|", entry.revision), entry.repo
        assert entry.licence
        assert 0 < entry.download_gib < 200
        if entry.published:
            assert re.fullmatch(r"[0-9a-f]{64}", entry.published.sha256)
            assert entry.published.sha256[:8] in entry.published.url, "its publisher names it by its digest"


def test_a_local_folder_is_itself(tmp_path: Path) -> None:
    assert checkpoint_folder(str(tmp_path)) == tmp_path
    with pytest.raises(CheckpointError, match="not main; with revision: null"):
        checkpoint_folder(str(tmp_path), "main")


def test_a_name_of_the_table_is_the_hubs_whatever_lies_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / KLEIN).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="are not on this machine"):
        checkpoint_folder(KLEIN)


def test_a_link_to_another_snapshot_is_not_the_pinned_one(caches: Path) -> None:
    old, new = (snapshot(caches, "some/model", digit * 40) for digit in "ab")
    link = caches / "current"
    link.symlink_to(old)
    assert checkpoint_folder(str(link), "a" * 40) == link
    link.unlink()
    link.symlink_to(new)
    with pytest.raises(CheckpointError, match=f"its revision is {'b' * 40}"):
        checkpoint_folder(str(link), "a" * 40)


@pytest.mark.parametrize(
    "listed",
    ['{"weight_map": {"a": "../x.safetensors"}}', '{"weight_map": {"a": "x.bin"}}', '{"weight_map"', "[]"],
)
def test_an_index_that_leads_elsewhere_or_is_broken_is_refused(tmp_path: Path, listed: str) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("weights/model.safetensors", "x.safetensors", "weights/x.bin"):
        (tmp_path / name).write_bytes(WEIGHTS)
    (folder / "model.safetensors.index.json").write_text(listed)
    with pytest.raises(CheckpointError, match=r"index\.json (lists|is no index)"):
        require_safetensors(folder)


def test_subfolders_that_are_links_are_seen(tmp_path: Path) -> None:
    folder, other = tmp_path / "weights", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    (folder / "transformer").symlink_to(other)
    (other / "round").symlink_to(folder)
    (other / "model.safetensors").write_bytes(WEIGHTS)
    require_safetensors(folder)
    before = folder_identity(folder)
    (other / "config.json").write_text("{}")
    assert folder_identity(folder) != before


@pytest.mark.parametrize("content", [b"", b"x" * 20, WEIGHTS[:20], save({"a": torch.zeros(9)})[:-1]])
def test_what_is_no_safetensors_has_no_identity(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="is no safetensors file"):
        folder_identity(tmp_path)


def test_what_is_missing_is_said_with_command_size_licence_and_gate() -> None:
    with pytest.raises(CheckpointError) as found:
        checkpoint_folder(KLEIN)
    entry = CHECKPOINTS[KLEIN]
    for word in (
        f"hf download {KLEIN} --revision {entry.revision} --exclude 'flux-2-klein-9b.safetensors'",
        "32 GiB",
        "licence flux-non-commercial",
        f"https://huggingface.co/{KLEIN}",
        "hf auth login",
    ):
        assert word in str(found.value)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("/no/such/folder", "is no folder"),
        ("./weights", "is no folder"),
        ("not a name", "neither a folder"),
        ("a/b/c", "neither a folder"),
        ("some/model", "hf download some/model"),
        ("torchvision/raft_large", "models --fetch"),
        ("s3://bucket", "s3://bucket/prefix"),
    ],
)
def test_what_is_no_model_is_said(model: str, words: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(words)):
        checkpoint_folder(model)


def test_the_hubs_cache_is_found_by_pin_by_revision_and_by_branch(caches: Path) -> None:
    pin = CHECKPOINTS[KLEIN].revision
    pinned = snapshot(caches, KLEIN, pin)
    other = snapshot(caches, "some/model", "a" * 40, branch="main")
    assert checkpoint_folder(KLEIN) == pinned
    assert checkpoint_folder("some/model") == other
    assert checkpoint_folder("some/model", "a" * 40) == other
    assert folder_identity(pinned) == pin


def test_another_commit_than_the_pinned_one_is_named_and_not_taken(caches: Path) -> None:
    snapshot(caches, KLEIN, "b" * 40, branch="main")
    with pytest.raises(CheckpointError, match=f"revision: {'b' * 40}"):
        checkpoint_folder(KLEIN)
    assert checkpoint_folder(KLEIN, "main").name == "b" * 40


def test_pickles_alone_and_nothing_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no weights"):
        require_safetensors(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match=r"found pytorch_model\.bin"):
        require_safetensors(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    require_safetensors(tmp_path)


def test_a_download_that_broke_off_is_refused(tmp_path: Path) -> None:
    part = tmp_path / "transformer"
    part.mkdir()
    (part / "x-00001-of-00002.safetensors").write_bytes(WEIGHTS)
    listed = {"weight_map": {"a": "x-00001-of-00002.safetensors", "b": "x-00002-of-00002.safetensors"}}
    (part / "x.safetensors.index.json").write_text(json.dumps(listed))
    with pytest.raises(CheckpointError, match=r"1 of 2 files .* x-00002-of-00002\.safetensors"):
        require_safetensors(tmp_path)


def test_the_identity_of_a_folder_changes_with_what_is_loaded_and_with_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    (folder / "text_encoder").mkdir(parents=True)
    (folder / "text_encoder" / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    seen = [folder_identity(folder)]
    (folder / "README.md").write_text("words")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.json").write_text("1")
    assert folder_identity(folder) == seen[0]
    (folder / "text_encoder" / "config.json").write_text("[]")
    seen.append(folder_identity(folder))
    (folder / "model.safetensors").write_bytes(save({"b": torch.zeros(2, 3)}))
    seen.append(folder_identity(folder))
    (folder / "model.safetensors").write_bytes(save({"b": torch.ones(2, 3)}))  # trained on
    seen.append(folder_identity(folder))
    (folder / "text_encoder").rename(folder / "text_encoder_2")
    seen.append(folder_identity(folder))
    assert len(set(seen)) == len(seen)
    assert checkpoint_folder(str(folder), seen[-1]) == folder
    with pytest.raises(CheckpointError, match=f"its revision is {seen[-1]}, not {seen[0]}"):
        checkpoint_folder(str(folder), seen[0])


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    files = {
        "mine/models/tiny/model.safetensors": WEIGHTS,
        "mine/models/tiny/tokenizer/vocab.json": b"{}",
        "mine/models/tiny/pytorch_model.bin": b"pickle",
        "mine/models/tiny/run.py": b"code",
        "mine/models/tiny-2/model.safetensors": b"another's",
    }
    with bucket(files) as (address, running):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield running


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_mirror_is_copied_once_and_without_code(store: Any) -> None:
    folder = checkpoint_folder("s3://mine/models/tiny")
    assert names(folder) == {"model.safetensors", "tokenizer/vocab.json"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    served = len(store.served)
    assert checkpoint_folder("s3://mine/models/tiny/") == folder
    assert len(store.served) == served


def test_a_changed_mirror_is_copied_anew(store: Any) -> None:
    first = checkpoint_folder("s3://mine/models/tiny")
    store.files["mine/models/tiny/tokenizer/vocab.json"] = b"[]"
    second = checkpoint_folder("s3://mine/models/tiny")
    assert second != first
    assert (first / "tokenizer/vocab.json").read_bytes() == b"{}"
    assert (second / "tokenizer/vocab.json").read_bytes() == b"[]"


def test_a_copy_that_was_killed_is_made_again(store: Any) -> None:
    folder = checkpoint_folder("s3://mine/models/tiny")
    folder.rename(folder.with_name(f"{folder.name}.part"))
    (folder.with_name(f"{folder.name}.part") / "model.safetensors").write_bytes(b"half")
    assert (checkpoint_folder("s3://mine/models/tiny") / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    "name", ["../out.json", "a//b.json", ".hidden/x.json", "a/../../x.json", "a\\b.json"]
)
def test_a_name_that_leads_out_of_the_copy_is_refused(store: Any, tmp_path: Path, name: str) -> None:
    store.files[f"mine/models/tiny/{name}"] = b"{}"
    with pytest.raises(CheckpointError, match="no plain relative path"):
        checkpoint_folder("s3://mine/models/tiny")
    assert not store.served


@given(st.text(max_size=30))
def test_a_plain_path_stays_where_it_is_joined(name: str) -> None:
    if is_plain_path(name):
        root = Path("/root-of-the-copy")
        assert (root / name).is_relative_to(root)
        assert ".." not in (root / name).parts


def test_a_mirror_that_is_not_there_or_holds_no_weights_is_said(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match="holds no"):
        checkpoint_folder("s3://mine/models/none")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint_folder("s3://mine/models/tiny")


def pickled(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def published(address: str, content: bytes) -> PublishedFile:
    return PublishedFile(f"{address}/weights.pth", hashlib.sha256(content).hexdigest(), "raft_small")


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_published_pickle_becomes_safetensors_once(wrapped: bool) -> None:
    state = {"a.weight": torch.arange(6.0).reshape(2, 3)}
    content = pickled({"model": state} if wrapped else state)
    with plain({"weights.pth": content}) as (address, running):
        item = published(address, content)
        folder = fetch_published("torchvision/raft_small", item)
        assert folder == published_folder("torchvision/raft_small", item)
        assert names(folder) == {"model.safetensors", "config.json"}
        assert torch.equal(load_file(folder / "model.safetensors")["a.weight"], state["a.weight"])
        config = json.loads((folder / "config.json").read_text())
        assert config["architecture"] == "raft_small"
        assert config["source_sha256"] == item.sha256
        fetch_published("torchvision/raft_small", item)
        assert len(running.served) == 1
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("/nowhere", "w"))


def test_another_digest_and_a_pickle_that_holds_more_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    content = pickled({"a": Harmful()})
    with plain({"weights.pth": content}) as (address, _):
        with pytest.raises(CheckpointError, match="more than tensors"):
            fetch_published("torchvision/raft_small", published(address, content))
        with pytest.raises(CheckpointError, match="SHA-256"):
            fetch_published("torchvision/raft_small", published(address, b"another"))
    with pytest.raises(CheckpointError, match="cannot be downloaded"):
        fetch_published("torchvision/raft_small", published("http://127.0.0.1:1", b""))
    assert not names(tmp_path / "sparkle")
