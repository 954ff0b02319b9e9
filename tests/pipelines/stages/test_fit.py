from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chdtf import weights
from chdtf.columns import table_from_rows
from chdtf.engine.shards import Stage as StageProtocol
from chdtf.engine.shards import Workspace, config_fingerprint
from chdtf.errors import Reject, UserError
from chdtf.morphable.coefficients import from_row, landmarks_of
from chdtf.morphable.fitting import FITTER_VERSION
from chdtf.morphable.model import load_model
from chdtf.schema import COEFFS, NUM_LANDMARKS, SMOOTH, coeffs_schema
from pipelines.stages.fit import Stage


def row_with(landmarks: np.ndarray) -> dict[str, object]:
    return {"clip_id": "a_000", "landmarks": landmarks.reshape(-1, NUM_LANDMARKS * 3)}


def run(landmarks: np.ndarray, stage: Stage | None = None) -> dict[str, object]:
    stage = stage or Stage()
    (row,) = stage.apply(row_with(landmarks), stage.load(), Workspace(Path(), "fit", "f"))
    return row


def tracked() -> np.ndarray:
    """(6, 478, 3) px: the mean face, opening its mouth, with one frame missing."""
    model = load_model()
    openings = np.zeros((6, 64))
    openings[:, 0] = np.linspace(-1, 1, 6)
    vertices = 70 * (model.mean + model.displacement(openings)) + 128
    landmarks = np.concatenate([vertices, vertices[:, :10]], axis=1).astype(np.float32)
    landmarks[3] = np.nan
    assert landmarks.shape[1] == NUM_LANDMARKS
    return landmarks


def test_the_stage_adds_exactly_the_coefficient_columns_and_they_reproduce_the_landmarks():
    landmarks = tracked()
    row = run(landmarks)
    assert set(row) == {"clip_id", "landmarks", *COEFFS.names}
    table_from_rows([{name: row[name] for name in COEFFS.names}], COEFFS)
    coefficients = from_row(row)
    assert coefficients.valid.tolist() == [True, True, True, False, True, True]
    seen = coefficients.valid
    np.testing.assert_allclose(landmarks_of(coefficients, load_model())[seen], landmarks[seen, :468], atol=0.05)
    assert isinstance(row["fit_error_px"], float)
    assert row["fit_error_px"] < 0.02


def test_a_clip_without_a_face_is_rejected_with_the_count():
    with pytest.raises(Reject, match="no_face: 0 of 6 frames"):
        run(np.full((6, NUM_LANDMARKS, 3), np.nan, np.float32))
    with pytest.raises(Reject, match="no_face: 0 of 6 frames"):
        run(np.full((6, NUM_LANDMARKS, 3), 128.0, np.float32))
    with pytest.raises(Reject, match="no_face: 0 of 0 frames"):
        run(np.zeros((0, NUM_LANDMARKS, 3), np.float32))


def test_smoothing_adds_columns_and_leaves_the_raw_ones():
    stage = Stage(smooth_s=0.16)
    plain, row = run(tracked()), run(tracked(), stage)
    assert stage.adds.names == coeffs_schema(64, smoothed=True).names
    table_from_rows([{name: row[name] for name in stage.adds.names}], stage.adds)
    for name, smoothed in SMOOTH.items():
        np.testing.assert_array_equal(row[name], plain[name])
        assert np.shape(row[smoothed]) == np.shape(row[name])
        assert smoothed not in plain
    with pytest.raises(UserError, match=r"fit\.smooth_s is -1"):
        Stage(smooth_s=-1)


def test_another_face_model_gives_columns_of_its_width(ict: Stage):
    model = ict.load()
    row = run(tracked(), ict)
    table_from_rows([{name: row[name] for name in ict.adds.names}], ict.adds)
    coefficients = from_row(row, model)
    assert (row["face_model"], row["fitter"], row["fitter_version"]) == ("ict", "gauss_newton", FITTER_VERSION)
    assert coefficients.expression.shape == (6, 57)
    assert coefficients.identity.shape == (100,)
    assert 0 < float(str(row["fit_error_px"])) < 2


@pytest.fixture
def ict(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage with the model ict, from the weights beside the checkout."""
    monkeypatch.setattr(weights, "folder", lambda: shared / "weights")
    load_model.cache_clear()
    yield Stage(face_model="ict")
    load_model.cache_clear()


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"fit\.device 'warp' cannot be used"):
        Stage(device="warp").load()
    assert config_fingerprint(Stage(device="cuda")) == config_fingerprint(Stage())


def test_what_cannot_be_fitted_is_rejected_with_the_reason(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise ValueError("the landmarks are not those of a face")

    monkeypatch.setattr("pipelines.stages.fit.fit_clips", fail)
    with pytest.raises(Reject, match="not_fitted: the landmarks are not those of a face"):
        run(tracked())


def test_the_fingerprint_names_the_face_model_and_the_smoothing():
    stage = Stage()
    assert isinstance(stage, StageProtocol)
    assert config_fingerprint(Stage(smooth_s=0.1)) != config_fingerprint(stage)
    assert stage.face_model_hash == load_model().hash
    other = Stage()
    object.__setattr__(other, "face_model_hash", "0" * 64)
    assert config_fingerprint(other) != config_fingerprint(stage)
    with pytest.raises(UserError, match="no face model 'flame'"):
        Stage(face_model="flame")
