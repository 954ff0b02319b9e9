"""A face model in which it is known which dimensions move the lips and which the eyes, and clips of it."""

import dataclasses

import numpy as np

from chdtf.faces import LEFT_EAR, LOWER_INNER_LIP, RIGHT_EAR, UPPER_INNER_LIP
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import FaceModel, LandmarkMap, load_model
from chdtf.morphable.regions import region_weights
from disenttalk_ref.disentangle.material import Material, from_coefficients
from disenttalk_ref.disentangle.stability import Choice

LIP, EYE, NUM = (2, 5, 11), (7, 13), 20
PLANTED = (LIP, EYE)
CHOICE = Choice(k_lip=len(LIP), k_eye=len(EYE))


def planted_model() -> FaceModel:
    """mp468's face; dimensions of `LIP` open the mouth, of `EYE` the lids, the others move the rest."""
    model = load_model("mp468")
    rng = np.random.default_rng(5)
    lip, eye = region_weights(model.mean)
    basis = np.zeros((NUM, 468, 3))
    for i in range(NUM):
        weights = lip if i in LIP else eye if i in EYE else (lip + eye == 0).astype(float)
        basis[i] = 0.004 * weights[:, None] * rng.normal(size=(468, 3))
    for i in LIP:
        basis[i, UPPER_INNER_LIP, 1] -= 0.02
        basis[i, LOWER_INNER_LIP, 1] += 0.03
    for i in EYE:
        for _, p2, p3, _, p5, p6 in (RIGHT_EAR, LEFT_EAR):
            basis[i, [p2, p3], 1] -= 0.012
            basis[i, [p5, p6], 1] += 0.004
    return dataclasses.replace(
        model,
        name="planted",
        expression_basis=basis.astype(np.float32),
        expression_deviation=np.ones(NUM),
        mean=model.mean + _opened(),
    )


def _opened() -> np.ndarray:
    """An open mouth, so that openings do not turn around."""
    gap = np.zeros((468, 3), np.float32)
    gap[LOWER_INNER_LIP, 1] = 0.4
    return gap


def partly_mapped(model: FaceModel) -> FaceModel:
    """The same model with its vertices in another order, of which two thirds are mapped."""
    order = np.random.default_rng(3).permutation(468)
    place = np.argsort(order)  # vertex `place[l]` is landmark l
    keep = np.flatnonzero((np.arange(468) % 3 > 0) | np.isin(np.arange(468), [*RIGHT_EAR, *LEFT_EAR, 13, 14, 33, 263]))
    return dataclasses.replace(
        model,
        mean=model.mean[order],
        identity_basis=model.identity_basis[:, order],
        expression_basis=model.expression_basis[:, order],
        landmark_map=LandmarkMap.of_vertices(keep, place[keep]),
        alignment_weights=model.alignment_weights[keep],
        fit_weights=model.fit_weights[keep],
    )


def coefficients_of(model: FaceModel, expression: np.ndarray) -> Coefficients:
    """Faces of the model's mean identity that turn a little."""
    frames = len(expression)
    turn = 0.1 * np.sin(np.arange(frames)[:, None] / 7 + np.arange(3))
    pose = {"rotation": turn, "translation": 128 + 30 * turn, "scale": np.full(frames, 90.0)}
    return Coefficients(identity=model.mean, expression=expression, valid=np.ones(frames, bool), **pose)


def make_material(model: FaceModel, clips: int = 8, frames: int = 120, seed: int = 0) -> Material:
    """Clips with independent coefficients, two to a speaker."""
    rng = np.random.default_rng(seed)
    made = [
        (f"clip{i}", f"speaker{i // 2}", coefficients_of(model, rng.normal(size=(frames, model.num_expression))))
        for i in range(clips)
    ]
    return from_coefficients(made, model, "planted", "f" * 64)
