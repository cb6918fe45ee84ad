"""What every actor is: a declared contract at its top and `process` for one sample.

What a reader gets wrong: an actor never sees the store, the journal or Ray. It reads decoded inputs from a
`Sample`, returns what it adds, and raises `SampleError` for a sample that cannot be processed. `actors.guard`
does the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from actors.ops.masks import read_mask_npz
from actors.ops.video import VideoClip, read_png
from actors.roles import Answered, Answers, Frame, GroundedObject, SampleError
from schemas.columns import COLUMNS, MEDIA, Keyed
from schemas.config import ActorConfig
from schemas.gates import GATES, Step, gates_of
from schemas.records import seed_for

Added = dict[str, Any]
"""What an actor adds, by column: values as their column's type; media as a Frame (png), bytes or a Path to
move.
"""
Knobs = TypeVar("Knobs", bound=ActorConfig)
GATE_NAMES = frozenset(gate.name for gate in GATES)


@dataclass
class Sample:
    """One sample as an actor sees it: identity, seed, and the columns of `reads`, media decoded on first
    use.
    """

    key: str
    run_seed: int
    seeded_by: str
    values: Mapping[str, Any]
    files: Mapping[str, Callable[[], Path]]
    scratch: Path
    """A folder for files about to be returned; removed afterwards."""
    _frames: dict[str, Frame] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """This actor's seed for this sample, 0..2**63-1."""
        return self.seed_of(self.seeded_by)

    def seed_of(self, actor: str) -> int:
        """The seed that another actor has for this sample."""
        return seed_for(self.run_seed, self.key, actor)

    def value(self, name: str) -> Any:
        return self.values[name]

    def text(self, name: str) -> str:
        value = self.values[name]
        if not isinstance(value, str):
            raise SampleError(f"{name} should be text, found {value!r}")
        return value

    def objects(self, name: str) -> tuple[GroundedObject, ...]:
        return objects_from(self.values[name])

    def frame(self, name: str) -> Frame:
        """A png column, (H, W, 3) RGB."""
        if name not in self._frames:
            self._frames[name] = read_png(self.files[name]().read_bytes())
        return self._frames[name]

    def clip(self, name: str) -> VideoClip:
        """An mp4 column, decoded while it is read."""
        return VideoClip(self.files[name]())

    def masks(self, name: str) -> npt.NDArray[np.uint8]:
        """An npz column as (T, H, ceil(W / 8)) packed rows."""
        return read_mask_npz(self.files[name]())[0]

    def load(self) -> None:
        """Fetch every file and decode the pictures, so that `process` does not wait for them."""
        for name in self.files:
            if MEDIA[name].extension == "png":
                self.frame(name)
            else:
                self.files[name]()


def objects_from(raw: Sequence[Mapping[str, Any]]) -> tuple[GroundedObject, ...]:
    """Grounded objects of a journaled column."""
    return tuple(GroundedObject(item["label"], tuple(item["bbox_2d"])) for item in raw)


def objects_to(objects: Sequence[GroundedObject]) -> list[dict[str, Any]]:
    """Grounded objects as a column holds them."""
    return [{"bbox_2d": list(item.bbox_2d), "label": item.label} for item in objects]


def answered(
    samples: Sequence[Sample], answers: Answers[Answered], added: Callable[[Sample, Answered], Added]
) -> list[Added | SampleError]:
    """What each sample gets from the answers to its key, in the samples' order.

    Raises ValueError where the answers are not one for each sample: a backend mixed them up.
    """
    if answers.keys() != {sample.key for sample in samples}:
        raise ValueError(f"asked for {[sample.key for sample in samples]}, answered for {sorted(answers)}")
    results: list[Added | SampleError] = []
    for sample in samples:
        answer = answers[sample.key]
        results.append(answer if isinstance(answer, SampleError) else added(sample, answer))
    return results


class Actor(Generic[Knobs]):
    """Base of all actors; a subclass is named by an agent noun, which the Ray dashboard shows.

    Declared at the top of the subclass and checked when it is imported: every name in `reads` and `adds` is
    in the column table, and every gate of the actor is a field of its config.
    """

    stage: ClassVar[int | None]
    """The paper's stage, None for Ingest."""
    keyed: ClassVar[Keyed] = "sample"
    reads: ClassVar[tuple[str, ...]]
    adds: ClassVar[tuple[str, ...]]
    role: ClassVar[str | None] = None
    """Name of a Protocol in `actors.roles`; None for an actor without a model."""
    seeded: ClassVar[bool] = False
    """Whether the result depends on the sample's seed. Of an unseeded actor equal inputs give equal results,
    which the guard uses (stage 4 across the themes of a source)."""
    model_calls: ClassVar[float] = 1.0
    """Calls of the model a sample, for the plan: BackendSpec.seconds is of one."""
    version: ClassVar[int] = 1
    """Raised when the actor's own code changes what it adds; part of the fingerprint."""
    Config: ClassVar[type[ActorConfig]] = ActorConfig

    def __init__(self, config: Knobs, model: Any) -> None:
        self.config = config
        self.model = model

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in (*cls.reads, *cls.adds):
            if name not in COLUMNS:
                raise TypeError(f"{cls.__name__}: {name!r} is not in the column table")
        for gate in gates_of(cls.__name__):
            if gate.name not in cls.Config.model_fields:
                raise TypeError(f"{cls.__name__}: its config lacks the gate {gate.name!r}")
            if gate.column not in cls.adds:
                raise TypeError(
                    f"{cls.__name__}: gate {gate.name} reads {gate.column!r}, which it does not add"
                )

    def process(self, sample: Sample) -> Added:
        """What this actor adds to one sample. Raises SampleError when it cannot."""
        raise NotImplementedError

    def process_batch(self, samples: Sequence[Sample]) -> list[Added | SampleError]:
        """`process` for each; override where the model takes several samples a call. Same length and
        order.
        """
        results: list[Added | SampleError] = []
        for sample in samples:
            try:
                results.append(self.process(sample))
            except SampleError as error:
                results.append(error)
        return results

    @classmethod
    def step(cls) -> Step:
        return Step(cls.__name__, cls.keyed, cls.adds)

    @classmethod
    def thresholds(cls, config: ActorConfig) -> dict[str, float | None]:
        """The config's thresholds, by gate name; None is off."""
        return {gate.name: getattr(config, gate.name) for gate in gates_of(cls.__name__)}

    @classmethod
    def recipe(cls, config: ActorConfig, revision: str, run_seed: int) -> dict[str, Any]:
        """What determines the results beside the inputs: not thresholds, not batch or pool sizes."""
        ignored = {"batch_size", "pool_size", "num_gpus", "sample_timeout_s"} | GATE_NAMES
        knobs = {name: value for name, value in config.model_dump(mode="json").items() if name not in ignored}
        recipe = {"actor": cls.__name__, "version": cls.version, "revision": revision, **knobs}
        return {**recipe, "run_seed": run_seed} if cls.seeded else recipe


def fingerprint(recipe: Mapping[str, Any]) -> str:
    """Sixteen hex digits that change when the recipe does."""
    text = json.dumps(recipe, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
