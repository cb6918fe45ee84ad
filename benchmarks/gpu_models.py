"""Seconds, memory and TFLOP/s of the paper's models: `python -m benchmarks.gpu_models`

What a reader gets wrong: the weights are random and the pictures are noise. Cost does not depend on the
values, only on shapes, so seconds and memory are those of the published checkpoints; what comes out is
nothing to look at. Weights go through the backend's own loader (hollow files, then filled on the device).
"""

from __future__ import annotations

import gc
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from actors.backends.chat import ChatRequest
from actors.backends.checkpoints import CheckpointError
from actors.backends.devices import pick_device
from actors.backends.flux2_klein import Flux2Klein
from actors.backends.qwen3_vl import QwenChat
from actors.backends.raft import Raft
from actors.backends.sam2_tracker import Sam2Tracker
from actors.backends.sam3_tracker import Sam3Tracker
from actors.backends.unimatch import UniMatch
from actors.backends.wan22_fun_control import Wan22FunControl
from actors.backends.wan22_i2v import Wan22ImageToVideo
from actors.backends.wan_vace import WanVace
from actors.ops.bait import anchor_indices
from actors.ops.camera import camera_motion
from actors.ops.video import VideoClip
from actors.roles import Anchor, ControlRequest, Frame
from benchmarks import full_size
from benchmarks.bait import SMOKE
from benchmarks.checkpoints import flow, flux2, qwen3_vl, sam, wan, wan_fun
from benchmarks.full_size_fun import save_hollow_fun_control
from benchmarks.full_size_fun import wan_vace as full_size_vace
from benchmarks.full_size_transformers import (
    QWEN3_VL_8B,
    QWEN3_VL_32B,
    save_hollow_qwen3_vl,
    save_hollow_sam3,
    save_hollow_sam21_large,
)
from benchmarks.gpu_bench import Bench, Cost, Row, as_row

MATMUL_SIDE = 8192
PROMPT = "Shift the background to an open prairie with tall grass that sways in a warm evening wind."
JUDGEMENT = "Rate from 0 to 25 how well the edit follows the instruction, with reasoning first. " * 12
"""About as long as EditScore's prompts."""


def matmul(bench: Bench) -> Iterator[Row]:
    """The ceiling: one large product of random bfloat16 matrices, median of ten."""
    side = 256 if bench.toy else MATMUL_SIDE
    first, second = (torch.randn(side, side, device=bench.device, dtype=torch.bfloat16) for _ in range(2))
    seconds = sorted(bench.timed(lambda: first @ second)[0] for _ in range(13))[6]
    yield Row("-", f"{side} x {side} matrix product", seconds, tflops=2 * side**3 / seconds / 1e12)


def flow_networks(bench: Bench) -> Iterator[Row]:
    """The camera filter over one clip."""
    for name, build, folder in (
        ("RAFT large", Raft, partial(flow.raft_folder, large=not bench.toy)),
        ("UniMatch", UniMatch, flow.unimatch_folder),
    ):
        model: Any = build(
            model=str(folder(bench.folder / name)), device=str(bench.device), height=bench.shape[0] // 2
        )
        if not bench.toy:
            camera_motion(bench.clip(), model)  # warm: kernels are chosen and compiled
        cost = bench.cost(partial(camera_motion, bench.clip(), model), apart=not bench.toy)
        yield as_row(name, "camera filter of a clip, decoding included", cost)


def qwen(bench: Bench) -> Iterator[Row]:
    """Round-1 grounding: two 720p pictures a prompt, answers of 256 tokens."""
    chat = _chat(bench, "qwen3_vl_32b", QWEN3_VL_32B)
    pictures = (bench.frame(1), bench.frame(2))
    for prompts in (1, 2) if bench.toy else (1, 4, 16):
        # not counted: torch's counter refuses attention with fewer key heads than query heads
        read, _ = bench.timed(partial(chat.chat, _questions(prompts, pictures, 1)))
        seconds, peak = bench.timed(partial(chat.chat, _questions(prompts, pictures, bench.tokens)))
        work = f"{prompts} prompts at once, two pictures each, {bench.tokens} tokens"
        note = f"{seconds / prompts:.1f} s a prompt; reading the prompts {read:.2f} s"
        yield Row("Qwen3-VL-32B", work, seconds, peak, published="2.5 a call [E]", note=note)


def _questions(count: int, pictures: tuple[Frame, ...], tokens: int) -> list[ChatRequest]:
    return [ChatRequest(str(n), PROMPT, 0, pictures, max_new_tokens=tokens) for n in range(count)]


def editscore(bench: Bench) -> Iterator[Row]:
    """Stage 2's judgement of one sample: four passes, each one prompt with two pictures and one with one."""
    chat = _chat(bench, "qwen3_vl_8b", QWEN3_VL_8B)
    requests = [
        ChatRequest(
            f"{turn}-{pictures}",
            JUDGEMENT,
            42 + turn,
            tuple(bench.frame(n) for n in range(pictures)),
            max_new_tokens=bench.tokens,
            temperature=0.7,
            top_p=0.9,
            top_k=20,
        )
        for turn in range(4)
        for pictures in (2, 1)
    ]
    seconds, peak = bench.timed(lambda: chat.chat(requests))
    work = f"one pair: 4 passes, 8 prompts, {bench.tokens} tokens"
    note = f"{seconds / 4:.1f} s a pass"
    yield Row("EditScore (Qwen3-VL-8B)", work, seconds, peak, published="0.8 a pass [E]", note=note)


def _chat(bench: Bench, name: str, text: full_size.Arguments) -> QwenChat:
    folder = bench.folder / name
    if bench.toy:
        return QwenChat(model=str(qwen3_vl.build(folder)), **bench.options)
    hollow = save_hollow_qwen3_vl(folder, text)
    height, width = bench.shape
    pixels = height * width
    chat = QwenChat(model=str(hollow), batch_size=16, min_pixels=pixels, max_pixels=pixels, **bench.options)
    full_size.fill_module(chat._model)
    chat.chat([ChatRequest("warm", PROMPT, 0, (bench.frame(),), max_new_tokens=4)])
    return chat


def flux(bench: Bench) -> Iterator[Row]:
    """One edit."""
    for size in ("4B", "9B"):
        folder = bench.folder / f"flux{size}"
        if bench.toy:
            flux2.save_tiny_flux2_klein(folder)
        else:
            full_size.save_hollow(full_size.flux2_klein(size), folder)
        editor = Flux2Klein(model=str(folder), **bench.options)
        full_size.fill(editor.pipeline)
        if not bench.toy:
            editor.edit(bench.frame(), PROMPT, seed=0)
        cost = bench.cost(partial(editor.edit, bench.frame(), PROMPT, seed=1), apart=not bench.toy)
        published = "1.5 [E]" if size == "9B" else ""
        yield as_row(f"FLUX.2 [klein] {size}", "one edit, 4 steps", cost, published)
        del editor
        _free(bench)


def wan_i2v(bench: Bench) -> Iterator[Row]:
    """Background animation: the 4-step distillation as it is, 40 guided steps from the time of a step."""
    folder = bench.folder / "wan_i2v"
    if bench.toy:
        wan.save_tiny_wan_i2v(folder)
    else:
        full_size.save_hollow(full_size.wan22_i2v(), folder)
    model = Wan22ImageToVideo(model=str(folder), distilled=True, offload=bench.offload, **bench.options)
    full_size.fill(model.pipeline)

    def run(steps: int) -> Cost:
        model.steps = steps
        frames = {"num_frames": bench.num_frames, "fps": 16, "seed": 1, "edit_seed": 1}
        return bench.cost(lambda: list(model.animate(bench.frame(), PROMPT, **frames)))

    yield from _steps(f"Wan2.2-I2V-A14B, offload {bench.offload}", run, (4, 1, "60 [E]"), (40, 2, "1056"))


def wan_control(bench: Bench) -> Iterator[Row]:
    """Control-guided synthesis: few steps without guidance, 50 guided steps from the time of a step."""
    experts, parts = bench.folder / "fun", bench.folder / "fun_parts"
    if bench.toy:
        wan_fun.save_fun_control(experts)
        wan_fun.save_fun_components(parts)
    else:
        save_hollow_fun_control(experts, parts)
    model = Wan22FunControl(
        model=str(experts), components=str(parts), guidance=1.0, offload=bench.offload, **bench.options
    )
    name = f"Wan2.2-Fun-A14B-Control, offload {bench.offload}"
    yield from _generated(bench, model, name, "1320 [E]")


def vace(bench: Bench) -> Iterator[Row]:
    """The second choice for control-guided synthesis, in the same way."""
    folder = bench.folder / "vace"
    if bench.toy:
        wan_fun.save_tiny_vace(folder)
    else:
        full_size.save_hollow(full_size_vace(), folder)
    model = WanVace(model=str(folder), guidance=1.0, offload=bench.offload, **bench.options)
    yield from _generated(bench, model, f"Wan2.1-VACE-14B, offload {bench.offload}", "")


def _generated(bench: Bench, model: Wan22FunControl | WanVace, name: str, published: str) -> Iterator[Row]:
    full_size.fill(model.pipeline)

    def run(steps: int) -> Cost:
        model.steps = steps
        clip = bench.clip()
        masks = np.zeros((bench.num_frames, bench.shape[0], bench.shape[1] // 8), np.uint8)
        request = ControlRequest(bench.frame(), clip, PROMPT, 1, bench.num_frames, clip, clip, masks)
        return bench.cost(lambda: list(model.synthesize(request)))

    yield from _steps(name, run, (4, 1, ""), (50, 2, published))


def _steps(
    model: str, run: Callable[[int], Cost], short: tuple[int, int, str], full: tuple[int, int, str]
) -> Iterator[Row]:
    """What one step and what `short` steps took, and `full` by their difference. A guided step is two."""
    run(1)  # kernels are chosen
    one, few = run(1), run(short[0])
    step = (few.seconds - one.seconds) / (short[0] - 1)
    tflop = (few.tflop - one.tflop) / (short[0] - 1)
    note = f"a step {step:.2f} s at {tflop / step:.0f} TFLOP/s, text and VAE {one.seconds - step:.1f} s"
    yield as_row(model, f"{short[0]} steps, no guidance", few, short[2], note)
    seconds = one.seconds + (full[0] * full[1] - 1) * step
    yield Row(
        model,
        f"{full[0]} guided steps",
        seconds,
        few.peak_gib,
        (one.tflop + (full[0] * full[1] - 1) * tflop) / seconds,
        full[2],
        "reckoned from the time of a step",
    )


def trackers(bench: Bench) -> Iterator[Row]:
    """BAIT over one clip: every anchor's pass, features encoded once."""
    clip, height = bench.clip(), bench.shape[0]
    box = (0.0, height / 4, height / 2, 3 * height / 4)
    anchors = [Anchor(index, {"the square": box}) for index in anchor_indices(clip.num_frames, 16)]
    work = f"{clip.num_frames} frames, {len(anchors)} passes"
    builders: dict[str, Callable[[], Any]] = {
        "SAM 2.1 large": lambda: _sam2(bench),
        "SAM 3 tracker": lambda: _sam3(bench),
    }
    for name, build in builders.items():
        tracker = build()
        full_size.fill_module(tracker._model)
        sam.lively(tracker._model)
        _tracked(tracker, clip, anchors[:1])
        cost = bench.cost(partial(_tracked, tracker, clip, anchors), apart=not bench.toy)
        naive = {"SAM 2.1 large": "22.6 on an A100", "SAM 3 tracker": "33.6"}[name]
        yield as_row(name, work, cost, f"{naive} (N passes at the published rate)")
        del tracker
        _free(bench)


def _tracked(tracker: Any, clip: VideoClip, anchors: list[Anchor]) -> int:
    return sum(1 for _ in tracker.track(clip, anchors))


def _sam2(bench: Bench) -> Sam2Tracker:
    if bench.toy:
        folder = sam.sam2_folder(bench.folder / "sam2")
        return Sam2Tracker(size="tiny", model=str(folder), overrides=SMOKE, **bench.options)
    return Sam2Tracker(
        size="large", model=str(save_hollow_sam21_large(bench.folder / "sam2")), **bench.options
    )


def _sam3(bench: Bench) -> Sam3Tracker:
    folder = bench.folder / "sam3"
    saved = sam.sam3_folder(folder) if bench.toy else save_hollow_sam3(folder)
    return Sam3Tracker(model=str(saved), **bench.options)


CASES: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "matmul": matmul,
    "flow": flow_networks,
    "flux": flux,
    "trackers": trackers,
    "editscore": editscore,
    "qwen": qwen,
    "wan_i2v": wan_i2v,
    "wan_control": wan_control,
    "vace": vace,
}


def measure(bench: Bench, name: str) -> Iterator[Row]:
    """The rows of one case; what does not fit says so."""
    try:
        yield from CASES[name](bench)
    except (CheckpointError, torch.cuda.OutOfMemoryError) as error:
        yield Row(name, "skipped", None, note=str(error).splitlines()[0][:200])
    _free(bench)


def _free(bench: Bench) -> None:
    gc.collect()
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()


def report(rows: list[Row], console: Console) -> None:
    """The table, with each rate as a share of the matrix product's."""
    ceiling = next((row.tflops for row in rows if row.model == "-"), None)
    table = Table("model", "work", "s", "peak GiB", "TFLOP/s", "of ceiling", "published s", "note", box=None)
    for row in rows:
        share = f"{row.tflops / ceiling:.0%}" if row.tflops and ceiling else ""
        numbers = [f"{value:.2f}" if value is not None else "" for value in (row.seconds, row.peak_gib)]
        rate = f"{row.tflops:.1f}" if row.tflops else ""
        table.add_row(row.model, row.work, *numbers, rate, share, row.published, row.note)
    console.print(table, markup=False)


def main(
    toy: Annotated[
        bool, typer.Option("--toy", help="toy models and clips: the code runs, figures mean nothing")
    ] = False,
    only: Annotated[str, typer.Option(help="comma-separated cases")] = ",".join(CASES),
    device: Annotated[str, typer.Option()] = "auto",
    offload: Annotated[str, typer.Option(help="of the Wan models: none or model")] = "none",
    output: Annotated[Path | None, typer.Option(help="where the rows go as JSON lines, as they come")] = None,
) -> None:
    """Measure each backend at the paper's size: 1280x720, 81 frames."""
    console = Console(width=200)
    chosen = pick_device(device)
    if chosen.type != "cuda" and not toy:
        console.print("no GPU here: full sizes are not run on a CPU; --toy runs the same code at toy size")
        raise typer.Exit(2)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else "CPU"
    console.print(f"{name}, torch {torch.__version__}")
    rows: list[Row] = []
    for case in only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            for row in measure(Bench(chosen, toy, Path(folder), offload), case):
                rows.append(row)
                console.print(f"{row.model}, {row.work}: {row.seconds or 0:.2f} s {row.note}", markup=False)
                if output:
                    with output.open("a") as file:
                        file.write(json.dumps(asdict(row)) + "\n")
    report(rows, console)


if __name__ == "__main__":
    typer.run(main)
