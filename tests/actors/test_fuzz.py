"""A short fuzz campaign against Ingest's decoder, and what a campaign notices; long: benchmarks/fuzz.py."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from actors.ops import normalise as normalising
from actors.ops.containers import UnreadableError
from actors.ops.normalise import DecodeLimits
from actors.ops.source_frames import decoding
from benchmarks.fuzz import KINDS, campaign, made_seed, mutated, run_case


def test_two_hundred_mutated_videos_crash_no_job_and_leave_nothing() -> None:
    result = campaign(range(200), seed=11, jobs=1)
    assert not result.faults, result.faults
    assert result.elsewhere == []
    assert result.kinds["refused"] > 40
    assert result.kinds["kept"] > 2
    assert result.kinds["encoded"] > 5
    assert len(result.reasons) > 8, "mutations reach no deeper than the first check"


def test_a_case_is_a_function_of_seed_and_number(tmp_path: Path) -> None:
    seeds = [made_seed(tmp_path / f"a.{KINDS[0][0]}", KINDS[0][1])]
    cases = [mutated(seeds, 1, number) for number in range(20)]
    assert cases == [mutated(seeds, 1, number) for number in range(20)]
    assert cases != [mutated(seeds, 2, number) for number in range(20)]
    assert seeds[0] not in cases


@pytest.mark.parametrize(
    ("code", "reply", "stray", "words"),
    [
        (1, b"", "", "RuntimeError: the decode child itself failed"),
        (0, b"no json", "", "JSONDecodeError"),
        (0, b'{"reason": "damaged"}', "out/half.mp4", "left"),
        (0, b'{"reason": "damaged"}', "beside", "left"),
    ],
)
def test_a_crash_and_a_stray_file_are_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, reply: bytes, stray: str, words: str
) -> None:
    def child(order: dict[str, Any], limits: DecodeLimits) -> subprocess.CompletedProcess[bytes]:
        if stray:
            (Path(order["out_dir"]).parent / stray).write_bytes(b"x")
        return subprocess.CompletedProcess([], code, reply, b"")

    monkeypatch.setattr(normalising, "exec_child", child)
    seeds = [json.dumps({"no": "video"}).encode()]
    outcome = run_case(seeds, 1, tmp_path / "cases", tmp_path / "kept", 3)
    assert outcome.kind == "FAULT"
    assert words in outcome.words
    assert (tmp_path / "kept" / "1_3.mp4").read_bytes() == mutated(seeds, 1, 3)


def test_a_text_of_the_file_that_is_no_utf8_harms_nothing(tmp_path: Path) -> None:
    """As cameras write them; the first campaigns found it."""
    data = made_seed(tmp_path / "made.mp4", "h264")
    place = data.rindex(b"Lavf")
    (tmp_path / "source.mp4").write_bytes(data[:place] + b"\xa9\xe9vf" + data[place + 4 :])
    clip = normalising.normalise(
        tmp_path / "source.mp4", tmp_path, limits=DecodeLimits(), width=320, height=180, min_frames=17
    )
    assert clip.kept_bytes
    assert clip.num_frames == 17


def test_a_demuxer_that_is_sent_outside_of_its_file_is_the_files_fault_and_a_broken_disk_is_not() -> None:
    def read(number: int) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(UnreadableError, match="damaged: it points outside of itself"):
        decoding(lambda: read(errno.EINVAL), "damaged")
    with pytest.raises(OSError, match="Input/output error"):
        decoding(lambda: read(errno.EIO), "damaged")
