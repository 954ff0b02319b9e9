import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disenttalk_ref.audio.chunks import Chunks


@settings(max_examples=50, deadline=None)
@given(count=st.integers(0, 400), length=st.integers(10, 60), data=st.data())
def test_every_row_is_computed_and_rows_on_which_chunks_agree_stay(count: int, length: int, data: st.DataObject):
    overlap = data.draw(st.integers(1, length - 1))
    chunks = Chunks(length, overlap, data.draw(st.integers(0, (overlap - 1) // 2)))
    truth = np.random.default_rng(count).standard_normal((count, 3)).astype(np.float32)
    asked: list[tuple[int, int]] = []

    def compute(first: int, last: int) -> np.ndarray:
        asked.append((first, last))
        return truth[first:last]

    np.testing.assert_allclose(chunks.blend(count, 3, compute), truth, rtol=1e-5, atol=1e-6)
    assert all(last - first <= length for first, last in asked)


def test_from_one_chunk_to_the_next_values_go_in_a_straight_line():
    chunks = Chunks(100, 40, 10)
    found = chunks.blend(160, 1, lambda first, last: np.full((last - first, 1), float(first > 0)))[:, 0]
    assert set(found[:70]) == {0.0}
    assert set(found[90:]) == {1.0}
    np.testing.assert_allclose(np.diff(found[70:90]), 1 / 20, atol=1e-6)


def test_chunks_that_cannot_be_blended_are_refused():
    with pytest.raises(ValueError, match="2 edge < overlap < length"):
        Chunks(100, 40, 20)
