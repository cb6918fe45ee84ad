"""Crashes at chosen file operations: from the first one on, nothing more reaches the disk, as after kill -9.

What a reader gets wrong: Python's audit events are raised before the operation, so a crash at operation N
leaves N - 1 of them done. A hook cannot be taken out again; it sleeps while no crash is wanted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_MUTATING = ("os.link", "os.remove")
"""How `LocalStore` puts and deletes; what happens in its scratch folder is nobody's truth."""


class CrashError(BaseException):
    """The process is dead from here on."""


@dataclass
class _Crash:
    place: Callable[[str], bool]
    at: int
    seen: int = 0
    dead: bool = False


_armed: list[_Crash] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _armed or event not in _MUTATING:
        return
    crash = _armed[-1]
    target = str(arguments[1] if event == "os.link" else arguments[0])
    if "/scratch/" in target:
        return
    if not crash.dead and crash.place(target):
        crash.seen += 1
        crash.dead = crash.seen == crash.at
    if crash.dead:
        raise CrashError(f"{event} {target}")


@contextmanager
def crash(at: int, place: Callable[[str], bool] = lambda path: True) -> Iterator[_Crash]:
    """Die at the `at`-th operation on a path that `place` picks; never, for 0. Yields what was seen."""
    if _hook not in _hooked:
        sys.addaudithook(_hook)
        _hooked.append(_hook)
    _armed.append(_Crash(place, at))
    try:
        yield _armed[-1]
    except CrashError:
        pass
    finally:
        _armed.pop()


_hooked: list[Callable[..., None]] = []
