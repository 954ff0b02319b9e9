"""`BfmCoefficients`: exact to the bit, and what is refused at the door."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chdtf.errors import UserError
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.layouts import FRAME_LAYOUTS, LAYOUTS, Layout

ANY_FLOAT = st.floats(width=32, allow_nan=False, allow_infinity=False)  # with -0 and subnormal numbers


def any_array(width: int, frames: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float32, (frames, width), elements=ANY_FLOAT, fill=ANY_FLOAT)


@given(data=st.data(), layout=st.sampled_from(FRAME_LAYOUTS), frames=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_an_array_comes_back_bit_by_bit(data: st.DataObject, layout: Layout, frames: int):
    array = data.draw(any_array(layout.width, frames))
    gaps = data.draw(hnp.arrays(bool, frames))
    array[gaps] = np.nan
    found = BfmCoefficients.from_array(array)
    assert np.array_equal(found.valid, ~gaps)
    assert found.to_array(layout.name, gaps="nan").tobytes() == array.tobytes()


def planted(frames: int = 6, width: int = 257) -> np.ndarray:
    return np.random.default_rng(frames).normal(size=(frames, width)).astype(np.float32)


def test_parts_are_the_columns_of_the_table():
    array, transform = planted(), planted(6, 5)
    found = BfmCoefficients.from_array(array, transform_params=transform)
    assert np.array_equal(found.expression, array[:, 80:144])
    assert np.array_equal(
        found.to_array("73"), np.hstack([array[:, 80:144], array[:, 224:227], array[:, 254:], transform[:, 2:]])
    )
    assert np.array_equal(found.to_array("260"), np.hstack([array, transform[:, 2:]]))
    assert np.array_equal(found.to_array("262"), np.hstack([array, transform]))


def test_what_a_layout_lacks_is_refused_by_name():
    motion = BfmCoefficients.from_array(planted(6, 70))
    with pytest.raises(UserError, match="needs identity, texture and gamma"):
        motion.to_array("257")
    with pytest.raises(UserError, match="needs crop"):
        motion.to_array("73")
    filled = motion.with_zero_appearance()
    assert not filled.to_array("257")[:, :80].any()
    assert np.array_equal(filled.to_array("70"), motion.to_array("70"))


def test_a_frame_size_completes_transform_params():
    motion = BfmCoefficients.from_array(planted(6, 73))
    found = motion.with_frame_size((256, 256)).to_array("transform_params")
    assert np.array_equal(found[:, 2:], motion.crop)
    assert (found[:, :2] == 256).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 76), np.float32), r"\(4, 76\), expected \(T, K\) with K one of 64, 70, 73, 257, 260, 262"),
        (np.zeros((4, 2, 64), np.float32), r"\(4, 2, 64\)"),
        (np.zeros((0, 73), np.float32), r"\(0, 73\).*one frame or more"),
        (np.zeros((4, 64), np.int32), "int32, expected float32"),
        (np.zeros((4, 64), np.float16), "float16, expected float32"),
        (np.zeros((4, 64), np.complex64), "complex64, expected float32"),
        (np.full((4, 64), 0.1), r"0\.1 in frame 0, expression\[0\]"),
        (np.full((4, 64), 1e300), r"1e\+300 in frame 0"),
    ],
)
def test_other_arrays_are_refused_with_what_was_expected(array: np.ndarray, message: str):
    with pytest.raises(ValueError, match=message):
        BfmCoefficients.from_array(array)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named_by_frame_and_column(value: float):
    array = planted()
    array[2, 225] = value
    with pytest.raises(ValueError, match=r"in frame 2, column 225 \(angle\[1\]\)"):
        BfmCoefficients.from_array(array)


def test_a_nan_frame_is_a_gap_only_when_both_arrays_say_so():
    array, transform = planted(), planted(6, 5)
    array[1], transform[1] = np.nan, np.nan
    assert BfmCoefficients.from_array(array, transform_params=transform).valid.tolist() == [True, False, *[True] * 4]
    with pytest.raises(ValueError, match="nan in frame 1"):
        BfmCoefficients.from_array(array, transform_params=planted(6, 5))
    with pytest.raises(ValueError, match=r"6 frames of coefficients, but transform_params is \(5, 5\)"):
        BfmCoefficients.from_array(planted(), transform_params=planted(5, 5))


def test_float64_is_read_where_float32_holds_it_and_rounded_only_on_demand():
    array = planted()
    assert np.array_equal(BfmCoefficients.from_array(array.astype(np.float64)).to_array("257"), array)
    wide = array.astype(np.float64) + 1e-12
    with pytest.raises(ValueError, match="--round"):
        BfmCoefficients.from_array(wide)
    assert np.array_equal(BfmCoefficients.from_array(wide, rounded=True).to_array("257"), wide.astype(np.float32))


def test_gaps_are_refused_marked_or_held_as_told():
    array = planted(6, 70)
    array[[0, 3, 4]] = np.nan
    found = BfmCoefficients.from_array(array)
    assert not found.expression[[0, 3, 4]].any()
    with pytest.raises(UserError, match="3 of 6 frames are not valid, frame 0 first"):
        found.to_array("70")
    held = found.to_array("70", gaps="hold")
    assert np.array_equal(held, array[[1, 1, 2, 2, 2, 5]])
    nothing = found.replace(valid=np.zeros(6, bool))
    with pytest.raises(UserError, match="none of 6 frames is valid"):
        nothing.to_array("70", gaps="hold")


def test_inputs_are_neither_changed_nor_shared():
    array, valid = planted(4, 64), np.array([True, False, True, True])
    before = array.copy()
    found = BfmCoefficients(expression=array, valid=valid)
    array[0] = 7
    assert not found.expression[1].any()
    assert np.array_equal(array[1:], before[1:])
    assert np.array_equal(found.expression[0], before[0])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"expression": np.zeros((4, 63))}, r"expression is \(4, 63\), not \(4, 64\)"),
        ({"expression": np.zeros((4, 64)), "angle": np.zeros((3, 3))}, r"4 frames: angle is \(3, 3\), not \(4, 3\)"),
        ({"expression": np.full((4, 64), np.nan)}, r"expression\[0\] of frame 0, which is valid, is nan"),
        ({"expression": np.zeros((4, 64)), "valid": np.ones((0,))}, "one frame or more"),
        (
            {"expression": np.zeros((4, 64)), "transform_params": np.ones((4, 5)), "crop": np.zeros((4, 3))},
            "crop is not",
        ),
        ({"expression": None}, "expression is missing"),
    ],
)
def test_arrays_that_do_not_fit_are_a_programmer_s_mistake(arrays: dict, message: str):
    with pytest.raises(ValueError, match=message):
        BfmCoefficients(**({"valid": np.ones(4, bool)} | arrays))


def test_layouts_that_hold_no_clip_are_refused():
    with pytest.raises(ValueError, match="holds no clip"):
        BfmCoefficients.from_array(np.zeros((4, 5), np.float32), LAYOUTS["transform_params"].name)
