"""Combining motions: what one source brings changes its region and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.faces import FACE_OVAL, INNER_LIPS, LEFT_EYE, OUTER_LIPS, RIGHT_EYE, mouth_opening
from chdtf.morphable.model import load_model
from disenttalk_ref.checkpoint import DEFAULT, read_header
from disenttalk_ref.generate.control import (
    Control,
    about_neutral,
    closed_mouth,
    combine,
    ease_in,
    fill_gaps,
    forward_and_backward,
    to_length,
)
from disenttalk_ref.motion import Motion

REGIONS = read_header(DEFAULT).regions
EYE, LIP, REST = (list(region) for region in REGIONS)
PX = 85.0  # outer eye distance in a 256 px frame
seeds = st.integers(0, 2**32 - 1)


def motion(seed: int, frames: int = 9) -> Motion:
    rng = np.random.default_rng(seed)
    expression = rng.standard_normal((frames, 64)).astype(np.float32)
    return Motion(expression, 0.1 * rng.standard_normal((frames, 6)).astype(np.float32))


def vertices(expression: np.ndarray) -> np.ndarray:
    model = load_model("mp468")
    found: np.ndarray = model.mean + model.displacement(expression)
    return found


@pytest.fixture(scope="module")
def closed() -> np.ndarray:
    return closed_mouth(load_model("mp468"), LIP)


@given(seeds, seeds, seeds, st.integers(1, 20))
def test_each_source_changes_its_own_part_to_the_bit(a: int, b: int, c: int, length: int):
    lips, eyes, pose = motion(a), motion(b, length), motion(c, length)
    made = combine(lips, Control(eyes=eyes.expression, pose=pose.pose), REGIONS)
    assert np.array_equal(made.expression[:, LIP], lips.expression[:, LIP])
    assert np.array_equal(made.expression[:, REST], lips.expression[:, REST])
    assert np.array_equal(made.expression[:, EYE], to_length(eyes.expression, 9)[:, EYE])
    assert np.array_equal(made.pose, to_length(pose.pose, 9))
    only = combine(lips, Control(pose=pose.pose), REGIONS)
    assert np.array_equal(only.expression, lips.expression)
    assert np.array_equal(combine(lips, Control(eyes=eyes.expression), REGIONS).pose, lips.pose)


@given(seeds, seeds)
def test_other_eyes_leave_the_mouth_and_the_outline_where_they_are(a: int, b: int):
    lips = motion(a)
    made = combine(lips, Control(eyes=-motion(b).expression), REGIONS)
    moved_px = PX * np.linalg.norm((vertices(made.expression) - vertices(lips.expression))[..., :2], axis=-1)
    assert moved_px[:, [*INNER_LIPS, *OUTER_LIPS, *FACE_OVAL]].max() < 0.3
    assert moved_px[:, [*RIGHT_EYE, *LEFT_EYE]].max() > 1


@given(seeds, st.floats(0, 3))
def test_the_lip_weight_leaves_eyes_and_pose_alone_to_the_bit(closed: np.ndarray, seed: int, weight: float):
    lips = motion(seed)
    made = combine(lips, Control(weight), REGIONS, closed)
    assert np.array_equal(made.expression[:, [*EYE, *REST]], lips.expression[:, [*EYE, *REST]])
    assert np.array_equal(made.pose, lips.pose)
    moved_px = PX * np.linalg.norm((vertices(made.expression) - vertices(lips.expression))[..., :2], axis=-1)
    assert moved_px[:, [*RIGHT_EYE, *LEFT_EYE]].max() <= 0.1 * moved_px[:, [*INNER_LIPS, *OUTER_LIPS]].max()


def test_the_lip_weight_opens_the_mouth_in_proportion(closed: np.ndarray):
    model = load_model("mp468")
    wide = np.zeros((5, 64), np.float32)
    wide[:, LIP] = closed[LIP] - np.linspace(0, 2, 5)[:, None] * closed[LIP]  # closed to twice as open as the mean
    spoken = Motion(wide, np.zeros((5, 6), np.float32))
    openings = [
        mouth_opening(vertices(combine(spoken, Control(weight), REGIONS, closed).expression)) for weight in (0, 1, 1.5)
    ]
    assert openings[0] == pytest.approx(np.full(5, openings[1][0]), abs=1e-6)  # 0: as closed as it gets
    assert openings[2][1:] - openings[2][0] == pytest.approx(1.5 * (openings[1][1:] - openings[1][0]), rel=0.15)
    assert openings[0].max() < 0.015
    assert mouth_opening(model.mean[None])[0] > 0.1


def test_a_weight_of_one_is_the_same_motion_and_inputs_are_kept():
    lips, eyes = motion(1), motion(2)
    before = lips.expression.copy()
    made = combine(lips, Control(1.0, eyes.expression), REGIONS)
    assert np.array_equal(made.expression[:, LIP], before[:, LIP])
    assert np.array_equal(lips.expression, before)


@pytest.mark.parametrize("weight", [-0.1, 3.1, float("nan"), float("inf")])
def test_a_weight_out_of_range_is_refused(weight: float):
    with pytest.raises(UserError, match="lip weight"):
        Control(weight)


@given(st.integers(1, 30), st.integers(0, 200))
def test_a_short_sequence_turns_without_a_jump(length: int, frames: int):
    order = forward_and_backward(length, frames)
    there_and_back = [*range(length), *range(length - 2, 0, -1)]
    assert order.tolist() == [there_and_back[k % len(there_and_back)] for k in range(frames)]
    assert np.abs(np.diff(order)).max(initial=0) <= 1


@given(seeds, st.lists(st.booleans(), min_size=3, max_size=30).filter(any))
def test_gaps_of_a_straight_line_are_filled_with_it(seed: int, seen: list[bool]):
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(seen)
    line = np.arange(len(seen))[:, None] * rng.standard_normal(3) + rng.standard_normal(3)
    gappy = np.where(np.array(seen)[:, None], line, 1e6)
    filled = fill_gaps(gappy, np.array(seen))
    inside = slice(known[0], known[-1] + 1)
    assert filled[inside] == pytest.approx(line[inside], abs=1e-3)
    assert (filled[: known[0]] == filled[known[0]]).all()
    assert (filled[known[-1] :] == filled[known[-1]]).all()


def test_nothing_seen_is_no_sequence():
    with pytest.raises(ValueError, match="no frame was seen"):
        fill_gaps(np.zeros((3, 2)), np.zeros(3, bool))
    with pytest.raises(ValueError, match="has none"):
        forward_and_backward(0, 3)


@given(seeds)
def test_another_identity_with_the_same_blinks_gives_the_same_eyes(seed: int):
    rng = np.random.default_rng(seed)
    blinks = np.zeros((20, 64), np.float32)
    blinks[8:11, EYE[0]] = 3
    seen = np.ones(20, bool)
    offset = rng.standard_normal(64).astype(np.float32)  # narrow or wide eyes
    assert about_neutral(blinks + offset, seen) == pytest.approx(blinks, abs=1e-5)


def test_the_head_starts_in_the_pose_of_the_source_and_then_follows():
    pose = np.cumsum(np.random.default_rng(0).standard_normal((80, 6)), 0)
    eased = ease_in(pose)
    assert not eased[0].any()
    assert eased[72:] == pytest.approx(pose[72:], abs=0.01 * np.abs(pose[0]).max())
    steps = np.abs(np.diff(eased - pose, axis=0)).max()
    assert steps <= np.abs(pose[0]).max() / 12 + 1e-6
