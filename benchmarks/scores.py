"""Does the embedded scorer part good edits from bad ones? `python -m benchmarks.scores --clips DIR`

What a reader gets wrong: only the first table was looked at while thresholds were chosen. The second and
third use clips, the third damages too, that had no part in it; they are printed as they come, and
nothing is tuned on them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from actors.backends.embedded.detector import Detector
from actors.backends.embedded.editor import SceneEditor
from actors.backends.embedded.scorer import EmbeddedScorer
from actors.backends.embedded.segmenter import Segmenter
from actors.backends.embedded.writer import write_instruction
from actors.ops.boxes import box_of_mask, to_published
from actors.ops.editscore import frame_indices, frame_record, mean_o_score, overall
from actors.ops.video import VideoClip
from actors.roles import EraseRequest, Frame, GroundedObject, ScoreRequest
from benchmarks.damages import DAMAGES, Floats, Scene, blend
from schemas.taxonomy import all_scenes

CALIBRATION_CLIPS = ("location_000223", "season_000029", "openve3m_000030", "made")
"""Everything else found in the folder is held out; `made` is the smoke run's own picture."""
GATES = {2: 8.0, 3: 8.5, 5: 8.0}
"""Published: stage 2 and 3 `overall`, stage 5 mean `O_score`."""
Part = Literal["calibration", "held-out clips", "held-out clips and damages"]


@dataclass(frozen=True)
class Label:
    """What a picture is, without the picture."""

    part: Part
    stage: int
    clip: str
    origin: str
    """embedded: our own edit; photograph: over a photograph; published: the data set's edit."""
    what: str
    """"good" or the name of the damage."""

    @property
    def row(self) -> str:
        return f"good, {self.origin}" if self.what == "good" else self.what


@dataclass(frozen=True)
class Case:
    """One picture to be judged; large, so it is let go once it is."""

    label: Label
    requests: tuple[ScoreRequest, ...]
    """One, or for stage 5 the judged frames."""


@dataclass(frozen=True)
class Verdict:
    label: Label
    score: float
    seconds: float
    reasoning: str

    @property
    def right(self) -> bool:
        """Good ones reach the gate, damaged ones do not."""
        return (self.score >= GATES[self.label.stage]) == (self.label.what == "good")


@dataclass(frozen=True)
class Footage:
    """A source, frame by frame where needed, and published edits of it if there are any."""

    name: str
    frames: tuple[Frame, ...]
    published: tuple[tuple[str, tuple[Frame, ...], tuple[Frame, ...]], ...]
    """(origin, source frames, edited frames) at the four judged indices."""


def cover(picture: Frame, height: int, width: int) -> Frame:
    """`picture` scaled to cover (height, width), centre cut."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = (max(round(picture.shape[1] * scale), width), max(round(picture.shape[0] * scale), height))
    large = np.asarray(cv2.resize(picture[..., :3], size, interpolation=cv2.INTER_CUBIC), np.uint8)
    top, left = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return np.ascontiguousarray(large[top : top + height, left : left + width])


def read_footage(folder: Path) -> list[Footage]:
    """Every `*_source.mp4` of `folder`, with `*_edited*.mp4` of the same name where it exists."""
    found = []
    for path in sorted(folder.glob("*_source.mp4")):
        stem = path.name.removesuffix("_source.mp4")
        clip = VideoClip(path)
        indices = frame_indices(clip.num_frames)
        judged = tuple(clip.pick(indices))
        published = []
        for edited in sorted(folder.glob(f"{stem}_edited*.mp4")):
            origin = "published" if edited.stem == f"{stem}_edited" else "OpenVE-3M"
            published.append((origin, judged, tuple(VideoClip(edited).pick(indices))))
        name = stem.removeprefix("Sparkle_")
        found.append(Footage(name, (clip.pick([0])[0], judged[1]), tuple(published)))
    return found


def packaged_picture(name: str) -> Frame:
    """A picture that scikit-image ships, (H, W, 3) RGB."""
    with as_file(files("skimage.data") / name) as path:
        return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def made_footage() -> list[Footage]:
    """Two small made pictures for the smoke run: a portrait (public domain) before plain scenes of noise."""
    portrait = packaged_picture("astronaut.png")
    made = []
    for number, flip in enumerate((1, -1)):
        scene = noise_scene(number, 360, 640)
        person = cover(np.ascontiguousarray(portrait[:, ::flip]), 360, 400)
        wide = np.ascontiguousarray(np.pad(person, ((0, 0), (120, 120), (0, 0)), mode="edge"))
        matte = foreground_of(wide)
        made.append(Footage("made" if number == 0 else "stranger", (blend(wide, scene, matte),), ()))
    return made


def noise_scene(seed: int, height: int, width: int) -> Frame:
    """A soft coloured texture with detail at every size."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    for power in range(1, 8):
        grain = rng.normal(0.0, 1.0, (2 + 2**power * 9 // 16, 2 + 2**power, 3)).astype(np.float32)
        total += cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC) * 1.5**-power
    return np.asarray(np.clip(128 + 45 * total, 0, 255), np.uint8)


def foreground_of(frame: Frame) -> Floats:
    """(H, W) soft matte of the persons in `frame`, as the pipeline's segmenter sees them."""
    boxes = [found.box for found in Detector().detect(frame, min_score=0.4) if found.label == "person"]
    matte = Segmenter().foreground(frame, boxes)
    return np.asarray(np.clip((matte - 0.1) / 0.8, 0, 1), np.float32)


def _own_edits(
    editor: SceneEditor, source: Frame, matte: Floats, number: int
) -> Iterator[tuple[Frame, Frame, str]]:
    """Two of our own edits of `source`: the picture, what our own remover leaves of it, the instruction."""
    specs = all_scenes()
    for turn in range(2):
        spec, seed = specs[(29 * number + 53 * turn) % len(specs)], 1000 * number + turn
        prompt = write_instruction("", spec.theme, spec.chosen_keyword, seed=seed)
        edited = editor.edit(source, prompt, seed=seed)
        yield edited, editor.erase(EraseRequest(edited, objects_of(matte), "", seed, prompt, seed)), prompt


def objects_of(matte: Floats) -> tuple[GroundedObject, ...]:
    """The foreground of `matte` as round 1 of the grounding would name it."""
    box = box_of_mask(np.asarray(matte > 0.5))
    height, width = matte.shape
    return (GroundedObject("the person", to_published(box, width, height)),) if box else ()


def make_cases(footage: Sequence[Footage], *, own_edits: bool) -> Iterator[Case]:
    """Good pictures and damaged ones, for stages 2, 3 and 5."""
    mattes = [[foreground_of(frame) for frame in item.frames] for item in footage]
    editor = SceneEditor() if own_edits else None
    for number, item in enumerate(footage):
        calibrating = item.name in CALIBRATION_CLIPS
        other = (number + 1) % len(footage)
        stranger, stranger_matte = footage[other].frames[0], mattes[other][0]
        for frame_number, (source, matte) in enumerate(zip(item.frames, mattes[number], strict=True)):
            edits: list[tuple[str, Frame, Frame, str]] = []
            if editor is not None and frame_number == 0:
                edits += (("embedded", *edit) for edit in _own_edits(editor, source, matte, number))
            background = (
                _backdrop(frame_number, source) if own_edits else noise_scene(100 + number, *matte.shape)
            )
            edits.append(("photograph", blend(source, background, matte), background, ""))
            for turn, (origin, edited, background, prompt) in enumerate(edits):
                scene = Scene(source, edited, background, matte, stranger, stranger_matte)
                yield from _cases_of(scene, item.name, origin, prompt, calibrating, seed=10 * number + turn)
        for origin, before, after in item.published:
            part: Part = "calibration" if calibrating else "held-out clips"
            requests = tuple(
                ScoreRequest(str(number), one, two, "", "video_frame", 0)
                for number, (one, two) in enumerate(zip(before, after, strict=True))
            )
            yield Case(Label(part, 5, item.name, origin, "good"), requests)
            yield Case(Label(part, 2, item.name, origin, "good"), requests[:1])


def _backdrop(number: int, source: Frame) -> Frame:
    """A photograph that scikit-image ships (rocket: NASA; coffee: CC0), in the size of `source`."""
    height, width = source.shape[:2]
    return cover(packaged_picture(("rocket.jpg", "coffee.png")[number % 2]), height, width)


def _cases_of(
    scene: Scene, clip: str, origin: str, prompt: str, calibrating: bool, *, seed: int
) -> Iterator[Case]:
    part: Part = "calibration" if calibrating else "held-out clips"
    objects = objects_of(scene.matte)

    def replaced(picture: Frame) -> tuple[ScoreRequest, ...]:
        return (ScoreRequest("0", scene.source, picture, prompt, "background_replacement", 0),)

    def removed(picture: Frame) -> tuple[ScoreRequest, ...]:
        words = "Remove the person."
        return (ScoreRequest("0", scene.edited, picture, words, "foreground_removal", 0, objects),)

    yield Case(Label(part, 2, clip, origin, "good"), replaced(scene.edited))
    yield Case(Label(part, 3, clip, origin, "good"), removed(scene.background))
    for damage in DAMAGES:
        if calibrating and damage.held_out:
            continue
        picture = damage.apply(scene, seed)
        requests = replaced(picture) if damage.stage == 2 else removed(picture)
        where: Part = "held-out clips and damages" if damage.held_out else part
        yield Case(Label(where, damage.stage, clip, origin, damage.name), requests)


def judge(scorer: EmbeddedScorer, case: Case) -> Verdict:
    """Scores one case as the pipeline would."""
    started = time.process_time()
    answers = [[scorer.judge(request)] for request in case.requests]
    seconds = (time.process_time() - started) / len(case.requests)
    if case.label.stage == 5:
        score = mean_o_score([frame_record(passes) for passes in answers])
    else:
        score = overall(answers[0])
    words = f"{answers[0][0].semantic_reasoning} {answers[0][0].perceptual_reasoning}"
    return Verdict(case.label, score, seconds, words)


def run(footage: Sequence[Footage], *, own_edits: bool, held_out: bool) -> list[Verdict]:
    """Judges every case, or without `held_out` only those of the calibration."""
    scorer = EmbeddedScorer()
    cases = make_cases(footage, own_edits=own_edits)
    return [judge(scorer, case) for case in cases if held_out or case.label.part == "calibration"]


def report(console: Console, verdicts: Sequence[Verdict], *, explain: bool) -> None:
    """One table a part: a row for each stage and kind of picture."""
    for part in dict.fromkeys(verdict.label.part for verdict in verdicts):
        mine = [verdict for verdict in verdicts if verdict.label.part == part]
        clips = ", ".join(dict.fromkeys(verdict.label.clip for verdict in mine))
        table = Table("stage", "picture", "right", "lowest", "highest", title=f"{part} ({clips})")
        for stage, row in sorted({(v.label.stage, v.label.row) for v in mine}):
            group = [v for v in mine if (v.label.stage, v.label.row) == (stage, row)]
            scores = [v.score for v in group]
            right = f"{sum(v.right for v in group)} of {len(group)}"
            table.add_row(str(stage), row, right, f"{min(scores):.2f}", f"{max(scores):.2f}")
        console.print(table)
        for name, good in (("good accepted", True), ("bad rejected", False)):
            group = [v for v in mine if (v.label.what == "good") is good]
            if group:
                console.print(f"{part}: {name} {sum(v.right for v in group)} of {len(group)}")
    slowest = max(verdict.seconds for verdict in verdicts)
    mean = sum(verdict.seconds for verdict in verdicts) / len(verdicts)
    console.print(f"{mean:.2f} CPU seconds a picture, {slowest:.2f} the slowest")
    for verdict in verdicts:
        if explain and not verdict.right:
            label = verdict.label
            console.print(
                f"stage {label.stage} {label.clip} {label.origin} {label.what}: {verdict.score:.2f}"
            )
            console.print(f"  {verdict.reasoning}")


def main(
    clips: Annotated[Path | None, typer.Option(help="folder with *_source.mp4 and *_edited.mp4")] = None,
    smoke: Annotated[bool, typer.Option(help="small made pictures instead of clips")] = False,
    held_out: Annotated[
        bool, typer.Option(help="also judge the clips and damages that were kept apart")
    ] = True,
    explain: Annotated[bool, typer.Option(help="print what was measured on each wrong verdict")] = False,
) -> None:
    """Accepted good and rejected bad pictures, by stage and kind of damage."""
    if smoke:
        report(Console(), run(made_footage(), own_edits=False, held_out=False), explain=explain)
        return
    if clips is None:
        raise typer.BadParameter("name a folder with --clips, or use --smoke")
    footage = read_footage(clips)
    if not footage:
        raise typer.BadParameter(f"no *_source.mp4 in {clips}")
    report(Console(), run(footage, own_edits=True, held_out=held_out), explain=explain)


if __name__ == "__main__":
    typer.run(main)
