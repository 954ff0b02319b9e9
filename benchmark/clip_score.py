"""Results per clip and metric: their columns, and how they are read back."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from chdtf.columns import Row, rows_from_table
from chdtf.engine.shards import read_shard
from chdtf.schema import OUTCOME

ITEMS = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),  # what run_shard groups rows by; equal to clip_id
        pa.field("method", pa.string(), nullable=False),
        pa.field("speaker_id", pa.string()),
        pa.field("language", pa.string()),
        pa.field("split", pa.string()),
        *(
            pa.field(f"{role}{suffix}", pa.string())
            for role in ("generated", "reference", "audio")
            for suffix in ("", "_sha256")
        ),  # paths relative to the output folder, and hashes; null where there is no such file
        pa.field("problem", pa.string()),  # why the method made no video; null when it did
        *OUTCOME,
    ]
)

SCORES = pa.schema(
    [
        pa.field("metric", pa.string()),
        pa.field("value", pa.float64()),  # null: not scored; may be infinite
        pa.field("reason", pa.string()),  # why null
        pa.field("values", pa.list_(pa.float64())),  # what `measure` gave, row by row: (T,), (T, C) or whole-clip
        pa.field("values_width", pa.int32()),  # C; 0 for a one-dimensional array
        pa.field("details", pa.string()),  # JSON object of further numbers
        pa.field("num_frames", pa.int32()),
        pa.field("normalised_sha256", pa.string()),
        pa.field("reference_normalised_sha256", pa.string()),
        pa.field("notes", pa.string()),  # what normalisation did to the generated video
        pa.field("metric_config", pa.string()),  # JSON: version, options, weights and packages of the metric
    ]
)


@dataclasses.dataclass(frozen=True)
class ScoreItem:
    """One clip to score. `audio` is the sound that drove the method; without it the video's own track is used.

    `problem` says why there is no generated video: it becomes the reason of every null.
    """

    clip_id: str
    speaker_id: str
    language: str
    split: str
    generated: Path
    reference: Path | None = None
    audio: Path | None = None
    problem: str | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ClipScore:
    """One metric on one clip: `value`, or None with a `reason`; `values` is what the metric's `reduce` takes."""

    method: str
    clip_id: str
    speaker_id: str
    language: str
    split: str
    metric: str
    value: float | None
    reason: str | None
    values: np.ndarray | None
    details: dict[str, float]


def read_scores(path: Path) -> list[ClipScore]:
    """Per-clip results as `score` wrote them. Raises `UserError` when the file is corrupt or of another version."""
    return [clip_score(row) for row in rows_from_table(read_shard(path))]


def clip_score(row: Row) -> ClipScore:
    """A row of the columns `SCORES` as a `ClipScore`."""
    values = row.get("values")
    if values is not None and row["values_width"]:
        values = values.reshape(-1, row["values_width"])
    return ClipScore(
        method=row["method"],
        clip_id=row["clip_id"],
        speaker_id=row["speaker_id"],
        language=row["language"],
        split=row["split"],
        metric=row["metric"],
        value=row.get("value"),
        reason=row.get("reason"),
        values=values,
        details=json.loads(row.get("details") or "{}"),
    )
