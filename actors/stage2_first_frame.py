"""Stage 2, preliminary background replacement: an instruction, the first frame edited by it, and its score.

What a reader gets wrong: a sample that came with its own instruction (`given_prompt`) skips the writing, not
the description of the scene.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import Field

from actors.base import Actor, Added, Sample, answered
from actors.ops.editscore import evaluate_record
from actors.roles import Answers, InstructionRequest, SampleError, SceneRequest, ScorePass, ScoreRequest
from schemas.config import ActorConfig


class InstructionWriter(Actor[ActorConfig]):
    stage = 2
    role = "VisionLanguageModel"
    seeded = True
    model_calls = 2.0
    reads = ("source_frame0", "edit_type", "chosen_keyword", "given_prompt")
    adds = ("original_scene", "prompt")

    def process_batch(self, samples: Sequence[Sample]) -> list[Added | SampleError]:
        scenes = self.model.describe_scene(
            [SceneRequest(sample.key, sample.frame("source_frame0")) for sample in samples]
        )
        unwritten = [
            InstructionRequest(
                sample.key,
                scenes[sample.key],
                sample.text("edit_type"),
                sample.text("chosen_keyword"),
                sample.seed,
            )
            for sample in samples
            if not sample.value("given_prompt") and isinstance(scenes[sample.key], str)
        ]
        prompts: Answers[str] = {sample.key: sample.value("given_prompt") for sample in samples}
        prompts.update(self.model.write_instruction(unwritten) if unwritten else {})
        prompts.update({key: scene for key, scene in scenes.items() if isinstance(scene, SampleError)})
        return answered(
            samples,
            prompts,
            lambda sample, prompt: {"original_scene": scenes[sample.key], "prompt": prompt},
        )


class FirstFrameEditor(Actor[ActorConfig]):
    stage = 2
    role = "ImageEditor"
    seeded = True
    reads = ("source_frame0", "prompt")
    adds = ("edited_frame0",)

    def process(self, sample: Sample) -> Added:
        edited = self.model.edit(sample.frame("source_frame0"), sample.text("prompt"), seed=sample.seed)
        return {"edited_frame0": edited}


class EditedFrameScorerConfig(ActorConfig):
    min_edited_frame0_overall: float | None = Field(8.0, description="published: overall < 8 is dropped")


class EditedFrameScorer(Actor[EditedFrameScorerConfig]):
    stage = 2
    role = "EditScorer"
    seeded = True
    reads = ("source_frame0", "edited_frame0", "prompt")
    adds = ("edited_frame0_score", "edited_frame0_overall")
    Config = EditedFrameScorerConfig

    def process_batch(self, samples: Sequence[Sample]) -> list[Added | SampleError]:
        asked = [
            ScoreRequest(
                key=sample.key,
                source=sample.frame("source_frame0"),
                edited=sample.frame("edited_frame0"),
                prompt=sample.text("prompt"),
                task="background_replacement",
                seed=sample.seed,
            )
            for sample in samples
        ]
        return answered(samples, self.model.score(asked), self._added)

    def _added(self, sample: Sample, passes: list[ScorePass]) -> Added:
        record = evaluate_record(passes)
        return {"edited_frame0_score": json.dumps(record), "edited_frame0_overall": record["overall"]}
