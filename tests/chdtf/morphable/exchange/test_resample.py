"""Other frame rates: duration, constants, planted motion, angles as rotations, gaps."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from chdtf.errors import UserError
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.files import read_bfm
from chdtf.morphable.exchange.resample import num_frames_at, resample
from chdtf.morphable.exchange.rotation import to_angle, to_matrix

RATES = st.sampled_from([12.5, 15.0, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60.0])


def clip(angle: np.ndarray | None = None, values: np.ndarray | None = None, frames: int = 40) -> BfmCoefficients:
    """A clip whose 64 expression dimensions are all `values` (T,), with angles (T, 3)."""
    frames = frames if values is None and angle is None else len(values if values is not None else angle)  # type: ignore[arg-type]
    line = np.zeros(frames) if values is None else values
    return BfmCoefficients(
        expression=np.repeat(line[:, None], 64, 1),
        valid=np.ones(frames, bool),
        angle=np.zeros((frames, 3)) if angle is None else angle,
        transform_params=np.column_stack([np.full((frames, 2), 256), 1 + line * 0.01, 128 + line, 120 - line]),
    )


def waves(seconds: np.ndarray, highest_hz: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    hz = rng.uniform(0.2, highest_hz, 12)
    return np.sin(2 * np.pi * seconds[:, None] * hz + rng.uniform(0, 6, 12)).sum(1)


@given(frames=st.integers(1, 3000), fps_from=RATES, fps_to=RATES)
@settings(deadline=None)
def test_duration_is_kept_to_half_a_frame(frames: int, fps_from: float, fps_to: float):
    count = num_frames_at(frames, fps_from, fps_to)
    assert abs(count / fps_to - frames / fps_from) <= 0.5 / fps_to + 1e-9 or count == 1
    if fps_to >= fps_from:
        assert num_frames_at(count, fps_to, fps_from) == frames


@given(frames=st.integers(1, 40), fps_from=RATES, fps_to=RATES, value=st.floats(-10, 10, width=32), data=st.data())
@settings(deadline=None, max_examples=60)
def test_constants_stay_exact(frames: int, fps_from: float, fps_to: float, value: float, data: st.DataObject):
    angle = np.array([data.draw(st.floats(-3, 3, width=32)) for _ in range(3)], np.float32)
    given_clip = clip(np.tile(angle, (frames, 1)), np.full(frames, value))
    found = resample(given_clip, fps_from, fps_to)
    assert found.num_frames == num_frames_at(frames, fps_from, fps_to)
    for name, array in given_clip.parts.items():
        assert (found.parts[name] == array[0]).all(), name


@pytest.mark.parametrize(("fps_from", "fps_to"), [(25, 30), (30, 25), (25, 60), (29.97, 25)])
def test_planted_motion_is_where_it_was_planted(fps_from: float, fps_to: float):
    found = resample(clip(values=waves(np.arange(200) / fps_from, 6.0)), fps_from, fps_to)
    wanted = waves(np.arange(found.num_frames) / fps_to, 6.0)
    inner = slice(10, -10)
    assert np.abs(found.expression[inner, 0] - wanted[inner]).max() < 0.03 * wanted.std()


def test_there_and_back_gives_a_band_limited_signal_again():
    given_clip = clip(values=waves(np.arange(200) / 25, 6.0))
    back = resample(resample(given_clip, 25, 30), 30, 25)
    assert back.num_frames == 200
    inner = slice(10, -10)
    error = (back.expression - given_clip.expression)[inner, 0]
    assert error.std() < 0.01 * given_clip.expression.std()


def test_real_motion_comes_back_better_than_by_linear_interpolation(shared: Path):
    found = read_bfm(shared / "data/coeffs/KristiNoem.mat")
    back = resample(resample(found, 30, 25), 25, 30)
    times = np.arange(450) / 25
    linear = np.stack([np.interp(times, np.arange(540) / 30, line) for line in found.expression.T], 1)
    linear = np.stack([np.interp(np.arange(540) / 30, times, line) for line in linear.T], 1)
    inner = slice(10, -10)
    error, worse = ((array - found.expression)[inner].std() for array in (back.expression, linear))
    assert back.num_frames == found.num_frames
    assert error < 0.8 * worse


def test_what_the_lower_rate_cannot_hold_is_damped():
    fast = np.sin(2 * np.pi * 14 * np.arange(300) / 30)
    assert resample(clip(values=fast), 30, 25).expression[10:-10].std() < 0.3 * fast.std()
    assert resample(clip(values=fast), 30, 10).expression[10:-10].std() < 0.02 * fast.std()


def test_angles_turn_through_half_a_turn():
    """A head that rolls steadily from 170 to 190 degrees, with angles that jump from pi to -pi, as files may have."""
    roll = np.radians(np.linspace(150, 210, 40))
    jumping = np.column_stack([np.full(40, 0.1), np.full(40, 0.2), (roll + np.pi) % (2 * np.pi) - np.pi])
    found = resample(clip(jumping.astype(np.float32)), 25, 30).angle
    assert found is not None
    wanted = np.interp(np.arange(48) / 30, np.arange(40) / 25, roll)
    turned = Rotation.from_matrix(to_matrix(found)).inv() * Rotation.from_matrix(
        to_matrix(np.column_stack([np.full(48, 0.1), np.full(48, 0.2), wanted]))
    )
    assert np.degrees(turned.magnitude())[4:-4].max() < 0.05
    assert (np.abs(found[:, 2]) <= np.pi + np.radians(2)).all()  # where the input was, not unwound


def test_a_steady_turn_about_a_tilted_axis_is_steady():
    axis = np.array([0.5, 0.7, -0.2]) / np.linalg.norm([0.5, 0.7, -0.2])
    instants = np.arange(25) / 25
    angle = to_angle(Rotation.from_rotvec(axis * np.linspace(-2.5, 2.5, 30)[:, None]).as_matrix())
    found = resample(clip(angle), 30, 25).angle
    assert found is not None

    def error_deg(angles: np.ndarray) -> float:
        size = np.interp(instants, np.arange(30) / 30, np.linspace(-2.5, 2.5, 30))
        wanted = Rotation.from_rotvec(axis * size[:, None])
        off = (Rotation.from_matrix(to_matrix(angles)).inv() * wanted).magnitude()
        return float(np.degrees(off)[5:-5].max())

    plain = np.stack([np.interp(instants, np.arange(30) / 30, line) for line in angle.T], 1)
    assert error_deg(found) < 0.05
    assert error_deg(plain) > 0.2  # angle by angle it would have gone another way


@given(valid=st.lists(st.booleans(), min_size=1, max_size=30), fps_from=RATES, fps_to=RATES)
@settings(deadline=None, max_examples=80)
def test_gaps_stay_and_nothing_leaks_across_them(valid: list[bool], fps_from: float, fps_to: float):
    mask = np.array(valid)
    run = np.cumsum(~mask) * 100.0  # another level after each gap
    levels = clip(values=np.where(mask, run, 0.0)).replace(valid=mask)
    found = resample(levels, fps_from, fps_to)
    instants = np.minimum(np.arange(found.num_frames) * fps_from / fps_to, len(mask) - 1)
    near = np.abs(np.arange(len(mask)) - instants[:, None]) < 1 - 1e-6
    assert not found.valid[(near & ~mask).any(1)].any()
    if fps_from / fps_to <= 1:
        assert found.valid[~(near & ~mask).any(1)].all()
    at = np.round(instants[found.valid]).astype(int)
    assert (found.expression[found.valid, 0] == run[at]).all()
    assert not found.expression[~found.valid].any()
    if not mask[: int(instants[-1]) + 1].all():  # what lies after the last instant is cut off
        assert not found.valid.all()


def test_the_frame_s_size_is_kept_and_the_crop_follows():
    found = resample(clip(values=waves(np.arange(100) / 25, 4.0)), 25, 30)
    assert found.transform_params is not None
    assert (found.transform_params[:, :2] == 256).all()
    np.testing.assert_allclose(found.transform_params[:, 3] - 128, found.expression[:, 0], atol=1e-4)
    assert np.array_equal(found.crop, found.transform_params[:, 2:])


@pytest.mark.parametrize("fps", [0.0, -25.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(fps: float):
    with pytest.raises(UserError, match="positive number"):
        resample(clip(), 25, fps)


@given(angle=st.tuples(*[st.floats(-3.1, 3.1)] * 3), turn=st.tuples(*[st.integers(-2, 2)] * 3))
@settings(deadline=None)
def test_angles_come_back_from_matrices_nearest_to_a_reference(angle: tuple[float, ...], turn: tuple[int, ...]):
    given_angle = np.array([angle])
    matrix = to_matrix(given_angle)
    np.testing.assert_allclose(matrix[0], Rotation.from_euler("xyz", angle).as_matrix(), atol=1e-12)
    wound = given_angle + 2 * np.pi * np.array([turn])
    found = to_angle(matrix, wound)
    np.testing.assert_allclose(to_matrix(found), matrix, atol=1e-7)
    if abs(np.cos(angle[1])) > 1e-3:
        np.testing.assert_allclose(found, wound, atol=1e-6)
    plain = to_angle(matrix)
    assert abs(plain[0, 1]) <= np.pi / 2 + 1e-12
    np.testing.assert_allclose(to_matrix(plain), matrix, atol=1e-7)


@pytest.mark.parametrize("yaw", [np.pi / 2, -np.pi / 2])
def test_a_profile_keeps_its_rotation_where_angles_are_not_unique(yaw: float):
    matrix = to_matrix(np.array([[0.4, yaw, 0.3]]))
    found = to_angle(matrix, np.array([[0.4, yaw, 0.3]]))
    np.testing.assert_allclose(found, [[0.4, yaw, 0.3]], atol=1e-6)
    np.testing.assert_allclose(to_matrix(to_angle(matrix)), matrix, atol=1e-6)
