"""Pose of the mean face, turned by planted angles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from chdtf.morphable.model import load_model
from chdtf.schema import NUM_LANDMARKS
from pipelines.scores.pose import COLUMNS, face_size_px, pitch_deg, scores, yaw_deg


def turned_face(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, frames: int = 3) -> np.ndarray:
    """The mean face, 120 px between the eye corners, turned by degrees (T, 478, 3) px.

    Yaw is positive to the right of the picture, pitch when it looks up, roll clockwise as seen.
    """
    mean = load_model("mp468").mean * 120
    turn = Rotation.from_euler("ZYX", [roll, -yaw, -pitch], degrees=True).as_matrix()
    points = np.zeros((frames, NUM_LANDMARKS, 3), np.float32)
    points[:, : len(mean)] = mean @ turn.T + [128, 128, 0]
    return points


def test_the_planted_turns_mean_what_they_say() -> None:
    nose, forehead, chin = 4, 10, 152
    straight, up = turned_face()[0], turned_face(pitch=20)[0]
    assert turned_face(yaw=20)[0, nose, 0] > straight[nose, 0] + 5
    assert up[nose, 1] - up[forehead, 1] < straight[nose, 1] - straight[forehead, 1]  # the nose goes up
    assert up[chin, 2] < straight[chin, 2] - 5  # and the chin towards the viewer


@pytest.mark.parametrize("degrees", [-50, -20, 0, 20, 50])
def test_yaw_is_the_planted_turn(degrees: float) -> None:
    assert yaw_deg(turned_face(yaw=degrees)) == pytest.approx(degrees, abs=3)


@pytest.mark.parametrize("degrees", [-40, -15, 0, 15, 40])
def test_pitch_is_the_planted_inclination(degrees: float) -> None:
    assert pitch_deg(turned_face(pitch=degrees)) == pytest.approx(degrees, abs=0.1)


@settings(deadline=None, max_examples=50)
@given(st.floats(-25, 25), st.floats(-25, 25), st.floats(-25, 25))
def test_both_are_found_in_a_mixed_pose(yaw: float, pitch: float, roll: float) -> None:
    face = turned_face(yaw, pitch, roll, frames=1)
    assert yaw_deg(face) == pytest.approx(yaw, abs=15)
    assert pitch_deg(face) == pytest.approx(pitch, abs=6)


def test_scores_leave_out_frames_without_a_face() -> None:
    face = turned_face(yaw=-20, pitch=-10, frames=20)
    face[3:9] = np.nan
    found = scores(face)
    assert tuple(found) == COLUMNS
    assert found["yaw_median_deg"] == pytest.approx(20, abs=3)
    assert found["pitch_median_deg"] == pytest.approx(found["pitch_max_deg"], abs=1e-3)
    assert found["pitch_median_deg"] == pytest.approx(10, abs=3)
    assert found["face_size_px"] == pytest.approx(face_size_px(face[:3]))
    assert scores(np.full_like(face, np.nan)) == dict.fromkeys(COLUMNS)
