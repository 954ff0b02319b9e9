import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.fitting import SmoothSettings, smooth

FRAMES = 200
SERIES = ("expression", "rotation", "translation", "scale")


def track(values: np.ndarray, valid: np.ndarray | None = None) -> Coefficients:
    """A clip whose two expression dimensions are `values` (T,) and -2 of it; the head stands still."""
    frames = len(values)
    return Coefficients(
        identity=np.zeros(3),
        expression=np.stack([values, -2 * values], 1),
        rotation=np.full((frames, 3), 0.1),
        translation=np.full((frames, 3), 128.0),
        scale=np.full(frames, 80.0),
        valid=np.ones(frames, bool) if valid is None else valid,
    )


def blinks(frames: int = FRAMES) -> np.ndarray:
    """Closures of five frames, a second and a half apart."""
    values = np.zeros(frames)
    for start in range(20, frames - 10, 37):
        values[start : start + 5] = (0.6, 1.0, 1.0, 0.7, 0.2)
    return values


def bend(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.diff(values, 2, axis=0) ** 2)))


def test_jitter_falls_and_blinks_survive():
    truth = blinks()
    noisy = truth + 0.02 * np.random.default_rng(0).normal(size=FRAMES)
    calm = smooth(track(noisy)).expression[:, 0]
    still = truth == 0
    still[1:-1] &= (truth[2:] == 0) & (truth[:-2] == 0)
    assert np.std(calm[still]) < 0.75 * np.std(noisy[still])
    assert bend(calm[100:125]) < 0.6 * bend(noisy[100:125])
    assert np.corrcoef(calm, truth)[0, 1] > 0.99
    for start in range(20, FRAMES - 10, 37):
        assert calm[start : start + 5].max() > 0.93


def test_events_are_not_moved_in_time():
    """Smoothing the reversed clip is the reverse of smoothing it; a blink's middle stays in its frame."""
    values = blinks() + 0.02 * np.random.default_rng(1).normal(size=FRAMES)
    forth, back = smooth(track(values)).expression, smooth(track(values[::-1])).expression[::-1]
    np.testing.assert_allclose(forth, back, atol=1e-6)
    hump = np.exp(-(((np.arange(FRAMES) - 100) / 3.0) ** 2))
    calm = smooth(track(hump + 1e-3 * np.random.default_rng(1).normal(size=FRAMES))).expression[:, 0]
    assert calm.argmax() == 100


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0, 5.0])
def test_a_lone_event_in_a_frozen_clip_stays_where_it_is(width: float):
    """Symmetric before and after, and still where nothing moved."""
    hump = np.exp(-(((np.arange(201) - 100) / width) ** 2))
    calm = smooth(track(hump)).expression[:, 0]
    np.testing.assert_allclose(calm, calm[::-1], atol=1e-6)
    np.testing.assert_allclose(calm, hump, atol=1e-3)


@pytest.mark.parametrize("values", [np.full(60, 0.7), np.linspace(-1, 2, 60)])
def test_what_does_not_tremble_is_left_alone(values: np.ndarray):
    clip = track(values)
    calm = smooth(clip)
    for name in SERIES:
        np.testing.assert_allclose(getattr(calm, name), getattr(clip, name), atol=1e-5)


def test_more_is_smoother():
    values = np.random.default_rng(2).normal(size=FRAMES)
    bends = [bend(smooth(track(values), SmoothSettings(smooth_s=s)).expression) for s in (0.06, 0.16, 0.4)]
    assert bends == sorted(bends, reverse=True)


def test_gaps_are_not_bridged():
    """Each run of valid frames is smoothed as if the other were not there, and gaps stay empty."""
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(size=40), np.zeros(5), 50 + rng.normal(size=40), [0.0], [9.0, 8.0]])
    valid = np.ones(len(values), bool)
    valid[40:45] = valid[85] = False
    arrays = {name: getattr(track(values, valid), name) * 1.0 for name in SERIES}
    for array in arrays.values():
        array[~valid] = 0
    clip = track(values, valid).replace(**arrays)
    calm = smooth(clip)
    assert calm.valid.tolist() == valid.tolist()
    for name in SERIES:
        assert not getattr(calm, name)[~valid].any()
    np.testing.assert_array_equal(calm.expression[86:], clip.expression[86:])  # two frames say nothing of jitter
    assert np.abs(calm.expression[:40, 0]).max() < 5
    assert calm.expression[45:85, 0].min() > 45


def test_rotations_are_smoothed_as_rotations():
    """A head that trembles about half a turn, where rotation vectors jump from pi to -pi."""
    rng = np.random.default_rng(4)
    turns = Rotation.from_rotvec([0, np.pi, 0]) * Rotation.from_rotvec(0.02 * rng.normal(size=(FRAMES, 3)))
    clip = track(np.zeros(FRAMES)).replace(rotation=turns.as_rotvec())
    assert np.abs(np.diff(clip.rotation, axis=0)).max() > 6  # so they do
    calm = Rotation.from_rotvec(smooth(clip).rotation)
    away = (Rotation.from_rotvec([0, np.pi, 0]).inv() * calm).magnitude()
    assert away.max() < 0.08
    steps, before = (np.median((r[1:] * r[:-1].inv()).magnitude()) for r in (calm, turns))
    assert steps < 0.8 * before


def test_a_clip_of_one_frame_or_none_valid_stays_as_it_is():
    for valid in (np.ones(1, bool), np.zeros(4, bool)):
        clip = track(np.zeros(len(valid)), valid)
        assert smooth(clip) is clip


@pytest.mark.parametrize("settings", [{"smooth_s": 0.0}, {"fps": -25.0}, {"keep": float("nan")}])
def test_settings_without_sense_are_refused(settings: dict[str, float]):
    with pytest.raises(ValueError, match=next(iter(settings))):
        SmoothSettings(**settings)


def test_the_cutoff_is_where_it_is_said_to_be():
    """Without events (keep: all), a sine whose half period is smooth_s loses half of its amplitude."""
    frames = np.arange(2000)
    wave = np.sin(2 * np.pi * frames / (2 * 0.2 * 25))
    calm = smooth(track(wave), SmoothSettings(smooth_s=0.2, keep=1e6)).expression[:, 0]
    assert np.std(calm[100:-100]) / np.std(wave[100:-100]) == pytest.approx(0.5, abs=0.01)
