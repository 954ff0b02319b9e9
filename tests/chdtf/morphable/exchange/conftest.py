"""A face model of the Basel Face Model's dimensions, made by hand, and fits with it."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import FaceModel, LandmarkMap

NUM_VERTICES = 60


@pytest.fixture(scope="session")
def bfm() -> FaceModel:
    """80 identity and 64 expression dimensions over 60 points as large and as deep as a face; not centred."""
    rng = np.random.default_rng(0)
    mean = rng.uniform([-0.8, -1.0, -0.5], [0.8, 1.0, 0.5], (NUM_VERTICES, 3))
    landmarks = np.arange(NUM_VERTICES)
    return FaceModel(
        name="bfm",
        mean=mean - mean.mean(0),
        identity_basis=rng.normal(size=(80, NUM_VERTICES, 3)) * 0.01,
        expression_basis=rng.normal(size=(64, NUM_VERTICES, 3)) * 0.01,
        triangles=np.array([[0, 1, 2]]),
        landmark_map=LandmarkMap.of_vertices(landmarks, landmarks),
        alignment_weights=np.ones(NUM_VERTICES),
        fit_weights=np.ones(NUM_VERTICES),
        identity_noise=np.array(0.02),
        free_identity=False,
        licence="made by hand",
        unit=0.86,
        origin=np.array([0.02, -0.07, 0.3]),
    )


def _planted(frames: int = 12, yaw_deg: float = 40.0, seed: int = 0) -> Coefficients:
    """Faces turned up to `yaw_deg`, two thirds of the frame large, one of them not valid."""
    rng = np.random.default_rng(seed)
    turn = np.radians(rng.uniform([-20, -yaw_deg, -20], [20, yaw_deg, 20], (frames, 3)))
    valid = np.arange(frames) != frames // 2
    arrays = {
        "expression": rng.normal(size=(frames, 64)),
        "rotation": Rotation.from_euler("xyz", turn).as_rotvec(),
        "translation": np.column_stack([rng.uniform(100, 156, (frames, 2)), np.zeros(frames)]),
        "scale": rng.uniform(80, 100, frames),
    }
    kept = {name: np.where(valid[(..., *[None] * (array.ndim - 1))], array, 0) for name, array in arrays.items()}
    identity = rng.normal(size=80)
    return Coefficients(
        identity=identity, valid=valid, **{name: array.astype(np.float32) for name, array in kept.items()}
    )


@pytest.fixture(scope="session")
def planted_fit() -> Callable[..., Coefficients]:
    """A function that makes fits, `_planted`."""
    return _planted


@pytest.fixture(scope="session")
def fit() -> Coefficients:
    """One of them."""
    return _planted()
