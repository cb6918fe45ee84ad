"""Durable notes of calls begun, and of how those ended that took their worker with them.

What a reader gets wrong: a note says nothing while its call runs. Only a later try that finds it knows that
the one before died; and of a run that was killed as a whole the last notes are no deaths, they were in hand.
"""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from actors.journal import batch_digest
from actors.store import Store

FOLDER = "journal/attempts"
_NOTE = re.compile(
    rf"{FOLDER}/(?P<actor>\w+)/(?P<run>\d+)-(?P<digest>[0-9a-f]+)\.(?P<attempt>\d+)(?P<fate>\.fate)?"
)


@dataclass(frozen=True)
class Fate:
    """Why a call ended its worker, as far as the worker could still say it."""

    error_class: str
    message: str


class AttemptNotes:
    """Notes of one actor in one run: a call whose note is there and whose part is not died with its
    worker.
    """

    def __init__(self, store: Store, actor: str, run: int) -> None:
        self.store = store
        self.prefix = f"{FOLDER}/{actor}/{run:06d}"

    def begin(self, keys: Sequence[str]) -> int:
        """Note that a call begins; returns how many began before and did not end."""
        note = {"keys": list(keys), "node": platform.node(), "begun_at": time.time()}
        data = json.dumps(note).encode()
        attempt = 0
        while not self.store.put_bytes_if_absent(self._key(keys, attempt), data).won:
            attempt += 1
        return attempt

    def condemn(self, key: str, fate: Fate) -> None:
        """Note how the call on this sample, or on a batch of which it is the one in hand, ends its worker."""
        attempt = 0
        while self.store.exists(self._key([key], attempt + 1)):
            attempt += 1
        if not self.store.exists(self._key([key], attempt)):
            self.begin([key])
        fate_key = f"{self._key([key], attempt)}.fate"
        self.store.put_bytes_if_absent(fate_key, json.dumps(asdict(fate)).encode())

    def fate(self, key: str, attempt: int) -> Fate | None:
        """What the worker of this attempt could say of its end."""
        try:
            return Fate(**json.loads(self.store.get_bytes(f"{self._key([key], attempt)}.fate")))
        except KeyError:
            return None

    def where_and_when(self, key: str, attempt: int) -> tuple[str, float]:
        """Node of an attempt, and the time at which it began, in seconds since the epoch."""
        note = json.loads(self.store.get_bytes(self._key([key], attempt)))
        return note["node"], note["begun_at"]

    def overran(self, key: str, begun: int, limit_s: float) -> bool:
        """Whether of the tries so far the last two each took longer than this until the next began.

        One alone may be of a worker that was lost with its node, and replaced late.
        """
        begins = [self.where_and_when(key, attempt)[1] for attempt in range(max(begun - 2, 0), begun)]
        taken = [later - earlier for earlier, later in pairwise([*begins, time.time()])]
        return len(taken) == 2 and min(taken) > limit_s

    def end(self, keys: Sequence[str], attempt: int) -> None:
        names = [self._key(keys, number) for number in range(attempt, -1, -1)]
        if attempt:  # a call that was never tried again has no fate
            names += [f"{name}.fate" for name in names]
        self.store.delete_all(names)

    def _key(self, keys: Sequence[str], attempt: int) -> str:
        return f"{self.prefix}-{batch_digest(keys)}.{attempt}"


def deaths_left_behind(store: Store) -> dict[str, dict[str, int]]:
    """By actor and key, how many workers a sample took with it in runs that did not come to their end.

    Counted are tries that another try of the same run followed, or that noted their fate. A try that nothing
    followed was in hand when the run was killed, which is no fault of the sample. Of a batch nobody knows
    which sample it was: each is named, with 0.
    """
    tries: dict[tuple[str, str, str], dict[int, bool]] = {}
    bodies: dict[tuple[str, str, str], str] = {}
    for name in store.keys(FOLDER):
        found = _NOTE.fullmatch(name)
        if found is None:
            continue
        call = (found["actor"], found["run"], found["digest"])
        attempt = int(found["attempt"])
        tries.setdefault(call, {})
        tries[call][attempt] = tries[call].get(attempt, False) or bool(found["fate"])
        if not found["fate"]:
            bodies[call] = name
    deaths: dict[str, dict[str, int]] = {}
    for call, found_tries in tries.items():
        last = max(found_tries)
        died = last + 1 if found_tries[last] else last
        if not died or call not in bodies:
            continue
        keys = _keys_of(store, bodies[call])
        of_actor = deaths.setdefault(call[0], {})
        for key in keys:
            of_actor[key] = of_actor.get(key, 0) + (died if len(keys) == 1 else 0)
    return deaths


def _keys_of(store: Store, note: str) -> list[str]:
    try:
        keys: list[str] = json.loads(store.get_bytes(note))["keys"]
    except (ValueError, KeyError):  # of a version that noted no keys
        return []
    return keys


def forget(store: Store) -> None:
    """Drop all notes: a run came to its end, so whatever died is in the journal."""
    store.delete_all(list(store.keys(FOLDER)))
