"""Takes clips out of a published folder in place, for a folder whose working files are gone: tables, card, lock."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.clip import CONFIGS, DESCRIPTION
from chdtf.columns import rows_from_table
from chdtf.files import sha256_file, write_text
from pipelines.account import account
from pipelines.publication.card import dataset_card
from pipelines.publication.croissant import croissant
from pipelines.publication.lock import NAME, companion, write_lock
from pipelines.publication.published import description_of, published_rows
from pipelines.publication.tables import TableFile
from pipelines.withdrawal.find import Doomed

_REPORTS = ("report.html", "report")  # they show the clips, and cannot be drawn without the working files
_IDS = ("video_id", "clip_id")
_BATCH_ROWS = 16


def published_counts(root: Path, doomed: Doomed) -> Iterator[tuple[str, int]]:
    """Published tables that hold a doomed row, with how many."""
    names = [
        path.relative_to(root).as_posix() for config in CONFIGS for path in sorted((root / config).glob("*.parquet"))
    ]
    for name in [*names, "rejected.parquet"]:
        if (root / name).is_file():
            columns = [column for column in _IDS if column in pq.read_schema(root / name).names]
            count = sum(map(doomed.holds, pq.read_table(root / name, columns=columns).to_pylist()))
            if count:
                yield name, count


def rewrite_published(root: Path, doomed: Doomed) -> list[str]:
    """Write the tables of `root` again without the doomed rows, then card, Croissant file and lock.

    Returns the names of what was removed whole. Killed in the middle, the next call finishes.
    """
    description = description_of(root)
    schemas = {config: _schema(root, description, config) for config in CONFIGS}
    for name in [*description["rows"], "rejected.parquet"]:
        if (root / name).is_file():
            _rewrite(root / name, root, doomed)
    removed = [name for name in description["rows"] if not (root / name).is_file()]
    for name in _REPORTS:
        if (root / name).exists():
            removed.append(name)
            shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()
    _describe_anew(root, description, schemas)
    return removed


def _schema(root: Path, description: dict[str, Any], config: str) -> pa.Schema:
    names = [name for name in description["rows"] if name.startswith(f"{config}/") and (root / name).is_file()]
    return pq.read_schema(root / names[0]) if names else pa.schema([("clip_id", pa.string())])


def _rewrite(path: Path, root: Path, doomed: Doomed) -> None:
    """Write one table again where it holds a doomed row; an empty one goes, except the rejected rows."""
    with pq.ParquetFile(path) as file:
        names = [name for name in _IDS if name in file.schema_arrow.names]
        gone = sum(map(doomed.holds, file.read(columns=names).to_pylist()))
        if not gone:
            return
        if gone == file.metadata.num_rows and path.parent != root:
            path.unlink()
            return
        temporary = path.with_name(f".tmp-{path.name}")
        table = TableFile(temporary, _without_chunking(file.schema_arrow))
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            rows = rows_from_table(pa.Table.from_batches([batch]))
            table.add([row for row in rows if not doomed.holds(row)])
        table.close()
    temporary.chmod(0o644)
    temporary.replace(path)


def _without_chunking(schema: pa.Schema) -> pa.Schema:
    """The schema without the key that the writer of tables adds itself."""
    kept = {k: v for k, v in (schema.metadata or {}).items() if k not in (b"content_defined_chunking", b"ARROW:schema")}
    return schema.with_metadata(kept)


def _describe_anew(root: Path, description: dict[str, Any], schemas: dict[str, pa.Schema]) -> None:
    rows = {name: pq.read_metadata(root / name).num_rows for name in description["rows"] if (root / name).is_file()}
    description = {**description, "rows": rows, "fingerprint": "purged"}  # the next build publishes anew
    write_text(root / DESCRIPTION, json.dumps(description, indent=2, sort_keys=True) + "\n")
    outcomes = [
        {
            "video_id": row["video_id"],
            "reject": row["reason"] if row.get("kind") == "rejected" else None,
            "error": row["reason"] if row.get("kind") == "failed" else None,
        }
        for row in published_rows(root)
    ]
    counts = account(outcomes)
    meta = [pq.read_table(root / name).replace_schema_metadata(None) for name in rows if name.startswith("meta/")]
    table = pa.concat_tables(meta) if meta else schemas["meta"].remove_metadata().empty_table()
    sha256 = {name: sha256_file(root / name) for name in [*rows, "rejected.parquet"] if (root / name).is_file()}
    described = {**schemas, "rejected": pq.read_schema(root / "rejected.parquet")}
    write_text(root / "README.md", dataset_card(counts, table, described, description))
    if (root / "croissant.json").exists():
        write_text(root / "croissant.json", croissant(described, sha256, rows, table, description))
    kept: dict[str, Any] = {
        name: description[name] for name in ("stages", "manifest", "thresholds") if name in description
    }
    write_lock(root / NAME, published_rows(root), kept)
    more = ["README.md", "croissant.json", NAME, companion(root / NAME).name]
    sha256 |= {name: sha256_file(root / name) for name in more if (root / name).is_file()}
    clips = {
        split: sum(n for name, n in rows.items() if name.startswith(f"meta/{split}-")) for split in description["clips"]
    }
    description |= {"clips": clips, "counts": dataclasses.asdict(counts), "sha256": sha256}
    description["bytes"] = {name: (root / name).stat().st_size for name in sorted(sha256)}
    write_text(root / DESCRIPTION, json.dumps(description, indent=2, sort_keys=True) + "\n")
