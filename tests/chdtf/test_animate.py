"""Edits of vertices do to the numbers of `chdtf.faces` what they say, and nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf import animate
from chdtf.faces import INNER_LIPS, LEFT_EYE, OUTER_EYE_CORNERS, RIGHT_EYE, eye_aspect_ratio, mouth_opening
from chdtf.morphable.model import load_model


def _face(expression_seed: int = 0, strength: float = 0.0) -> np.ndarray:
    model = load_model("mp468")
    beta = strength * np.random.default_rng(expression_seed).standard_normal((1, model.num_expression))
    face = model.mean + model.displacement(beta)[0]
    return (face * 90 + (128, 128, 0)).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 50), st.floats(0, 0.4))
def test_the_mouth_opens_as_far_as_asked_from_any_expression(seed: int, opening: float):
    opened = animate.open_mouth(_face(seed, 0.5), opening)
    assert mouth_opening(opened[None])[0] == pytest.approx(opening, abs=0.012)


@settings(deadline=None, max_examples=60)
@given(st.floats(0, 0.35))
def test_opening_the_mouth_keeps_eyes_and_mouth_corners_apart_from_a_small_pull(opening: float):
    before, after = _face(), animate.open_mouth(_face(), opening)
    eyes = [*RIGHT_EYE, *LEFT_EYE]
    assert np.abs(after - before)[eyes].max() < 1e-3
    assert np.abs(after - before)[[INNER_LIPS[0], INNER_LIPS[10]]].max() < 0.2 * opening * 90 + 0.01


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 50), st.floats(0, 1))
def test_eyes_close_in_proportion(seed: int, closure: float):
    face = _face(seed, 0.3)
    was = eye_aspect_ratio(face[None])[0]
    assert eye_aspect_ratio(animate.close_eyes(face, closure)[None])[0] == pytest.approx(was * (1 - closure), abs=2e-3)


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.floats(-0.4, 0.4)] * 3), st.tuples(*[st.floats(-20, 20)] * 2))
def test_moving_the_head_is_rigid(angles: tuple[float, float, float], shift: tuple[float, float]):
    face = _face(3, 0.5)
    moved = animate.move_head(face, *angles, shift_px=shift)
    some = np.random.default_rng(0).integers(0, 468, (2, 100))
    assert np.linalg.norm(moved[some[0]] - moved[some[1]], axis=1) == pytest.approx(
        np.linalg.norm(face[some[0]] - face[some[1]], axis=1), abs=1e-3
    )


def test_directions_of_head_motion():
    face = _face()
    nose, ear = 1, 234
    assert animate.move_head(face, yaw=0.2)[nose, 0] > face[nose, 0] + 3
    assert animate.move_head(face, pitch=0.2)[nose, 1] > face[nose, 1] + 3
    right, left = OUTER_EYE_CORNERS
    tilted = animate.move_head(face, roll=0.2)
    assert tilted[left, 1] - tilted[right, 1] > 10
    assert animate.move_head(face, shift_px=(5, -3))[ear] == pytest.approx(face[ear] + (5, -3, 0), abs=1e-3)


def test_a_smile_widens_and_lifts_the_mouth():
    face = _face()
    smiling = animate.smile(face, 1.0)
    right, left = INNER_LIPS[0], INNER_LIPS[10]
    assert smiling[left, 0] - smiling[right, 0] > 1.1 * (face[left, 0] - face[right, 0])
    assert (smiling[[right, left], 1] < face[[right, left], 1] - 1).all()
