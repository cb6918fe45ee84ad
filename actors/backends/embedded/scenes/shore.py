"""The builders at the water's edge, gathered: lakes and coasts.

What a reader gets wrong: nothing is drawn here; each builder stands in the module of its subject.
"""

from __future__ import annotations

from actors.backends.embedded.scenes.coast import coast
from actors.backends.embedded.scenes.lake import house_row, lake

__all__ = ["coast", "house_row", "lake"]
