"""Publish: finished shards become a dataset folder that `datasets` and `chdtf.clip` read.

`meta`, `coeffs` and `video` hold one row a clip in the same order, split by split; `rejected.parquet` holds every other
row with its reason; `dataset.json` is written last and says that the rest is whole. Thresholds and tombstones are
applied here, to scores that the stages stored, so that other thresholds compute nothing again. The same rows give the
same bytes.
"""

import dataclasses
import hashlib
import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.clip import CONFIGS, DESCRIPTION
from chdtf.columns import Row, rows_from_table
from chdtf.engine.shards import iter_rows, shard_metadata
from chdtf.errors import DiskFullError, UserError, is_disk_full
from chdtf.files import sha256_file, write_text
from chdtf.schema import SCHEMA_VERSION
from chdtf.tombstones import Tombstones
from pipelines.account import Account, account
from pipelines.acquire.availability import availability_rows, write_availability
from pipelines.judging.judge import accepted_rows, finished, judge, num_rows, refused, rows_of, scalar_rows
from pipelines.judging.thresholds import Thresholds
from pipelines.publication.card import dataset_card
from pipelines.publication.croissant import croissant
from pipelines.publication.lock import companion, write_lock
from pipelines.publication.origin import keep_origin
from pipelines.publication.tables import COMPARED, PATHS, Publication, TableFile, rejected_row

__all__ = ["is_published", "publication_fingerprint", "publish", "scalar_rows"]

PUBLISH_VERSION = 2
CARD = "README.md"
REJECTED = "rejected.parquet"
CROISSANT = "croissant.json"
LOCK = "lock.csv"
AVAILABILITY = "availability.csv"


def publication_fingerprint(
    shards: Sequence[Path],
    lost: Sequence[Row],
    thresholds: Thresholds | None = None,
    tombstones: Tombstones | None = None,
) -> str:
    """Hash of what a publication is made of: every finished shard's content, the rows without one, how it is judged."""
    contents = [shard_metadata(path)["content"] for path in shards]
    judged = [_described(thresholds), tombstones.hash if tombstones and tombstones.entries else None]
    failed = [(row["clip_id"], row["error"]) for row in lost]
    text = json.dumps([PUBLISH_VERSION, SCHEMA_VERSION, contents, failed, judged])
    return hashlib.sha256(text.encode()).hexdigest()


def _described(thresholds: Thresholds | None) -> dict[str, Any] | None:
    return None if thresholds is None else dataclasses.asdict(thresholds)


def is_published(root: Path, found: dict[str, Any] | None, fingerprint: str) -> bool:
    """Whether the folder holds this publication, whole."""
    if found is None or found.get("fingerprint") != fingerprint:
        return False
    return all(
        (root / name).is_file() and (root / name).stat().st_size == size for name, size in found["bytes"].items()
    )


def publish(
    root: Path,
    shards: Sequence[Path],
    lost: Sequence[Row],
    schema: pa.Schema,
    settings: dict[str, Any],
    thresholds: Thresholds | None = None,
    tombstones: Tombstones | None = None,
) -> Account:
    """Write the dataset folder; returns the account of all rows.

    `shards` are finished shards below `root`, `lost` the rows (in error) of shards that could not be finished,
    `schema` that of finished rows, `settings` what the card says about how it was made. Without `thresholds` every
    finished row is accepted. Raises `UserError` when a clip's file is missing, `DiskFullError` when there is no room.
    """
    staging = root / "work" / "publishing"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    settings = {**settings, "thresholds": _described(thresholds)}
    try:
        rows = judge(root, finished(shards, lost, schema), shards, thresholds, tombstones)
        counts = account(rows.select(["video_id", "error", "reject"]).to_pylist())
        publication = _write_tables(root, staging, shards, rows, schema)
        sha256 = {**publication.sha256, REJECTED: write_rejected(staging / REJECTED, rows, publication)}
        chosen = accepted_rows(rows)
        write_text(staging / CARD, dataset_card(counts, chosen, publication.schemas, settings))
        described = croissant(publication.schemas, sha256, publication.finished, chosen, settings)
        write_text(staging / CROISSANT, described)
        write_lock(staging / LOCK, _staged_rows(staging, publication), settings)
        write_availability(staging / AVAILABILITY, availability_rows(_sources(rows)))
        more = (CARD, CROISSANT, LOCK, companion(staging / LOCK).name, AVAILABILITY)
        sha256 |= {name: sha256_file(staging / name) for name in more}
        _exchange(root, staging, list(sha256))
        description = {
            "schema_version": SCHEMA_VERSION,
            "fingerprint": publication_fingerprint(shards, lost, thresholds, tombstones),
            **settings,
            "counts": dataclasses.asdict(counts),
            "clips": publication.clips,
            "rows": publication.finished,
            "bytes": {name: (root / name).stat().st_size for name in sorted(sha256)},
            "sha256": sha256,
        }
        keep_origin(root, shards, lost, schema)
        write_text(root / DESCRIPTION, json.dumps(description, indent=2, sort_keys=True) + "\n")
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(root) from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return counts


def _write_tables(root: Path, staging: Path, shards: Sequence[Path], rows: pa.Table, schema: pa.Schema) -> Publication:
    """Write the accepted rows. `rows` holds the lost ones first, then those of the shards in their order."""
    publication = Publication(root, staging, schema)
    wanted = {*PATHS, *(name for table in publication.schemas.values() for name in table.names)}
    columns = [name for name in schema.names if name in wanted]
    sizes = [num_rows(path) for path in shards]
    start = rows.num_rows - sum(sizes)
    for path, size in zip(shards, sizes, strict=True):
        found = rows.slice(start, size).select([*COMPARED.names, "clip_id", "error", "reject"]).to_pylist()
        start += size
        if all(row["error"] or row["reject"] for row in found):
            continue
        for row, judged in zip(iter_rows(path, columns), found, strict=True):
            assert row["clip_id"] == judged["clip_id"]
            if not (judged["error"] or judged["reject"]):
                _add(publication, {**row, **judged}, root)
    publication.close()
    return publication


def _add(publication: Publication, row: Row, root: Path) -> None:
    try:
        publication.add(row)
    except FileNotFoundError as error:
        shards = f"{shlex.quote(str(root / 'work'))}/[0-9]*"
        remedy = f"rm -r {shards} and run the same build command again (downloads that are there are kept)"
        raise UserError(f"{error.filename}: this clip's file is gone; {remedy}") from error


def write_rejected(path: Path, rows: pa.Table, publication: Publication) -> str:
    """Write the rows that are in error or rejected, with reason, scores and files of work/; returns its SHA-256."""
    file = TableFile(path, publication.schemas["rejected"])
    for row in rows_of(refused(rows)):
        file.add([rejected_row(row)])
    return file.close()


def _sources(rows: pa.Table) -> Iterator[Row]:
    """What is known of the sources of all rows."""
    names = {"video_id", "url", "site_id", "source", "error", "reject"} & set(rows.column_names)
    return rows_of(rows.select(sorted(names)))


def _staged_rows(staging: Path, publication: Publication) -> Iterator[Row]:
    """Rows of the new meta files, then the refused ones."""
    for name in [*(name for name in publication.finished if name.startswith("meta/")), REJECTED]:
        with pq.ParquetFile(staging / name) as file:
            for batch in file.iter_batches(batch_size=1000):
                yield from rows_from_table(pa.Table.from_batches([batch]))


def _exchange(root: Path, staging: Path, names: Sequence[str]) -> None:
    """Put the staged files in place of the published ones; without `dataset.json` the folder is not a dataset."""
    (root / DESCRIPTION).unlink(missing_ok=True)
    for config in CONFIGS:
        for old in (root / config).glob("*.parquet"):
            old.unlink()
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (staging / name).replace(root / name)
