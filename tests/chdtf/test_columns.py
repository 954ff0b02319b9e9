"""chdtf.columns: rows come back from a table as they went in."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chdtf.columns import rows_from_table, table_from_rows
from chdtf.schema import frames_of

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("count", pa.int32()),
        ("score", pa.float64()),
        ("box", pa.list_(pa.float64())),
        ("face", pa.list_(pa.float32(), 6)),
        ("valid", pa.list_(pa.bool_())),
        ("motion", frames_of(3)),
    ]
)
FLOATS = {"allow_nan": True, "width": 32}


def _optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _rows() -> st.SearchStrategy[dict[str, Any]]:
    frames = st.integers(0, 5)
    return st.fixed_dictionaries(
        {
            "name": _optional(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
            "count": _optional(st.integers(-(2**31), 2**31 - 1)),
            "score": _optional(st.floats(allow_nan=False)),
            "box": _optional(hnp.arrays(np.float64, frames, elements=st.floats(allow_nan=False))),
            "face": _optional(hnp.arrays(np.float32, 6, elements=st.floats(**FLOATS))),
            "valid": _optional(hnp.arrays(np.bool_, frames)),
            "motion": _optional(frames.flatmap(lambda t: hnp.arrays(np.float32, (t, 3), elements=st.floats(**FLOATS)))),
        }
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(_rows(), max_size=6))
def test_rows_come_back_equal(rows: list[dict[str, Any]]) -> None:
    back = rows_from_table(table_from_rows(rows, SCHEMA))
    assert len(back) == len(rows)
    for before, after in zip(rows, back, strict=True):
        assert list(after) == SCHEMA.names
        for name in SCHEMA.names:
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_a_missing_column_is_null_and_an_unknown_one_an_error() -> None:
    assert rows_from_table(table_from_rows([{"name": "a"}], SCHEMA))[0]["motion"] is None
    with pytest.raises(ValueError, match="colour"):
        table_from_rows([{"colour": 1}], SCHEMA)


def test_an_array_of_the_wrong_width_is_an_error() -> None:
    with pytest.raises(ValueError, match="5"):
        table_from_rows([{"face": np.zeros(5)}], SCHEMA)
