"""GPUs: which ones a plan may count on, node by node, and whether workers find room on them.

What a reader gets wrong: GPUs do not add up. Three workers of 0.6 take three GPUs, and one worker of two GPUs
finds none on two nodes of one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from schemas.config import RunConfig

_ROUNDING = 1e-6


class Room:
    """What is left of the GPUs of some nodes; every worker goes where the least is left over."""

    def __init__(self, nodes: Sequence[int]) -> None:
        self._free = Counter(nodes)  # nodes by how many GPUs nobody has
        self._parts: Counter[float] = Counter()  # shared GPUs by what is left of them

    def take(self, gpus: float) -> bool:
        """Room for a worker with so many GPUs, or with a part of one; False where there is none."""
        if gpus >= 1:
            fitting = [free for free in self._free if free >= gpus]
            if fitting:
                _move(self._free, min(fitting), min(fitting) - int(gpus))
            return bool(fitting)
        places = [left for left in self._parts if left >= gpus - _ROUNDING]
        if places:
            _move(self._parts, min(places), round(min(places) - gpus, 6))
        elif self.take(1):
            self._parts[round(1 - gpus, 6)] += 1
        else:
            return False
        return True

    def take_all(self, workers: Iterable[float]) -> bool:
        """Room for all of them at once, the large ones first."""
        return all(self.take(gpus) for gpus in sorted(workers, reverse=True) if gpus)


def _move(counts: Counter[Any], before: float, after: float) -> None:
    """One of those with `before` has `after` now; keys that nobody has go, so that few are looked through."""
    counts[before] -= 1
    if not counts[before]:
        del counts[before]
    counts[after] += 1


def nodes_known(config: RunConfig) -> list[int] | None:
    """The GPUs to plan with as far as that can be said without Ray, all on one node: the config's, or this
    machine's when no cluster is named; None where the cluster must be asked.
    """
    if config.gpus is not None:
        return [config.gpus]
    return None if os.environ.get("RAY_ADDRESS") else [local_gpus()]


def local_gpus() -> int:
    """NVIDIA GPUs of this machine that the process may see."""
    there = [path.name for path in Path("/dev").glob("nvidia[0-9]*")]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return len(there)
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return min(len(there), names.index("-1") if "-1" in names else len(names))  # CUDA stops at the first -1
