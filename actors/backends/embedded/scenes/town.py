"""The town builders by name: `street`, `skyline`, `industrial`.

What a reader gets wrong: nothing is drawn here; this is the one import that `build.py` needs for towns.
"""

from __future__ import annotations

from actors.backends.embedded.scenes.industrial import industrial
from actors.backends.embedded.scenes.skyline import skyline
from actors.backends.embedded.scenes.street import street

__all__ = ["industrial", "skyline", "street"]
