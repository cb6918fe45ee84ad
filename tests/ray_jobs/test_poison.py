"""Poison among good samples, through the real stream on a Ray of its own.

What a reader gets wrong: one run of one small list holds every kind of poison, because a start of Ray costs
more than all of them; what each kind must end as is one line of the table below.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.poison import POISONS
from tests.ray_jobs.commands import ROOT, environment

SAMPLES = 64
ENDS: dict[str, tuple[str, str, int]] = {
    "raising": ("ZeroDivisionError", "float division", 0),
    "exiting": ("ExitCalledError", "sys.exit(7) was called", 0),
    "killed": ("WorkerDiedError", "3 workers died while they worked on this sample, the last on ", 3),
    "hanging": ("TimeoutError", "no result after 2 s (sample_timeout_s); the worker was ended on ", 1),
}
"""By poison: error class, how the message begins, workers that died with the sample alone in hand."""

Outcomes = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What came of the samples, by execution and batch."""
    script = """
import dataclasses, json, sys, pathlib
from benchmarks.poison import run
from ray_jobs.stream import start_ray
start_ray(0)
folder, samples, poisons = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
cases = {"pools": 32, "functions": 1}
found = {
    execution: dataclasses.asdict(
        run(folder / "root", samples, poisons, execution=execution, batch=batch, number=number, seconds=0.0)
    )
    for number, (execution, batch) in enumerate(cases.items(), 1)
}
plain = lambda other: sorted(other) if isinstance(other, set) else str(other)
print("\\n" + json.dumps(found, default=plain))
"""
    folder = tmp_path_factory.mktemp("poison")
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), str(SAMPLES), ",".join(ENDS)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Ray may print a worker's death after it
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("{"))
    found: Outcomes = json.loads(line)
    assert not list(folder.glob("root/journal/attempts/*/*")), "notes stay behind"
    return found


def of(outcomes: Outcomes, execution: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """The rows of one case, and the key of each poison: they lie evenly among the samples."""
    results = outcomes[execution]["results"]
    keys = sorted(results)
    places = {(2 * place + 1) * SAMPLES // (2 * len(ENDS)): poison for place, poison in enumerate(ENDS)}
    return results, {poison: keys[place] for place, poison in places.items()}


@pytest.mark.parametrize("execution", ["pools", "functions"])
@pytest.mark.parametrize("poison", ENDS)
def test_poison_ends_as_failed_with_what_it_did_how_often_and_where(
    outcomes: Outcomes, execution: str, poison: str
) -> None:
    results, keys = of(outcomes, execution)
    row = results[keys[poison]]
    error_class, message, deaths = ENDS[poison]
    assert (row["outcome"], row["error_class"], row["attempt"]) == ("failed", error_class, deaths)
    assert row["error"].startswith(message)
    assert row["node"]
    assert poison in POISONS


@pytest.mark.parametrize("execution", ["pools", "functions"])
def test_every_other_sample_is_good_and_goes_on(outcomes: Outcomes, execution: str) -> None:
    results, keys = of(outcomes, execution)
    good = {key for key, row in results.items() if row["outcome"] == "ok"}
    assert len(results) == SAMPLES
    assert good == results.keys() - set(keys.values())
    assert set(outcomes[execution]["followed"]) == good


def test_a_death_costs_its_neighbours_at_most_what_was_in_hand_and_once(outcomes: Outcomes) -> None:
    for execution, batch in (("pools", 32), ("functions", 1)):
        _, keys = of(outcomes, execution)
        poisons = set(keys.values())
        calls = [key for key, _ in outcomes[execution]["calls"] if key not in poisons]
        again = len(calls) - len(set(calls))
        assert again <= 2 * (batch - 1), f"{execution}: {again} calls on good samples were repeats"
        assert max(calls.count(key) for key in set(calls)) <= 2
