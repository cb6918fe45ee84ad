"""Contact sheets, liveness and cost of the procedural scenes: `python -m benchmarks.scenes --output DIR`

What a reader gets wrong: liveness alone says little; a picture that wobbles scores well. Look at the sheets:
one row a scene with frame 0 of each seed, then later frames of the first seed, then what changed, amplified.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from actors.backends.embedded.scenes.build import BUILDERS, build
from actors.ops.dynamics import background_dynamics
from actors.roles import Frame
from schemas.taxonomy import SceneSpec, all_scenes

MIN_DYNAMICS = 1.5
"""The gate of stage 3 in configs/embedded.yaml."""
MEASURED_FRAMES = 25
LATER = (20, 40, 80)
CELL = (384, 216)
ROWS_A_SHEET = 12


def small(frame: Frame) -> Frame:
    return np.asarray(cv2.resize(frame, CELL, interpolation=cv2.INTER_AREA), np.uint8)


def measured(spec: SceneSpec, seed: int, width: int, height: int) -> tuple[float, float, float, list[Frame]]:
    """CPU seconds of the build, CPU seconds a frame, liveness, and the cells of the sheet."""
    start = time.process_time()
    scene = build(spec, seed, width, height)
    built = time.process_time() - start
    start = time.process_time()
    frames = [scene.frame(t) for t in range(MEASURED_FRAMES)]
    drawn = (time.process_time() - start) / MEASURED_FRAMES
    later = [small(scene.frame(t)) for t in LATER]
    first = small(frames[0])
    change = np.clip(cv2.absdiff(small(frames[8]), first).astype(np.int32) * 4, 0, 255).astype(np.uint8)
    return built, drawn, background_dynamics(frames), [first, *later, change]


def main(
    output: Annotated[Path, typer.Option(help="folder for the sheets (PNG); made when missing")],
    builder: Annotated[str, typer.Option(help="only scenes of these builders, comma-separated")] = "",
    seeds: Annotated[str, typer.Option(help="seeds, comma-separated")] = "1,2,3",
    smoke: Annotated[bool, typer.Option("--smoke", help="one scene a builder, one seed, 320x180")] = False,
) -> None:
    """Exit code 1 when a scene is less lively than stage 3's gate asks."""
    wanted = {name for name in builder.split(",") if name}
    unknown = wanted - set(BUILDERS)
    if unknown:
        known = ", ".join(sorted(BUILDERS))
        raise typer.BadParameter(f"no builder {', '.join(sorted(unknown))}; there are {known}")
    specs = [spec for spec in all_scenes() if not wanted or spec.builder in wanted]
    if smoke:
        specs = list({spec.builder: spec for spec in specs}.values())
    chosen = [int(seed) for seed in seeds.split(",")][: 1 if smoke else None]
    width, height = (320, 180) if smoke else (1280, 720)
    output.mkdir(parents=True, exist_ok=True)
    table = Table("scene", "builder", "build s", "frame s", "liveness (least)")
    rows: list[Frame] = []
    dull = sheets = 0
    for number, spec in enumerate(specs, 1):
        results = [measured(spec, seed, width, height) for seed in chosen]
        least = min(result[2] for result in results)
        dull += least < MIN_DYNAMICS
        table.add_row(
            spec.chosen_keyword,
            spec.builder,
            f"{max(result[0] for result in results):.2f}",
            f"{max(result[1] for result in results):.3f}",
            f"{least:.2f}" + (" under the gate" if least < MIN_DYNAMICS else ""),
        )
        rows.append(np.hstack([*(result[3][0] for result in results), *results[0][3][1:]]))
        if len(rows) == ROWS_A_SHEET or number == len(specs):
            path = output / f"scenes_{sheets:02d}.png"
            cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
            rows, sheets = [], sheets + 1
    console = Console()
    console.print(table)
    typer.echo(f"{len(specs)} scenes, {dull} under {MIN_DYNAMICS}; {sheets} sheets in {output}")
    if dull:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
