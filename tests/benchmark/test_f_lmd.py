from collections.abc import Callable

import numpy as np
import pytest

from benchmark.footage import Footage
from benchmark.metrics.f_lmd import Metric
from chdtf.faces import MOUTH_20
from chdtf.morphable.ibug import IBUG_68

F_LMD = Metric()


@pytest.fixture
def face() -> np.ndarray:
    return np.random.default_rng(0).uniform(50, 200, (6, 478, 3))


def test_equals_the_definition_written_out(footage: Callable[..., Footage], face: np.ndarray):
    """evaluation_eat's sum over points and frames, divided by 68 and the number of frames."""
    other = face + np.random.default_rng(1).normal(0, 4, face.shape)
    total = 0.0
    for p, q in zip(other[:, IBUG_68, :2], face[:, IBUG_68, :2], strict=True):
        for a, b in zip(p - p.mean(axis=0), q - q.mean(axis=0), strict=True):
            total += float(np.hypot(*(a - b)))
    measured = F_LMD.clip_value(F_LMD.measure(footage(landmarks=other), footage(landmarks=face), None))
    assert measured == pytest.approx(total / 68 / len(face), abs=1e-4)


def test_place_is_ignored_and_an_open_mouth_is_diluted_by_the_face(footage: Callable[..., Footage], face: np.ndarray):
    """Twenty of 68 points go down by 17 px, so the mean goes down by 5: the mouth is off by 12, the rest by 5."""
    moved = face + np.array([17.0, -9.0, 3.0])
    moved[:, MOUTH_20, 1] += 17.0
    measured = F_LMD.measure(footage(landmarks=moved), footage(landmarks=face), None)
    np.testing.assert_allclose(measured[:, 0], (20 * 12 + 48 * 5) / 68, atol=1e-4)
    assert F_LMD.details(measured) == {"frames_scored": 6, "missing_frames": 0}
    assert F_LMD.clip_value(F_LMD.measure(footage(landmarks=face), footage(landmarks=face), None)) == 0
