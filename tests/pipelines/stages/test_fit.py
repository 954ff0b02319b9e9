from pathlib import Path

import numpy as np
import pytest

from chdtf.columns import table_from_rows
from chdtf.engine.shards import Stage as StageProtocol
from chdtf.engine.shards import Workspace, config_fingerprint
from chdtf.errors import Reject, UserError
from chdtf.morphable.coefficients import from_row, landmarks_of
from chdtf.morphable.model import load_model
from chdtf.schema import COEFFS, NUM_LANDMARKS
from pipelines.stages.fit import Stage


def row_with(landmarks: np.ndarray) -> dict[str, object]:
    return {"clip_id": "a_000", "landmarks": landmarks.reshape(-1, NUM_LANDMARKS * 3)}


def run(landmarks: np.ndarray) -> dict[str, object]:
    stage = Stage()
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
    with pytest.raises(Reject, match="no_face: 0 of 0 frames"):
        run(np.zeros((0, NUM_LANDMARKS, 3), np.float32))


def test_the_fingerprint_names_the_face_model():
    stage = Stage()
    assert isinstance(stage, StageProtocol)
    assert stage.face_model_hash == load_model().hash
    other = Stage()
    object.__setattr__(other, "face_model_hash", "0" * 64)
    assert config_fingerprint(other) != config_fingerprint(stage)
    with pytest.raises(UserError, match="no face model 'flame'"):
        Stage(face_model="flame")
