"""The stream: the pipeline's actors as one Ray Data pipeline, as functions or as actor pools.

What a reader gets wrong: the stream returns nothing of value. Every result is in the journal before a call
returns; what arrives at the end are the keys that made it through, and the driver only counts them.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayError

from actors.attempts import AttemptNotes
from actors.base import Actor
from actors.guard import Guard, RunContext, stop_key
from actors.pipeline import PlannedActor
from actors.roles import BackendError
from actors.store import StoreError, open_store
from ray_jobs.gpus import nodes_known
from ray_jobs.phases import Phase
from ray_jobs.runs import RunFailedError
from schemas.config import RunConfig
from schemas.records import Row

_GUARDS: dict[tuple[str, int, str], Guard] = {}
NO_PROGRESS_TIMEOUT_S = 6 * 3600
"""Ray Data gives up a job without a finished task for this long: above the slowest stage and a wait for spot
GPUs.
"""

MAX_LOAD_DEATHS = 3
"""Workers in a row that may die while they load a model before the run ends."""

MAX_NODES = 64
"""A node group of an autoscaler that names no limit counts as so many."""

DRAIN_S = 20.0
"""What a run that is asked to stop gives the calls in hand; Kubernetes kills after 30 s, `ray job stop` after
RAY_JOB_STOP_WAIT_TIME_S, 3 s by default.
"""

_ERROR_LINE = re.compile(r"[\w.]+(Error|Exception|Died|Interrupt)\b")
MAX_BLOCKS = 512
"""Of a phase without GPU: 2,000 rows through two no-op actors took 9 s in 64 blocks, 11 s in 512 and 16 s in
2,000. That is little beside a GPU's work, so there blocks are as small as the next call, see `_operators`.
"""


def start_ray(gpus: int | None = None) -> None:
    """Join the cluster of RAY_ADDRESS (a submitted job has it), otherwise start one that is this process's
    own, with `gpus` GPUs.

    Raises:
        RunFailedError: there is no such cluster, or Ray does not come up.
    """
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        return
    ours = signal.getsignal(signal.SIGTERM)
    try:
        _init_ray(gpus)
    except Exception as error:  # that bare class is what Ray raises where its node does not come up
        raise RunFailedError(f"Ray did not start: {error}") from error
    except SystemExit as stop:  # by Ray's own handler of SIGTERM, which its init sets
        if stop.code == signal.SIGTERM:
            signal.signal(signal.SIGTERM, ours)
            signal.raise_signal(signal.SIGTERM)
        raise
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ours)


def start_ray_for(config: RunConfig) -> list[int]:
    """Start or join Ray; the GPUs to plan with, node by node. RunFailedError as `start_ray`."""
    known = nodes_known(config)
    start_ray(sum(known) if known else None)
    return known or _cluster_nodes()


def _cluster_nodes() -> list[int]:
    """The GPUs of each node of the cluster that this process joined, or that its autoscaler may add up to."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    there = [int(has["GPU"]) for has in alive if has.get("GPU", 0) >= 1]
    # the only place where Ray says what its autoscaler may add; None without an autoscaler
    grown = ray._private.state.state.get_cluster_config()
    may_be = [
        int(group.resources["GPU"])
        for group in (grown.node_group_configs if grown else ())
        if group.resources.get("GPU", 0) >= 1
        for _ in range(MAX_NODES if group.max_count < 0 else group.max_count)
    ]
    return max(there, may_be, key=sum) or [0]


def _init_ray(gpus: int | None) -> None:
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False)
        return
    # of this process, which the workers inherit: with a runtime_env each of them would start Python twice
    os.environ["OMP_NUM_THREADS"] = "1"
    ray.init(
        address="local",  # without it Ray joins any cluster that happens to run on the machine
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        num_gpus=gpus,
        object_store_memory=256 * 1024**2,  # rows are small
    )


def stream(rows: Sequence[Row], phase: Phase, config: RunConfig, context: RunContext) -> int:
    """Send rows (one a source, at least one) through all actors of a phase; returns how many came out at the
    end.

    An error that escapes an actor is the worker's or the installation's, and ends the run; what was journaled
    stays.
    """
    _set_data_context()
    with draining(context):
        try:
            return int(_operators(rows, phase, config, context).materialize().count())
        except RayError as error:
            raise RunFailedError(_innermost(error)) from error


def _operators(
    sources: Sequence[Row], phase: Phase, config: RunConfig, context: RunContext
) -> ray.data.Dataset:
    """The phase as operators of Ray Data, one an actor, over blocks of rows.

    The last call on sources returns a row a sample. As an operator of its own, between pools, that fan-out
    had a worker process for each of its tasks, and on two cores twenty of them took 20 s to start.
    """
    by_source = sum(item.actor.keyed == "source" for item in phase.actors)
    rows = sources if by_source else _fan_out(sources)
    on_gpu = any(item.num_gpus for item in phase.actors)
    blocks = len(rows) if on_gpu else min(len(rows), MAX_BLOCKS)
    data: ray.data.Dataset = ray.data.from_arrow([_table(rows[start::blocks]) for start in range(blocks)])
    rows_a_block = -(-len(rows) // blocks)
    for place, (item, workers) in enumerate(zip(phase.actors, phase.workers, strict=True), start=1):
        if item.num_gpus and rows_a_block > item.config.batch_size:
            # a block is a worker's: in one of many rows they wait for each other, and other workers for work
            rows_a_block = item.config.batch_size
            data = data.repartition(target_num_rows_per_block=rows_a_block)
        fans_out = place == by_source < len(phase.actors)
        if config.execution == "pools" or item.num_gpus or (item.backend and item.backend.pip):
            data = _in_pool(data, item, min(workers, _most_useful(sources, item)), context, fans_out)
        else:
            data = _as_function(data, item, context, fans_out)
        rows_a_block = max(rows_a_block, item.config.batch_size)
        if fans_out:
            rows_a_block *= max(len(row.samples) for row in sources)
    return data


@contextmanager
def draining(context: RunContext) -> Iterator[None]:
    """SIGTERM ends its body in order: no call begins any more, and those in hand have `DRAIN_S` to finish
    and to be journaled. Then, or at a second signal, the handler of before is called, which exits.

    SIGINT raises KeyboardInterrupt, wherever the body is. Where that is lost in a library, no call begins
    any more either, and it is raised at the body's end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    late = threading.Timer(DRAIN_S, os.kill, (os.getpid(), signal.SIGTERM))
    late.daemon = True
    interrupted = False

    def stop_calls() -> None:
        open_store(context.root).put_bytes_if_absent(stop_key(context.run), b"stopping\n")

    def drain(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, before[0])
        late.start()
        stop_calls()

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, before[1])  # a second one does not wait for the store
        with suppress(OSError, StoreError):
            stop_calls()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, drain)
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        drained = late.is_alive()
        late.cancel()
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
        if drained:
            signal.raise_signal(signal.SIGTERM)
    if interrupted:
        raise KeyboardInterrupt


def _most_useful(sources: Sequence[Row], item: PlannedActor) -> int:
    """More workers than batches would only load models."""
    by_sample = item.actor.keyed == "sample"
    keyed = [sample for row in sources for sample in row.samples] if by_sample else sources
    todo = sum(item.name not in row.done for row in keyed)
    return max(1, -(-todo // item.config.batch_size))


def _innermost(error: RayError) -> str:
    """What went wrong on the worker: the first error line of the traceback that Ray carries as text."""
    for line in str(error).splitlines():
        if _ERROR_LINE.match(line):
            return line
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _set_data_context() -> None:
    data = DataContext.get_current()
    data.max_errored_blocks = 0
    data.actor_init_retry_on_errors = True
    data.max_consecutive_actor_init_deaths = MAX_LOAD_DEATHS
    data.execution_no_progress_timeout_s = NO_PROGRESS_TIMEOUT_S
    data.enable_progress_bars = False
    data.execution_options.verbose_progress = False


def _as_function(
    data: ray.data.Dataset, item: PlannedActor, context: RunContext, fans_out: bool
) -> ray.data.Dataset:
    """The actor as a function over an instance that each worker process keeps; Ray Data fuses neighbours."""

    def call(table: pa.Table) -> pa.Table:
        return _call(_guard(item, context), table, fans_out) if table.num_rows else table

    call.__name__ = call.__qualname__ = item.name
    return data.map_batches(call, batch_format="pyarrow", batch_size=item.config.batch_size, num_cpus=1)


def _in_pool(
    data: ray.data.Dataset, item: PlannedActor, workers: int, context: RunContext, fans_out: bool
) -> ray.data.Dataset:
    """The actor as a fixed pool of Ray actors; the pool's name in the dashboard is the actor's."""
    worker: type[Any] = type(item.name, (PoolWorker,), {})
    packages = item.backend.pip if item.backend else ()
    return data.map_batches(
        worker,
        fn_constructor_args=(item, context, fans_out),
        # a second call waiting at a worker is one that no other worker can take
        compute=ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1 if item.num_gpus else None),
        batch_format="pyarrow",
        batch_size=item.config.batch_size,
        # with fractions, fourteen pools and the tasks between them starve each other on two cores
        num_cpus=0,
        num_gpus=item.num_gpus,
        ray_remote_args_fn=(lambda: {"runtime_env": {"pip": list(packages)}}) if packages else None,
    )


class PoolWorker:
    """One worker of a pool: the actor with its model, loaded once."""

    def __init__(self, item: PlannedActor, context: RunContext, fans_out: bool) -> None:
        self.guard = Guard(_loaded(item, context), context)
        self.fans_out = fans_out

    def __call__(self, table: pa.Table) -> pa.Table:
        return _call(self.guard, table, self.fans_out) if table.num_rows else table


def _guard(item: PlannedActor, context: RunContext) -> Guard:
    key = (context.root, context.run, item.name)
    if key not in _GUARDS:
        _GUARDS[key] = Guard(_loaded(item, context), context)
    return _GUARDS[key]


def _loaded(item: PlannedActor, context: RunContext) -> Actor[Any]:
    """The actor with its model; BackendError where workers died, one after another, while they loaded it.

    Ray starts a pool's worker, or a task, whose process died again and again under the same id; what Ray Data
    counts are constructors that raise.
    """
    worker = ray.get_runtime_context()
    load = [f"load by {worker.get_actor_id() or worker.get_task_id()}"]
    notes = AttemptNotes(open_store(context.root), item.name, context.run)
    begun = notes.begin(load)
    if begun >= MAX_LOAD_DEATHS:
        node, _ = notes.where_and_when(load[0], begun - 1)
        raise BackendError(f"{MAX_LOAD_DEATHS} workers died loading {item.name}, the last on {node}")
    try:
        return item.build()
    finally:  # not reached where the process ends
        notes.end(load, begun)


def _call(guard: Callable[[Sequence[Row]], list[Row]], table: pa.Table, fans_out: bool) -> pa.Table:
    rows = guard(_rows(table))
    return _table(_fan_out(rows) if fans_out else rows)


def _fan_out(sources: Sequence[Row]) -> list[Row]:
    """One row a source becomes one row a planned sample."""
    return [sample for source in sources for sample in source.fan_out()]


def _rows(table: pa.Table) -> list[Row]:
    return [Row.from_json(text) for text in table["row"].to_pylist()]


def _table(rows: Sequence[Row]) -> pa.Table:
    schema = pa.schema([("key", pa.string()), ("row", pa.string())])
    return pa.table([[row.key for row in rows], [row.to_json() for row in rows]], schema=schema)
