"""The published tables: their schemas, and the files that hold them."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.clip import CONFIGS
from chdtf.columns import Row, table_from_rows
from chdtf.files import sha256_file
from chdtf.schema import (
    COEFFS,
    FPS,
    NUM_LANDMARKS,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
    SCHEMA_VERSION,
    SPLITS,
    frames_of,
)
from pipelines.account import reason_of

CLIPS_PER_FILE = 1000
ROW_GROUP_BYTES = 16 << 20  # readers hold a row group at a time; the Hub's viewer asks for less than 100 MB
PATHS = ("source", "video", "audio")  # files of the workspace, which is not published
ARRAYS = ("landmarks", "identity", "expression", "rotation", "translation", "scale", "valid")

LANDMARKS = pa.field("landmarks", frames_of(NUM_LANDMARKS * 3))  # (T, 478 * 3) px; NaN where no face was found
_BLOB = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_FEATURES = {
    "clip_id": {"dtype": "string", "_type": "Value"},
    "video": {"_type": "Video"},
    "audio": {"sampling_rate": SAMPLE_RATE_HZ, "_type": "Audio"},
}
_ADDED = pa.schema(
    [
        ("fps", pa.int32()),
        ("sample_rate_hz", pa.int32()),
        ("num_samples", pa.int64()),
        ("video_sha256", pa.string()),
        ("audio_sha256", pa.string()),
    ]
)


def scalar_schema(schema: pa.Schema) -> pa.Schema:
    """Columns of finished rows without arrays, workspace files and outcome: what meta and the rejected rows share."""
    left_out = {*PATHS, *ARRAYS, "clip_id", "error", "reject"}
    return pa.schema([pa.field("clip_id", pa.string()), *(field for field in schema if field.name not in left_out)])


def schemas(schema: pa.Schema) -> dict[str, pa.Schema]:
    """Schema of each published table, from that of the finished rows."""
    version = {"schema_version": str(SCHEMA_VERSION)}
    coeffs = [pa.field("clip_id", pa.string()), pa.field("num_frames", pa.int32()), *COEFFS, LANDMARKS]
    features = json.dumps({"info": {"features": _FEATURES}})
    rejected = [("kind", pa.string()), ("reason", pa.string()), ("detail", pa.string()), *scalar_schema(schema)]
    video = pa.schema([("clip_id", pa.string()), ("video", _BLOB), ("audio", _BLOB)])
    return {
        "meta": pa.schema([*scalar_schema(schema), *_ADDED], metadata=version),
        "coeffs": pa.schema(coeffs, metadata=version),
        "video": video.with_metadata({**version, "huggingface": features}),
        "rejected": pa.schema(rejected, metadata=version),
    }


@dataclasses.dataclass
class _File:
    """One Parquet file in the making; rows are gathered to row groups."""

    path: Path
    schema: pa.Schema
    is_blob: bool
    rows: int = 0

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._pending: list[pa.Table] = []
        self._writer = pq.ParquetWriter(
            self.path,
            self.schema,
            compression="none" if self.is_blob else "zstd",
            use_dictionary=not self.is_blob,
            write_page_index=True,
            write_page_checksum=True,
        )

    def add(self, table: pa.Table) -> None:
        if self._pending and sum(t.nbytes for t in self._pending) + table.nbytes > ROW_GROUP_BYTES:
            self._flush()
        self._pending.append(table)
        self.rows += table.num_rows

    def _flush(self) -> None:
        if self._pending:
            group = pa.concat_tables(self._pending).combine_chunks()
            self._writer.write_table(group, row_group_size=group.num_rows)
            self._pending = []

    def close(self) -> None:
        self._flush()
        self._writer.close()


class Publication:
    """Writes accepted rows to the files of their split, a new file every `CLIPS_PER_FILE` clips."""

    def __init__(self, root: Path, target: Path, schema: pa.Schema) -> None:
        self.root = root  # that the rows' media paths count from
        self.target = target
        self.schemas = schemas(schema)
        self.clips = dict.fromkeys(SPLITS, 0)
        self.finished: dict[str, int] = {}  # rows by file
        self._open: dict[str, list[_File]] = {}

    def add(self, row: Row) -> None:
        """Add one accepted row with its media."""
        split = row["split"]
        if self.clips[split] % CLIPS_PER_FILE == 0:
            self._close(split)
            name = f"{split}-{self.clips[split] // CLIPS_PER_FILE:05d}.parquet"
            self._open[split] = [
                _File(self.target / config / name, self.schemas[config], config == "video") for config in CONFIGS
            ]
        self.clips[split] += 1
        for file, values in zip(self._open[split], self._rows(row), strict=True):
            known = {name: value for name, value in values.items() if name in file.schema.names}
            file.add(table_from_rows([known], file.schema))

    def _rows(self, row: Row) -> tuple[Row, Row, Row]:
        video, audio = (self.root / row[name] for name in ("video", "audio"))
        added = {
            "fps": FPS,
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "num_samples": row["num_frames"] * SAMPLES_PER_FRAME,
            "video_sha256": sha256_file(video),
            "audio_sha256": sha256_file(audio),
        }
        blobs = {
            "clip_id": row["clip_id"],
            "video": {"bytes": video.read_bytes(), "path": f"{row['clip_id']}.mp4"},
            "audio": {"bytes": audio.read_bytes(), "path": f"{row['clip_id']}.flac"},
        }
        return {**row, **added}, row, blobs

    def _close(self, split: str) -> None:
        for file in self._open.pop(split, []):
            file.close()
            self.finished[file.path.relative_to(self.target).as_posix()] = file.rows

    def close(self) -> None:
        """Finish all files."""
        for split in SPLITS:
            self._close(split)


def write_rejected(path: Path, rows: Sequence[Row], schema: pa.Schema) -> None:
    """Write the rows that are in error or rejected, with their reason and whatever scores they got."""
    out = []
    for row in rows:
        words = row["error"] or row["reject"]
        parts = {
            "kind": "failed" if row["error"] else "rejected",
            "reason": reason_of(words),
            "detail": words.partition(":")[2].strip(),
        }
        out.append({name: {**row, **parts}.get(name) for name in schema.names})
    pq.write_table(table_from_rows(out, schema), path, compression="zstd", write_page_index=True)
