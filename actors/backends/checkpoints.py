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
from pathlib import Path

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


class CheckpointError(BackendError):
    """The weights are not here or cannot be used; the message says what would be right."""


def checkpoint_folder(model: str, revision: str | None = None) -> Path:
    """The folder with the weights of `model`: a local folder, `s3://bucket/prefix` or a name of the hub.

    `revision` chooses among the hub's commits, tags and branches; without it the table's pin holds. A folder
    and a mirror are what they are, unless `revision` is their `folder_identity`, which then must agree.

    Raises:
        CheckpointError: not here, with the command that fetches it, the size and the licence; or a folder
            holds other weights than the revision says.
    """
    if model.startswith(MIRROR):
        # boto3 takes 0.3 s to import, and only mirrors need it
        from actors.backends.mirrors import copied_mirror

        return _identified(copied_mirror(model), model, revision)
    local = Path(model).expanduser()
    if local.is_dir():
        return _identified(local, model, revision)
    if model.startswith(("/", ".", "~")):
        raise CheckpointError(f"{model} is no folder on this machine")
    known = CHECKPOINTS.get(model)
    if known and known.published:  # its digest is its revision
        folder = published_folder(known.repo, known.published)
        if not folder.is_dir():
            raise CheckpointError(_missing(model, None))
        return folder
    return _snapshot(model, revision or (known.revision if known else "") or None)


def require_safetensors(folder: Path) -> None:
    """CheckpointError where a folder holds weights as pickles and none as safetensors, or lacks a part of
    them that an index lists (an interrupted download).
    """
    if not any(folder.rglob("*.safetensors")):
        found = sorted(path.name for path in folder.rglob("*") if path.suffix in PICKLES)
        raise CheckpointError(f"{folder} holds no safetensors, found {', '.join(found) or 'no weights'}")
    for index in folder.rglob("*.safetensors.index.json"):
        listed = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        gone = [name for name in listed if not (index.parent / name).is_file()]
        if gone:
            raise CheckpointError(
                f"{folder} is incomplete: {len(gone)} of {len(listed)} files of {index.name} are missing, "
                f"{gone[0]} first; fetch it again"
            )


def folder_identity(folder: Path) -> str:
    """What was really loaded: the commit of a hub snapshot, otherwise a digest over the name and size of
    every file, the content of small files and the headers of safetensors.

    The digest does not see other values in tensors of the same names and shapes: reading 100 GiB to name them
    would cost more than loading them.
    """
    folder = folder.resolve()
    if folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name):
        return folder.name
    digest = hashlib.sha256()
    for path in loaded_files(folder):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        with path.open("rb") as file:
            head = _header_bytes(file.read(8)) if path.suffix == ".safetensors" else size
            file.seek(0)
            digest.update(hashlib.sha256(file.read(head)).digest())
    return f"{_DIGEST}{digest.hexdigest()}"


def _identified(folder: Path, model: str, revision: str | None) -> Path:
    """The folder; CheckpointError where `revision` is a digest, and the folder's is another."""
    if revision and revision.startswith(_DIGEST) and (found := folder_identity(folder)) != revision:
        raise CheckpointError(
            f"{model} is not the checkpoint that the config pins: its revision is {found}, not {revision}"
        )
    return folder


def loaded_files(folder: Path) -> Iterator[Path]:
    """The files of `LOADED` below a folder, sorted by name; hidden folders are the download tools' own."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in LOADED and not hidden and path.is_file():
            yield path


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


def _header_bytes(first: bytes) -> int:
    """Length of a safetensors file's header with the eight bytes before it; the format allows 100 MB."""
    return min(int.from_bytes(first, "little"), 100_000_000) + 8


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
            f"{_missing(model, revision)}; huggingface_hub is not installed either: pip install -e '.[gpu]'"
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
