"""Stage 2, preliminary background replacement: an instruction, the first frame edited by it, and its score.

What a reader gets wrong: a sample that came with its own instruction (`given_prompt`) skips the writing, not
the description of the scene.
"""

from __future__ import annotations

import json

from pydantic import Field

from actors.base import Actor, Added, Sample
from actors.ops.editscore import evaluate_record
from actors.roles import ScoreRequest
from schemas.config import ActorConfig


class InstructionWriter(Actor[ActorConfig]):
    stage = 2
    role = "VisionLanguageModel"
    seeded = True
    reads = ("source_frame0", "edit_type", "chosen_keyword", "given_prompt")
    adds = ("original_scene", "prompt")

    def process(self, sample: Sample) -> Added:
        scene = self.model.describe_scene(sample.frame("source_frame0"))
        prompt = sample.value("given_prompt") or self.model.write_instruction(
            scene, sample.text("edit_type"), sample.text("chosen_keyword"), seed=sample.seed
        )
        return {"original_scene": scene, "prompt": prompt}


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

    def process(self, sample: Sample) -> Added:
        request = ScoreRequest(
            source=sample.frame("source_frame0"),
            edited=sample.frame("edited_frame0"),
            prompt=sample.text("prompt"),
            task="background_replacement",
        )
        (passes,) = self.model.score([request], seed=sample.seed)
        record = evaluate_record(passes)
        return {"edited_frame0_score": json.dumps(record), "edited_frame0_overall": record["overall"]}
