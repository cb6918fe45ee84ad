"""The embedded ImageToVideo: a scene that we painted is painted again over time; any other picture is moved
by what is seen in it.

What a reader gets wrong: the scene is not passed in, it is built again from instruction and edit seed, and it
is believed only where it equals the picture. What differs (a remover's patch) stays as it is, with a soft
edge.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from actors.backends.embedded import scenes
from actors.backends.embedded.picture_motion import PictureMotion
from actors.roles import Frame

LEVELS_EQUAL = 8
"""A pixel agrees with the scene when no channel differs by more (8-bit levels)."""
MAX_SHARE_DIFFERENT = 0.4
"""A picture of which more differs is not this scene: a subject fills at most about a third of the frame."""
PATCH_MARGIN_PX = 9
FEATHER_SIGMA_PX = 5.0


class SceneAnimator:
    """See `actors.roles.ImageToVideo`."""

    def animate(
        self, image: Frame, prompt: str, *, num_frames: int, fps: int, seed: int, edit_seed: int
    ) -> Iterator[Frame]:
        """Frame 0 is `image` to the byte; the later ones move as the scene or, failing that, the picture
        implies.
        """
        height, width = image.shape[:2]
        scene = scenes.build(scenes.match(prompt), edit_seed, width, height)
        patch = patch_of(image, scene.frame(0))
        if patch is None:
            motion = PictureMotion(image, prompt, seed)
            draw = motion.frame
        else:
            draw = scene.frame
        yield image
        for t in range(1, num_frames):
            frame = draw(t, fps)
            yield frame if patch is None or not patch.any() else _keep(image, frame, patch)


def patch_of(image: Frame, painted: Frame) -> npt.NDArray[np.float32] | None:
    """Weight (H, W), 0..1, of where `image` is not the painted scene; None when it is another picture
    altogether.
    """
    different = (cv2.absdiff(image, painted).max(axis=2) > LEVELS_EQUAL).astype(np.uint8)
    if different.mean() > MAX_SHARE_DIFFERENT:
        return None
    if not different.any():
        return np.zeros(different.shape, np.float32)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * PATCH_MARGIN_PX + 1,) * 2)
    grown = cv2.morphologyEx(different, cv2.MORPH_CLOSE, kernel)
    soft = cv2.GaussianBlur(cv2.dilate(grown, kernel).astype(np.float32), (0, 0), FEATHER_SIGMA_PX)
    return np.asarray(soft, np.float32)


def _keep(image: Frame, frame: Frame, patch: npt.NDArray[np.float32]) -> Frame:
    weight = patch[..., None]
    return np.asarray(frame + (image.astype(np.float32) - frame) * weight + 0.5, np.uint8)
