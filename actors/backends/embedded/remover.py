"""The embedded editor with the other remover: what is erased is always filled from its surroundings.

What a reader gets wrong: `SceneEditor` falls back to the same inpainting by itself. This class is for whoever
wants it every time, or edits with one backend and erases with another.
"""

from __future__ import annotations

from actors.backends.embedded.editor import SceneEditor, object_mask
from actors.ops.inpaint import inpaint
from actors.roles import EraseRequest, Frame


class InpaintEditor(SceneEditor):
    """As `SceneEditor`, but always erases by inpainting: for pictures that another editor made."""

    def erase(self, request: EraseRequest) -> Frame:
        """The picture with the objects, and what they rest on, filled from their surroundings."""
        mask = object_mask(request.image, request.objects, self._segmenter)
        self.last_remover = "inpaint"
        return inpaint(request.image, mask, seed=request.seed)
