"""Crash points: a job that dies, or that another writer overtakes, before any operation that changes files.

What a reader gets wrong: Python's audit events are raised before the operation, so a crash at operation N
leaves N - 1 of them done. `killed` ends a process with SIGKILL: nothing is cleaned up and no buffer is
flushed. `crash` raises in this process, which is quicker and lets `finally` run; its hook cannot be taken out
again and sleeps while nothing is wanted.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Place = Callable[[str], bool]
"""Whether an operation on this path is one to count."""
_TARGET = {
    "open": 0,
    "os.link": 1,
    "os.symlink": 1,
    "os.rename": 1,  # os.replace too
    "os.remove": 0,
    "os.truncate": 0,
}
"""Audit events of operations that change files, and which argument is what changes; an empty folder more or
less is seen by nobody."""
_FORKS = multiprocessing.get_context("forkserver")
PRELOADED = ["tests.ray_jobs.crash_campaigns"]
"""Imported once; each process that is to be killed is a copy."""


class CrashError(BaseException):
    """The process is dead from here on."""


def anywhere(path: str) -> bool:
    return True


def changed(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The path that is about to change; None where nothing does, and in a scratch folder, which is nobody's
    truth.
    """
    place = _TARGET.get(event)
    if place is None or (event == "open" and not _for_writing(arguments)):
        return None
    target = arguments[place]
    if not isinstance(target, str | bytes | os.PathLike):
        return None  # a descriptor
    path = os.fsdecode(target)
    return None if "/scratch" in path else path


def _for_writing(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))


# in this process


@dataclass
class _Watch:
    place: Place
    then: Callable[[str], None]
    """Called before an operation, with its path."""
    at: int
    seen: int = 0
    dead: bool = False


_armed: list[_Watch] = []
_hooked: list[Callable[..., None]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _armed or (path := changed(event, arguments)) is None:
        return
    watch = _armed[-1]
    if not watch.dead and watch.place(path):
        watch.seen += 1
        watch.dead = watch.seen == watch.at
        if watch.dead:
            watch.then(f"{event} {path}")
    elif watch.dead and watch.then is _raise:
        _raise(f"{event} {path}")


def _raise(what: str) -> None:
    raise CrashError(what)


@contextmanager
def _watching(watch: _Watch) -> Iterator[_Watch]:
    if _hook not in _hooked:
        sys.addaudithook(_hook)
        _hooked.append(_hook)
    _armed.append(watch)
    try:
        yield watch
    finally:
        _armed.remove(watch)


@contextmanager
def crash(at: int, place: Place = anywhere) -> Iterator[_Watch]:
    """Die at the `at`-th operation on a path that `place` picks; never, for 0. Yields what was seen."""
    with _watching(_Watch(place, _raise, at)) as watch, suppress(CrashError):
        yield watch


def overtaken(
    at: int, first: Callable[[], object], second: Callable[[], object], place: Place = anywhere
) -> bool:
    """Run `first`, and the whole of `second` right before the `at`-th operation of `first`.

    Returns False where `first` has fewer operations; `second` then comes after it.
    """

    def then(what: str) -> None:
        _armed.append(_Watch(anywhere, _raise, 0))  # what `second` does is not counted
        try:
            second()
        finally:
            _armed.pop()

    with _watching(_Watch(place, then, at)) as watch:
        first()
    if not watch.dead:
        second()
    return watch.dead


# in a process of its own


def killed(job: Callable[..., object], root: Path, *rest: object, at: int, place: Place = anywhere) -> bool:
    """Run `job(root, *rest)` in a process that SIGKILL ends before its `at`-th operation below the root; of
    those on paths, relative to it, that `place` picks.

    Opening a file to write counts twice: before, and after, with the file there and empty. Job, arguments and
    `place` are pickled. Returns False where the job came to its end; `at=0` never kills.

    Raises:
        AssertionError: it ended otherwise.
    """
    _FORKS.set_forkserver_preload(PRELOADED)
    process = _FORKS.Process(target=_run, args=(at, place, job, root, *rest))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), f"{job} ended with {process.exitcode}"
    return process.exitcode != 0


def _run(at: int, place: Place, job: Callable[..., object], root: Path, *rest: object) -> None:
    seen = 0
    below = f"{root}/"

    def hook(event: str, values: tuple[Any, ...]) -> None:
        nonlocal seen
        path = changed(event, values)
        if path is None or not path.startswith(below) or not place(path.removeprefix(below)):
            return
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)
        if event == "open":
            seen += 1
            if seen == at:
                os.open(path, values[2], 0o644)
                os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = lambda descriptor: None  # type: ignore[assignment]  # no power is lost here, and it takes time
    if at:
        sys.addaudithook(hook)
    job(root, *rest)
