"""Rows of a published folder: the accepted ones of `meta`, the others of `rejected.parquet`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chdtf.clip import read_description
from chdtf.columns import Row, rows_from_table
from chdtf.errors import UserError
from chdtf.schema import FPS
from pipelines.publication.lock import Lock
from pipelines.publication.lock_row import lock_row

_BATCH_ROWS = 1000


def description_of(root: Path) -> dict[str, Any]:
    """`dataset.json` of a folder. Raises `UserError` when the folder holds no dataset."""
    found = read_description(root) if root.is_dir() else None
    if found is None:
        raise UserError(f"{root}: holds no published dataset; build one with: disentbench build --out {root}")
    return found


def published_rows(root: Path) -> Iterator[Row]:
    """Rows of `meta`, split by split as published, then the refused ones with `kind`, `reason` and `detail`.

    Some hundred rows are in memory at a time. Raises `UserError` when the folder holds no dataset or a corrupt one.
    """
    for name in sorted(file for file in description_of(root)["rows"] if file.startswith("meta/")):
        yield from _rows(root / name)
    if (root / "rejected.parquet").is_file():
        yield from _rows(root / "rejected.parquet")


def published_seconds(root: Path) -> float:
    """Length of all published clips, in seconds; 0 where nothing is published."""
    paths = sorted((root / "meta").glob("*.parquet"))
    frames = (pc.sum(pq.read_table(path, columns=["num_frames"])["num_frames"]).as_py() for path in paths)
    return sum(count or 0 for count in frames) / FPS


def _rows(path: Path) -> Iterator[Row]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                yield from rows_from_table(pa.Table.from_batches([batch]))
    except (pa.ArrowException, OSError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not readable ({why}); build the dataset again") from error


def published_lock(root: Path) -> Lock:
    """The lock of a dataset, made from its tables."""
    description = description_of(root)
    settings: dict[str, Any] = {
        name: description[name] for name in ("stages", "manifest", "fingerprint") if name in description
    }
    return Lock(root, tuple(lock_row(row) for row in published_rows(root)), settings)
