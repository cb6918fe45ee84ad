"""A toy checkpoint and options for every backend of the table that runs without a server: the same classes,
files and code path as the paper's sizes.

What a reader gets wrong: the pixels that come out are noise. Only the language model is set so that its
answers can be read (`qwen3_vl.build_agreeable`), and RAFT so that it sees a still camera.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.bait import SMOKE
from benchmarks.checkpoints import flow, flux2, qwen3_vl, sam, wan, wan_fun

Options = dict[str, Any]
_CPU: Options = {"device": "cpu", "dtype": "float32"}


def raft(folder: Path) -> Options:
    return {"model": str(flow.raft_folder(folder, sees=(0.0, 0.0))), "device": "cpu", "height": 128}


def unimatch(folder: Path) -> Options:
    return {"model": str(flow.unimatch_folder(folder)), "device": "cpu", "height": 64}


def qwen(folder: Path) -> Options:
    return {"model": str(qwen3_vl.build_agreeable(folder)), **_CPU}


def editscore(folder: Path) -> Options:
    return {**qwen(folder), "adapter": None}


def klein(folder: Path) -> Options:
    return {"model": str(flux2.save_tiny_flux2_klein(folder)), "height": 64, **_CPU}


def wan_i2v(folder: Path) -> Options:
    return {"model": str(wan.save_tiny_wan_i2v(folder)), "height": 32, "steps": 2, **_CPU}


def wan_control(folder: Path) -> Options:
    experts, parts = folder / "experts", folder / "parts"
    wan_fun.save_fun_control(experts)
    wan_fun.save_fun_components(parts)
    return {"model": str(experts), "components": str(parts), "height": 32, "steps": 2, **_CPU}


def vace(folder: Path) -> Options:
    return {"model": str(wan_fun.save_tiny_vace(folder)), "height": 32, "steps": 2, **_CPU}


def sam2(folder: Path) -> Options:
    return {"model": str(sam.sam2_folder(folder)), "size": "tiny", "overrides": list(SMOKE), **_CPU}


def sam3(folder: Path) -> Options:
    return {"model": str(sam.sam3_folder(folder)), **_CPU}


TINY: dict[tuple[str, str], Callable[[Path], Options]] = {
    ("FlowEstimator", "raft"): raft,
    ("FlowEstimator", "unimatch"): unimatch,
    ("VisionLanguageModel", "qwen3_vl"): qwen,
    ("ImageEditor", "flux2_klein"): klein,
    ("ImageToVideo", "wan22_i2v"): wan_i2v,
    ("VideoTracker", "sam2"): sam2,
    ("VideoTracker", "sam3"): sam3,
    ("ControlToVideo", "wan22_fun_control"): wan_control,
    ("ControlToVideo", "wan_vace"): vace,
    ("EditScorer", "editscore"): editscore,
}
"""By role and name of `BACKENDS`: writes the checkpoint into a new folder, returns the options."""
WHOLE = {
    "CameraMotionFilter": ("FlowEstimator", "raft"),
    "StaticCameraJudge": ("VisionLanguageModel", "qwen3_vl"),
    "InstructionWriter": ("VisionLanguageModel", "qwen3_vl"),
    "FirstFrameEditor": ("ImageEditor", "flux2_klein"),
    "EditedFrameScorer": ("EditScorer", "editscore"),
    "ForegroundGrounder": ("VisionLanguageModel", "qwen3_vl"),
    "ForegroundRemover": ("ImageEditor", "flux2_klein"),
    "CleanBackgroundScorer": ("EditScorer", "editscore"),
    "BackgroundAnimator": ("ImageToVideo", "wan22_i2v"),
    "AnchorGrounder": ("VisionLanguageModel", "qwen3_vl"),
    "ForegroundTracker": ("VideoTracker", "sam2"),
    "VideoGenerator": ("ControlToVideo", "wan22_fun_control"),
    "EditedVideoScorer": ("EditScorer", "editscore"),
}


ON_GPU = ("FirstFrameEditor", "BackgroundAnimator", "VideoGenerator")
"""Actors that ask for a whole logical GPU, so that one GPU means three phases; others share processes."""


def whole_pipeline(folder: Path, *, num_frames: int) -> dict[str, dict[str, Any]]:
    """`actors` of a run's config with every role on its toy checkpoint below `folder`, all gates open."""
    options = {made: TINY[made](folder / made[1]) for made in sorted(set(WHOLE.values()))}
    actors: dict[str, dict[str, Any]] = {
        name: {"backend": made[1], "options": options[made], "num_gpus": float(name in ON_GPU)}
        for name, made in WHOLE.items()
    }
    for name, gate in (
        ("EditedFrameScorer", "min_edited_frame0_overall"),
        ("CleanBackgroundScorer", "min_foreground_removed_overall"),
        ("BackgroundAnimator", "min_background_dynamics"),
        ("EditedVideoScorer", "min_edited_video_overall"),
    ):
        actors[name][gate] = None
    actors["BackgroundAnimator"]["num_frames"] = num_frames
    return actors
