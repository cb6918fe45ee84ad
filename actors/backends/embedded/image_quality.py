"""Measurements of damage that need no reference: BRISQUE, noise floor, JPEG blocks, fine detail, impulses.

What a reader gets wrong: none of these says how beautiful a picture is, and BRISQUE (best near 0, worst near
100) is the weakest of them: a clean dark close-up has 64, noise lowers it to 8. Its rise over the source may
shade a score; the plain measurements beside it decide.
"""

from __future__ import annotations

import functools
import pickle
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded.packaged import packaged_file
from actors.roles import Frame, Mask

DISTRIBUTION = "brisque"
_SVM = ("brisque/models/svm.txt", "19526fb799c4c7992ccc109fcfecddb25976ba024b194cd3ee275d27e8909c8d")
_RANGES = (
    "brisque/models/normalize.pickle",
    "a91753fe7088efe0b40e4d091315201fdb067966fc6785cf465e1eab060acda9",
)

NUM_FEATURES = 36

Plane = npt.NDArray[np.float32]
"""(H, W), 0..255 unless said otherwise."""

_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # Immerkaer 1996


@dataclass(frozen=True)
class _Regressor:
    """The published BRISQUE model: an RBF support vector regressor over `NUM_FEATURES` scaled features."""

    vectors: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    gamma: float
    rho: float
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]

    def predict(self, features: npt.NDArray[np.float64]) -> float:
        scaled = -1.0 + 2.0 * (features - self.low) / (self.high - self.low)
        distance = ((self.vectors - scaled) ** 2).sum(axis=1)
        return float(self.weights @ np.exp(-self.gamma * distance) - self.rho)


class _PlainUnpickler(pickle.Unpickler):
    """Reads lists of numbers and refuses everything that would run code."""

    def find_class(self, module_name: str, global_name: str) -> None:
        raise pickle.UnpicklingError(f"{module_name}.{global_name} in a file of plain numbers")


@functools.cache
def _regressor() -> _Regressor:
    with packaged_file(DISTRIBUTION, *_RANGES).open("rb") as file:
        ranges = _PlainUnpickler(file).load()
    header, weights, vectors = _read_libsvm(packaged_file(DISTRIBUTION, *_SVM))
    return _Regressor(
        vectors=vectors,
        weights=weights,
        gamma=header["gamma"],
        rho=header["rho"],
        low=np.array(ranges["min_"], float),
        high=np.array(ranges["max_"], float),
    )


def _read_libsvm(
    path: Path,
) -> tuple[dict[str, float], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """libsvm's text format: numeric header lines, then `weight 1:x1 2:x2 ...` a support vector."""
    head, body = path.read_text(encoding="ascii").split("SV\n", 1)
    header = {}
    for line in head.splitlines():
        name, value = line.split(" ", 1)
        if name in ("gamma", "rho"):
            header[name] = float(value)
    entries = [line.split() for line in body.splitlines() if line.strip()]
    weights = np.array([float(entry[0]) for entry in entries])
    vectors = np.zeros((len(entries), NUM_FEATURES))  # features that are 0 are left out of the file
    for row, entry in enumerate(entries):
        for pair in entry[1:]:
            index, value = pair.split(":")
            vectors[row, int(index) - 1] = float(value)
    return header, weights, vectors


def brisque(frame: Frame) -> float:
    """BRISQUE of `frame` (H, W, 3 RGB): about 0 (clean) to 100 (ruined); may leave that range a little."""
    features = cv2.quality.QualityBRISQUE.computeFeatures(np.ascontiguousarray(frame[..., ::-1]))
    return _regressor().predict(np.asarray(features, np.float64).reshape(-1))


def luminance(frame: Frame) -> Plane:
    """(H, W) float32, 0..255."""
    return cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY).astype(np.float32)


def noise_floor(plane: Plane, *, block: int = 16) -> float:
    """Standard deviation of the noise in the quietest fifth of the blocks, in 8-bit levels.

    Immerkaer's estimator a block; blocks in clipped black or white tell nothing and are left out. Texture
    raises it little because some part of nearly every picture is smooth.
    """
    response = np.abs(cv2.filter2D(plane, -1, _NOISE_KERNEL)) * np.float32(np.sqrt(np.pi / 2) / 6)
    rows, columns = plane.shape[0] // block, plane.shape[1] // block
    size = (columns, rows)
    cut = (slice(0, rows * block), slice(0, columns * block))
    sigma = cv2.resize(response[cut], size, interpolation=cv2.INTER_AREA)
    level = cv2.resize(plane[cut], size, interpolation=cv2.INTER_AREA)
    usable = sigma[(level > 12) & (level < 243)]
    return float(np.percentile(usable, 20)) if usable.size >= 8 else 0.0


def impulse_share(plane: Plane, *, step: float = 24.0) -> float:
    """Share of pixels that stand out of all their eight neighbours by `step` levels: salt and pepper."""
    ring = np.ones((3, 3), np.uint8)
    ring[1, 1] = 0
    above = plane - cv2.dilate(plane, ring) > step
    below = cv2.erode(plane, ring) - plane > step
    return float(np.count_nonzero(above | below)) / plane.size


def grid_ratio(plane: Plane, period: int = 8) -> float:
    """How much steeper the steps on the strongest phase of a `period`-pixel grid are than between: 1 is none.

    JPEG's blocks have period 8; the steps are second differences, capped so that real edges do not count.
    """
    worst = 1.0
    for axis in (0, 1):
        line = plane if axis == 1 else plane.T
        first = np.diff(line, axis=1)
        jump = np.abs(first[:, 1:-1] - 0.5 * (first[:, :-2] + first[:, 2:]))
        profile = np.minimum(jump, 24.0).mean(axis=0)
        phases = np.array([profile[p::period].mean() for p in range(period)])
        top = int(phases.argmax())
        rest = (phases.sum() - phases[top]) / (period - 1)
        worst = max(worst, float(phases[top] / max(rest, 0.05)))
    return worst


def detail_ratio(plane: Plane, where: Mask) -> float:
    """Fine over coarse gradient energy inside `where`: falls with blur, contrast leaves it alone."""
    fine = cv2.Laplacian(plane, cv2.CV_32F)
    smooth = cv2.GaussianBlur(plane, (0, 0), 2.0)
    coarse_x, coarse_y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    energy = float((coarse_x[where] ** 2 + coarse_y[where] ** 2).mean()) if where.any() else 0.0
    return float(np.sqrt((fine[where] ** 2).mean() / energy)) if energy > 1e-6 else 0.0


def level_share(plane: Plane) -> float:
    """Share of the 8-bit levels between the 2nd and 98th percentile that occur: low when posterised."""
    histogram = np.bincount(plane.astype(np.uint8).reshape(-1), minlength=256)
    low, high = np.percentile(plane, (2, 98))
    inside = histogram[int(low) : int(high) + 1]
    return float(np.count_nonzero(inside > plane.size * 2e-5)) / max(len(inside), 1)
