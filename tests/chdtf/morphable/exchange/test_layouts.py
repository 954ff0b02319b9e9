"""The layout table, against the columns that the public code of the methods slices."""

import pytest

from chdtf.morphable.exchange.layouts import FRAME_LAYOUTS, LAYOUTS, layout_of_width

UPSTREAM = {
    "257": {  # Deep3DFaceRecon_pytorch models/bfm.py, split_coeff
        "identity": (0, 80),
        "expression": (80, 144),
        "texture": (144, 224),
        "angle": (224, 227),
        "gamma": (227, 254),
        "translation": (254, 257),
    },
    "260": {"expression": (80, 144), "angle": (224, 227), "translation": (254, 257), "crop": (257, 260)},
    "262": {"expression": (80, 144), "translation": (254, 257), "transform_params": (257, 262)},
    "73": {"expression": (0, 64), "angle": (64, 67), "translation": (67, 70), "crop": (70, 73)},
    "70": {"expression": (0, 64), "angle": (64, 67), "translation": (67, 70)},
    "64": {"expression": (0, 64)},
    "transform_params": {"transform_params": (0, 5)},
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_columns_are_those_that_the_methods_slice(name: str):
    layout = LAYOUTS[name]
    for part, (start, stop) in UPSTREAM[name].items():
        assert (layout.slices[part].start, layout.slices[part].stop) == (start, stop)
    assert name in (str(layout.width), "transform_params")


def test_a_clip_s_layout_is_known_by_its_width():
    assert all(layout_of_width(layout.width) is layout for layout in FRAME_LAYOUTS)
    assert layout_of_width(76) is None


@pytest.mark.parametrize(("column", "name"), [(0, "identity[0]"), (225, "angle[1]"), (256, "translation[2]")])
def test_a_column_is_named_by_its_part(column: int, name: str):
    assert LAYOUTS["257"].column(column) == name


def test_a_column_beyond_the_layout_is_a_mistake():
    with pytest.raises(ValueError, match="257 columns"):
        LAYOUTS["257"].column(257)
