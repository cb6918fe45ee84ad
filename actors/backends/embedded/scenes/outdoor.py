"""The builders of open land, gathered: fields, vineyards, rolling hills, melting snow, deserts.

What a reader gets wrong: nothing is drawn here; each builder stands in the module of its subject.
"""

from __future__ import annotations

from actors.backends.embedded.scenes.desert import desert
from actors.backends.embedded.scenes.hill_country import hill_country, snowmelt
from actors.backends.embedded.scenes.meadows import field
from actors.backends.embedded.scenes.vineyard import vineyard

__all__ = ["desert", "field", "hill_country", "snowmelt", "vineyard"]
