"""Columns and units of every table, and the version that readers check.

Axis names: T frames, S samples, K coefficients, L landmarks. Pixels are pixels of the 256x256 clip unless a name says
otherwise; boxes are fractions of the source frame.
"""

from pathlib import Path

import pyarrow as pa

from chdtf.errors import UserError

SCHEMA_VERSION = 2

# A column that may be null is never a fixed-size list: PyArrow writes such nulls to Parquet and cannot read them back.

FPS = 25
SAMPLE_RATE_HZ = 16_000
SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // FPS  # 640
FRAME_SIZE_PX = 256
NUM_VERTICES = 468
NUM_LANDMARKS = 478  # 468 mesh vertices and 2 x 5 iris points
NUM_EXPRESSION = 64  # N of the paper

SPLITS = ("train", "val", "test")

MANIFEST = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("start_s", pa.float64()),  # null: from the beginning
        pa.field("end_s", pa.float64()),  # null: to the end
        pa.field("speaker_id", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),  # BCP 47, "und" when unknown
        pa.field("license", pa.string(), nullable=False),
        pa.field("split", pa.string()),  # null: by hash of the speaker
        pa.field("crop", pa.list_(pa.float64())),  # x0, y0, x1, y1 as fractions of the frame; null: track the face
        pa.field("sha256", pa.string()),
    ]
)

OUTCOME = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("error", pa.string()),  # may pass: the next run tries again
        pa.field("reject", pa.string()),  # a decision, with a short stable word first
    ]
)


def frames_of(width: int, value: pa.DataType | None = None) -> pa.DataType:
    """Type of a (T, width) array column: a list of T fixed-size lists, float32 unless said otherwise."""
    return pa.list_(pa.list_(value or pa.float32(), width))


def coeffs_schema(num_expression: int, smoothed: bool = False) -> pa.Schema:
    """Columns of fitted coefficients, for a face model of K expression dimensions.

    With `smoothed` also those that temporal smoothing makes; the raw ones are always there.
    """
    expression = frames_of(num_expression)
    raw = [
        pa.field("face_model", pa.string()),
        pa.field("face_model_hash", pa.string()),
        pa.field("fitter", pa.string()),
        pa.field("fitter_version", pa.int32()),
        pa.field("identity", pa.list_(pa.float32())),  # (V * 3,) mean face in model units, or (I,) coefficients
        pa.field("expression", expression),  # (T, K), mp468: in standard deviations of the basis
        pa.field("rotation", frames_of(3)),  # (T, 3) rotation vector, radians
        pa.field("translation", frames_of(3)),  # (T, 3) px
        pa.field("scale", pa.list_(pa.float32())),  # (T,) px per model unit
        pa.field("valid", pa.list_(pa.bool_())),  # (T,) false where the face was not found; values there are 0
        pa.field("fit_error_px", pa.float32()),  # mean distance of fitted and tracked landmarks, x and y
    ]
    smooth = [field.with_name(SMOOTH[field.name]) for field in raw if smoothed and field.name in SMOOTH]
    return pa.schema([*raw, *smooth])


SMOOTH = {name: f"smooth_{name}" for name in ("expression", "rotation", "translation", "scale")}
COEFFS = coeffs_schema(NUM_EXPRESSION)


def check_version(found: object, where: Path, rebuild: str) -> None:
    """Raise `UserError` unless data at `where` was made by this schema version; `rebuild` is the command to run."""
    if str(found) != str(SCHEMA_VERSION):
        raise UserError(
            f"{where}: made by schema version {found}, this version reads {SCHEMA_VERSION}; rebuild it with: {rebuild}"
        )
