"""The one column table: every value and every media file that an actor may read or add, with its type.

What a reader gets wrong: a media column is not stored in a row or in the journal; the journal records path,
size and digest of the file (`ARTIFACT`), and the base actor turns a name in `reads` into the decoded thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

Keyed = Literal["source", "sample"]

OBJECT = pa.struct([("bbox_2d", pa.list_(pa.int32())), ("label", pa.string())])
"""One grounded object; `bbox_2d` is x1, y1, x2, y2 in 0..1000 of the frame, or empty: not found."""

ARTIFACT = pa.struct(
    [("column", pa.string()), ("path", pa.string()), ("size_bytes", pa.int64()), ("sha256", pa.string())]
)


@dataclass(frozen=True)
class Column:
    """A value that is journaled as it is."""

    name: str
    type: pa.DataType
    about: str


@dataclass(frozen=True)
class MediaColumn:
    """A media file of a source or a sample.

    `folder` is where the release keeps it below the theme: "" for the pair itself, "intermediate_data"
    otherwise.
    """

    name: str
    extension: Literal["mp4", "png", "npz"]
    keyed: Keyed
    folder: Literal["", "intermediate_data"]
    about: str


_VALUES = (
    # identity, known when a sample is planned
    Column("source_id", pa.int64(), "number of the source in the root's register"),
    Column("source_uri", pa.string(), "where the source video was read from"),
    Column("edit_type", pa.string(), "the editing theme: location, season, time, style or openve3m"),
    Column(
        "chosen_keyword", pa.string(), "`subtheme: scene` of the taxonomy; null for a theme with own prompts"
    ),
    Column("given_prompt", pa.string(), "instruction from the source list; null where one is written"),
    Column("licence", pa.string(), "licence of the source as its list states it; null if it does not"),
    Column("reference_edit_uri", pa.string(), "the edit that came with the source (OpenVE-3M), if any"),
    # Ingest
    Column("num_frames", pa.int32(), "frames of the normalised clip, 4n + 1, at most 81"),
    Column("source_sha256", pa.string(), "SHA-256 of the file as it was found"),
    Column("source_size_bytes", pa.int64(), "size of the file as it was found"),
    Column("source_kept", pa.bool_(), "the clip conformed and was kept byte for byte"),
    # stage 1
    Column("camera_step_pct", pa.float64(), "camera motion over a quarter second, % of the diagonal"),
    Column("camera_drift_pct", pa.float64(), "camera motion against frame 0, % of the diagonal"),
    Column("static_camera", pa.bool_(), "the judge's verdict: the camera is fixed"),
    Column("camera_reasoning", pa.string(), "the judge's reasons"),
    # stage 2
    Column("original_scene", pa.string(), "description of the source's first frame"),
    Column("prompt", pa.string(), "the editing instruction"),
    Column("edited_frame0_score", pa.string(), "EditScore record of edited_frame0 (JSON, keys as published)"),
    Column("edited_frame0_overall", pa.float64(), "its `overall`, 0..10"),
    # stage 3
    Column("round1_labels", pa.list_(pa.string()), "labels of the foreground objects"),
    Column("round1_objects", pa.list_(OBJECT), "the objects with boxes on the source's first frame"),
    Column("round1_count", pa.int32(), "number of objects with a box"),
    Column("removal_prompt", pa.string(), "the instruction that erases the objects"),
    Column(
        "edited_frame0_foreground_removed_score", pa.string(), "EditScore record of the erased frame (JSON)"
    ),
    Column("edited_frame0_foreground_removed_overall", pa.float64(), "its `overall`, 0..10"),
    Column(
        "background_dynamics",
        pa.float64(),
        "motion of the background video beyond a global one, 8-bit levels",
    ),
    # stage 4
    Column("frame_objects", pa.list_(pa.list_(OBJECT)), "the objects on every frame sampled at 2 FPS"),
    Column(
        "vote_agreement", pa.float64(), "share of pixels where 80 % of the passes agree, in the dilated union"
    ),
    Column("foreground_share", pa.float64(), "share of all pixels that the mask marks, over the clip"),
    Column(
        "mask_area_step",
        pa.float64(),
        "largest change of the mask's area in one frame, share of its largest area",
    ),
    Column("mask_lost_share", pa.float64(), "share of frames on which the mask is gone after it was there"),
    Column(
        "label_lost_share", pa.float64(), "share of the boxes at 2 FPS in which the mask marks almost nothing"
    ),
    # stage 5
    Column("frame_indices", pa.list_(pa.int32()), "the four frames that are scored"),
    Column(
        "edited_video_score",
        pa.string(),
        "EditScore records of the four frames (JSON list, keys as published)",
    ),
    Column("edited_video_overall", pa.float64(), "mean of their four `O_score`, 0..10"),
)

_MEDIA = (
    MediaColumn("source_video", "mp4", "source", "", "the normalised source clip"),
    MediaColumn("edited_video", "mp4", "sample", "", "the edited clip"),
    MediaColumn("source_frame0", "png", "source", "intermediate_data", "first frame of the source"),
    MediaColumn("edited_frame0", "png", "sample", "intermediate_data", "first frame with the new background"),
    MediaColumn(
        "edited_frame0_foreground_removed", "png", "sample", "intermediate_data", "the clean background image"
    ),
    MediaColumn(
        "edited_background_video", "mp4", "sample", "intermediate_data", "81 frames of pure background"
    ),
    MediaColumn("source_video_mask", "npz", "sample", "intermediate_data", "foreground mask, packed bits"),
    MediaColumn("edited_video_canny", "mp4", "sample", "intermediate_data", "fused edges, the control video"),
)

COLUMNS: dict[str, Column | MediaColumn] = {column.name: column for column in (*_VALUES, *_MEDIA)}
MEDIA: dict[str, MediaColumn] = {column.name: column for column in _MEDIA}
INTERMEDIATES: tuple[str, ...] = tuple(c.name for c in _MEDIA if c.folder == "intermediate_data")
"""The six artifact kinds of the release's `intermediate_data/`, in published order."""


def value_type(name: str) -> pa.DataType:
    """Arrow type of a value column; KeyError for an unknown name or a media column."""
    column = COLUMNS[name]
    if isinstance(column, MediaColumn):
        raise KeyError(f"{name} is a media column, it has no value type")
    return column.type
