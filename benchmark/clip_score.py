"""Results per clip and metric: their columns, and how they are read back.

`scores/<method>.parquet` holds a row per clip and metric. Its metadata names the version of this layout,
`scores_version`; files of every version up to the present one can be read, whatever the version of the datasets.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.columns import Row, rows_from_table
from chdtf.errors import UserError
from chdtf.schema import OUTCOME

SCORES_VERSION = 1  # raised when a column changes its meaning; a new column that may be null does not raise it

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
        pa.field("generation_s", pa.float64()),  # how long the method took over the clip; null: not known
        pa.field("problem", pa.string()),  # why the method made no video; null when it did
        *OUTCOME,
    ]
)

SCORES = pa.schema(
    [
        pa.field("metric", pa.string()),
        pa.field("value", pa.float64()),  # null: not scored, or the metric has values of sets only; may be infinite
        pa.field("reason", pa.string()),  # why it was not scored
        pa.field("values", pa.list_(pa.float64())),  # what `measure` gave, row by row: (T,), (T, C) or whole-clip
        pa.field("values_width", pa.int32()),  # C; 0 for a one-dimensional array
        pa.field("details", pa.string()),  # JSON object of further numbers
        pa.field("num_frames", pa.int32()),
        pa.field("normalised_sha256", pa.string()),
        pa.field("reference_normalised_sha256", pa.string()),
        pa.field("geometry", pa.string()),  # of the frames that were measured: `benchmark.metric.GEOMETRIES`
        pa.field("notes", pa.string()),  # what normalisation did to the generated video
        pa.field("normalise", pa.string()),  # JSON: what normalisation was told to undo
        pa.field("metric_config", pa.string()),  # JSON: version, options, weights and packages of the metric
        # of `measure`; what metrics share counts for the first. The one column that differs between equal runs, and
        # that the file's `fingerprint` leaves out
        pa.field("seconds", pa.float64()),
    ]
)
TIMINGS = ("seconds",)


@dataclasses.dataclass(frozen=True)
class ScoreItem:
    """One clip to score. `audio` is the sound that drove the method; without it the video's own track is used.

    `problem` says why there is no generated video: it becomes the reason of every null. `generation_s` is how long the
    method took to make it.
    """

    clip_id: str
    speaker_id: str
    language: str
    split: str
    generated: Path
    reference: Path | None = None
    audio: Path | None = None
    problem: str | None = None
    generation_s: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class ClipScore:
    """One metric on one clip: `value`, or None with a `reason`; `values` is what the metric's `reduce` takes.

    Both are None and `values` is not where the metric has values of sets only.
    """

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
    metric_config: str = "{}"  # JSON, see `SCORES`
    seconds: float | None = None
    geometry: str | None = None
    notes: str = ""
    generated: str | None = None  # path relative to the folder scores/<method> beside the file of that name
    reference: str | None = None  # likewise
    reference_sha256: str | None = None


def read_scores(path: Path) -> list[ClipScore]:
    """Per-clip results as `score` wrote them, of this layout's version or an earlier one.

    Raises `UserError` when the file is missing, corrupt, no such table, or of a later version.
    """
    try:
        schema = pq.read_schema(path)
        found = (schema.metadata or {}).get(b"scores_version", b"1").decode()
        if not found.isdigit() or int(found) > SCORES_VERSION:
            raise UserError(
                f"{path}: scores of layout version {found}, this program reads up to {SCORES_VERSION}; update it, or "
                "score the videos again into another folder"
            )
        if missing := {"clip_id", "method", "metric", "value", "reason", "values", "values_width"} - set(schema.names):
            raise UserError(f"{path}: no scores per clip (no column {', '.join(sorted(missing))})")
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a readable table of scores ({why}); score the videos again") from error
    return [clip_score(row) for row in rows_from_table(table)]


def clip_score(row: Row) -> ClipScore:
    """A row of the columns `ITEMS` and `SCORES` as a `ClipScore`; columns that an older file lacks count as null."""
    values = row.get("values")
    if values is not None and row["values_width"]:
        values = values.reshape(-1, row["values_width"])
    return ClipScore(
        method=row["method"],
        clip_id=row["clip_id"],
        speaker_id=row.get("speaker_id") or "",
        language=row.get("language") or "",
        split=row.get("split") or "",
        metric=row["metric"],
        value=row.get("value"),
        reason=row.get("reason"),
        values=values,
        details=json.loads(row.get("details") or "{}"),
        metric_config=row.get("metric_config") or "{}",
        seconds=row.get("seconds"),
        geometry=row.get("geometry"),
        notes=row.get("notes") or "",
        generated=row.get("generated"),
        reference=row.get("reference"),
        reference_sha256=row.get("reference_sha256"),
    )
