"""Speaker-disjoint splits that do not move when a dataset grows."""

import dataclasses
import hashlib
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chdtf.errors import UserError
from chdtf.manifest_row import ManifestRow
from chdtf.schema import MANIFEST, SPLITS


def split_of(speaker_id: str, val_share: float = 0.05, test_share: float = 0.05) -> str:
    """`train`, `val` or `test` by the SHA-256 of the speaker id: the same for all rows of a speaker, now and later.

    The hash's first 64 bits, as a number in [0, 1), fall into [0, test_share), the next `val_share`, or the rest. The
    shares are those of speakers, in expectation. Raises `UserError` for shares that are not such.
    """
    if not (val_share >= 0 and test_share >= 0 and val_share + test_share <= 1):
        shares = f"val_share {val_share} and test_share {test_share}"
        raise UserError(f"{shares} are not shares; give 0 or more, together at most 1")
    digest = hashlib.sha256(speaker_id.encode("utf-8", "surrogatepass")).digest()
    place = (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)  # 53 bits: exact in a double, never 1
    if place < test_share:
        return "test"
    return "val" if place < test_share + val_share else "train"


def splits_of(table: pa.Table, val_share: float = 0.05, test_share: float = 0.05) -> pa.Table:
    """A manifest's table (schema `chdtf.schema.MANIFEST`) with every split filled in, by the rule of `with_splits`.

    Time goes with the number of speakers; a million rows of a million speakers take seconds. Raises `UserError` for
    shares that are not such.
    """
    speakers = pc.dictionary_encode(table.column("speaker_id").combine_chunks())
    codes = speakers.indices.to_numpy(zero_copy_only=False)  # (rows,)
    names = speakers.dictionary.to_pylist()
    of_speaker = np.array([SPLITS.index(split_of(name, val_share, test_share)) for name in names], np.int8)
    stated = pc.index_in(table.column("split"), pa.array(SPLITS)).combine_chunks()
    is_stated = stated.is_valid().to_numpy(zero_copy_only=False)
    of_speaker[codes[is_stated]] = stated.drop_null().to_numpy(zero_copy_only=False)
    filled = pa.array(SPLITS).take(pa.array(of_speaker[codes] if len(codes) else [], pa.int8()))
    return table.set_column(table.column_names.index("split"), MANIFEST.field("split"), filled)


def with_splits(rows: Iterable[ManifestRow], val_share: float = 0.05, test_share: float = 0.05) -> list[ManifestRow]:
    """The rows with every split filled in.

    A split in the manifest wins, for all rows of its speaker, so that a row without one cannot bring the speaker into
    a second split.
    """
    rows = list(rows)
    stated = {row.speaker_id: row.split for row in rows if row.split}
    return [
        dataclasses.replace(row, split=stated.get(row.speaker_id) or split_of(row.speaker_id, val_share, test_share))
        for row in rows
    ]
