"""What a manifest holds, and what in it is probably a mistake though it is valid."""

import dataclasses
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chdtf.folder import local_path
from chdtf.splits import splits_of
from chdtf.youtube import YOUTUBE_ID

_EXAMPLES = 3


@dataclasses.dataclass(frozen=True)
class ManifestSummary:
    """Counts over a manifest. `hours` is of the rows whose end is stated, `num_timed` of them; the rest is unknown."""

    num_rows: int
    num_speakers: int
    num_timed: int
    hours: float
    num_local: int
    num_crops: int
    languages: dict[str, int]
    licenses: dict[str, int]
    splits: dict[str, int]  # after filling in those that follow the speaker


def summarise(table: pa.Table) -> ManifestSummary:
    """The counts of a table with the schema `chdtf.schema.MANIFEST`."""
    end_s = table.column("end_s")
    timed = pc.subtract(end_s, pc.fill_null(table.column("start_s"), 0.0))
    return ManifestSummary(
        num_rows=table.num_rows,
        num_speakers=pc.count_distinct(table.column("speaker_id")).as_py(),
        num_timed=len(timed) - timed.null_count,
        hours=(pc.sum(timed).as_py() or 0.0) / 3600,
        num_local=pc.sum(_is_local(table)).as_py() or 0,
        num_crops=table.num_rows - table.column("crop").null_count,
        languages=_counts(table.column("language")),
        licenses=_counts(table.column("license")),
        splits=_counts(splits_of(table).column("split")),
    )


def warnings(table: pa.Table, manifest: Path) -> list[str]:
    """Likely mistakes, one line each with a count and the first cases: nothing that reading would refuse."""
    found = [_overlaps(table), _speakers_by_case(table), _missing_files(table, manifest)]
    return [warning for warning in found if warning is not None]


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """Value -> number of rows, the most frequent first."""
    pairs = [(pair["values"], pair["counts"]) for pair in pc.value_counts(column).to_pylist()]
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def _is_local(table: pa.Table) -> pa.ChunkedArray:
    return pc.starts_with(table.column("url"), "file:", ignore_case=True)


def _overlaps(table: pa.Table) -> str | None:
    """Rows of one source whose intervals overlap: the same seconds would be in the dataset twice."""
    link = rf"\Ahttps?://(www\.|m\.)?(youtube\.com/watch\?(.*&)?v=|youtu\.be/)({YOUTUBE_ID})([&?#].*)?\z"
    sources = pc.replace_substring_regex(table.column("url"), link, r"\4")
    sources = pc.dictionary_encode(sources.combine_chunks()).indices.to_numpy(zero_copy_only=False)
    start_s = pc.fill_null(table.column("start_s"), 0.0).to_numpy()
    end_s = pc.fill_null(table.column("end_s"), np.inf).to_numpy()
    order = np.lexsort((start_s, sources))
    sources, start_s, end_s = sources[order], start_s[order], end_s[order]
    # running maximum of the ends within a source: neighbours do not suffice where one interval holds several
    latest = _running_maximum(end_s, sources)
    hits = np.flatnonzero((sources[1:] == sources[:-1]) & (start_s[1:] < latest[:-1])) + 1
    if not len(hits):
        return None
    ids = table.column("video_id").take(pa.array(order[hits[:_EXAMPLES]])).to_pylist()
    return f"{len(hits)} rows overlap an earlier interval of the same source: {_listed(ids, len(hits))}"


def _running_maximum(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Largest value so far within each run of equal groups, (rows,) -> (rows,)."""
    rank = np.empty(len(values), np.int64)
    distinct, rank = np.unique(values, return_inverse=True)
    width = len(distinct) + 1
    highest = np.maximum.accumulate(np.cumsum(np.r_[0, groups[1:] != groups[:-1]]) * width + rank)
    running: np.ndarray = distinct[highest % width]
    return running


def _speakers_by_case(table: pa.Table) -> str | None:
    """Speakers that differ in upper and lower case only; splits would take them for different people."""
    spellings = defaultdict(list)
    for name in pc.unique(table.column("speaker_id")).to_pylist():
        spellings[name.casefold()].append(name)
    several = [" and ".join(map(repr, names)) for names in spellings.values() if len(names) > 1]
    if not several:
        return None
    return f"{len(several)} speakers are spelled in several ways: {_listed(several, len(several))}"


def _missing_files(table: pa.Table, manifest: Path) -> str | None:
    urls = table.column("url").filter(_is_local(table)).to_pylist()
    missing = [url for url in urls if not local_path(url, manifest.parent).is_file()]
    if not missing:
        return None
    return f"{len(missing)} of {len(urls)} local files are not there: {_listed(missing[:_EXAMPLES], len(missing))}"


def _listed(examples: list[str], count: int) -> str:
    text = ", ".join(examples[:_EXAMPLES])
    return text if count <= _EXAMPLES else f"{text}, ..."
