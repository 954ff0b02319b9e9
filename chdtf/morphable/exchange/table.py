"""Parquet tables of coefficients: a row for each clip, a column for each part, every value bit by bit.

    clip_id, num_frames, fps, face_model, face_model_hash, fitter, fitter_version, valid (T,), expression (T, 64), ...

What is not known is null. Frames that are not valid are zero.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.columns import Row, parquet_layout, rows_from_table, table_from_rows
from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.clips import FACE_MODEL, BfmClip
from chdtf.morphable.exchange.layouts import EXPRESSION, PARTS
from chdtf.schema import frames_of

TABLE_VERSION = "1"
KIND = "coefficients .parquet"
_VERSION_KEY = b"bfm_table_version"
TABLE = pa.schema(
    [
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("num_frames", pa.int32(), nullable=False),
        pa.field("fps", pa.float64()),
        pa.field("face_model", pa.string(), nullable=False),
        pa.field("face_model_hash", pa.string()),
        pa.field("fitter", pa.string()),
        pa.field("fitter_version", pa.int32()),
        pa.field("valid", pa.list_(pa.bool_()), nullable=False),
        *(pa.field(part.name, frames_of(part.size), nullable=part is not EXPRESSION) for part in PARTS),
    ],
    metadata={_VERSION_KEY.decode(): TABLE_VERSION},
)
_UNREADABLE = (pa.ArrowException, OSError, KeyError, ValueError)


def is_table(schema: pa.Schema) -> bool:
    """Whether a Parquet file is such a table, by its columns."""
    return {"clip_id", "valid", EXPRESSION.name, "angle"} <= set(schema.names)


def write_table(path: Path, clips: Iterable[BfmClip]) -> int:
    """Write clips, one row group each, whole or not at all; the same clips give the same bytes. Returns their number.

    Raises `UserError` if two have the same id, or none is given.
    """
    seen: set[str] = set()
    with atomic_path(path) as temporary:
        with pq.ParquetWriter(temporary, TABLE, compression="zstd", **_layout()) as writer:
            for clip in clips:
                if clip.clip_id in seen:
                    raise UserError(f"{path}: two clips are called {clip.clip_id!r}; rename one")
                seen.add(clip.clip_id)
                writer.write_table(table_from_rows([_row(clip)], TABLE))
        if not seen:
            raise UserError(f"{path}: there is no clip to write")
    return len(seen)


def read_table(path: Path) -> Iterator[BfmClip]:
    """The clips of a table, in order; one at a time is in memory.

    Raises `UserError` for another version, other column types, another face model, or rows that do not fit.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_schema(path, file.schema_arrow)
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                for number in range(table.num_rows):
                    yield _clip(path, rows_from_table(table.slice(number, 1))[0])
    except _UNREADABLE as error:
        raise UserError(f"{path}: not a table of coefficients ({(str(error).splitlines() or ['?'])[0]})") from error


def _layout() -> dict[str, object]:
    return {**parquet_layout(TABLE), "write_page_checksum": True}


def _row(clip: BfmClip) -> Row:
    named = {name: getattr(clip, name) for name in TABLE.names if hasattr(clip, name)}
    frames = {"num_frames": clip.coefficients.num_frames, "valid": clip.coefficients.valid}
    return {**named, **frames, **clip.coefficients.parts}


def _check_schema(path: Path, schema: pa.Schema) -> None:
    version = (schema.metadata or {}).get(_VERSION_KEY, TABLE_VERSION.encode()).decode()
    if version != TABLE_VERSION:
        raise UserError(f"{path}: table version {version}, this program reads {TABLE_VERSION}; convert it again")
    for field in TABLE:
        if field.name not in schema.names:
            raise UserError(f"{path}: has no column {field.name}; expected {', '.join(TABLE.names)}")
        if schema.field(field.name).type != field.type:
            found = schema.field(field.name).type
            raise UserError(f"{path}: column {field.name} is {found}, expected {field.type}")


def _clip(path: Path, row: Row) -> BfmClip:
    if row["face_model"] != FACE_MODEL:
        raise UserError(
            f"{path}: clip {row['clip_id']} is of face model {row['face_model']}, and this format is that of "
            f"{FACE_MODEL}; fit it again with face_model=bfm"
        )
    try:
        parts = {part.name: row[part.name] for part in PARTS}
        found = BfmCoefficients(valid=np.asarray(row["valid"]), **parts)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: clip {row['clip_id']}: {error}") from error
    if row["num_frames"] != found.num_frames:
        raise UserError(f"{path}: clip {row['clip_id']} has {found.num_frames} frames, num_frames {row['num_frames']}")
    about = {name: row[name] for name in ("fps", "face_model_hash", "fitter", "fitter_version")}
    return BfmClip(clip_id=row["clip_id"], coefficients=found, kind=KIND, **about)
