import numpy as np

from chdtf.faces import FACE_OVAL, MOUTH_20
from chdtf.morphable.ibug import IBUG_51, IBUG_68, JAW_17
from chdtf.morphable.model import load_model
from chdtf.morphable.regions import mirror_map

# The convention's own mirror pairs, in its numbers.
_MIRROR = (
    *range(16, -1, -1),
    *range(26, 16, -1),
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
)


def test_there_are_68_points_each_once_in_the_conventions_order():
    assert len(IBUG_68) == len(set(IBUG_68)) == 68
    assert IBUG_68[:17] == JAW_17
    assert set(JAW_17) <= set(FACE_OVAL)
    assert IBUG_68[48:] == MOUTH_20
    assert IBUG_68[17:] == IBUG_51


def test_the_table_is_mirror_symmetric():
    partner = mirror_map(load_model("mp468").mean)
    assert tuple(partner[list(IBUG_68)]) == tuple(IBUG_68[i] for i in _MIRROR)


def test_points_lie_in_the_order_of_the_convention():
    mean = load_model("mp468").mean[list(IBUG_68)]
    assert np.all(np.diff(mean[:17, 0])[2:-2] > 0)  # from the subject's right ear by the chin to the left one
    assert mean[:17, 1].argmax() == 8
    assert np.all(np.diff(mean[17:27, 0]) > 0)
    assert np.all(np.diff(mean[27:31, 1]) > 0)  # bridge, downwards
    assert mean[30, 2] < mean[27:36, 2].min() + 0.02  # the tip of the nose
    assert np.all(np.diff(mean[31:36, 0]) > 0)
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46), (51, 57), (62, 66)):
        assert mean[upper, 1] < mean[lower, 1]
