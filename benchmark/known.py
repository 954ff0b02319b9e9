"""Values that an earlier run has measured: a metric, a clip or model weights that are added cost only themselves."""

import functools
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.clip_score import SCORES
from chdtf.columns import Row, rows_from_table

MADE_BY = "measured_by"  # in a file's metadata: version of what measured
_INPUTS = ("generated_sha256", "reference_sha256", "audio_sha256", "generation_s", "problem")
_CONFIG = ("normalise", "metric_config")


def known_values(path: Path, version: int) -> "Known":
    """Results per clip that lie at `path`, if that version of the stage measured them; otherwise none."""
    try:
        return _read(path, path.stat().st_mtime_ns, version)
    except (OSError, pa.ArrowException):
        return Known({})


class Known:
    """Results by all that they depend on: contents of the files, what was undone, and the metric with its options."""

    def __init__(self, rows: Mapping[tuple[object, ...], Row]) -> None:
        self._rows = rows

    def find(self, row: Row, normalise: str, metric_config: str) -> Row | None:
        """The columns `SCORES` of an earlier result for the clip of this row, or None."""
        return self._rows.get((*(row.get(name) for name in _INPUTS), normalise, metric_config))


@functools.lru_cache(maxsize=2)
def _read(path: Path, mtime_ns: int, version: int) -> Known:
    made_by = (pq.read_schema(path).metadata or {}).get(MADE_BY.encode())
    if made_by != str(version).encode():
        return Known({})
    names = [*_INPUTS, *SCORES.names, "error"]
    rows = [row for row in rows_from_table(pq.read_table(path, columns=names)) if not row["error"]]
    keyed = {tuple(row[name] for name in (*_INPUTS, *_CONFIG)): row for row in rows}
    return Known({key: {name: row[name] for name in SCORES.names} for key, row in keyed.items()})
