import dataclasses
from pathlib import Path

import numpy as np
import pytest

from chdtf.errors import UserError
from chdtf.morphable.model import FaceModel, LandmarkMap, load_model, save_model
from chdtf.morphable.models import mp468
from chdtf.morphable.regions import ALIGNMENT, EYES, LIPS, mirror_map, region_weights
from chdtf.schema import NUM_EXPRESSION


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model("mp468")


def test_the_bundled_model_is_in_the_documented_units_and_pose(model: FaceModel):
    assert model.num_expression == NUM_EXPRESSION
    assert np.linalg.norm(model.mean[263] - model.mean[33]) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(model.mean.mean(0), 0, atol=1e-6)
    assert model.mean[10, 2] == pytest.approx(model.mean[152, 2], abs=1e-6)  # forehead and chin equally deep
    assert model.mean[1, 2] == pytest.approx(model.mean[:, 2].min(), abs=0.02)  # the nose points at the viewer
    assert model.mean[152, 1] > model.mean[10, 1]  # y down
    assert mp468.FILE.stat().st_size < 700_000


def test_mean_is_mirror_symmetric_and_each_dimension_is_even_or_odd(model: FaceModel):
    partner = mirror_map(model.mean.astype(np.float64))
    assert partner[33] == 263
    assert partner[61] == 291
    assert partner[1] == 1
    flip = np.array([-1, 1, 1])
    np.testing.assert_allclose(model.mean[partner] * flip, model.mean, atol=1e-6)
    for dimension in model.expression_basis:
        mirrored = dimension[partner] * flip
        parity = np.sum(mirrored * dimension) / np.sum(dimension**2)
        assert abs(parity) == pytest.approx(1.0, abs=1e-4)


def test_expression_dimensions_are_orthogonal_and_ordered_in_the_fits_metric(model: FaceModel):
    rows = model.expression_basis.reshape(64, -1).astype(np.float64) * np.sqrt(np.repeat(model.fit_weights, 3))
    gram = rows @ rows.T
    lengths = np.sqrt(np.diag(gram))
    np.testing.assert_allclose(gram / np.outer(lengths, lengths), np.eye(64), atol=1e-4)
    assert np.all(np.diff(lengths) <= 0)


def test_regions_hold_their_contours_and_nothing_of_the_other(model: FaceModel):
    lip, eye = region_weights(model.mean)
    assert np.all(lip[list(LIPS)] == 1)
    assert np.all(eye[list(EYES)] == 1)
    assert not np.any(lip * eye)
    assert not np.any((lip + eye)[list(ALIGNMENT)])
    assert lip[152] > 0.5  # the chin moves with the mouth
    assert not np.any(eye[[10, 151, 9, 105, 334]])  # forehead and brows do not move with the lids


def test_save_and_load_keep_the_hash_and_the_bytes(model: FaceModel, tmp_path: Path):
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for path in paths:
        save_model(model, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert load_model(paths[0]).hash == model.hash


def test_the_hash_follows_every_array_and_the_name(model: FaceModel):
    moved = model.mean.copy()
    moved[0, 0] += 1e-3
    others = [
        dataclasses.replace(model, mean=moved),
        dataclasses.replace(model, name="other"),
        dataclasses.replace(model, expression_basis=model.expression_basis * 2),
        dataclasses.replace(model, identity_noise=model.identity_noise * 2),
    ]
    assert len({model.hash, *(other.hash for other in others)}) == 5


def test_unknown_and_damaged_models_are_one_line_errors(tmp_path: Path):
    with pytest.raises(UserError, match="no face model 'bfm9'; use "):
        load_model("bfm9")
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(b"not a zip file")
    with pytest.raises(UserError, match="not a face model"):
        load_model(damaged)


def test_triangles_are_a_surface_that_faces_the_viewer(model: FaceModel):
    a, b, c = (model.mean[model.triangles[:, i]] for i in range(3))
    assert np.all(np.cross(b - a, c - a)[:, 2] <= 0)
    walked = [tuple(edge) for face in model.triangles.tolist() for edge in zip(face, face[1:] + face[:1], strict=True)]
    assert len(set(walked)) == len(walked)  # each edge once in each direction: no face is there twice or turned over
    assert not {(13, 14), (14, 13)} & set(walked)  # the mouth is open


def test_a_landmark_is_the_weighted_mean_of_its_corners():
    values = np.random.default_rng(0).normal(size=(5, 9, 3))
    table = LandmarkMap(np.array([4, 70]), np.array([[0, 1, 2], [8, 3, 3]]), np.array([[0.5, 0.25, 0.25], [1, 0, 0]]))
    np.testing.assert_allclose(table.at(values)[:, 0], values[:, 0] / 2 + values[:, 1] / 4 + values[:, 2] / 4)
    np.testing.assert_array_equal(table.at(values)[:, 1], values[:, 8])
    assert not table.is_plain
    with pytest.raises(ValueError, match="ascend"):
        LandmarkMap(np.array([70, 4]), table.corners, table.shares)


def linear(model: FaceModel) -> FaceModel:
    """A model of linear identity over part of the same mesh's landmarks."""
    table = LandmarkMap.of_vertices(np.arange(0, 468, 3), np.arange(0, 468, 3))
    weights = np.ones(len(table.landmarks))
    return dataclasses.replace(
        model, name="linear", free_identity=False, landmark_map=table, alignment_weights=weights, fit_weights=weights
    )


def test_a_linear_identity_is_a_sum_and_a_free_one_the_face_itself(model: FaceModel):
    alpha = np.random.default_rng(1).normal(size=model.num_identity).astype(np.float32)
    expected = model.mean + np.einsum("i,ivc->vc", alpha, model.identity_basis)
    np.testing.assert_allclose(linear(model).face(alpha), expected, atol=1e-5)
    np.testing.assert_array_equal(model.face(model.mean), model.mean)
    with pytest.raises(ValueError, match=r"identity of linear is \(32,\), not \(468, 3\)"):
        linear(model).face(model.mean)


def test_a_model_of_another_map_has_another_hash_and_survives_its_file(model: FaceModel, tmp_path: Path):
    one = linear(model)
    save_model(one, tmp_path / "one.npz")
    again = load_model(tmp_path / "one.npz")
    assert again.hash == one.hash
    shifted = LandmarkMap(one.landmark_map.landmarks, one.landmark_map.corners + 1, one.landmark_map.shares)
    assert dataclasses.replace(one, landmark_map=shifted).hash != one.hash
    assert (again.free_identity, again.licence, again.unit) == (False, one.licence, 1.0)


def test_shapes_are_checked_at_the_door(model: FaceModel):
    with pytest.raises(ValueError, match=r"identity_basis is \(32, 468, 3\), not \(32, 467, 3\)"):
        dataclasses.replace(model, mean=model.mean[1:])
