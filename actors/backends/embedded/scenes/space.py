"""A space with walls: textured rectangles in metres, seen in true perspective and lit by lamps and windows.

What a reader gets wrong: x goes right, y up, z away from the viewer, in metres, the viewer's foot at the
origin. Rectangles are painted in the order in which they are placed (there is no depth buffer), and
`window` cuts a hole through which the stage's plate and the layers added so far are seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.scenes.canvas import Array, Colour, Image8
from actors.backends.embedded.scenes.stage import Stage

Point = tuple[float, float, float]
Matrix = npt.NDArray[np.float64]
_GRID = 40


@dataclass(frozen=True)
class Lamp:
    """A light at `at` (m) with RGB `colour`; `reach` m is where it has fallen to half."""

    at: Point
    colour: Colour
    power: float
    reach: float = 1.2


class Space:
    """A box room: `wide` from -wide/2 to wide/2, `deep` to the back wall, `tall` to the ceiling."""

    def __init__(
        self,
        stage: Stage,
        *,
        wide: float = 6.4,
        deep: float = 6.5,
        tall: float = 3.0,
        eye: float = 1.42,
        focal: float = 0.9,
        yaw: float = 0.0,
        centre: float = 0.47,
        shift: float = 0.0,
    ) -> None:
        self.stage, self.wide, self.deep, self.tall = stage, wide, deep, tall
        self._eye = np.array([shift, eye, 0.0])
        self._turn = np.array(
            [[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]], np.float64
        )
        self.focal = stage.width * focal
        self._cx, self._cy = stage.width / 2, stage.height * centre
        self.picture: Array = np.zeros((stage.height, stage.width, 4), np.float32)
        self.lamps: list[Lamp] = []
        self.ambient: Colour = stage.ambient

    def project(self, points: npt.ArrayLike) -> Matrix:
        """(n, 3) metres -> (n, 2) px."""
        p = (np.asarray(points, np.float64) - self._eye) @ self._turn.T
        z = np.maximum(p[:, 2], 0.05)
        return np.stack([self._cx + self.focal * p[:, 0] / z, self._cy - self.focal * p[:, 1] / z], 1)

    def spot(self, x: float, y: float, z: float) -> tuple[float, float]:
        p = self.project([(x, y, z)])[0]
        return float(p[0]), float(p[1])

    def scale(self, x: float, y: float, z: float) -> float:
        """Pixels a metre at a place."""
        depth = float(((np.array([x, y, z]) - self._eye) @ self._turn.T)[2])
        return self.focal / max(depth, 0.1)

    def light(self, points: Array, normal: Array) -> Array:
        """Light on points (..., 3) of a surface with unit `normal`: (..., 3), 1 = full."""
        out = np.broadcast_to(self.ambient, points.shape).astype(np.float32).copy()
        half = self.wide / 2
        gaps = [
            (points[..., 0] + half, abs(normal[0])),
            (half - points[..., 0], abs(normal[0])),
            (points[..., 1], abs(normal[1])),
            (self.tall - points[..., 1], abs(normal[1])),
            (self.deep - points[..., 2], abs(normal[2])),
        ]
        corner = np.ones(points.shape[:-1], np.float32)
        for gap, own in gaps:
            if own < 0.7:
                corner *= 1 - 0.32 * np.exp(-np.abs(gap) / 0.22) - 0.16 * np.exp(-np.abs(gap) / 0.9)
        for lamp in self.lamps:
            way = np.asarray(lamp.at, np.float32) - points
            d2 = (way**2).sum(-1)
            cos = (way @ normal) / np.sqrt(d2 + 1e-4)
            fall = lamp.power * np.clip(0.25 + 0.75 * cos, 0, 1) / (1 + d2 / lamp.reach**2)
            out += fall[..., None] * lamp.colour
        return np.asarray(out * corner[..., None], np.float32)

    def corners(self, corner: Point, u: Point, v: Point) -> Matrix:
        c, a, b = (np.asarray(p, np.float64) for p in (corner, u, v))
        return self.project([c, c + a, c + a + b, c + b])

    def place(
        self, texture: Array, corner: Point, u: Point, v: Point, *, lit: bool = True, alpha: float = 1.0
    ) -> None:
        """Lay a float RGB(A) texture on the rectangle with its top left at `corner`, edges `u` (right) and
        `v` (down). An alpha in the texture is straight, not premultiplied.
        """
        th, tw = texture.shape[:2]
        goal = self.corners(corner, u, v)
        a, b = np.asarray(u, np.float64), np.asarray(v, np.float64)
        colour, cover = texture[..., :3], np.full((th, tw), alpha, np.float32)
        if texture.shape[2] == 4:
            cover = texture[..., 3] * np.float32(alpha)
        if lit:
            s, t = np.meshgrid((np.arange(_GRID) + 0.5) / _GRID, (np.arange(_GRID) + 0.5) / _GRID)
            points = np.asarray(corner, np.float64) + s[..., None] * a + t[..., None] * b
            normal = np.cross(b, a)
            normal = normal / np.linalg.norm(normal)
            if float(normal @ (self._eye - points[_GRID // 2, _GRID // 2])) < 0:
                normal = -normal
            field = self.light(points.astype(np.float32), normal.astype(np.float32))
            colour = colour * cv2.resize(field, (tw, th), interpolation=cv2.INTER_LINEAR)
        sheet = np.dstack([colour * cover[..., None], cover]).astype(np.float32)
        sides = [float(np.linalg.norm(goal[i] - goal[j])) for i, j in ((0, 1), (3, 2), (0, 3), (1, 2))]
        w2 = int(np.clip(max(sides[0], sides[1]), 2, tw))
        h2 = int(np.clip(max(sides[2], sides[3]), 2, th))
        if w2 < tw or h2 < th:
            sheet = np.asarray(cv2.resize(sheet, (w2, h2), interpolation=cv2.INTER_AREA), np.float32)
        h, w = sheet.shape[:2]
        x0, y0 = np.floor(goal.min(0)).astype(int) - 1
        x1, y1 = np.ceil(goal.max(0)).astype(int) + 2
        x0, y0 = max(int(x0), 0), max(int(y0), 0)
        x1, y1 = min(int(x1), self.stage.width), min(int(y1), self.stage.height)
        if x0 >= x1 or y0 >= y1:
            return
        start = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32) - 0.5
        matrix = cv2.getPerspectiveTransform(start, (goal - (x0, y0) - 0.5).astype(np.float32))
        moved = cv2.warpPerspective(sheet, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
        target = self.picture[y0:y1, x0:x1]
        target *= 1 - moved[..., 3:]
        target += moved

    def window(self, corner: Point, u: Point, v: Point) -> Array:
        """Cut a hole; returns its (h, w) mask in 0..1."""
        mask = np.zeros((self.stage.height, self.stage.width), np.uint8)
        goal = (self.corners(corner, u, v) * 16).astype(np.int32)
        cv2.fillConvexPoly(mask, goal, 255, cv2.LINE_AA, 4)
        share = mask.astype(np.float32) / 255
        self.picture *= (1 - share)[..., None]
        return np.asarray(share, np.float32)

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        colour: Colour,
        texture: Array | None = None,
    ) -> None:
        """A solid box: top or underside, the side that is seen, the front."""
        flat = np.broadcast_to(colour, (24, 24, 3)).astype(np.float32)
        front = flat if texture is None else texture
        side_x = x[0] if x[0] > self._eye[0] else x[1]
        if x[0] > self._eye[0] or x[1] < self._eye[0]:
            self.place(flat * 0.92, (side_x, y[1], z[0]), (0, 0, z[1] - z[0]), (0, y[0] - y[1], 0))
        if y[1] < self._eye[1]:
            self.place(flat * 1.06, (x[0], y[1], z[1]), (x[1] - x[0], 0, 0), (0, 0, z[0] - z[1]))
        elif y[0] > self._eye[1]:
            self.place(flat * 0.7, (x[0], y[0], z[0]), (x[1] - x[0], 0, 0), (0, 0, z[1] - z[0]))
        self.place(front, (x[0], y[1], z[0]), (x[1] - x[0], 0, 0), (0, y[0] - y[1], 0))

    def shadow(self, x: tuple[float, float], z: tuple[float, float], strength: float = 0.5) -> None:
        """A soft shadow on the floor, a little larger than what casts it."""
        pad = 0.25
        soft = np.zeros((48, 48), np.float32)
        soft[12:36, 12:36] = 1
        soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), 5.5), np.float32)
        sheet = np.dstack([np.zeros((48, 48, 3), np.float32), soft * strength])
        wide, deep = (x[1] - x[0]) + 2 * pad, (z[1] - z[0]) + 2 * pad
        self.place(
            sheet.astype(np.float32), (x[0] - pad, 0.004, z[1] + pad), (wide, 0, 0), (0, 0, -deep), lit=False
        )

    def walls(self, back: Array, side: Array, floor: Array, ceiling: Array) -> None:
        """The five surfaces that are seen, each texture stretched over its whole surface."""
        half, near = self.wide / 2, 1.2
        reach = self.deep - near
        self.place(ceiling, (-half, self.tall, near), (self.wide, 0, 0), (0, 0, reach))
        self.place(side, (-half, self.tall, near), (0, 0, reach), (0, -self.tall, 0))
        self.place(side[:, ::-1], (half, self.tall, self.deep), (0, 0, -reach), (0, -self.tall, 0))
        self.place(floor, (-half, 0, self.deep), (self.wide, 0, 0), (0, 0, -reach))
        self.place(back, (-half, self.tall, self.deep), (self.wide, 0, 0), (0, -self.tall, 0))

    def polish(self, strength: float, blur: float = 7.0) -> None:
        """The floor mirrors what stands on it, dimly. Call it when everything stands."""
        rows = self.stage.height
        base = int(self.spot(0, 0, self.deep)[1])
        if base >= rows - 2:
            return
        part = min(rows - base, base)
        mirror = cv2.GaussianBlur(
            np.ascontiguousarray(self.picture[base - part : base][::-1]), (0, 0), blur, sigmaY=blur * 1.8
        )
        fade = np.linspace(strength, strength * 0.35, part, dtype=np.float32)[:, None, None]
        target = self.picture[base : base + part, :, :3]
        target += mirror[..., :3] * fade

    def finish(self, *, blur: float = 1.3, bloom: float = 0.25) -> Image8:
        """The room as a premultiplied layer, softened like a background out of focus (`blur` px at 720p)."""
        stage = self.stage
        picture = cv2.GaussianBlur(self.picture, (0, 0), stage.px(blur)) if blur else self.picture
        if bloom:
            small = cv2.resize(picture[..., :3], (stage.width // 8, stage.height // 8))
            bright = cv2.GaussianBlur(np.clip(small - 0.62, 0, 1), (0, 0), stage.px(5))
            glow = cv2.resize(bright, (stage.width, stage.height), interpolation=cv2.INTER_LINEAR)
            picture[..., :3] += glow * bloom * picture[..., 3:]
        dither = stage.rng.normal(0, 0.0022, (stage.height, stage.width, 1)).astype(np.float32)
        alpha = np.clip(picture[..., 3:], 0, 1)
        colour = np.clip(picture[..., :3] + dither * alpha, 0, alpha)
        return np.asarray(np.dstack([colour, alpha]) * 255 + 0.5).astype(np.uint8)
