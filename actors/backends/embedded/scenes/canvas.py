"""Noise, colour and drawing on arrays: the ground that all scenes stand on.

What a reader gets wrong: pictures that are being built are float32 RGB in 0..1 (display values, not linear
light), and everything that is laid over another picture is an 8-bit RGBA whose colour is already multiplied
by its alpha. Drawing with OpenCV's anti-aliased lines into such an RGBA blends colour and alpha alike, so it
stays premultiplied.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Image8 = npt.NDArray[np.uint8]
AnyImage = npt.NDArray[Any]
"""What OpenCV returns: its stubs do not say that 8 bit in is 8 bit out."""
Colour = npt.NDArray[np.float32]
Reals = npt.NDArray[np.floating[Any]]
Rng = np.random.Generator


def rgb(value: str) -> Colour:
    """`#rrggbb` or `#rgb` as float32 (3,) in 0..1."""
    digits = value.lstrip("#")
    if len(digits) == 3:
        digits = "".join(2 * d for d in digits)
    return np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)], np.float32)


def mix(first: Any, second: Any, amount: Any) -> Array:
    """first at 0, second at 1; `amount` may be an (h, w) field over (3,) colours or (h, w, 3) pictures."""
    a = np.asarray(amount, np.float32)
    if a.ndim == 2:
        a = a[..., None]
    one, two = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return np.asarray(one + (two - one) * a, np.float32)


def smoothstep(low: float, high: float, value: Any) -> Array:
    x = np.clip((np.asarray(value, np.float32) - low) / (high - low), 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float32)


def luma(colour: Colour) -> float:
    return float(np.dot(colour, np.array([0.299, 0.587, 0.114], np.float32)))


def desaturate(colour: Colour, amount: float) -> Colour:
    return mix(colour, np.full(3, luma(colour), np.float32), amount)


def fbm(
    rng: Rng,
    height: int,
    width: int,
    *,
    cell: float,
    octaves: int = 5,
    gain: float = 0.5,
    stretch: float = 1.0,
) -> Array:
    """Fractal noise, about 0..1 with mean 0.5. `cell` px is the size of the largest blob, `stretch` > 1 makes
    it wider.
    """
    out = np.zeros((height, width), np.float32)
    amplitude, total = 1.0, 0.0
    for octave in range(octaves):
        size = cell / 2**octave
        if size < 1.5:
            break
        rows, cols = max(int(height / size) + 3, 4), max(int(width / (size * stretch)) + 3, 4)
        grid = rng.random((rows, cols), np.float32)
        big = cv2.resize(
            grid,
            (max(int(cols * size * stretch), width), max(int(rows * size), height)),
            interpolation=cv2.INTER_CUBIC,
        )
        out += np.float32(amplitude) * big[:height, :width]
        total += amplitude
        amplitude *= gain
    out = (out / np.float32(total) - np.float32(0.5)) * np.float32(1.5) + np.float32(0.5)
    return np.clip(out, 0, 1)


def tile_noise(rng: Rng, size: int, beta: float) -> Array:
    """(size, size) noise that tiles, mean 0 and standard deviation 1; `beta` 1 is rough, 3 is soft."""
    freq = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij")) * size
    freq[0, 0] = 1
    phase = rng.random((size, size // 2 + 1)) * 2 * np.pi
    spectrum = np.exp(1j * phase) / freq**beta
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(size, size))
    return np.asarray(field / field.std(), np.float32)


@cache
def stock_texture(name: str) -> Array:
    """One of scikit-image's CC0 photographs (`brick`, `grass`, `gravel`), 1024x1024 and tiling by reflection,
    mean 1.
    """
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "scikit-image is not installed; the scenes read its brick, grass and gravel photographs"
        )
    path = Path(spec.origin).with_name("data") / f"{name}.png"
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise FileNotFoundError(f"{path} is missing from scikit-image")
    value = grey.astype(np.float32) / 255 + 0.02
    value /= cv2.GaussianBlur(value, (0, 0), 60)
    both = np.hstack([value, value[:, ::-1]])
    tiled = np.vstack([both, both[::-1]])
    tiled.setflags(write=False)
    return np.asarray(tiled, np.float32)


def vertical_gradient(height: int, width: int, stops: list[tuple[float, Colour]]) -> Array:
    """(height, width, 3); stops are (0 top .. 1 bottom, colour)."""
    y = np.linspace(0, 1, height, dtype=np.float32)
    places = [s[0] for s in stops]
    column = np.stack([np.interp(y, places, [float(s[1][c]) for s in stops]) for c in range(3)], -1)
    return np.repeat(column[:, None, :].astype(np.float32), width, axis=1)


def premultiplied(colour: Any, alpha: Any) -> Image8:
    """8-bit premultiplied RGBA from a float picture (or one colour) and an (h, w) alpha in 0..1."""
    a = np.clip(np.asarray(alpha, np.float32), 0, 1)
    c = np.broadcast_to(np.clip(np.asarray(colour, np.float32), 0, 1), (*a.shape, 3))
    return np.asarray(np.dstack([c * a[..., None], a]) * 255 + 0.5).astype(np.uint8)


def blank(height: int, width: int) -> Image8:
    return np.zeros((height, width, 4), np.uint8)


def rgba(colour: Any, alpha: float = 1.0) -> tuple[float, float, float, float]:
    """A colour for OpenCV drawing into a premultiplied RGBA."""
    c = np.clip(np.asarray(colour, np.float32), 0, 1) * 255 * alpha
    return (float(c[0]), float(c[1]), float(c[2]), 255.0 * alpha)


def lay_over(canvas: Image8, layer: AnyImage, x: int = 0, y: int = 0) -> None:
    """Composite a premultiplied RGBA onto an RGB canvas in place, clipped to it."""
    height, width = canvas.shape[:2]
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + layer.shape[1], width), min(y + layer.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    part = layer[y0 - y : y1 - y, x0 - x : x1 - x]
    target = canvas[y0:y1, x0:x1]
    inverse = cv2.cvtColor(255 - part[..., 3], cv2.COLOR_GRAY2RGB)
    cv2.multiply(target, inverse, dst=inverse, scale=1 / 255)
    cv2.add(inverse, cv2.cvtColor(part, cv2.COLOR_RGBA2RGB), dst=inverse)
    target[...] = inverse


def stack_over(lower: Image8, upper: AnyImage, x: int = 0, y: int = 0) -> None:
    """Composite a premultiplied RGBA over another premultiplied RGBA in place, clipped to it."""
    height, width = lower.shape[:2]
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + upper.shape[1], width), min(y + upper.shape[0], height)
    if x0 >= x1 or y0 >= y1:
        return
    part = upper[y0 - y : y1 - y, x0 - x : x1 - x]
    target = lower[y0:y1, x0:x1]
    inverse = cv2.merge([255 - part[..., 3]] * 4)
    target[...] = cv2.add(cv2.multiply(target, inverse, scale=1 / 255), part)


def soften(layer: Image8, sigma: float) -> Image8:
    """Lens blur of a premultiplied layer."""
    return layer if sigma <= 0.3 else np.asarray(cv2.GaussianBlur(layer, (0, 0), sigma), np.uint8)


def radial(size: int, power: float = 2.0) -> Array:
    """(size, size) soft disc: 1 in the middle, 0 at the rim."""
    axis = (np.arange(size, dtype=np.float32) - (size - 1) / 2) / (size / 2)
    distance = np.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    return np.asarray(np.clip(1 - distance, 0, 1) ** power, np.float32)


def to8(picture: Array, rng: Rng | None = None) -> Image8:
    """Float 0..1 to 8 bit, dithered when a generator is given so that gradients do not band."""
    value = picture * 255
    if rng is not None:
        value = value + rng.normal(0, 0.6, (*picture.shape[:2], 1)).astype(np.float32)
    return np.asarray(np.clip(value + 0.5, 0, 255), np.uint8)


def crop_to_content(layer: Image8) -> tuple[Image8, int, int]:
    """The layer cut to where its alpha is not zero, with its x and y."""
    box = cv2.boundingRect(layer[..., 3])
    x, y, w, h = box
    return np.ascontiguousarray(layer[y : y + h, x : x + w]), x, y


def on_ground(
    texture: Array, horizon: int, height: int, width: int, *, scale: float, turn: float = 0.0
) -> Array:
    """A tiling texture seen on the ground plane below `horizon`: (height - horizon, width). `scale` is texels
    a pixel at the bottom row. Far rows are read from blurred copies, so that they do not sparkle."""
    rows = height - horizon
    y = np.arange(rows, dtype=np.float32)[:, None] + 1.5
    depth = rows / y
    x = (np.arange(width, dtype=np.float32)[None, :] - width / 2) * depth * scale
    z = np.broadcast_to(depth * rows * scale, (rows, width)).astype(np.float32)
    if turn:
        x, z = x * np.cos(turn) - z * np.sin(turn), x * np.sin(turn) + z * np.cos(turn)
    size = texture.shape[0]
    mx, mz = np.asarray(x % size, np.float32), np.asarray(z % size, np.float32)
    near = cv2.remap(texture, mx, mz, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    middle = cv2.remap(
        cv2.GaussianBlur(texture, (0, 0), 4), mx, mz, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    blurred = smoothstep(2.0, 7.0, np.broadcast_to(depth * scale * np.sqrt(depth), (rows, width)))
    out = near + (middle - near) * blurred
    mean = float(texture.mean())
    return np.asarray(
        out + (mean - out) * smoothstep(20, 90, np.broadcast_to(depth**1.5 * scale, out.shape)), np.float32
    )
