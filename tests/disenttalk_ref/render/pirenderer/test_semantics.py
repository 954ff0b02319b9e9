"""What drives the network: columns, gaps, windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import load_model
from disenttalk_ref.render.pirenderer.semantics import FIT, held, padded, semantics_of, width_of, window


def moving(frames: int = 4) -> Coefficients:
    rng = np.random.default_rng(0)
    return Coefficients(
        identity=load_model("mp468").mean,
        expression=rng.standard_normal((frames, 64)),
        rotation=rng.standard_normal((frames, 3)) * 0.1,
        translation=np.tile([[192.0, 64.0, 5.0]], (frames, 1)),
        scale=np.full(frames, 64 * np.e),
        valid=np.ones(frames, bool),
    )


def test_columns_of_a_fit():
    coefficients, model = moving(), load_model("mp468")
    found = semantics_of(coefficients, model, FIT)
    assert found.shape == (4, width_of(FIT, model)) == (4, 70)
    np.testing.assert_array_equal(found[:, :64], coefficients.expression)
    np.testing.assert_array_equal(found[:, 64:67], coefficients.rotation)
    np.testing.assert_allclose(found[:, 67:], np.tile([0.5, -0.5, 1.0], (4, 1)), atol=1e-6)


def test_coefficients_of_another_face_model_are_refused_in_a_line():
    other = moving().replace(identity=np.zeros(80, np.float32))
    with pytest.raises(UserError, match=r"identity of \(80,\) and 64 .* face model mp468 .*drive it with .* mp468"):
        semantics_of(other, load_model("mp468"), FIT)


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_gaps_hold_the_frame_before(valid: list[bool]):
    rows = np.arange(1, len(valid) + 1, dtype=np.float32)[:, None]
    last, wanted = 0.0, []
    for row, good in zip(rows[:, 0], valid, strict=True):
        last = row if good else last
        wanted.append(last)
    np.testing.assert_array_equal(held(rows, np.array(valid), np.zeros(1, np.float32))[:, 0], wanted)


@given(st.integers(1, 40), st.integers(0, 39))
def test_a_window_is_a_piece_of_the_padded_clip(frames: int, frame: int):
    series = np.random.default_rng(frames).standard_normal((frames, 3)).astype(np.float32)
    frame %= frames
    np.testing.assert_array_equal(window(series, frame, 13), padded(series, 13)[0, :, frame : frame + 27].numpy())
