"""The scene taxonomy as data: 4 themes, 22 subthemes, 100 scenes, each with light, palette, layout and
motion.

What a reader gets wrong: `chosen_keyword` is `subtheme: scene` without the theme, and the draw is uniform
over the subthemes of a theme first and over the scenes of that subtheme second, so a scene of a small
subtheme is drawn more often. The text lives in `taxonomy.json` beside this file; the names of themes,
subthemes and of some scenes are those of the published data set, the rest was chosen in its manner.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, field_validator, model_validator

HexColour = Annotated[str, StringConstraints(pattern=r"^#([0-9a-f]{3}|[0-9a-f]{6})$")]
Option = bool | int | float | str
PictureStyle = Literal["photo", "oil", "impression", "watercolour", "ink"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Light(_Frozen):
    """Light of a scene. Colours are sRGB; `sun_x` 0..1 from left to right, `sun_y` 0 (horizon) .. 1 (top of
    the picture).
    """

    sky_top: HexColour
    sky_low: HexColour
    sun: HexColour
    sun_x: float
    sun_y: float
    key: HexColour
    """Colour by which the light side of things is multiplied."""
    ambient: HexColour
    """Colour by which their shadow side is multiplied."""
    haze: HexColour
    haze_amount: float
    cloud_cover: float
    cloud_lit: HexColour
    cloud_dark: HexColour
    stars: float
    phrase: str
    """The light in words, as the instruction says it: `in bright midday light`."""


class SceneSpec(_Frozen):
    """One scene with everything that a renderer and a writer need, the named light and palette filled in."""

    theme: str
    subtheme: str
    scene: str
    builder: str
    """The family of pictures this scene belongs to: `field`, `street`, `room`, ..."""
    light_name: str
    light: Light
    palette: dict[str, HexColour]
    style: PictureStyle
    options: dict[str, Option]
    """The layout recipe: what the builder puts into the picture."""
    motions: tuple[str, ...]
    """Kinds of motion that the scene implies: `grass_sways`, `snow_falls`, ..."""
    place: str
    mood: str
    motion: tuple[str, ...]
    """The same motions in words, each a clause with its own verb."""

    @property
    def chosen_keyword(self) -> str:
        return f"{self.subtheme}: {self.scene}"


class _SceneRow(_Frozen):
    scene: str
    builder: str
    light: str
    palette: str
    style: PictureStyle
    options: dict[str, Option]
    motions: tuple[str, ...]
    place: str
    mood: str
    motion: tuple[str, ...]

    @field_validator("scene")
    @classmethod
    def _plain_words(cls, value: str) -> str:
        if any(mark in value for mark in ("/", "\\", "---", ": ")):
            raise ValueError(f"scene {value!r} holds a slash, a backslash, '---' or ': '")
        return value


class _Subtheme(_Frozen):
    name: str
    scenes: tuple[_SceneRow, ...]


class _Theme(_Frozen):
    name: str
    subthemes: tuple[_Subtheme, ...]


class Taxonomy(_Frozen):
    """The whole table, as it stands in `taxonomy.json`."""

    lights: dict[str, Light]
    palettes: dict[str, dict[str, HexColour]]
    themes: tuple[_Theme, ...]

    @model_validator(mode="after")
    def _names_resolve_and_keywords_are_unique(self) -> Taxonomy:
        keywords: set[str] = set()
        for theme in self.themes:
            for subtheme in theme.subthemes:
                for row in subtheme.scenes:
                    if row.light not in self.lights or row.palette not in self.palettes:
                        raise ValueError(
                            f"{row.scene!r}: unknown light {row.light!r} or palette {row.palette!r}"
                        )
                    keyword = f"{subtheme.name}: {row.scene}"
                    if keyword in keywords:
                        raise ValueError(f"{keyword!r} stands twice in the taxonomy")
                    keywords.add(keyword)
        return self

    def specs(self) -> Iterator[SceneSpec]:
        for theme in self.themes:
            for subtheme in theme.subthemes:
                for row in subtheme.scenes:
                    words = row.model_dump(exclude={"light", "palette"})
                    yield SceneSpec(
                        theme=theme.name,
                        subtheme=subtheme.name,
                        light_name=row.light,
                        light=self.lights[row.light],
                        palette=self.palettes[row.palette],
                        **words,
                    )


@cache
def load_taxonomy() -> Taxonomy:
    return Taxonomy.model_validate(json.loads(Path(__file__).with_name("taxonomy.json").read_text("utf-8")))


@cache
def all_scenes() -> tuple[SceneSpec, ...]:
    """All scenes in the order of the file."""
    return tuple(load_taxonomy().specs())


@cache
def _by_keyword() -> dict[str, SceneSpec]:
    return {spec.chosen_keyword: spec for spec in all_scenes()}


def themes() -> tuple[str, ...]:
    """Names of the themes that have scenes of their own: location, season, time, style."""
    return tuple(theme.name for theme in load_taxonomy().themes)


def find_scene(chosen_keyword: str) -> SceneSpec:
    """The scene of a `subtheme: scene` keyword; KeyError that names the keyword when there is none."""
    spec = _by_keyword().get(chosen_keyword)
    if spec is None:
        raise KeyError(
            f"no scene {chosen_keyword!r} in the taxonomy; keywords look like {next(iter(_by_keyword()))!r}"
        )
    return spec


def draw_keyword(run_seed: int, sample_id: str, edit_type: str, source_number: int) -> str:
    """The balanced draw of `chosen_keyword`, independent of every other sample.

    Uniform over the subthemes of `edit_type`, then uniform over the scenes of the subtheme, from one SHA-256
    of (run seed, sample id, edit type, source number). ValueError when `edit_type` has no scenes
    (`openve3m`).
    """
    found = [theme for theme in load_taxonomy().themes if theme.name == edit_type]
    if not found:
        raise ValueError(
            f"edit_type {edit_type!r} has no scenes; right would be one of {', '.join(themes())}"
        )
    text = f"{run_seed}\x1f{sample_id}\x1f{edit_type}\x1f{source_number}\x1fchosen_keyword"
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    subthemes = found[0].subthemes
    subtheme = subthemes[int.from_bytes(digest[:8], "big") % len(subthemes)]
    row = subtheme.scenes[int.from_bytes(digest[8:16], "big") % len(subtheme.scenes)]
    return f"{subtheme.name}: {row.scene}"
