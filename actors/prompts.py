"""Every question that a prompted model is asked, in one place, each with what it must give back.

What a reader gets wrong: changing a word here changes results. `PROMPTS_VERSION` holds a digest of all texts
and of the sampling and is part of the fingerprint of every prompted backend, so a run on an old root is
refused until `--redo`. Whoever changes how answers are read raises `_NUMBER`. EditScore's prompts are its own
(`actors.backends.editscore_prompts`). The authors published none of theirs: these are ours, written after the
style of the published data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from actors.ops.answers import BoxForm

TEMPERATURE, TOP_P, TOP_K = 0.7, 0.8, 20
"""Of every answer that is sampled: Qwen3-VL-Instruct's own generation_config.json."""
_NUMBER = 3
"""Raised by hand when the same texts would give other results."""


@dataclass(frozen=True)
class Prompt:
    """`text` may have fields in braces; `gives_back` says what `actors.ops.answers` reads from the answer."""

    text: str
    gives_back: str
    max_new_tokens: int


CAMERA = Prompt(
    text="""\
This video shows {num_frames} frames at equal distances from one clip of {seconds:.1f} seconds.
Does the camera that filmed it stand still, as on a tripod, during the whole clip?

Think step by step, and write your thoughts down:
1. Name three things that belong to the fixed background and are far apart in the picture, such as walls,
   furniture, buildings, the ground, the horizon or the edges of windows.
2. For each of them compare its place in the first, the middle and the last frame. Does it shift, grow,
   shrink or turn?
3. Decide what moves. If all fixed things move together or are replaced, it is the camera (pan, tilt, zoom,
   dolly, rotation, hand-held shake, a cut to another shot). If the fixed things stay where they are, it is
   only the scene (people, animals, vehicles, leaves, water, light).

Movement of things in the scene does not count. The slightest lasting movement of the camera counts.
End with one line, "VERDICT: STATIC" if the camera stands still, "VERDICT: MOVING" if it does not.""",
    gives_back="reasoning, then a line 'VERDICT: STATIC' or 'VERDICT: MOVING'; both is unreadable",
    max_new_tokens=1024,
)

SCENE = Prompt(
    text="""\
Describe the place that this picture shows in one sentence of 15 to 40 words: where it is, what stands in the
background, the light and the time of day. Mention the main subject only by what it is and what it does.
Write the sentence only, without a heading or quotation marks.""",
    gives_back="one sentence; further sentences are left out",
    max_new_tokens=160,
)

OPENINGS = (
    "Shift the background to",
    "Place the subject in",
    "Put the subject against",
    "Move the subject to",
    "Set the scene to",
    "Change the background to",
    "Replace the background with",
    "Swap the background for",
    "Transform the background into",
)
"""Openings of the published instructions."""

THEMES = {
    "location": "a different place",
    "season": "another season, with its weather, plants and light",
    "time": "another time of day, with its light and sky",
    "style": "another era, mood or cinematic style",
}
"""What an editing theme asks for. `openve3m` brings its own prompts."""

INSTRUCTION = Prompt(
    text="""\
You write instructions for a model that replaces the background of a video and keeps its foreground as it is.

The video now shows: {original_scene}
The new background is to be {theme}: {scene} (kind: {subtheme}).

Write one instruction of one or two sentences and 35 to 60 words, on one line.
- Begin with "{opening}".
- Say what the new scene is, with two or three concrete things in it, how it is lit, and its mood.
- Name at least one continuous motion in the background, with a verb: something that sways, drifts, ripples,
  flickers, falls, flows or billows.
- The new scene must suit the viewpoint and the scale of the present one.
- Do not describe the people, animals or objects that stay, their clothes or what they do, and write nothing
  about the foreground or the camera.

Write the instruction only, without quotation marks.""",
    gives_back="one or two sentences on one line, 151 to 466 characters, without 'foreground' and 'camera'",
    max_new_tokens=200,
)

GROUNDING = Prompt(
    text="""\
The first picture is a frame of a video. The second picture is the same frame after an edit that replaced the
background. The edit was: {prompt}

Compare the two pictures and list the foreground that was kept: every person, animal or object that is in
both, at the same place and in the same pose. List whole things and also their clearly visible parts, such as
hats, hair, clothes, hands, bags and what is held or ridden. Leave out everything that belongs to the old or
to the new background.

For each give its bounding box in the FIRST picture, and a label of 3 to 6 words in lower case, without
commas, that tells it apart from the others, such as "woman in brown hat and coat", "brown wide-brimmed hat"
or "clasped hands with ring".
Answer with a JSON list only, at most 12 entries, the largest first:
[{{"bbox_2d": {corners}, "label": "..."}}]
{unit} If nothing was kept, answer [].""",
    gives_back="a JSON list of {bbox_2d, label}, lower-case labels, boxes on the first picture; [] for none",
    max_new_tokens=1024,
)

_ASKED_OF_QWEN = (
    "Locate every instance that belongs to the following categories: '{labels}'. "
    "Report bbox coordinates in JSON format."
)
"""The sentence that Qwen3-VL was trained on, word for word."""
LOCATING = Prompt(
    text=_ASKED_OF_QWEN
    + """
Each entry has the form {{"bbox_2d": {corners}, "label": "..."}}, the label being a category of the list word
for word. {unit}
Leave out a category that is not visible; if none is, answer [].""",
    gives_back="a JSON list of {bbox_2d, label} with asked labels; [] for none",
    max_new_tokens=1536,
)

PROMPTS = {
    "camera": CAMERA,
    "scene": SCENE,
    "instruction": INSTRUCTION,
    "grounding": GROUNDING,
    "locating": LOCATING,
}

_CORNERS = {"xyxy": "[x1, y1, x2, y2]", "yxyx": "[y1, x1, y2, x2]"}
_UNITS = {
    "thousandths": "Coordinates are integers from 0 to 1000 of the width and the height of the picture.",
    "pixels": "Coordinates are pixels of a picture that is {width} wide and {height} high.",
}


REMOVAL = "Remove the {listed} from the image and fill the area with the background behind."
"""For the image editor that erases; gives back a picture. Ours, the published one is not known."""


def _digest() -> str:
    words = [prompt.text for prompt in PROMPTS.values()]
    words += [repr([prompt.max_new_tokens for prompt in PROMPTS.values()]), repr((TEMPERATURE, TOP_P, TOP_K))]
    words += [REMOVAL, *OPENINGS, *THEMES, *THEMES.values(), *_CORNERS.values(), *_UNITS.values()]
    return hashlib.sha256("\x1f".join(words).encode()).hexdigest()[:8]


PROMPTS_VERSION = f"{_NUMBER}-{_digest()}"
"""In the fingerprint of prompted backends."""


def camera_text(num_frames: int, seconds: float) -> str:
    """For a video of `num_frames` frames picked from a clip of `seconds`."""
    return CAMERA.text.format(num_frames=num_frames, seconds=seconds)


def scene_text() -> str:
    """For one picture."""
    return SCENE.text


def instruction_text(original_scene: str, edit_type: str, chosen_keyword: str, seed: int) -> str:
    """Without pictures. `chosen_keyword` is `subtheme: scene`; the seed draws the opening, so that openings
    are as even as the seeds.
    """
    subtheme, _, scene = chosen_keyword.partition(": ")
    return INSTRUCTION.text.format(
        original_scene=original_scene,
        theme=THEMES.get(edit_type, "a different place"),
        subtheme=subtheme,
        scene=scene or subtheme,
        opening=OPENINGS[seed % len(OPENINGS)],
    )


def grounding_text(prompt: str, width: int, height: int, form: BoxForm) -> str:
    """For two pictures: source frame 0, then edited frame 0, both `width` x `height` pixels."""
    return GROUNDING.text.format(
        prompt=prompt, corners=_CORNERS[form.order], unit=_UNITS[form.unit].format(width=width, height=height)
    )


def locating_text(labels: Sequence[str], width: int, height: int, form: BoxForm) -> str:
    """For one picture of `width` x `height` pixels."""
    return LOCATING.text.format(
        labels=", ".join(labels),
        corners=_CORNERS[form.order],
        unit=_UNITS[form.unit].format(width=width, height=height),
    )


def removal_text(labels: Sequence[str]) -> str:
    """For one picture: the labels that are erased, at least one."""
    listed = labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"
    return REMOVAL.format(listed=listed)
