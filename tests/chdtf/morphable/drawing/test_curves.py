from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from chdtf.morphable.drawing.clips import curves_of_bfm
from chdtf.morphable.drawing.curves import Curves, draw_curves, gaps, strongest
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.clips import BfmClip
from chdtf.morphable.exchange.rotation import euler_deg

GREY = 0xBD


def curves(valid: np.ndarray, **more: np.ndarray) -> Curves:
    expression = np.random.default_rng(1).normal(size=(len(valid), 6))
    return Curves(title="clip", fps=25, valid=valid, expression=expression, **more)


@given(st.lists(st.booleans(), max_size=40))
def test_gaps_are_the_runs_of_frames_without_a_face(valid: list[bool]):
    marked = np.ones(len(valid), bool)
    for first, end in gaps(np.array(valid, bool)):
        assert first < end
        assert marked[first:end].all()
        marked[first:end] = False
    assert marked.tolist() == valid


@given(st.tuples(*[st.floats(-80, 80)] * 3))
def test_angles_are_those_put_in(angles: tuple[float, float, float]):
    pitch, yaw, roll = angles
    turn = Rotation.from_euler("YXZ", [yaw, pitch, roll], degrees=True)
    np.testing.assert_allclose(euler_deg(turn.as_rotvec()[None])[0], angles, atol=1e-4)


def test_the_strongest_dimensions_are_those_that_move_the_face_most():
    valid = np.array([True, True, True, False])
    expression = np.array([[0, 0, 0], [1, 2, 3], [0, 0, 0], [99, 0, 0]], float)
    plain = Curves("clip", 25, valid, expression)
    assert strongest(plain, [0, 1, 2], 2) == [2, 1]
    weighed = Curves("clip", 25, valid, expression, motion=np.array([9.0, 1.0, 1.0]))
    assert strongest(weighed, [0, 1, 2], 2) == [0, 2]


def test_a_gap_is_a_grey_band_and_the_picture_has_the_size_it_says(tmp_path: Path):
    valid = np.ones(100, bool)
    whole = draw_curves(curves(valid), tmp_path / "a.png", {"lip": [0, 1], "eye": [2]})
    valid[40:60] = False
    gapped = draw_curves(curves(valid), tmp_path / "b.png", {"lip": [0, 1], "eye": [2]})
    plain, banded = (cv2.imread(str(tmp_path / name)) for name in ("a.png", "b.png"))
    assert plain is not None
    assert banded is not None
    assert whole == gapped == (plain.shape[1], plain.shape[0])

    def grey_columns(image: np.ndarray) -> np.ndarray:
        return np.flatnonzero((image[:, 80:900] == GREY).all(2).sum(0) > 100) / 820

    assert not len(grey_columns(plain))
    found = grey_columns(banded)
    assert found[0] == pytest.approx(0.4, abs=0.01)
    assert found[-1] == pytest.approx(0.6, abs=0.01)


def test_what_is_known_gets_a_panel(tmp_path: Path):
    valid = np.ones(20, bool)
    few = draw_curves(curves(valid), tmp_path / "a.png")
    known = {"rotation_deg": np.zeros((20, 3)), "mouth_opening": np.zeros(20), "eye_opening": np.full(20, 0.3)}
    many = draw_curves(curves(valid, **known), tmp_path / "b.svg")
    assert (many[1] - few[1]) % 3 == 0
    assert many[1] > few[1]


@pytest.mark.parametrize("valid", [np.zeros(5, bool), np.ones(1, bool)])
def test_no_face_at_all_and_a_single_frame_are_drawn(tmp_path: Path, valid: np.ndarray):
    draw_curves(curves(valid, rotation_deg=np.zeros((len(valid), 3))), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_curves_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="eye_opening has 3 frames"):
        curves(np.ones(5, bool), eye_opening=np.zeros(3))
    with pytest.raises(ValueError, match="no frames"):
        curves(np.ones(0, bool))


def test_angles_of_a_coefficient_file_keep_their_sense():
    """Deep3DFaceRecon's y points up and its z to the viewer: pitch keeps its sign, yaw and roll change theirs."""
    angle = np.radians([[10, 0, 0], [0, 20, 0], [0, 0, 30]]).astype(np.float32)
    found = curves_of_bfm(BfmClip("a", BfmCoefficients(np.zeros((3, 64)), np.ones(3, bool), angle=angle)), 30)
    assert found.rotation_deg is not None
    np.testing.assert_allclose(found.rotation_deg, [[10, 0, 0], [0, -20, 0], [0, 0, -30]], atol=1e-4)
    assert found.fps == 30
