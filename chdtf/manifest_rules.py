"""The rules of a manifest for a whole table at once.

What `find_plain_fault` passes is valid. What it does not pass may still be: its patterns are narrower than the rules of
`chdtf.manifest_row` where Arrow's regular expressions (RE2) cannot state them. The row-by-row code decides then.
"""

import numpy as np
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


def find_conflict(table: pa.Table) -> tuple[int, int, str] | None:
    """The first row that contradicts an earlier one: its index, the earlier one's, and the column; None without.

    `video_id`: the id stands there already. `split`: the speaker's first stated split is another.
    """
    repeated = _first_change(_codes(table.column("video_id")), np.arange(table.num_rows))
    stated = np.flatnonzero(pc.is_valid(table.column("split")).to_numpy())
    speakers = _codes(table.column("speaker_id"))[stated]
    moved = _first_change(speakers, _codes(table.column("split").drop_null()))
    found = []
    if repeated is not None:
        found.append((*repeated, "video_id"))
    if moved is not None:
        found.append((int(stated[moved[0]]), int(stated[moved[1]]), "split"))
    return min(found, key=lambda conflict: conflict[0], default=None)  # an id first where both are wrong


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """Equal numbers for equal values, (rows,)."""
    codes: np.ndarray = pc.dictionary_encode(column.combine_chunks()).indices.to_numpy(zero_copy_only=False)
    return codes


def _first_change(groups: np.ndarray, values: np.ndarray) -> tuple[int, int] | None:
    """The first index whose value differs from that of the first of its group, and the index of that first."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    changed = np.flatnonzero(values != values[first[group]])
    return (int(changed[0]), int(first[group[changed[0]]])) if len(changed) else None


def _all(values: pa.ChunkedArray) -> bool:
    """Whether all values are true; nulls, where a column may be null, are."""
    return bool(pc.all(values, skip_nulls=True, min_count=0).as_py())


def _any(values: pa.ChunkedArray) -> bool:
    return bool(pc.any(values, skip_nulls=True, min_count=0).as_py())
