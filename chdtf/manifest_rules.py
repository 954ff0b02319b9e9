"""The rules of a manifest for a whole table at once.

What `find_plain_fault` passes is valid. What it does not pass may still be: its patterns are narrower than the rules of
`chdtf.manifest_row` where Arrow's regular expressions (RE2) cannot state them. The row-by-row code decides then.
"""

import pyarrow as pa
import pyarrow.compute as pc

from chdtf.manifest_row import REQUIRED
from chdtf.schema import SPLITS

_HOST = r"[A-Za-z0-9][A-Za-z0-9.-]*(:[1-9][0-9]{0,3})?"
_PATTERNS = {
    "video_id": r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,127}\z",
    "url": rf"\A(https?://{_HOST}([/?#][^ ]*)?|file:(/|///)?[^/].*)\z",
    "language": r"\A([A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*|x(-[A-Za-z0-9]{1,8})+)\z",
    "speaker_id": r"[\pL\pN\pP\pS]",
    "license": r"[\pL\pN\pP\pS]",
}
_UNPRINTABLE = r"[\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}]"


def find_plain_fault(table: pa.Table) -> str | None:
    """The first column that is not plainly valid in itself, in a table with the schema `chdtf.schema.MANIFEST`."""
    for name in REQUIRED:
        column = table.column(name)
        if column.null_count or not _all(pc.match_substring_regex(column, _PATTERNS[name])):
            return name
        if _any(pc.match_substring_regex(column, _UNPRINTABLE)):
            return name
    if _any(pc.match_substring(table.column("url"), "%00")):
        return "url"
    return _optional_fault(table)


def _optional_fault(table: pa.Table) -> str | None:
    start_s, end_s = table.column("start_s"), table.column("end_s")
    for name, seconds in (("start_s", start_s), ("end_s", end_s)):
        if not _all(pc.and_(pc.is_finite(seconds), pc.greater_equal(seconds, 0.0))):
            return name
    if not _all(pc.greater(end_s, pc.fill_null(start_s, 0.0))):
        return "end_s"
    if not _all(pc.is_in(table.column("split").drop_null(), value_set=pa.array(SPLITS))):
        return "split"
    if not _all(pc.match_substring_regex(table.column("sha256"), r"\A[0-9A-Fa-f]{64}\z")):
        return "sha256"
    return None if _are_boxes(table.column("crop").drop_null()) else "crop"


def _are_boxes(crops: pa.ChunkedArray) -> bool:
    if not len(crops):
        return True
    if not _all(pc.equal(pc.list_value_length(crops), 4)) or pc.list_flatten(crops).null_count:
        return False
    x0, y0, x1, y1 = (pc.list_element(crops, i) for i in range(4))
    inside = [pc.less_equal(0.0, x0), pc.less(x0, x1), pc.less_equal(x1, 1.0)]
    inside += [pc.less_equal(0.0, y0), pc.less(y0, y1), pc.less_equal(y1, 1.0)]
    return all(map(_all, inside))


def has_repeated_ids(table: pa.Table) -> bool:
    """Whether two rows have the same `video_id`."""
    return bool(pc.count_distinct(table.column("video_id")).as_py() < table.num_rows)


def has_speaker_in_two_splits(table: pa.Table) -> bool:
    """Whether the table states two splits for one speaker."""
    stated = table.select(["speaker_id", "split"]).filter(pc.is_valid(table.column("split")))
    pairs = stated.group_by(["speaker_id", "split"]).aggregate([]).num_rows
    return bool(pc.count_distinct(stated.column("speaker_id")).as_py() < pairs)


def _all(values: pa.ChunkedArray) -> bool:
    """Whether all values are true; nulls, where a column may be null, are."""
    return bool(pc.all(values, skip_nulls=True, min_count=0).as_py())


def _any(values: pa.ChunkedArray) -> bool:
    return bool(pc.any(values, skip_nulls=True, min_count=0).as_py())
