"""Walled courtyards: a castle's, with banners and ivy, and a Roman one, with a pool among columns.

What a reader gets wrong: the pool mirrors a snapshot of what was added before it, so the columns beside it,
which stand in front, come after.
"""

from __future__ import annotations

import cv2
import numpy as np

from actors.backends.embedded.scenes.canvas import (
    Array,
    blank,
    fbm,
    mix,
    premultiplied,
    rgb,
    rgba,
    smoothstep,
    stack_over,
)
from actors.backends.embedded.scenes.figures import Banner, cloth
from actors.backends.embedded.scenes.masonry import column, soft, wall_layer
from actors.backends.embedded.scenes.motion import Swaying
from actors.backends.embedded.scenes.overgrowth import arch, grid, ivy, sides_only, tufts
from actors.backends.embedded.scenes.parts import (
    airborne,
    grove,
    leafage,
    tree_bank,
)
from actors.backends.embedded.scenes.plants import Sprite, conifer, plant, resized
from actors.backends.embedded.scenes.scene import snapshot
from actors.backends.embedded.scenes.sky import paint_sky
from actors.backends.embedded.scenes.stage import Stage
from actors.backends.embedded.scenes.terrain import ground_picture
from actors.backends.embedded.scenes.water import Caustics, Mirror


def castle(stage: Stage) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(0.58)
    paint_sky(stage, horizon, clouds=0.72, speed=1.7)
    y, x = grid(stage)
    side = 1.0 if rng.random() < 0.5 else -1.0
    foot = horizon + stage.px(58)
    top = h * float(rng.uniform(0.27, 0.31))
    course = stage.px(21)
    merlon = stage.px(46)
    teeth = (np.floor(x / merlon) % 2) * stage.px(30)
    inside = smoothstep(-0.8, 0.8, y - (top - teeth)) * smoothstep(2, -2, y - foot)
    gate_x = w * (0.5 + side * float(rng.uniform(0.1, 0.16)))
    gate = arch(x, y, gate_x, stage.px(58), foot - stage.px(112)) * (y < foot)
    ring = arch(x, y, gate_x, stage.px(82), foot - stage.px(112)) - gate
    slits = np.zeros_like(inside)
    for k in range(-6, 7):
        sx = gate_x + k * stage.px(172) + stage.px(86)
        slits = np.maximum(
            slits,
            smoothstep(1, 0, np.abs(x - sx) - stage.px(4)) * (np.abs(y - top - stage.px(92)) < stage.px(22)),
        )
    string = smoothstep(stage.px(7), stage.px(5), np.abs(y - top - stage.px(34)))
    below = smoothstep(top + stage.px(38), top + stage.px(80), y) * 0.14 + 0.58
    light = below + 0.16 * string + 0.1 * np.clip(ring, 0, 1) - 0.2 * smoothstep(foot - stage.px(60), foot, y)
    stage.add_still(soft(wall_layer(stage, inside, course=course, light=light, away=0.12)))
    dark = np.clip(gate * 0.96 + slits * 0.9, 0, 1)
    inner = mix(rgb("#14130f"), rgb("#4a4a3c"), smoothstep(foot - stage.px(130), foot, y))
    stage.add_still(soft(premultiplied(stage.lit(inner, 0.4), dark)))
    tower_x, radius, tower_top = w * (0.5 - side * 0.34), stage.px(128), h * 0.08
    u = (x - tower_x) / radius
    flare = 1 + 0.1 * (y < tower_top + stage.px(58))
    crenel = (np.floor((np.arcsin(np.clip(u / flare, -1, 1)) + 1.6) * 4.6) % 2) * stage.px(34)
    body = smoothstep(1.0, 0.985, np.abs(u) / flare) * smoothstep(-0.8, 0.8, y - (tower_top - crenel))
    body = body * smoothstep(3, -3, y - foot - stage.px(14) * np.sqrt(np.clip(1 - u * u, 0, 1)))
    turn = np.clip(0.62 - 0.5 * np.abs(u) ** 1.6 + 0.2 * u * side, 0, 1)
    turn = turn - 0.3 * smoothstep(tower_top + stage.px(84), tower_top + stage.px(58), y) * (
        y > tower_top + stage.px(56)
    )
    stage.add_still(soft(wall_layer(stage, body, course=course * 1.05, light=turn, away=0.07)))
    for level in (0.24, 0.4):
        hole = arch(x, y, tower_x, stage.px(13), h * level) * (y < h * level + stage.px(34))
        stage.add_still(soft(premultiplied(rgb("#15140f"), hole)))
    ground = int(foot) - 2
    paved = ground_picture(
        stage,
        ground - int(stage.px(40)),
        stage.colour("rock") * 0.72,
        stage.colour("soil") * 0.95,
        texture="gravel",
        scale=2.2,
        rough=0.7,
    )
    full = np.zeros((h, w, 3), np.float32)
    full[ground - int(stage.px(40)) :] = paved
    full *= (1 - 0.4 * smoothstep(stage.px(34), 0, y - ground))[..., None]
    stage.add_still(premultiplied(full, smoothstep(-1, 1, y - ground)))
    spots = [
        (w * (0.5 + side * u0), top + stage.px(30), stage.px(105), stage.px(310)) for u0 in (0.33, 0.43, 0.5)
    ]
    spots.append((tower_x + side * radius * 0.5, h * 0.22, stage.px(70), stage.px(260)))
    spots.append((w * (0.5 - side * 0.08), top + stage.px(10), stage.px(70), stage.px(170)))
    ivy(stage, spots, count=11000, size=stage.px(5.5), sway=13)
    _banners(stage, top, gate_x, tower_x)
    bank = tree_bank(stage, "broadleaf", int(stage.px(400)), 1, leaves=4000)
    grove(stage, bank, [(w * (0.5 + side * 0.5), foot + stage.px(70), stage.px(430))], away=0.04, sway=13)
    tufts(stage, foot + stage.px(6), stage.px(26), 1500, sides_only(stage, 0.05, 0.4))
    for u0, tall in ((0.3, 40), (0.6, 62), (1.0, 96)):
        tufts(stage, foot + (h * 1.02 - foot) * u0, stage.px(tall), 1300, sides_only(stage, 0.35, 0.75))
    airborne(stage, horizon)


def _banners(stage: Stage, top: float, gate_x: float, tower_x: float) -> None:
    rng = stage.rng
    colours = [rgb(c) for c in ("#8e2420", "#24406e", "#a8842c")]
    first = int(rng.integers(0, 3))
    places = [(gate_x + d, top + stage.px(12), 62, 190) for d in (-152.0, 152.0, -320.0, 320.0)]
    places.append((tower_x, stage.height * 0.12, 74, 150))
    for k, (x, y, wide, tall) in enumerate(places):
        if k < 4:
            x = gate_x + stage.px(x - gate_x)
        tone = colours[(first + k % 2) % 3]
        piece = cloth(
            int(stage.px(wide)),
            int(stage.px(tall)),
            np.clip(stage.lit(tone, 0.9), 0, 1),
            np.clip(stage.lit(rgb("#d8b45a"), 0.9), 0, 1),
            folds=2,
            rng=rng,
        )
        points = np.array(
            [
                (0, piece.shape[0]),
                (piece.shape[1] / 2, piece.shape[0] * 0.8),
                (piece.shape[1], piece.shape[0]),
            ]
        )
        cv2.fillConvexPoly(piece, points.astype(np.int32), (0, 0, 0, 0))
        stage.add(
            Banner(
                rng,
                piece,
                int(x - piece.shape[1] / 2),
                int(y),
                amplitude=stage.px(19),
                hz=float(rng.uniform(0.7, 1.0)),
            )
        )


def roman(stage: Stage) -> None:
    rng, w, h = stage.rng, stage.width, stage.height
    horizon = stage.row(0.55)
    paint_sky(stage, horizon, clouds=0.5, speed=1.7)
    own = leafage(stage)
    cypress, weight = blank(h, w), np.zeros((h, w), np.float32)
    sprite = conifer(rng, int(stage.px(400)), own, side=stage.sun_side)
    for k in range(6):
        tall = int(stage.px(float(rng.uniform(300, 400))))
        slim = resized(sprite, tall, flip=bool(rng.random() < 0.5))
        narrow = (max(int(slim.layer.shape[1] * 0.52), 4), tall)
        slim = Sprite(
            np.asarray(cv2.resize(slim.layer, narrow), np.uint8),
            np.asarray(cv2.resize(slim.weight, narrow), np.float32),
        )
        plant(
            cypress,
            weight,
            slim,
            w * (0.08 + 0.168 * k + float(rng.uniform(-0.03, 0.03))),
            horizon + stage.px(30),
        )
    stage.add(
        Swaying(cypress, weight, stage.wind, sway=stage.px(17), flutter=stage.px(2), glint=0.16, drop=0.1)
    )
    y, x = grid(stage)
    foot = horizon + stage.px(46)
    roof = h * 0.33
    # the back range: shaded wall behind columns, tiled roof above
    inside = smoothstep(-1, 1, y - roof - stage.px(30)) * smoothstep(1, -1, y - foot)
    light = 0.28 + 0.3 * smoothstep(foot - stage.px(150), foot, y)
    stage.add_still(soft(wall_layer(stage, inside, course=stage.px(26), light=light, away=0.1)))
    red = mix(rgb("#9a4a32"), rgb("#c07048"), fbm(rng, h, w, cell=stage.px(40), octaves=4))
    tiles = 0.78 + 0.3 * np.abs(np.sin(x * np.pi / stage.px(17))) - 0.16 * ((y / stage.px(13)) % 1.0)
    slope = smoothstep(-1, 1, y - roof + stage.px(34)) * smoothstep(1, -1, y - roof - stage.px(34))
    stage.add_still(soft(premultiplied(stage.lit(np.clip(red * tiles[..., None], 0, 1), 0.9), slope)))
    beam = smoothstep(-1, 1, y - roof - stage.px(34)) * smoothstep(1, -1, y - roof - stage.px(66))
    stage.add_still(soft(wall_layer(stage, beam, course=stage.px(34), light=0.85, away=0.08)))
    row = blank(h, w)
    pillar = column(stage, int(foot - roof - stage.px(60)), away=0.1)
    count = 9
    for k in range(count):
        at = w * (k + 0.5) / count
        stack_over(row, pillar, int(at - pillar.shape[1] / 2), int(foot - pillar.shape[0] + stage.px(8)))
    stage.add_still(soft(row))
    ground = int(foot)
    paved = ground_picture(
        stage,
        ground - int(stage.px(60)),
        stage.colour("rock") * 0.95,
        stage.colour("soil") * 1.25,
        texture="brick",
        scale=1.3,
        rough=0.3,
    )
    full = np.zeros((h, w, 3), np.float32)
    full[ground - int(stage.px(60)) :] = paved
    full *= (1 - 0.35 * smoothstep(stage.px(30), 0, y - ground))[..., None]
    stage.add_still(premultiplied(np.clip(full, 0, 1), smoothstep(-1, 1, y - ground)))
    _pool(stage, ground)
    sides = blank(h, w)
    for side in (-1, 1):
        for d in (1.75, 1.3, 1.0):
            big = column(stage, int(h * 1.02 / d), away=0.03)
            at, base = w * (0.5 + side * 0.49 / d**0.55), horizon + (h * 0.97 - horizon) / d
            stack_over(sides, big, int(at - big.shape[1] / 2), int(base - big.shape[0]))
    stage.add_still(soft(sides))
    mask = np.zeros((h, w), np.float32)
    mask[...] = np.maximum(row[..., 3] / 255.0 * 0.8, sides[..., 3] / 255.0)
    mask = np.asarray(mask * smoothstep(h * 0.3, h * 0.6, y), np.float32)
    stage.add(Caustics(rng, mask, rgb("#fff6dc"), strength=0.16, size=stage.px(110)))
    ivy(
        stage,
        [(w * u, roof - stage.px(24), stage.px(80), stage.px(210)) for u in (0.02, 0.2, 0.8, 0.98)],
        count=6500,
        size=stage.px(5),
        sway=12,
    )
    airborne(stage, horizon)


def _pool(stage: Stage, ground: int) -> None:
    """A sunk pool between the viewer and the columns, with a rim of pale stone."""
    w, h = stage.width, stage.height
    far, near = ground + int(stage.px(34)), int(h * 0.9)

    def corners(grow: float) -> Array:
        a, b = stage.px(250 + grow), stage.px(500 + 2 * grow)
        lift = stage.px(grow * 0.25)
        return np.array(
            [
                (w / 2 - a, far - lift),
                (w / 2 + a, far - lift),
                (w / 2 + b, near + 2 * lift),
                (w / 2 - b, near + 2 * lift),
            ],
            np.float32,
        )

    rim = blank(h, w)
    for grow, tone in ((44, 0.95), (36, 1.12), (8, 0.8)):
        colour = np.clip(stage.lit(stage.colour("soil") * tone * 1.12, 0.9), 0, 1)
        cv2.fillConvexPoly(rim, (corners(grow) * 8).astype(np.int32), rgba(colour), cv2.LINE_AA, 3)
    stage.add_still(soft(rim))
    cut = np.zeros((h, w), np.uint8)
    cv2.fillConvexPoly(cut, (corners(0) * 8).astype(np.int32), 255, cv2.LINE_AA, 3)
    stage.add(
        Mirror(
            stage.rng,
            snapshot(stage.plate, stage.layers),
            np.asarray(cut / 255.0, np.float32),
            horizon=ground - int(stage.px(60)),
            deep=stage.lit(rgb("#2f8a92"), 0.9),
            calm=0.25,
            scale=1.0,
            clarity=0.85,
            glitter=stage.sun,
            glitter_x=stage.sun_x,
            glitter_strength=0.5,
            shore=far,
            wind=1.9,
        )
    )
