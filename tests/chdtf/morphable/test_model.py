import dataclasses
from pathlib import Path

import numpy as np
import pytest

from chdtf.errors import UserError
from chdtf.morphable.model import ASSETS, FaceModel, load_model, save_model
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
    assert (ASSETS / "mp468.npz").stat().st_size < 700_000


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
        dataclasses.replace(model, expression_basis=model.expression_basis[:63]),
        dataclasses.replace(model, identity_noise=model.identity_noise * 2),
    ]
    assert len({model.hash, *(other.hash for other in others)}) == 5


def test_unknown_and_damaged_models_are_one_line_errors(tmp_path: Path):
    with pytest.raises(UserError, match="no face model 'bfm9'; use mp468"):
        load_model("bfm9")
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(b"not a zip file")
    with pytest.raises(UserError, match="not a face model"):
        load_model(damaged)


def test_shapes_are_checked_at_the_door(model: FaceModel):
    with pytest.raises(ValueError, match=r"mean is \(467, 3\), not \(468, 3\)"):
        dataclasses.replace(model, mean=model.mean[1:])
