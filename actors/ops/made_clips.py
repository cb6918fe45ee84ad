"""The demo's own source clips: a portrait that moves in front of a still scene, with the exact mask known.

The portrait is scikit-image's `astronaut.png` (Eileen Collins, NASA, public domain), which ships inside the
wheel; it is used twice, once mirrored, closer and in a blue suit. The scenes are drawn here. Nothing is
downloaded.

What a reader gets wrong: these clips show that the pipeline runs, not how good it is. The scene stands
perfectly still, the grain too, and the edge of the figure is the one `MatteStream` gave; real clips are
harder.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from skimage import data as skimage_data

from actors.backends.embedded.segmenter import Segmenter
from actors.ops.matte import MatteStream
from actors.ops.video import encode_video, read_png
from actors.roles import Frame, Mask

WIDTH, HEIGHT, FPS, NUM_FRAMES = 1280, 720, 16, 81

SWAY_PX = 70.0
BOB_PX = 4.0
LEAN_DEG = 1.0
PAN_PX = 96
"""6.5 % of the diagonal over the clip; the camera filter rejects from 2 % on."""
_GRAIN = 2.5  # 8-bit levels, standard deviation: a phone in daylight
_SUIT_ROWS = 200  # of astronaut.png: below the face, so that a change of hue leaves the skin alone

_SLEEVE = (
    *((113, 207), (100, 218), (75, 236), (66, 244), (58, 258), (49, 272), (43, 285), (40, 298), (38, 308)),
    *((34, 317), (30, 330), (26, 345), (25, 360), (25, 372), (21, 385), (20, 397), (21, 415), (24, 432)),
    *((24, 455), (26, 475), (30, 492), (36, 505), (41, 512)),
)
"""Outline of her right sleeve in astronaut.png, (x, y) from the shoulder down, read off by eye."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MadeClip:
    """How one clip is made; rows are those of astronaut.png (512)."""

    name: str
    scene: str
    scale: float
    bottom_row: int
    """This row of the portrait lies on the frame's lower edge: what is below it stays outside."""
    mirrored: bool = False
    blue_suit: bool = False
    pan_px: int = 0


MADE_CLIPS = (
    MadeClip("portrait_indoors", "room", scale=1.5, bottom_row=458),
    MadeClip("portrait_outdoors", "plain", scale=2.0, bottom_row=338, mirrored=True, blue_suit=True),
    MadeClip("moving_camera", "plain", scale=1.5, bottom_row=458, mirrored=True, pan_px=PAN_PX),
)
BROKEN_NAME = "broken.mp4"


def make_demo_sources(folder: Path) -> list[Path]:
    """Writes two good clips, one with a moving camera and one broken file into `folder`; returns their paths.

    81 frames of 1280x720 at 16 a second, so Ingest keeps their bytes; about 10 CPU seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for clip in MADE_CLIPS:
        paths.append(folder / f"{clip.name}.mp4")
        encode_video(made_frames(clip), paths[-1], fps=FPS)
    broken = folder / BROKEN_NAME
    whole = paths[-1].read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    return [*paths, broken]


def made_masks(name: str) -> Iterator[Mask]:
    """The exact foreground, (720, 1280) bool, of every frame of the clip `name` (without ".mp4").

    A pixel counts where the figure covers at least half of it.
    """
    clip = next((clip for clip in MADE_CLIPS if clip.name == name), None)
    if clip is None:
        raise KeyError(f"no made clip {name!r}; there are {', '.join(clip.name for clip in MADE_CLIPS)}")
    alpha = _figure(clip.mirrored, clip.blue_suit)[1]
    for index in range(NUM_FRAMES):
        area, placement = _placement(clip, index)
        mask = np.zeros((HEIGHT, WIDTH), np.bool_)
        mask[area] = _placed(alpha, area, placement) >= 0.5
        yield mask


def made_frames(clip: MadeClip) -> Iterator[Frame]:
    """Every frame of one clip, (720, 1280, 3) RGB."""
    colours, alpha = _figure(clip.mirrored, clip.blue_suit)
    scene = room(WIDTH + clip.pan_px) if clip.scene == "room" else plain(WIDTH + clip.pan_px)
    still = np.rint(scene).astype(np.uint8)
    for index in range(NUM_FRAMES):
        area, placement = _placement(clip, index)
        left = _pan(clip, index)
        frame = still[:, left : left + WIDTH].copy()
        share = np.clip(_placed(alpha, area, placement), 0.0, 1.0)[..., None]
        mixed = _placed(colours, area, placement) + (1.0 - share) * frame[area]
        frame[area] = np.rint(np.clip(mixed, 0.0, 255.0)).astype(np.uint8)
        yield frame


def _pan(clip: MadeClip, index: int) -> int:
    return round(clip.pan_px * index / (NUM_FRAMES - 1))


def _placement(clip: MadeClip, index: int) -> tuple[tuple[slice, slice], Floats]:
    """Where the figure lies (rows, columns), and the 2x3 matrix that carries the portrait there."""
    phase = 2 * np.pi * index / NUM_FRAMES
    turn = cv2.getRotationMatrix2D((256.0, 512.0), LEAN_DEG * float(np.sin(phase)), clip.scale)
    lift = (512 - clip.bottom_row) * clip.scale
    turn[0, 2] += WIDTH / 2 - 256 + SWAY_PX * np.sin(phase) - _pan(clip, index)
    turn[1, 2] += HEIGHT - 512 + lift + BOB_PX * np.sin(2 * phase)
    corners = turn @ np.array([[0, 512, 0, 512], [0, 0, 512, 512], [1, 1, 1, 1]])
    low, high = np.floor(corners.min(axis=1)).astype(int), np.ceil(corners.max(axis=1)).astype(int)
    columns = slice(max(int(low[0]), 0), min(int(high[0]), WIDTH))
    rows = slice(max(int(low[1]), 0), min(int(high[1]), HEIGHT))
    return (rows, columns), turn.astype(np.float32)


def _placed(layer: Floats, area: tuple[slice, slice], placement: Floats) -> Floats:
    rows, columns = area
    shifted = placement.astype(np.float64)
    shifted[:, 2] -= (columns.start, rows.start)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    return np.asarray(cv2.warpAffine(layer, shifted, size, flags=cv2.INTER_CUBIC), np.float32)


@functools.cache
def _figure(mirrored: bool, blue_suit: bool) -> tuple[Floats, Floats]:
    """The portrait cut out: colours times alpha, (512, 512, 3) 0..255, and alpha, (512, 512) 0..1."""
    picture = read_png(Path(str(skimage_data.__file__)).with_name("astronaut.png"))
    salient = (Segmenter().matte(picture) > 0.5).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(salient)
    # The network takes the red stripes of the flag for a part of the orange suit.
    flag = np.zeros(salient.shape, np.uint8)
    cv2.fillPoly(flag, [np.array([(0, 200), *_SLEEVE, (0, 512)], np.int32)], 1)
    largest: Mask = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    cutout = MatteStream().cut(picture, largest & (flag == 0))
    colours = _in_blue(cutout.foreground) if blue_suit else cutout.foreground
    outside = cv2.GaussianBlur(flag.astype(np.float32), (0, 0), 0.8)
    smooth = cv2.medianBlur(cutout.alpha, 3).astype(np.float32) / 255.0
    alpha = np.minimum(smooth, 1.0 - outside)
    layers = (colours.astype(np.float32) * alpha[..., None], alpha)
    step = -1 if mirrored else 1
    return np.ascontiguousarray(layers[0][:, ::step]), np.ascontiguousarray(layers[1][:, ::step])


def _in_blue(picture: Frame) -> Frame:
    """The orange of the suit turned to blue; skin and hair, above `_SUIT_ROWS`, stay."""
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV).astype(np.int32)
    orange = ((hsv[..., 0] < 16) | (hsv[..., 0] > 172)) & (hsv[..., 1] > 90)
    orange[:_SUIT_ROWS] = False
    hsv[..., 0] = np.where(orange, (hsv[..., 0] + 104) % 180, hsv[..., 0])
    hsv[..., 1:] = np.where(orange[..., None], hsv[..., 1:] * np.array([0.75, 0.72]), hsv[..., 1:])
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


# Scenes: (720, width, 3) float32, 0..255, slightly out of focus, with grain that does not move.


def room(width: int) -> Floats:
    """A painted wall with panelling, a window and a curtain, a wooden floor; light from the left."""
    random = np.random.default_rng(11)
    scene = np.empty((HEIGHT, width, 3), np.float32)
    light = np.linspace(1.06, 0.78, width, dtype=np.float32)[None, :, None]
    scene[:] = np.array([196, 188, 172], np.float32) * light
    scene *= 1.0 + 0.05 * _clouds(random, (HEIGHT, width), 6.0)[..., None]
    _panelling(scene, top=505, bottom=640)
    _window(scene, random, left=70, top=70, right=330, bottom=430)
    _curtain(scene, random, left=width - 300, right=width - 40, top=44, bottom=632)
    cv2.rectangle(scene, (0, 640), (width, 662), (222.0, 216.0, 206.0), -1)
    planks = 1.0 + 0.10 * _clouds(random, (58, width), 1.2, stretch=8)[..., None]
    scene[662:] = np.array([136, 98, 66], np.float32) * planks * light
    return _photographed(scene, random, blur=2.2)


def _window(
    scene: Floats, random: np.random.Generator, *, left: int, top: int, right: int, bottom: int
) -> None:
    height, width = bottom - top, right - left
    down = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
    outside = (1 - down) * np.array([205, 222, 240], np.float32) + down * np.array(
        [236, 238, 232], np.float32
    )
    leaves = _clouds(random, (height, width), 4.0)[..., None] + 1.6 * down - 1.0
    outside = np.where(leaves > 0.15, np.array([112, 128, 96], np.float32) + 34 * leaves, outside)
    scene[top:bottom, left:right] = cv2.GaussianBlur(outside.astype(np.float32), (0, 0), 7.0)
    for x in (left, (left + right) // 2, right):
        cv2.line(scene, (x, top), (x, bottom), (238.0, 235.0, 228.0), 14)
    for y in (top, (top + bottom) // 2, bottom):
        cv2.line(scene, (left - 7, y), (right + 7, y), (238.0, 235.0, 228.0), 14)
    cv2.rectangle(scene, (left - 26, bottom + 8), (right + 26, bottom + 30), (226.0, 221.0, 212.0), -1)


def _curtain(
    scene: Floats, random: np.random.Generator, *, left: int, right: int, top: int, bottom: int
) -> None:
    """Heavy cloth in folds of uneven width, with the shadow it throws on the wall beside it."""
    scene[top:bottom, left - 30 : left] *= np.linspace(1.0, 0.86, 30, dtype=np.float32)[None, :, None]
    steps = 1.0 + 0.5 * _clouds(random, (2, right - left), 4.0)[0]
    folds = np.sin(np.cumsum(np.clip(steps, 0.3, 2.0)) * 2 * np.pi / 46)
    weave = 0.04 * _clouds(random, (bottom - top, right - left), 40.0)
    hang = np.linspace(0.92, 1.04, bottom - top, dtype=np.float32)[:, None]
    shade = (1.0 + 0.24 * folds[None, :] + weave) * hang
    scene[top:bottom, left:right] = np.array([118, 92, 84], np.float32) * shade[..., None]
    cv2.line(scene, (left - 40, top), (right + 10, top), (92.0, 74.0, 58.0), 12)


def _panelling(scene: Floats, *, top: int, bottom: int) -> None:
    """Painted boards along the foot of the wall, under a rail."""
    scene[top:bottom] *= 0.93
    for x in range(18, scene.shape[1], 52):
        scene[top:bottom, x : x + 3] *= 0.86
        scene[top:bottom, x + 3 : x + 6] *= 1.05
    scene[top - 14 : top] *= 1.08
    scene[top : top + 8] *= 0.86


def plain(width: int) -> Floats:
    """A meadow under a light sky, with hills on the horizon that fade in haze."""
    random = np.random.default_rng(23)
    horizon = 380
    down = np.linspace(0.0, 1.0, horizon, dtype=np.float32)[:, None, None]
    sky = (1 - down) * np.array([138, 168, 204], np.float32) + down * np.array([216, 222, 224], np.float32)
    cover = np.clip(_clouds(random, (horizon, width), 5.0, stretch=3)[..., None] * 0.9 - 0.1, 0.0, 0.8)
    scene = np.empty((HEIGHT, width, 3), np.float32)
    scene[:horizon] = sky + cover * (np.array([246, 245, 242], np.float32) - sky)
    hills = ((60, (164, 176, 188)), (34, (132, 146, 142)), (16, (104, 114, 92)))
    rows = np.arange(HEIGHT)[:, None]
    for rise, colour in hills:
        ridge = horizon + 6 - rise * (1.0 + 0.8 * _ridge(random, width, 3.0 + 60 / rise))
        shade = 1.0 + 0.08 * _clouds(random, (HEIGHT, width), 30.0)[..., None]
        scene = np.where((rows > ridge)[..., None], np.array(colour, np.float32) * shade, scene)
    depth = np.linspace(0.0, 1.0, HEIGHT - horizon, dtype=np.float32)[:, None, None]
    blades = np.zeros((HEIGHT - horizon, width), np.float32)
    for near, size in ((0.0, 60.0), (0.35, 24.0), (0.7, 10.0)):  # tufts grow toward the camera
        weight = np.clip(1.0 - np.abs(depth[..., 0] - near) / 0.4, 0.15, 1.0)
        blades += weight * _clouds(random, blades.shape, size, stretch=2)
    thin = cv2.GaussianBlur(random.normal(0.0, 9.0, blades.shape).astype(np.float32), (0, 0), 1.4, sigmaY=5.0)
    blades += thin * depth[..., 0] * 1.6
    meadow = (1 - depth) * np.array([164, 160, 116], np.float32) + depth * np.array([98, 104, 62], np.float32)
    scene[horizon:] = meadow * (1.0 + 0.15 * blades[..., None])
    return _photographed(scene.astype(np.float32), random, blur=1.8)


def _clouds(random: np.random.Generator, shape: tuple[int, int], cells: float, *, stretch: int = 1) -> Floats:
    """Smooth noise of four octaves, about -1..1; `cells` of the first octave fit into 720 pixels."""
    total = np.zeros(shape, np.float32)
    for octave in range(4):
        rows = max(2, round(cells * 2**octave * shape[0] / HEIGHT) + 2)
        columns = max(2, round(cells * 2**octave * shape[1] / HEIGHT / stretch) + 2)
        grid = random.normal(0.0, 1.0, (rows, columns)).astype(np.float32)
        total += cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC) * np.float32(0.5**octave)
    return total * np.float32(0.5)


def _ridge(random: np.random.Generator, width: int, cells: float) -> Floats:
    line: Floats = _clouds(random, (2, width), cells)[0]
    return line


def _photographed(scene: Floats, random: np.random.Generator, *, blur: float) -> Floats:
    soft = cv2.GaussianBlur(scene, (0, 0), blur)
    grain = random.normal(0.0, _GRAIN, (*scene.shape[:2], 1)) + random.normal(0.0, _GRAIN / 2, scene.shape)
    return np.clip(soft + grain, 0.0, 255.0).astype(np.float32)
