"""Tar parts written as Ray tasks, one a part, on the cluster that is up or a Ray of this process's own.

What a reader gets wrong: nothing is coordinated here. A part's put is atomic and its note is its commit, so a
task that Ray runs twice, or that outlives its driver, writes the same bytes or finds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import ray
from ray.exceptions import RayError, RayTaskError

from actors.store import StoreError, open_store
from ray_jobs.runs import RunFailedError
from ray_jobs.sealing import PlannedShard, seal
from ray_jobs.stream import start_ray
from schemas.shards import WrittenShard

MIN_WAITING = 64
"""Tasks handed to Ray at once, or two a core: enough that an autoscaler sees work, few enough that their
arguments (some 200 kB a part) stay small and the first error stops the rest."""


def seal_as_tasks(root: str, planned: Sequence[PlannedShard]) -> Iterator[tuple[PlannedShard, WrittenShard]]:
    """`ray_jobs.sealing.seal` for every part, in the order in which they are finished.

    Raises:
        PublishError, StoreError: as `seal`; parts that are not begun yet are given up.
        RunFailedError: a worker died again and again.
    """
    start_ray()
    window = max(MIN_WAITING, 2 * int(ray.cluster_resources().get("CPU", 0)))  # type: ignore[no-untyped-call]
    left = iter(planned)
    running: dict[ray.ObjectRef[WrittenShard], PlannedShard] = {}
    try:
        while True:
            while len(running) < window and (shard := next(left, None)) is not None:
                running[_seal.remote(root, shard)] = shard
            if not running:
                return
            (ref, *_), _ = ray.wait(list(running), num_returns=1)
            written = ray.get(ref)
            yield running.pop(ref), written
    except RayTaskError as error:
        if isinstance(error.cause, (StoreError, OSError)):
            raise error.cause from None
        raise RunFailedError(f"a part could not be written: {error.cause!r}") from error
    except RayError as error:
        raise RunFailedError(f"a part could not be written: {error}") from error
    finally:
        for ref in running:
            ray.cancel(ref)


@ray.remote(num_cpus=1)
def _seal(root: str, shard: PlannedShard) -> WrittenShard:
    return seal(open_store(root), shard)
