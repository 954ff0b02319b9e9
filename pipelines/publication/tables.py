"""The published tables: their schemas, and the Parquet files that hold them, by the rules of the Hub's viewer.

The rules are those of `datasets` 5 (its arrow_writer.py and config.py): features under the metadata key `huggingface`,
media in PLAIN pages without compression, page index, content-defined chunks, row groups under 100 MB.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.clip import CONFIGS
from chdtf.columns import Row, parquet_layout, parquet_leaves, table_from_rows
from chdtf.schema import (
    COEFFS,
    FPS,
    NUM_LANDMARKS,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
    SCHEMA_VERSION,
    SMOOTH,
    SPLITS,
    frames_of,
)
from pipelines.account import reason_of

CLIPS_PER_FILE = 1000
ROW_GROUP_BYTES = 16 << 20  # readers hold a row group at a time; the Hub's viewer asks for less than 100 MB
CHUNKING = {"min_chunk_size": 256 << 10, "max_chunk_size": 1 << 20, "norm_level": 0}  # as `datasets` does
FRACTIONS = ("crop", "roi", "box")  # the short lists that meta holds; every other list is of frames or of a model
PATHS = {"source": "source_path", "video": "video_path", "audio": "audio_path"}  # files of work/, which stays at home

# no row of `coeffs` has nulls: only clips that went through all stages are in it
LANDMARKS = pa.field("landmarks", frames_of(NUM_LANDMARKS * 3))  # (T, 478 * 3) px; NaN where no face was found
BLOB = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
MEDIA = {"video": {"_type": "Video"}, "audio": {"sampling_rate": SAMPLE_RATE_HZ, "_type": "Audio"}}
COMPARED = pa.schema([("speaker_similarity", pa.float64()), ("duplicate_of", pa.string())])
_ADDED = pa.schema(
    [
        ("fps", pa.int32()),
        ("sample_rate_hz", pa.int32()),
        ("num_samples", pa.int64()),
        ("video_sha256", pa.string()),
        ("audio_sha256", pa.string()),
    ]
)


def is_scalar(field: pa.Field) -> bool:
    """Whether a column of finished rows is small: no array of frames, detections or model outputs."""
    return field.name in FRACTIONS or not pa.types.is_nested(field.type)


def scalar_schema(schema: pa.Schema) -> pa.Schema:
    """Columns of finished rows without arrays, files of work/ and outcome: what meta and the rejected rows share."""
    left_out = {*PATHS, *COMPARED.names, "clip_id", "error", "reject", "file_state"}
    kept = [field.with_nullable(True) for field in schema if is_scalar(field) and field.name not in left_out]
    return pa.schema([pa.field("clip_id", pa.string()), *kept, *COMPARED])


def features(schema: pa.Schema) -> dict[str, Any]:
    """The columns as Hugging Face `datasets` describes them (`Features.to_dict`)."""
    return {field.name: MEDIA.get(field.name) if field.type == BLOB else _feature(field.type) for field in schema}


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        length = {"length": kind.list_size} if pa.types.is_fixed_size_list(kind) else {}
        return {"feature": _feature(kind.value_type), **length, "_type": "List"}
    names = {pa.float64(): "float64", pa.float32(): "float32"}
    return {"dtype": names.get(kind, str(kind)), "_type": "Value"}


def _tagged(fields: Sequence[pa.Field]) -> pa.Schema:
    schema = pa.schema(fields)
    described = json.dumps({"info": {"features": features(schema)}})
    return schema.with_metadata({"schema_version": str(SCHEMA_VERSION), "huggingface": described})


def schemas(schema: pa.Schema) -> dict[str, pa.Schema]:
    """Schema of each published table, from that of the finished rows."""
    name, text = pa.field("clip_id", pa.string()), pa.string()
    coeffs = [schema.field(name) for name in (*COEFFS.names, *SMOOTH.values()) if name in schema.names]
    refused = [pa.field("kind", text), pa.field("reason", text), pa.field("detail", text)]
    paths = [pa.field(path, text) for path in PATHS.values()]
    return {
        "meta": _tagged([*scalar_schema(schema), *_ADDED]),
        "coeffs": _tagged([name, pa.field("num_frames", pa.int32()), *coeffs, LANDMARKS]),
        "video": _tagged([name, pa.field("video", BLOB), pa.field("audio", BLOB)]),
        "rejected": _tagged([*refused, *scalar_schema(schema), *paths]),
    }


def _column_options(schema: pa.Schema) -> dict[str, Any]:
    """How each column is laid out: media as is, float arrays by byte planes (a third smaller), text packed."""
    compression, media = {}, {}
    for field in schema:
        for leaf, _ in parquet_leaves(field.name, field.type):
            compression[leaf] = "none" if field.type == BLOB else "zstd"
            if field.type == BLOB:
                media[leaf] = "PLAIN"
    layout = parquet_layout(pa.schema([field for field in schema if field.type != BLOB]))
    return {**layout, "compression": compression, "column_encoding": {**layout["column_encoding"], **media}}


class _Hashed:
    """A file that is written from start to end, and hashed on the way."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("wb")
        self._digest = hashlib.sha256()

    @property
    def closed(self) -> bool:
        return self._stream.closed

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: Any) -> int:
        self._digest.update(data)
        return self._stream.write(data)

    def tell(self) -> int:
        return self._stream.tell()

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


class TableFile:
    """One published file in the making; tables are gathered to row groups of some `ROW_GROUP_BYTES`."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        # rows with media or arrays are many bytes each; small ones become a table together, which is much faster
        is_heavy = any(field.type == BLOB or field.name == LANDMARKS.name for field in schema)
        self._rows_at_once = 1 if is_heavy else 500
        self._rows: list[Row] = []
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0
        self._file = _Hashed(path)
        self._writer = pq.ParquetWriter(
            self._file,
            schema,
            write_page_index=True,
            write_page_checksum=True,
            use_content_defined_chunking=CHUNKING,
            **_column_options(schema),
        )
        self._writer.add_key_value_metadata({"content_defined_chunking": json.dumps(CHUNKING)})

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows; what they hold beyond the schema is left out."""
        for row in rows:
            self._rows.append({name: row.get(name) for name in self.schema.names})
            self.rows += 1
            if len(self._rows) >= self._rows_at_once:
                self._gather()

    def _gather(self) -> None:
        table = table_from_rows(self._rows, self.schema)
        self._rows = []
        if self._pending and self._pending_bytes + table.nbytes > ROW_GROUP_BYTES:
            self._flush()
        self._pending.append(table)
        self._pending_bytes += table.nbytes

    def _flush(self) -> None:
        if self._pending:
            group = pa.concat_tables(self._pending).combine_chunks()
            self._writer.write_table(group, row_group_size=max(1, group.num_rows))
            self._pending, self._pending_bytes = [], 0

    def close(self) -> str:
        """Finish the file; returns its SHA-256."""
        if self._rows:
            self._gather()
        self._flush()
        self._writer.close()
        self._file.close()
        return self._file.sha256


class Publication:
    """Writes accepted rows to the files of their split, a new file every `CLIPS_PER_FILE` clips."""

    def __init__(self, root: Path, target: Path, schema: pa.Schema) -> None:
        self.root = root  # that the rows' media paths count from
        self.target = target
        self.schemas = schemas(schema)
        self.clips = dict.fromkeys(SPLITS, 0)
        self.finished: dict[str, int] = {}  # rows by file
        self.sha256: dict[str, str] = {}  # by file
        self._open: dict[str, list[TableFile]] = {}

    def add(self, row: Row) -> None:
        """Add one accepted row with its media. Raises `ValueError` when it lacks coefficients: a stage's bug."""
        split = row["split"]
        if self.clips[split] % CLIPS_PER_FILE == 0:
            self._close(split)
            name = f"{split}-{self.clips[split] // CLIPS_PER_FILE:05d}.parquet"
            self._open[split] = [TableFile(self.target / config / name, self.schemas[config]) for config in CONFIGS]
        self.clips[split] += 1
        for file, values in zip(self._open[split], self._rows(row), strict=True):
            file.add([values])

    def _rows(self, row: Row) -> tuple[Row, Row, Row]:
        missing = [name for name in (*COEFFS.names, LANDMARKS.name) if row.get(name) is None]
        if missing:
            raise ValueError(f"clip {row['clip_id']}: accepted without {', '.join(missing)}")
        video, audio = ((self.root / row[name]).read_bytes() for name in ("video", "audio"))
        added = {
            "fps": FPS,
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "num_samples": row["num_frames"] * SAMPLES_PER_FRAME,
            "video_sha256": hashlib.sha256(video).hexdigest(),
            "audio_sha256": hashlib.sha256(audio).hexdigest(),
        }
        blobs = {
            "clip_id": row["clip_id"],
            "video": {"bytes": video, "path": f"{row['clip_id']}.mp4"},
            "audio": {"bytes": audio, "path": f"{row['clip_id']}.flac"},
        }
        return {**row, **added}, row, blobs

    def _close(self, split: str) -> None:
        for file in self._open.pop(split, []):
            name = file.path.relative_to(self.target).as_posix()
            self.sha256[name] = file.close()
            self.finished[name] = file.rows

    def close(self) -> None:
        """Finish all files."""
        for split in SPLITS:
            self._close(split)


def rejected_row(row: Row) -> Row:
    """A row in error or rejected as rejected.parquet holds it: its reason in parts, its scores, its files of work/."""
    words = row["error"] or row["reject"]
    parts = {
        "kind": "failed" if row["error"] else "rejected",
        "reason": reason_of(words),
        "detail": words.partition(":")[2].strip(),
    }
    return {**row, **parts, **{path: row.get(name) for name, path in PATHS.items()}}
