import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chdtf.columns import rows_from_table, table_from_rows
from chdtf.errors import UserError
from chdtf.morphable.coefficients import (
    Coefficients,
    fit_error_px,
    from_row,
    landmarks_of,
    to_row,
)
from chdtf.morphable.fitting.closed_form import align_to_mean
from chdtf.morphable.model import FaceModel, load_model
from chdtf.schema import COEFFS


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model("mp468")


def planted(model: FaceModel, frames: int, seed: int, strength: float = 1.0) -> Coefficients:
    """Random coefficients in the gauge that fits return: identity aligned, mean expression zero."""
    rng = np.random.default_rng(seed)
    face = model.mean + np.tensordot(rng.normal(size=len(model.identity_basis)), model.identity_basis, 1)
    expression = strength * rng.normal(size=(frames, model.num_expression))
    return Coefficients(
        identity=align_to_mean(face, model),
        expression=expression - expression.mean(0),
        rotation=Rotation.from_euler("YXZ", rng.uniform(-30, 30, (frames, 3)), degrees=True).as_rotvec(),
        translation=rng.uniform(80, 180, (frames, 3)),
        scale=rng.uniform(30, 110, frames),
        valid=np.ones(frames, bool),
    )


def as_landmarks(vertices: np.ndarray) -> np.ndarray:
    """(T, 468, 3) with ten iris points added, as the tracker gives them."""
    return np.concatenate([vertices, vertices[:, :10]], axis=1)


def test_landmarks_of_is_the_written_formula(model: FaceModel):
    truth = planted(model, 3, 7)
    for t, vertices in enumerate(landmarks_of(truth, model)):
        face = truth.identity + np.einsum("k,kvc->vc", truth.expression[t], model.expression_basis)
        turn = Rotation.from_rotvec(truth.rotation[t]).as_matrix()
        wanted = np.stack([truth.scale[t] * turn @ point + truth.translation[t] for point in face])
        np.testing.assert_allclose(vertices, wanted, atol=1e-3)


@pytest.mark.parametrize(
    ("rotvec", "vertex", "axis", "sign"),
    [
        ((0.3, 0, 0), 152, 2, 1),  # bowed: the chin goes away from the viewer
        ((0, 0.3, 0), 1, 0, -1),  # the nose goes to the left of the picture
        ((0, 0, 0.3), 10, 0, 1),  # clockwise: the top of the head goes to the right of the picture
    ],
)
def test_head_pose_convention(model: FaceModel, rotvec: tuple[float, ...], vertex: int, axis: int, sign: int):
    still = planted(model, 1, 0).replace(rotation=np.zeros((1, 3)))
    turned = still.replace(rotation=np.array([rotvec]))
    assert sign * (landmarks_of(turned, model) - landmarks_of(still, model))[0, vertex, axis] > 5


def test_coefficients_name_the_array_of_wrong_shape(model: FaceModel):
    with pytest.raises(ValueError, match=r"12 frames: rotation is \(11, 3\), not \(12, 3\)"):
        planted(model, 12, 0).replace(rotation=np.zeros((11, 3)))


def test_rows_survive_parquet_types_and_another_model_is_refused(model: FaceModel):
    truth = planted(model, 5, 1)
    table = table_from_rows([{**to_row(truth, model), "fit_error_px": 0.1}], COEFFS)
    row = rows_from_table(table)[0]
    found = from_row(row)
    for field in dataclasses.fields(Coefficients):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(truth, field.name))
    other = dataclasses.replace(model, mean=model.mean * np.float32(1.01))
    with pytest.raises(UserError, match=f"{model.hash[:12]}.*{other.hash[:12]}"):
        from_row(row, other)


def test_fit_error_is_the_mean_distance_in_the_picture(model: FaceModel):
    truth = planted(model, 4, 2)
    landmarks = as_landmarks(landmarks_of(truth, model))
    landmarks[:, :, :2] += (3.0, 4.0)
    landmarks[:, :, 2] += 100.0
    assert fit_error_px(landmarks, truth, model) == pytest.approx(5.0, abs=1e-4)
