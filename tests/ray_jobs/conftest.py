"""Sources and a finished root that several test modules look at; made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.ops.made_clips import make_demo_sources
from actors.ops.video import VideoClip, encode_video
from tests.ray_jobs.commands import FRAMES, SHORT, job


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's clips, cut to the shortest length that is allowed."""
    made = make_demo_sources(tmp_path_factory.mktemp("made"))
    folder = tmp_path_factory.mktemp("sources")
    for path in made:
        if path.suffix != ".mp4":
            continue
        if "broken" in path.name:
            (folder / path.name).write_bytes(path.read_bytes())
        else:
            frames = list(VideoClip(path).frames())[:FRAMES]
            encode_video(frames, folder / path.name, fps=16)
    return folder


@pytest.fixture(scope="session")
def finished(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a run that nobody disturbed."""
    root = tmp_path_factory.mktemp("finished") / "root"
    result = job("synthesize", "--sources", sources, "--output", root, *SHORT)
    assert result.returncode == 3, result.stdout + result.stderr  # the broken file fails, the others finish
    return root
