from pathlib import Path

import numpy as np
import pytest
import scipy.io

from chdtf.morphable.models.bfm_mat import variables_of

KINDS = ("float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def stored(path: Path, compressed: bool) -> dict[str, object]:
    """A file with numbers of every type, and with what is not read."""
    rng = np.random.default_rng(0)
    arrays: dict[str, object] = {kind: rng.integers(0, 100, (7, 3)).astype(kind) for kind in KINDS}
    arrays |= {"x": np.array([[2.5]]), "text": "hello", "cells": np.array([1, "a"], object), "turn": np.array([[1j]])}
    scipy.io.savemat(path, arrays, do_compression=compressed)
    return arrays


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_of_every_type_are_those_that_scipy_reads(tmp_path: Path, compressed: bool):
    path = tmp_path / "all.mat"
    arrays = stored(path, compressed)
    found, wanted = variables_of(path), scipy.io.loadmat(path)
    assert list(found) == list(arrays)
    for name in (*KINDS, "x"):
        assert found[name].is_numeric
        assert found[name].shape == wanted[name].shape
        np.testing.assert_array_equal(found[name].array(), wanted[name])
    kinds = {name: found[name].kind for name in ("float32", "uint16", "text", "cells", "turn")}
    assert kinds == {
        "float32": "single",
        "uint16": "uint16",
        "text": "char",
        "cells": "cell",
        "turn": "complex double",
    }
    assert not any(found[name].is_numeric for name in ("text", "cells", "turn"))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_damaged_file_is_read_or_refused_and_nothing_worse(tmp_path: Path, compressed: bool):
    """SciPy's reader ends the process on some of these."""
    path = tmp_path / "damaged.mat"
    stored(path, compressed)
    good, rng, reasons = path.read_bytes(), np.random.default_rng(1), []
    for _ in range(300):
        damaged = bytearray(good)
        for at in rng.integers(128, len(good), rng.integers(1, 6)):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(good) // 2, 2 * len(good))])
        try:
            for variable in variables_of(path).values():
                if variable.is_numeric:
                    variable.array()
        except ValueError as error:
            reasons.append(str(error))
    assert len(reasons) > 100
    assert all(reason.isprintable() for reason in reasons)  # what names are damaged to is not shown
