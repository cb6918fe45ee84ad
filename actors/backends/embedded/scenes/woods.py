"""The builders among trees, gathered: forests, bamboo groves, waterfalls.

What a reader gets wrong: nothing is drawn here; each builder stands in the module of its subject.
"""

from __future__ import annotations

from actors.backends.embedded.scenes.bamboo import bamboo
from actors.backends.embedded.scenes.forest import _hanging_boughs, forest
from actors.backends.embedded.scenes.waterfall import rocks, waterfall

__all__ = ["_hanging_boughs", "bamboo", "forest", "rocks", "waterfall"]
