"""Planted clips: random coefficients of a model, and the landmarks that they give."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from chdtf.morphable.coefficients import Coefficients, landmarks_of
from chdtf.morphable.fitting.closed_form import align_to_mean
from chdtf.morphable.model import FaceModel, LandmarkMap, load_model
from chdtf.morphable.models import ict as ict_model

Planted = Callable[..., Coefficients]


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices are small here: threads that wait for each other on a busy machine take ten times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def mp468() -> FaceModel:
    return load_model("mp468")


@pytest.fixture(scope="session")
def bfm_like(mp468: FaceModel) -> FaceModel:
    """Like bfm: 32 + 64 numbered dimensions in standard deviations, a linear identity, not every landmark mapped."""
    mapped = np.setdiff1d(np.arange(468), np.arange(3, 468, 5))
    return dataclasses.replace(
        mp468,
        name="bfm_like",
        free_identity=False,
        landmark_map=LandmarkMap.of_vertices(mapped, mapped),
        alignment_weights=mp468.alignment_weights[mapped],
        fit_weights=mp468.fit_weights[mapped],
    )


@pytest.fixture(scope="session")
def ict(shared: Path) -> FaceModel:
    return ict_model.load(shared / "weights" / "ict_face_light_9409.npz")


@pytest.fixture(scope="session")
def planted() -> Planted:
    return _planted


@pytest.fixture(scope="session")
def seen() -> Callable[[Coefficients, FaceModel], np.ndarray]:
    """Landmarks (T, 478, 3) of coefficients, as the tracker would give them; what the model lacks is 0."""

    def landmarks(coefficients: Coefficients, model: FaceModel) -> np.ndarray:
        vertices = np.nan_to_num(landmarks_of(coefficients, model))
        return np.concatenate([vertices, vertices[:, :10]], axis=1)

    return landmarks


def _planted(model: FaceModel, frames: int, seed: int, strength: float = 1.0) -> Coefficients:
    """Drawn from the model's priors. A free identity is aligned and the mean expression 0, as the fit returns them."""
    rng = np.random.default_rng(seed)
    alpha = rng.normal(size=model.num_identity)
    expression = strength * rng.normal(size=(frames, model.num_expression)) * model.expression_deviation
    if model.expression_names:
        expression = np.abs(expression)  # weights of named shapes
    identity = alpha
    if model.free_identity:
        identity = align_to_mean(model.mean + np.tensordot(alpha, model.identity_basis, 1), model)
        expression = expression - expression.mean(0)
    return Coefficients(
        identity=identity,
        expression=expression,
        rotation=Rotation.from_euler("YXZ", rng.uniform(-30, 30, (frames, 3)), degrees=True).as_rotvec(),
        translation=rng.uniform(80, 180, (frames, 3)),
        scale=rng.uniform(30, 110, frames),
        valid=np.ones(frames, bool),
    )
