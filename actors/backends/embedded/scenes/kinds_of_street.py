"""The kinds of street: how the houses of each stand and look, its ground, its lamps.

What a reader gets wrong: these are numbers, not drawings; lengths are metres, powers relate to daylight.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.backends.embedded.scenes.facades import Look
from actors.backends.embedded.scenes.houses import Row

_STONE = ("#c9b08a", "#bf9a74", "#d4c2a2", "#b8a088", "#c7a48c", "#a89a88")


@dataclass(frozen=True)
class Kind:
    """One kind of street. Lamp posts stand every `lamps` metres (0: none)."""

    row: Row
    look: Look
    ground: str
    pavement: float = 1.8
    lamps: float = 0.0
    lamp_colour: str = "#ffc478"
    power: float = 1.0
    spill: float = 1.0
    flicker: float = 0.1
    haze: float = 70.0


KINDS: dict[str, Kind] = {
    "cafe": Kind(
        Row(4.6, (9.5, 14.0), (6.0, 9.5), end=70),
        Look(_STONE, lit=0.4, shop=0.85, shop_lit=0.95, shutters=0.55, bay=2.1),
        "cobbles",
        lamps=9.0,
        power=1.1,
        flicker=0.1,
        spill=1.3,
    ),
    "neon": Kind(
        Row(6.2, (14, 30), (8, 13), end=110),
        Look(
            ("#3a384c", "#2c2b3c", "#44405a", "#2a3040"),
            "panels",
            lit=0.45,
            shop=1.0,
            shop_lit=1.0,
            bay=1.9,
            window=(1.3, 1.7),
            trim="#4a485e",
            lamp=("#8ad8ff", "#ff7ac8", "#ffd0a0", "#b08aff", "#7af0e0"),
        ),
        "asphalt",
        lamp_colour="#ff70c0",
        spill=1.7,
        flicker=0.16,
    ),
    "shops": Kind(
        Row(3.8, (9, 13), (5.5, 8.5), end=60),
        Look(("#7a5a4a", "#8a6a52", "#6a5a50", "#8c7c68"), "brick", lit=0.3, shop=0.95, shop_lit=0.9),
        "cobbles",
        pavement=1.5,
        lamps=11.0,
        power=1.5,
        spill=2.0,
        flicker=0.08,
    ),
    "village": Kind(
        Row(5.4, (4.4, 6.2), (7.0, 10.0), end=75, gable=3.6, eaves=0.5, gap=2.2),
        Look(
            ("#d9c6a4", "#cdb48c", "#e0d2b8", "#c8aa84"),
            "timber",
            ground_floor=2.6,
            floor=2.5,
            bay=2.6,
            window=(0.95, 1.15),
            trim="#5a4432",
            shutters=0.3,
        ),
        "dirt",
        pavement=0.0,
    ),
    "market": Kind(
        Row(6.2, (8.5, 12.5), (6.5, 9.5), end=80),
        Look(_STONE, shop=0.7, shutters=0.7, bay=2.1),
        "cobbles",
        pavement=0.0,
        haze=60.0,
    ),
    "boulevard": Kind(
        Row(10.5, (16, 34), (11, 18), end=170),
        Look(
            ("#4a4652", "#54505c", "#3e3c4a", "#5a5048"),
            "panels",
            lit=0.5,
            shop=1.0,
            shop_lit=0.95,
            bay=2.4,
            window=(1.5, 1.9),
            lamp=("#ffd9a0", "#ffe8c8", "#ffc070", "#d8e6ff"),
        ),
        "asphalt",
        pavement=3.6,
        lamps=13.0,
        power=3.0,
        spill=2.2,
        flicker=0.13,
    ),
    "alley": Kind(
        Row(2.5, (9, 13), (6, 9), end=46),
        Look(
            ("#5a5452", "#4d4f53", "#625650"), "brick", lit=0.06, bay=3.4, window=(0.9, 1.3), trim="#6a6a6c"
        ),
        "cobbles",
        pavement=0.0,
        lamp_colour="#f4dfb4",
        flicker=0.2,
        haze=22.0,
    ),
    "noir": Kind(
        Row(4.4, (11, 18), (6.5, 10), end=75),
        Look(
            ("#6a6a6c", "#58585a", "#7a7a7a"),
            "brick",
            lit=0.16,
            shop=0.8,
            shop_lit=0.5,
            trim="#9a9a9a",
            lamp=("#e8e8e8", "#ffffff", "#d0d0d0"),
        ),
        "cobbles",
        lamps=13.0,
        lamp_colour="#f0f0f0",
        power=1.9,
        spill=1.3,
        flicker=0.1,
    ),
    "western": Kind(
        Row(7.0, (5.2, 8.6), (6.0, 8.5), end=80, gap=2.0),
        Look(
            ("#9a7a58", "#8a6a4c", "#a88a68", "#7d6248", "#b09a7a"),
            "boards",
            ground_floor=3.1,
            floor=2.7,
            bay=2.3,
            window=(0.95, 1.5),
            trim="#c8b490",
        ),
        "dust",
        pavement=0.0,
        haze=60.0,
    ),
}
