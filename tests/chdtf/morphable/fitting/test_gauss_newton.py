import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from chdtf.morphable.coefficients import Coefficients, landmarks_of
from chdtf.morphable.fitting import FitSettings, fit_clip, fit_clips, fitter_of
from chdtf.morphable.fitting.frames import frames_of
from chdtf.morphable.fitting.gauss_newton import GaussNewton
from chdtf.morphable.model import FaceModel, LandmarkMap

Plant = Callable[..., Coefficients]
See = Callable[[Coefficients, FaceModel], np.ndarray]
ARRAYS = ("identity", "expression", "rotation", "translation", "scale", "valid")


def small_model(seed: int, points: int = 40, identity: int = 4, expression: int = 5) -> FaceModel:
    """A random linear model: `points` vertices, the first of MediaPipe's, no two bases alike."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(points)
    return FaceModel(
        name="random",
        mean=rng.normal(size=(points, 3)) * 0.5,
        identity_basis=rng.normal(size=(identity, points, 3)) * 0.05,
        expression_basis=rng.normal(size=(expression, points, 3)) * 0.05,
        triangles=np.zeros((1, 3)),
        landmark_map=LandmarkMap.of_vertices(numbers, numbers),
        alignment_weights=np.ones(points),
        fit_weights=rng.uniform(1, 4, points),
        identity_noise=np.array(0.1),
        free_identity=False,
        licence="none",
    )


def expression_error(found: Coefficients, truth: Coefficients) -> float:
    return float(np.linalg.norm(found.expression - truth.expression) / np.linalg.norm(truth.expression))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), frames=st.integers(1, 12))
def test_planted_coefficients_of_random_models_are_recovered(planted: Plant, seen: See, seed: int, frames: int):
    model = small_model(seed)
    truth = planted(model, frames, seed)
    found = fit_clip(seen(truth, model), model)
    assert expression_error(found, truth) < 0.01
    np.testing.assert_allclose(found.identity, truth.identity, atol=0.01)
    np.testing.assert_allclose(found.scale, truth.scale, rtol=1e-3)
    np.testing.assert_allclose(found.rotation, truth.rotation, atol=1e-3)
    np.testing.assert_allclose(found.translation, truth.translation, atol=0.05)


def test_planted_coefficients_of_a_bfm_like_model_are_recovered(bfm_like: FaceModel, planted: Plant, seen: See):
    truth = planted(bfm_like, 12, 4)
    found = fit_clip(seen(truth, bfm_like), bfm_like)
    assert fitter_of(bfm_like) == "gauss_newton"
    assert expression_error(found, truth) < 0.01
    assert np.linalg.norm(found.identity - truth.identity) < 0.01 * np.linalg.norm(truth.identity)


def test_planted_coefficients_of_ict_are_recovered(ict: FaceModel, planted: Plant, seen: See):
    """But for the pupils' width, which moves no landmark of the 468 by more than 0.001 model units."""
    truth = planted(ict, 12, 4)
    found = fit_clip(seen(truth, ict), ict)
    visible = [not name.startswith("PupilDilate") for name in ict.expression_names]
    assert sum(visible) == 55
    error = np.linalg.norm((found.expression - truth.expression)[:, visible])
    assert error < 0.01 * np.linalg.norm(truth.expression[:, visible])


def test_errors_grow_gently_with_noise_and_the_priors_help(bfm_like: FaceModel, planted: Plant, seen: See):
    truth = planted(bfm_like, 12, 9)
    clean = seen(truth, bfm_like)
    noise = np.random.default_rng(0).normal(size=clean.shape)
    without = dataclasses.replace(bfm_like, expression_deviation=np.full(bfm_like.num_expression, 1e3))
    errors = []
    for level_px in (0.0, 0.25, 0.5, 1.0):
        landmarks = (clean + level_px * noise).astype(np.float32)
        errors.append(expression_error(fit_clip(landmarks, bfm_like), truth))
        if level_px >= 0.5:
            assert errors[-1] < 0.9 * expression_error(fit_clip(landmarks, without), truth)
    assert errors == sorted(errors)
    assert errors[2] < 0.6  # of the weaker dimensions, a tenth of a pixel wide, noise leaves little


def test_the_optimum_is_that_of_a_general_solver(planted: Plant, seen: See):
    """SciPy's least squares over all unknowns at once, with the same priors, finds nothing better."""
    model = small_model(1, points=25, identity=2, expression=3)
    frames, sigma = 3, 0.5
    truth = planted(model, frames, 2)
    landmarks = seen(truth, model)
    landmarks = (landmarks + sigma * np.random.default_rng(5).normal(size=landmarks.shape)).astype(np.float32)
    exact = FitSettings(iterations=60, tolerance_px=1e-9)
    frames_in = frames_of([landmarks], model, "cpu", 512)
    state = GaussNewton(frames_in, model, exact).joint(frames_in)
    noise, repeats = float(state.noise), float(state.repeats)
    weights = np.sqrt(model.fit_weights / model.fit_weights.mean())[:, None] * np.sqrt([1, 1, exact.depth_weight])

    def residuals(unknowns: np.ndarray) -> np.ndarray:
        identity, rest = unknowns[:2], unknowns[2:].reshape(frames, 10)
        found = Coefficients(identity, rest[:, :3], rest[:, 3:6], rest[:, 6:9], rest[:, 9], np.ones(frames, bool))
        faces = model.landmark_mean + np.tensordot(identity, model.landmark_identity, 1)
        parts = [np.sqrt(repeats) * identity * noise, found.expression.reshape(-1) * noise]
        for t in range(frames):
            face = faces + np.tensordot(rest[t, :3], model.landmark_expression, 1)
            turn = Rotation.from_rotvec(rest[t, 3:6]).as_matrix()
            placed = rest[t, 9] * face @ turn.T + rest[t, 6:9]
            parts.append(((placed - landmarks[t, :25]) * weights).reshape(-1))
        return np.concatenate(parts)

    rotation = Rotation.from_matrix(state.pose.rotation.numpy()).as_rotvec()
    own = [state.expression.numpy(), rotation, state.pose.translation.numpy(), state.pose.scale.numpy()[:, None]]
    start = np.concatenate([state.identity.numpy().reshape(-1), np.concatenate(own, 1).reshape(-1)])
    best = least_squares(residuals, start, x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    np.testing.assert_allclose(best.x, start, atol=2e-3)


def test_a_clip_does_not_depend_on_its_company(bfm_like: FaceModel, planted: Plant, seen: See):
    clips = [seen(planted(bfm_like, frames, frames), bfm_like) for frames in (6, 1, 9)]
    few = FitSettings(chunk_frames=8, identity_frames=4)
    for clip, found in zip(clips, fit_clips(clips, bfm_like, few), strict=True):
        alone = fit_clip(clip, bfm_like, few)
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))
    full = frames_of(clips, bfm_like, "cpu", 8)
    object.__setattr__(full, "apart", False)  # as on a GPU
    apart = frames_of(clips, bfm_like, "cpu", 8)
    one, other = (GaussNewton(frames, bfm_like, few).run() for frames in (apart, full))
    torch.testing.assert_close(other[0], one[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(other[1], one[1], atol=1e-4, rtol=0)


def test_missing_frames_are_masked_and_change_nothing_else(bfm_like: FaceModel, planted: Plant, seen: See):
    landmarks = seen(planted(bfm_like, 5, 3), bfm_like)
    holes = np.insert(landmarks, [0, 3], np.nan, axis=0)
    full, found = fit_clip(landmarks, bfm_like), fit_clip(holes, bfm_like)
    assert found.valid.tolist() == [False, True, True, True, False, True, True]
    np.testing.assert_array_equal(found.expression[found.valid], full.expression)
    assert not found.expression[~found.valid].any()


@pytest.mark.parametrize("yaw", [70, 90, 150])
def test_a_face_turned_away_is_fitted_where_it_is(bfm_like: FaceModel, planted: Plant, seen: See, yaw: float):
    truth = planted(bfm_like, 3, 6)
    truth = truth.replace(rotation=Rotation.from_euler("Y", [[yaw]] * 3, degrees=True).as_rotvec())
    landmarks = seen(truth, bfm_like)
    found = fit_clip(landmarks, bfm_like)
    np.testing.assert_allclose(found.rotation, truth.rotation, atol=0.01)
    wanted = landmarks[:, bfm_like.landmark_map.landmarks]
    np.testing.assert_allclose(landmarks_of(found, bfm_like)[:, bfm_like.landmark_map.landmarks], wanted, atol=0.05)


def test_weights_of_named_shapes_are_rarely_negative(bfm_like: FaceModel, planted: Plant, seen: See):
    """Noise that pulls weights below 0 is held back by the prior, where shapes have names."""
    count = bfm_like.num_expression
    named = dataclasses.replace(bfm_like, expression_names=tuple(f"shape_{number}" for number in range(count)))
    truth = planted(named, 8, 1, strength=0.5)
    landmarks = seen(truth, named)
    landmarks = (landmarks + np.random.default_rng(1).normal(size=landmarks.shape)).astype(np.float32)
    free = fit_clip(landmarks, named, FitSettings(negative_weight=1.0))
    held = fit_clip(landmarks, named)
    assert (held.expression < -0.2).mean() < 0.5 * (free.expression < -0.2).mean()
    assert expression_error(held, truth) < expression_error(free, truth)


def test_frames_of_nonsense_do_not_break_the_fit(bfm_like: FaceModel, planted: Plant, seen: See):
    """A tracker gone astray: everything stays finite, and no scale runs away."""
    landmarks = seen(planted(bfm_like, 20, 7), bfm_like)
    landmarks[5:14] = np.random.default_rng(2).uniform(0, 256, landmarks[5:14].shape)
    found = fit_clip(landmarks, bfm_like)
    assert all(np.isfinite(getattr(found, name)).all() for name in ARRAYS)
    assert 0 < found.scale.min() <= found.scale.max() < 1000
    assert np.abs(found.expression).max() < 10
