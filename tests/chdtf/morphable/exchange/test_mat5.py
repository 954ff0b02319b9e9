"""The reader and writer of MAT-files, against SciPy's."""

import io
import struct

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chdtf.morphable.exchange.mat5 import read_variables, write_variables


@given(
    arrays=st.dictionaries(
        st.sampled_from(["coeff", "a", "a_rather_long_name"]),
        st.one_of(hnp.arrays(np.float32, (3, 4)), hnp.arrays(np.float64, (2, 1)), hnp.arrays(np.float32, (0, 5))),
        min_size=1,
    ),
    packed=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_what_scipy_writes_is_read(arrays: dict[str, np.ndarray], packed: bool):
    stream = io.BytesIO()
    scipy.io.savemat(stream, arrays, do_compression=packed)
    found = read_variables(stream.getvalue())
    assert [variable.name for variable in found] == list(arrays)
    for variable in found:
        assert variable.array is not None
        assert variable.array.dtype == arrays[variable.name].dtype
        assert variable.array.tobytes() == arrays[variable.name].tobytes()


@given(array=hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2)))
@settings(max_examples=30, deadline=None)
def test_scipy_reads_what_is_written(array: np.ndarray):
    found = scipy.io.loadmat(io.BytesIO(write_variables({"coeff": array, "transform_params": array + 1})))
    assert found["coeff"].dtype == np.float32
    assert np.ascontiguousarray(found["coeff"]).tobytes() == array.tobytes()
    assert scipy.io.whosmat(io.BytesIO(write_variables({"x": array}))) == [("x", array.shape, "single")]


def test_whole_numbers_that_matlab_stores_in_bytes_are_doubles():
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"a": np.array([[1.0, 2.0]])})
    data = stream.getvalue()
    stored = struct.pack("<II", 9, 16) + np.array([1.0, 2.0]).tobytes()
    assert data.endswith(stored)
    short = data[: -len(stored)] + struct.pack("<HH2B2x", 2, 2, 1, 2)  # a small element of two unsigned bytes
    short = short.replace(struct.pack("<II", 14, 64), struct.pack("<II", 14, 64 - 16))
    array = read_variables(short)[0].array
    assert np.array_equal(array, scipy.io.loadmat(io.BytesIO(short))["a"])
    assert array is not None
    assert array.dtype == np.float64


def test_other_kinds_are_named_and_not_read():
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"a": np.ones((2, 2)) * 1j, "b": "text", "c": {"d": 1}, "e": np.ones((2, 3), np.int16)})
    found = {variable.name: variable for variable in read_variables(stream.getvalue())}
    assert {name: variable.kind for name, variable in found.items()} == {
        "a": "complex double",
        "b": "char",
        "c": "struct",
        "e": "int16",
    }
    assert found["e"].shape == (2, 3)
    assert all(variable.array is None for variable in found.values())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a MATLAB file"),
        (bytes(200), "not a MATLAB file"),
        (b"MATLAB 7.3 MAT-file".ljust(126) + b"IM", "-v7"),
        (bytes(126) + b"IM" + b"\0" * 5, "ends within"),
        (bytes(126) + b"IM" + struct.pack("<II", 14, 99), "99 bytes, 0 are left"),
        (bytes(126) + b"IM" + struct.pack("<II", 15, 4) + b"abcd", "damaged"),
        (bytes(126) + b"IM" + struct.pack("<II", 9, 8) + bytes(8), "type 9"),
    ],
)
def test_damage_is_said(data: bytes, message: str):
    with pytest.raises(ValueError, match=message):
        read_variables(data)
