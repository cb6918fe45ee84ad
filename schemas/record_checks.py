"""What is wrong with one record of a published JSONL file.

What a reader gets wrong: this checks form, not truth. Whether a score is right is between the judge and the
picture; whether it is the one that was journaled, `verify` finds by the manifest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from schemas.release import JsonlFile, is_sample_id

SCORES = ("prompt_following", "consistency", "perceptual_quality", "overall")
FRAME_SCORES = ("SC_score", "PQ_score", "O_score")


def problems(file: JsonlFile, record: Mapping[str, Any], theme: str) -> Iterator[str]:
    """What is wrong with one record of a JSONL file. TypeError where a list or a record is something else."""
    expected = {"id", "prompt"}
    expected |= (
        {"edit_type", "round1_labels", "round1_objects"} if "grounding" in file.name else {"editscore"}
    )
    expected |= {"frame_objects"} if file.name.endswith("_r2") else set()
    expected |= {"frame_indices"} if file.name == "edited_video_score" else set()
    if missing := sorted(expected - set(record)):
        yield f"lacks {', '.join(missing)}"
        return
    if not is_sample_id(record["id"], theme):
        yield f"is no sample id of {theme}"
    if "grounding" in file.name:
        if record["edit_type"] != theme:
            yield f"edit_type {record['edit_type']!r}, should be {theme!r}"
        lists = [record["round1_objects"], *record.get("frame_objects", [])]
        if not all(_is_box(item) for objects in lists for item in objects):
            yield "an object without four numbers 0..1000 (or none) in bbox_2d and a label"
    elif file.name == "edited_video_score":
        if len(record["editscore"]) != len(record["frame_indices"]):
            yield f"{len(record['editscore'])} scores for {len(record['frame_indices'])} frames"
        if not all(_is_score(item, FRAME_SCORES) for item in record["editscore"]):
            yield f"{', '.join(FRAME_SCORES)} should be numbers 0..10"
    elif not _is_score(record["editscore"], SCORES):
        yield f"{', '.join(SCORES)} should be numbers 0..10"


def _is_box(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("label"), str):
        return False
    box = item.get("bbox_2d")
    return isinstance(box, list) and (
        not box
        or (len(box) == 4 and all(isinstance(value, int | float) and 0 <= value <= 1000 for value in box))
    )


def _is_score(item: Any, names: Iterable[str]) -> bool:
    return isinstance(item, dict) and all(
        isinstance(item.get(name), int | float) and 0 <= item[name] <= 10 for name in names
    )
