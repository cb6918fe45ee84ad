"""An actor of which two workers must be at work at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

from actors.base import Actor, Added, Sample
from schemas.config import ActorConfig

PATIENCE_S = 100.0


class Meeting(Actor[ActorConfig]):
    """Ends when two workers hold a sample at once."""

    stage = 2
    reads = ("source_id",)
    adds = ("original_scene",)

    def process(self, sample: Sample) -> Added:
        here = Path(self.config.options["here"])
        (here / str(os.getpid())).touch()
        deadline = time.monotonic() + PATIENCE_S
        while len(found := list(here.iterdir())) < 2:
            if time.monotonic() > deadline:
                raise TimeoutError("nobody else came")
            time.sleep(0.02)
        return {"original_scene": f"{len(found)} workers"}
