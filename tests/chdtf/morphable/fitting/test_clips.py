import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.morphable.coefficients import Coefficients, landmarks_of
from chdtf.morphable.fitting import FitSettings, fit_clip, fit_clips, fit_image, usable
from chdtf.morphable.model import FaceModel
from chdtf.schema import NUM_LANDMARKS

Plant = Callable[..., Coefficients]
See = Callable[[Coefficients, FaceModel], np.ndarray]


@pytest.mark.parametrize("name", ["mp468", "bfm_like"])
def test_a_clip_without_any_face_or_of_wrong_shape_is_refused(name: str, request: pytest.FixtureRequest):
    model = request.getfixturevalue(name)
    for nothing in (np.full((4, NUM_LANDMARKS, 3), np.nan), np.full((4, NUM_LANDMARKS, 3), 7.0)):
        with pytest.raises(ValueError, match="none of 4 frames has landmarks"):
            fit_clip(nothing, model)
    with pytest.raises(ValueError, match="none of 0 frames has landmarks"):
        fit_clip(np.zeros((0, NUM_LANDMARKS, 3)), model)
    with pytest.raises(ValueError, match=r"not \(4, 1434\)"):
        fit_clip(np.zeros((4, 1434)), model)
    with pytest.raises(ValueError, match=r"not \(2, 68, 3\)"):
        fit_clip(np.zeros((2, 68, 3)), model)
    assert fit_clips([], model) == []


def test_the_clip_of_a_batch_that_cannot_be_fitted_is_named(mp468: FaceModel, planted: Plant, seen: See):
    good = seen(planted(mp468, 2, 0), mp468)
    with pytest.raises(ValueError, match="clip 1: none of 3 frames"):
        fit_clips([good, np.full((3, NUM_LANDMARKS, 3), np.nan), good], mp468)


@pytest.mark.parametrize("name", ["mp468", "bfm_like"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_landmarks_that_must_not_be_written_to_are_fitted_and_stay(
    name: str, dtype: type, planted: Plant, seen: See, request: pytest.FixtureRequest
):
    """As they come out of a Parquet file."""
    model = request.getfixturevalue(name)
    landmarks = seen(planted(model, 3, 1), model).astype(dtype)
    before = landmarks.copy()
    landmarks.flags.writeable = False
    fit_clip(landmarks, model)
    fit_image(landmarks[0], model)
    np.testing.assert_array_equal(landmarks, before)


def test_settings_without_sense_are_refused():
    with pytest.raises(ValueError, match="chunk_frames is 0"):
        FitSettings(chunk_frames=0)
    with pytest.raises(ValueError, match="depth_weight is nan"):
        FitSettings(depth_weight=float("nan"))


def test_frames_at_one_spot_or_not_finite_hold_no_face():
    landmarks = np.random.default_rng(0).uniform(0, 256, (4, NUM_LANDMARKS, 3))
    landmarks[1] = 128.0
    landmarks[2, 467, 0] = -np.inf
    landmarks[3, 470] = np.nan  # an iris: not a vertex
    assert usable(landmarks).tolist() == [True, False, False, True]


@pytest.mark.parametrize("name", ["mp468", "bfm_like"])
def test_points_on_a_line_give_finite_coefficients(name: str, request: pytest.FixtureRequest):
    """Nothing a tracker gives, but no crash either."""
    model = request.getfixturevalue(name)
    line = np.linspace(0, 200, NUM_LANDMARKS)[None, :, None] * np.ones((3, 1, 3))
    found = fit_clip(line, model)
    assert all(np.isfinite(getattr(found, name)).all() for name in ("expression", "rotation", "translation", "scale"))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_single_image_is_reproduced_exactly(mp468: FaceModel, planted: Plant, seen: See, seed: int):
    landmarks = seen(planted(mp468, 2, seed), mp468)
    found = fit_image(landmarks[0], mp468)
    assert found.num_frames == 1
    np.testing.assert_allclose(landmarks_of(found, mp468)[0], landmarks[0, :468], atol=1e-3)


def test_a_clip_with_a_single_face_is_split_as_an_image(mp468: FaceModel, planted: Plant, seen: See):
    landmarks = seen(planted(mp468, 2, 5), mp468)
    holes = np.insert(landmarks[:1], [0, 1], np.nan, axis=0)
    image, found = fit_image(landmarks[0], mp468), fit_clip(holes, mp468)
    assert found.valid.tolist() == [False, True, False]
    assert np.abs(found.expression[1]).max() > 0.1
    np.testing.assert_array_equal(found.expression[1], image.expression[0])
    np.testing.assert_array_equal(found.identity, image.identity)
    assert not found.expression[[0, 2]].any()


@pytest.mark.parametrize("name", ["mp468", "bfm_like"])
def test_single_frame_expressions_are_told_from_identity(
    name: str, planted: Plant, seen: See, request: pytest.FixtureRequest
):
    """Better than calling the whole image identity, and pointing along the expression that was put in."""
    model = request.getfixturevalue(name)
    error = error_of_nothing = 0.0
    cosines = []
    for seed in range(40 if model.free_identity else 6):
        truth = planted(model, 2, seed)
        found = fit_image(seen(truth, model)[0], model)
        moved, split = model.displacement(truth.expression[:1])[0], model.displacement(found.expression)[0]
        cosines.append(np.sum(split * moved) / np.linalg.norm(split) / np.linalg.norm(moved))
        error += np.square(split - moved).sum()
        error_of_nothing += np.square(moved).sum()
    assert error < 0.7 * error_of_nothing
    assert np.mean(cosines) > 0.6
    assert np.mean(np.array(cosines) > 0) > 0.9


def test_an_image_of_wrong_shape_or_with_a_gap_is_refused(mp468: FaceModel):
    with pytest.raises(ValueError, match=r"one image are \(478, 3\), not \(1, 478, 3\)"):
        fit_image(np.zeros((1, NUM_LANDMARKS, 3)), mp468)
    with pytest.raises(ValueError, match="none of 1 frames"):
        fit_image(np.full((NUM_LANDMARKS, 3), np.nan), mp468)


def test_neither_the_command_line_nor_a_single_image_waits_for_pytorch():
    code = (
        "import sys, numpy as np; from chdtf.morphable.fitting import fit_image; "
        "from chdtf.morphable.model import load_model; import pipelines.stages.fit; m = load_model(); "
        "fit_image(70 * m.mean + 128, m); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
