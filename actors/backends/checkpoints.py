"""The checkpoints of the paper's models: where they come from, what they weigh, under which licence, and
where they lie on this machine.

What a reader gets wrong: nothing is downloaded here while a pipeline runs. Weights are a local folder, an S3
mirror copied once, or what `python -m ray_jobs models --fetch` or `hf download` put into a cache before; only
safetensors are read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from actors.backends.catalogue import CHECKPOINTS as CHECKPOINTS
from actors.backends.catalogue import Checkpoint, PublishedFile
from actors.roles import BackendError

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Formats that can run code when they are read."""
LOADED = (".safetensors", ".json", ".txt", ".model", ".jinja")
"""All that is fetched, mirrored and counted: weights, configs, vocabularies, SentencePiece, templates."""
MIRROR = "s3://"
_DIGEST = "sha256:"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SEEN = 4096
"""Bytes of a tensor that `folder_identity` reads: a page, which is what a disk gives anyway."""


class CheckpointError(BackendError):
    """The weights are not here or cannot be used; the message says what would be right."""


def checkpoint_folder(model: str, revision: str | None = None) -> Path:
    """The folder with the weights of `model`: a local folder, `s3://bucket/prefix` or a name of the hub.

    `revision` chooses among the hub's commits, tags and branches; without it the table's pin holds. A folder
    and a mirror are what they are; `revision` must then be their `folder_identity`.

    Raises:
        CheckpointError: not here, with the command that fetches it, the size and the licence; or a folder
            holds other weights than the revision says.
    """
    if model.startswith(MIRROR):
        refuse_commit(model, revision)  # before a mirror is copied for nothing
        # boto3 takes 0.3 s to import, and only mirrors need it
        from actors.backends.mirrors import copied_mirror

        return _identified(copied_mirror(model), model, revision)
    if is_folder(model):
        return _identified(Path(model).expanduser(), model, revision)
    if model.startswith(("/", ".", "~")):
        raise CheckpointError(f"{model} is no folder on this machine")
    known = CHECKPOINTS.get(model)
    if known and known.published:  # its digest is its revision
        folder = published_folder(known.repo, known.published)
        if not folder.is_dir():
            raise CheckpointError(_missing(model, None))
        return _identified(folder, model, revision)
    return _snapshot(model, revision or (known.revision if known else "") or None)


def is_folder(model: str) -> bool:
    """Whether `model` means a folder of this machine. A name of the table is always the hub's, whatever lies
    in the working folder: its pin would stand for other weights.
    """
    return model not in CHECKPOINTS and Path(model).expanduser().is_dir()


def require_safetensors(folder: Path) -> None:
    """CheckpointError where a folder holds weights as pickles and none as safetensors, or lacks a part of
    them that an index lists (an interrupted download).
    """
    files = _files(folder)
    if not any(path.suffix == ".safetensors" for path in files):
        found = sorted(path.name for path in files if path.suffix in PICKLES)
        raise CheckpointError(f"{folder} holds no safetensors, found {', '.join(found) or 'no weights'}")
    for index in files:
        listed = listed_files(index) if index.name.endswith(".safetensors.index.json") else []
        gone = [name for name in listed if not (index.parent / name).is_file()]
        if gone:
            raise CheckpointError(
                f"{folder} is incomplete: {len(gone)} of {len(listed)} files of {index.name} are missing, "
                f"{gone[0]} first; fetch it again"
            )


def listed_files(index: Path) -> list[str]:
    """Names of the files of which an index of safetensors consists.

    Raises:
        CheckpointError: it cannot be read, or names a file outside of its folder or no safetensors.
    """
    try:
        names = sorted({str(name) for name in json.loads(index.read_text("utf-8"))["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise CheckpointError(f"{index} is no index of safetensors; fetch it again") from None
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.suffix != ".safetensors":
            raise CheckpointError(f"{index} lists {name!r}, which is no safetensors file of its folder")
    return names


def folder_identity(folder: Path) -> str:
    """What was really loaded: the commit of a hub snapshot, otherwise a digest over the name and size of
    every file, the content of small files, the headers of safetensors and the middle of every tensor.

    Training changes values everywhere, so the middle tells two states of one model apart; reading all of
    100 GiB to name them would cost more than loading them.

    Raises:
        CheckpointError: a file cannot be read, or is no safetensors file.
    """
    folder = folder.resolve()
    if folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name):
        return folder.name
    digest = hashlib.sha256()
    for path in loaded_files(folder):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        try:
            with path.open("rb") as file:
                pieces = _telling(file, size) if path.suffix == ".safetensors" else [file.read()]
                digest.update(hashlib.sha256(b"".join(pieces)).digest())
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise CheckpointError(f"{path} is no safetensors file; fetch it again") from None
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    return f"{_DIGEST}{digest.hexdigest()}"


def is_exact(revision: str) -> bool:
    """Whether a revision always means the same weights: a commit or a digest, not a branch or a tag."""
    return revision.startswith(_DIGEST) or _COMMIT.fullmatch(revision) is not None


def refuse_commit(model: str, revision: str | None) -> None:
    """CheckpointError for a mirror with a revision that is no digest: nothing there says of which commit it
    is a copy.
    """
    if revision and not revision.startswith(_DIGEST):
        raise CheckpointError(
            f"{model} is a mirror, which has digests and no commits: revision {revision!r} says nothing of "
            "it; set revision: null"
        )


def _identified(folder: Path, model: str, revision: str | None) -> Path:
    """The folder; CheckpointError where `revision` is not the folder's."""
    if revision and (found := folder_identity(folder)) != revision:
        hint = "" if revision.startswith(_DIGEST) else "; with revision: null a run pins what is there"
        raise CheckpointError(
            f"{model} is not the checkpoint that the config or the root's first run pins: its revision is "
            f"{found}, not {revision}{hint}"
        )
    return folder


def loaded_files(folder: Path) -> Iterator[Path]:
    """The files of `LOADED` below a folder, sorted by name; hidden folders are the download tools' own."""
    for path in _files(folder):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in LOADED and not hidden:
            yield path


def _files(folder: Path) -> list[Path]:
    """All files below a folder, also those of subfolders that are links, sorted by name."""
    found, entered = [], set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in entered:  # a link back up
            folders.clear()
            continue
        entered.add(real)
        found += [path for name in names if (path := Path(place, name)).is_file()]
    return sorted(found)


def cache_folder() -> Path:
    """Where mirrors and converted weights lie: the variable SPARKLE_CACHE, or ~/.cache/sparkle-pipeline."""
    return Path(os.environ.get("SPARKLE_CACHE") or "~/.cache/sparkle-pipeline").expanduser()


def published_folder(repo: str, published: PublishedFile) -> Path:
    """Where `models --fetch` puts a converted file; it is there whole or not at all."""
    return cache_folder() / "published" / repo.replace("/", "--") / published.sha256[:16]


def fetch_command(model: str, revision: str | None = None) -> str:
    """What a person types to get the weights."""
    known = CHECKPOINTS.get(model)
    if known and known.published:
        return "python -m ray_jobs models --fetch"
    words = ["hf download", model]
    words += ["--revision", revision] if revision else []
    for option, patterns in (("--include", known.only), ("--exclude", known.leave_out)) if known else ():
        words += [f"{option} '{pattern}'" for pattern in patterns]
    return " ".join(words)


def wanted(known: Checkpoint | None) -> list[str]:
    """Patterns of the files that are fetched and looked for."""
    return list(known.only) if known and known.only else [f"*{suffix}" for suffix in LOADED]


def _telling(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The header of a safetensors file and up to `_SEEN` bytes from the middle of every tensor.

    The format: the header's length in eight bytes, at most 100 MB, the header as JSON, the tensors.
    """
    begin = 8 + int.from_bytes(file.read(8), "little")
    if not 8 < begin <= min(size, 100_000_008):
        raise ValueError("no header")
    header = file.read(begin - 8)
    yield header
    offsets = [entry["data_offsets"] for name, entry in json.loads(header).items() if name != "__metadata__"]
    for first, last in sorted(offsets):
        if not 0 <= first <= last <= size - begin:
            raise ValueError("a tensor outside of the file")
        file.seek(begin + max(first, (first + last - _SEEN) // 2))
        yield file.read(min(_SEEN, last - first))


def _snapshot(model: str, revision: str | None) -> Path:
    """The snapshot of a repository in the hub's own cache, without a network."""
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import (
            HFValidationError,
            IncompleteSnapshotError,
            LocalEntryNotFoundError,
        )
    except ImportError:
        raise CheckpointError(
            f"{_missing(model, revision)}; huggingface_hub is not installed either: make install-gpu"
        ) from None
    known = CHECKPOINTS.get(model)
    try:
        folder = snapshot_download(
            model,
            revision=revision,
            local_files_only=True,
            allow_patterns=wanted(known),
            ignore_patterns=list(known.leave_out) if known else None,
        )
    except IncompleteSnapshotError as error:  # an interrupted download, or one of some files only
        raise CheckpointError(
            f"{error.snapshot_path} lacks a part of {model}; get the rest with: "
            f"{fetch_command(model, revision)}; or name that folder itself as the model"
        ) from None
    except LocalEntryNotFoundError:
        snapshots = Path(constants.HF_HUB_CACHE, f"models--{model.replace('/', '--')}", "snapshots")
        others = [path.name for path in snapshots.glob("*") if path.name != revision]
        raise CheckpointError(_missing(model, revision, max(others, default=""))) from None
    except HFValidationError:
        raise CheckpointError(
            f"{model!r} is neither a folder on this machine, nor s3://bucket/prefix, nor a name of the hub"
        ) from None
    return Path(folder)


def _missing(model: str, revision: str | None, other: str = "") -> str:
    known = CHECKPOINTS.get(model)
    at = f" at {revision}" if revision else ""
    words = f" ({known.download_gib:g} GiB, licence {known.licence})" if known else ""
    gate = (
        f"; first accept its licence at https://huggingface.co/{model} and log in: hf auth login"
        if known and known.gated
        else ""
    )
    use = f"; this machine has {other} of it, which `revision: {other}` would use" if other else ""
    return (
        f"the weights of {model}{at} are not on this machine{words}; get them with: "
        f"{fetch_command(model, revision)}{gate}{use}"
    )
