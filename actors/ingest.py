"""Ingest: a source video, found somewhere and trusted nowhere, becomes the normalised clip that every stage
reads.

What a reader gets wrong: the rule of normalisation is `actors.ops.normalise`, the file is decoded in a child
process with limits, and a clip that conforms already is kept byte for byte. An object of S3 is a file by
then: neither the child nor FFmpeg ever reads from a network.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from pydantic import Field

from actors.base import Actor, Added, Sample
from actors.ops.normalise import DecodeLimits, normalise
from actors.roles import SampleError
from schemas.config import ActorConfig


class IngestConfig(ActorConfig):
    min_frames: int = Field(17, ge=5, description="a shorter clip is failed")
    max_duration_s: float = Field(3600.0, gt=0, description="a longer file is failed: it is no clip")
    timeout_s: float = Field(120.0, gt=0, description="wall-clock limit of decoding one source")


class Ingest(Actor[IngestConfig]):
    stage = None
    keyed = "source"
    reads = ("source_uri",)
    adds = (
        "source_video",
        "source_frame0",
        "num_frames",
        "source_sha256",
        "source_size_bytes",
        "source_kept",
    )
    Config = IngestConfig

    def process(self, sample: Sample) -> Added:
        limits = DecodeLimits(max_duration_s=self.config.max_duration_s, wall_s=self.config.timeout_s)
        path = _file(sample.text("source_uri"), sample.scratch, limits.max_source_bytes)
        clip = normalise(path, sample.scratch, limits=limits, min_frames=self.config.min_frames)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        added: dict[str, Any] = {
            "source_video": clip.path,
            "source_frame0": clip.frame0_png_path,
            "num_frames": clip.num_frames,
            "source_sha256": digest,
            "source_size_bytes": path.stat().st_size,
            "source_kept": clip.kept_bytes,
        }
        return added


def _file(uri: str, scratch: Path, max_bytes: int) -> Path:
    """The source as a file; one of S3 is copied into `scratch` unless it is over `max_bytes`."""
    if uri.startswith("s3://"):
        from actors.s3_sources import fetch_source  # boto3 takes 0.3 s to import

        return fetch_source(uri, scratch, max_bytes)
    path = path_of(uri)
    try:
        there = path.is_file()
    except OSError as error:  # a folder that may not be entered is this source's fault, not the worker's
        raise SampleError(f"{path} cannot be read: {error.strerror}") from error
    if not there:
        raise SampleError(f"no file at {path}")
    return path


def path_of(uri: str) -> Path:
    """The file that a local source's URI names: a path, or `file://` with percent signs decoded.

    Raises:
        SampleError: another scheme.
    """
    if uri.startswith("file://"):
        return Path(os.fsdecode(unquote_to_bytes(uri.removeprefix("file://"))))
    scheme, separator, _ = uri.partition("://")
    if separator and scheme.isalnum():
        raise SampleError(
            f"{scheme}:// is not read; a source is a file that all workers see or s3://bucket/key, not {uri}"
        )
    return Path(uri)
