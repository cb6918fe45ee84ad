"""Sources and a finished root that several test modules look at; made once a session."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from actors.ops.made_clips import BROKEN_NAME, MADE_CLIPS, made_frames
from actors.ops.video import encode_video
from ray_jobs.publish import publish
from tests.ray_jobs.commands import FRAMES, SHORT, job
from tests.ray_jobs.small_root import make_root


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the demo's clips, and a broken file."""
    folder = tmp_path_factory.mktemp("sources")
    for clip in MADE_CLIPS:
        encode_video(itertools.islice(made_frames(clip), FRAMES), folder / f"{clip.name}.mp4", fps=16)
    whole = (folder / f"{MADE_CLIPS[-1].name}.mp4").read_bytes()
    (folder / BROKEN_NAME).write_bytes(whole[: len(whole) // 2])
    return folder


@pytest.fixture(scope="session")
def finished(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a run that nobody disturbed."""
    root = tmp_path_factory.mktemp("finished") / "root"
    result = job("synthesize", "--sources", sources, "--output", root, *SHORT)
    assert result.returncode == 3, result.stdout + result.stderr  # the broken file fails, the others finish
    return root


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published root of two themes, three samples each, of which one is rejected."""
    root = tmp_path_factory.mktemp("pristine") / "root"
    make_root(root, sources=3, measured={"Sparkle_location_000002": {"edited_frame0_overall": 7.0}})
    publish(str(root))
    return root
