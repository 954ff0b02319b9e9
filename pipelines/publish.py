"""Publish: finished shards become a dataset folder that `datasets` and `chdtf.clip` read.

`meta`, `coeffs` and `video` hold one row a clip in the same order, split by split; `rejected.parquet` holds every other
row with its reason; `dataset.json` is written last and says that the rest is whole. The same rows give the same bytes.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chdtf.clip import CONFIGS, DESCRIPTION
from chdtf.columns import Row, rows_from_table
from chdtf.errors import DiskFullError, UserError, is_disk_full
from chdtf.files import write_text
from chdtf.schema import SCHEMA_VERSION
from chdtf.shards import read_shard, shard_metadata
from pipelines.account import Account, account
from pipelines.card import dataset_card
from pipelines.tables import ARRAYS, Publication, write_rejected

PUBLISH_VERSION = 1
CARD = "README.md"
REJECTED = "rejected.parquet"


def scalar_rows(path: Path) -> list[Row]:
    """Rows of a finished shard without their arrays."""
    names = [field.name for field in pq.read_schema(path) if field.name not in ARRAYS]
    return rows_from_table(read_shard(path, names))


def publication_fingerprint(shards: Sequence[Path], lost: Sequence[Row]) -> str:
    """Hash of what a publication is made of: the content of every finished shard, and the rows without one."""
    contents = [shard_metadata(path)["content"] for path in shards]
    text = json.dumps([PUBLISH_VERSION, SCHEMA_VERSION, contents, [(row["clip_id"], row["error"]) for row in lost]])
    return hashlib.sha256(text.encode()).hexdigest()


def is_published(root: Path, found: dict[str, Any] | None, fingerprint: str) -> bool:
    """Whether the folder holds this publication, whole."""
    if found is None or found.get("fingerprint") != fingerprint:
        return False
    return all(
        (root / name).is_file() and (root / name).stat().st_size == size for name, size in found["bytes"].items()
    )


def publish(
    root: Path, shards: Sequence[Path], lost: Sequence[Row], schema: pa.Schema, settings: dict[str, Any]
) -> Account:
    """Write the dataset folder; returns the account of all rows.

    `shards` are finished shards below `root`, `lost` the rows (in error) of shards that could not be finished,
    `schema` that of finished rows, `settings` what the card says about how it was made. Raises `UserError` when a
    clip's file is missing, `DiskFullError` when there is no room.
    """
    staging = root / "work" / "publishing"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        publication, outcomes = _write_tables(root, staging, shards, lost, schema)
        counts = account(outcomes)
        accepted = [row for row in outcomes if not (row["error"] or row["reject"])]
        write_text(staging / CARD, dataset_card(counts, accepted, publication.schemas, settings))
        _exchange(root, staging, [*publication.finished, REJECTED, CARD])
        description = {
            "schema_version": SCHEMA_VERSION,
            "fingerprint": publication_fingerprint(shards, lost),
            **settings,
            "counts": dataclasses.asdict(counts),
            "clips": publication.clips,
            "rows": publication.finished,
            "bytes": {name: (root / name).stat().st_size for name in sorted([*publication.finished, REJECTED, CARD])},
        }
        write_text(root / DESCRIPTION, json.dumps(description, indent=2, sort_keys=True) + "\n")
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(f"{root}: no space left; free some and run the same command again") from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return counts


def _write_tables(
    root: Path, staging: Path, shards: Sequence[Path], lost: Sequence[Row], schema: pa.Schema
) -> tuple[Publication, list[Row]]:
    publication = Publication(root, staging, schema)
    outcomes: list[Row] = [*lost]
    for path in shards:
        outcomes += scalar_rows(path)
        for row in rows_from_table(read_shard(path)):
            if row["error"] or row["reject"]:
                continue
            try:
                publication.add(row)
            except FileNotFoundError as error:
                remedy = f"rm -r {root / 'work'} and run the same command again"
                raise UserError(f"{error.filename}: this clip's file is gone; {remedy}") from error
    publication.close()
    refused = [row for row in outcomes if row["error"] or row["reject"]]
    write_rejected(staging / REJECTED, refused, publication.schemas["rejected"])
    return publication, outcomes


def _exchange(root: Path, staging: Path, names: Sequence[str]) -> None:
    """Put the staged files in place of the published ones; without `dataset.json` the folder is not a dataset."""
    (root / DESCRIPTION).unlink(missing_ok=True)
    for config in CONFIGS:
        for old in (root / config).glob("*.parquet"):
            old.unlink()
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (staging / name).replace(root / name)
