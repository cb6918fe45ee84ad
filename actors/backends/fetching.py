"""Gets weights over the network: the work of `python -m ray_jobs models --fetch`, and of nothing else.

What a reader gets wrong: no run imports this module. What a run loads was put there before, and a run without
a network loads the same.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.request
from pathlib import Path

from actors.backends.catalogue import CHECKPOINTS, Checkpoint, PublishedFile
from actors.backends.checkpoints import (
    MIRROR,
    CheckpointError,
    checkpoint_folder,
    is_folder,
    published_folder,
    wanted,
)

_LARGEST_FILE = 1 << 30  # of the files that are published outside of a hub: the flow networks have 30 MB
_PATIENCE_S = 60
_NO_NETWORK = (
    "; on a machine without a network put a copy there: the hub's cache folder, a local folder or an "
    "s3:// mirror named by the option `model`"
)


def fetch(model: str, revision: str | None = None) -> Path:
    """Brings the weights of `model` here, unless they are, and returns their folder.

    Raises:
        CheckpointError: no network, no such repository or revision, a licence to accept, another digest.
    """
    known = CHECKPOINTS.get(model)
    if model.startswith(MIRROR) or is_folder(model):
        return checkpoint_folder(model, revision)
    if known and known.published:
        return fetch_published(known.repo, known.published)
    return _fetch_snapshot(model, revision or (known.revision if known else "") or None, known)


def fetch_published(repo: str, published: PublishedFile) -> Path:
    """Downloads one file, checks its SHA-256 and converts it to safetensors."""
    folder = published_folder(repo, published)
    if folder.is_dir():
        return folder
    try:
        # torch, which listing and fetching from the hub do not need
        from actors.backends.pickled import convert
    except ImportError as error:
        raise CheckpointError(f"{repo} is converted by torch: {error}; make install-gpu") from None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as scratch:
        pickled, made = Path(scratch, "download"), Path(scratch, "made")
        _download(published.url, pickled, published.sha256)
        made.mkdir()
        convert(pickled, made, published)
        try:
            made.rename(folder)
        except OSError:  # another process was faster; its files are the same
            if not folder.is_dir():
                raise
    return folder


def _download(url: str, target: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer, target.open("wb") as file:
            while piece := answer.read(1 << 20):
                digest.update(piece)
                file.write(piece)
                if file.tell() > _LARGEST_FILE:
                    raise CheckpointError(f"{url} is larger than any file that is known")
    except OSError as error:  # urllib's URLError, HTTPError and timeouts are
        raise CheckpointError(f"{url} cannot be downloaded: {error}{_NO_NETWORK}") from None
    if digest.hexdigest() != sha256:
        raise CheckpointError(f"{url} has SHA-256 {digest.hexdigest()}, {sha256} is right; it is not used")


def _fetch_snapshot(model: str, revision: str | None, known: Checkpoint | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError:
        raise CheckpointError("huggingface_hub is not installed: make install-gpu") from None
    # of the HTTP library that huggingface_hub is built on, which changes with its version
    transport_error: type[BaseException] = HfHubHTTPError.__bases__[0]
    try:
        return Path(
            snapshot_download(
                model,
                revision=revision,
                allow_patterns=wanted(known),
                ignore_patterns=list(known.leave_out) if known else None,
            )
        )
    except GatedRepoError:
        raise CheckpointError(
            f"{model} is gated: accept its licence at {_hub()}/{model}, then log in: hf auth login"
        ) from None
    except RepositoryNotFoundError:
        raise CheckpointError(
            f"{_hub()} has no repository {model}, or it is private: hf auth login"
        ) from None
    except RevisionNotFoundError:
        raise CheckpointError(f"{_hub()}/{model} has no revision {revision}") from None
    except HFValidationError as error:
        raise CheckpointError(f"{model!r} is no name of the hub: {error}") from None
    except (OSError, transport_error) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{model} cannot be fetched from {_hub()}: {reason}{_NO_NETWORK}") from None


def _hub() -> str:
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
