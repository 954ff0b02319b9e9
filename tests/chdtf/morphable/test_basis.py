import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chdtf.errors import UserError
from chdtf.faces import mouth_opening
from chdtf.morphable.basis import BasisSettings, compute_basis, explained_variance
from chdtf.morphable.coefficients import fit_error_px, landmarks_of
from chdtf.morphable.fitting import fit_clip
from chdtf.morphable.model import FaceModel, load_model
from chdtf.schema import NUM_LANDMARKS


def drawn_tracks(model: FaceModel, clips: int, frames: int, seed: int, yaw_deg: float = 0.0) -> list[np.ndarray]:
    """Tracks (T, 478, 3) drawn from a face model, with head motion and a little noise."""
    rng = np.random.default_rng(seed)
    tracks = []
    for _ in range(clips):
        face = model.mean + np.tensordot(0.7 * rng.normal(size=len(model.identity_basis)), model.identity_basis, 1)
        faces = face + model.displacement(rng.normal(size=(frames, model.num_expression)))
        angles = rng.uniform(-8, 8, (frames, 3)) + np.array([yaw_deg, 0, 0])
        turn = Rotation.from_euler("YXZ", angles, degrees=True).as_matrix()
        points = 70 * faces @ np.swapaxes(turn, 1, 2) + rng.uniform(120, 136, (frames, 1, 3))
        points += rng.normal(scale=0.01, size=points.shape)
        tracks.append(np.concatenate([points, points[:, :10]], axis=1).astype(np.float32))
    return tracks


@pytest.fixture(scope="module")
def truth() -> FaceModel:
    return load_model("mp468")


@pytest.fixture(scope="module")
def tracks(truth: FaceModel) -> list[np.ndarray]:
    return drawn_tracks(truth, clips=8, frames=60, seed=0)


@pytest.fixture(scope="module")
def computed(tracks: list[np.ndarray]) -> FaceModel:
    return compute_basis(tracks)


def test_a_basis_computed_from_drawn_tracks_spans_what_drew_them(truth: FaceModel, computed: FaceModel):
    unseen = drawn_tracks(truth, clips=2, frames=30, seed=99)
    for track in unseen:
        assert fit_error_px(track, fit_clip(track, computed), computed) < 0.15  # expressions move vertices 1 px
    assert explained_variance(computed, unseen, [64])[0] > 0.98
    assert np.sqrt(np.mean(np.square(computed.mean - truth.mean))) < 0.03  # the mean of eight drawn faces


def test_computed_model_keeps_the_documented_pose_and_units(computed: FaceModel):
    assert np.linalg.norm(computed.mean[263] - computed.mean[33]) == pytest.approx(1.0, abs=1e-5)
    assert computed.mean[10, 2] == pytest.approx(computed.mean[152, 2], abs=1e-5)
    assert computed.identity_basis.shape == (7, 468, 3)  # as many as eight clips support


def test_coefficients_of_the_footage_have_unit_deviation(computed: FaceModel, tracks: list[np.ndarray]):
    expression = np.concatenate([fit_clip(track, computed).expression for track in tracks])
    np.testing.assert_allclose(expression.std(0), 1.0, atol=0.1)


def test_explained_variance_grows_to_one_with_the_dimensions(computed: FaceModel, tracks: list[np.ndarray]):
    shares = explained_variance(computed, tracks, [5, 10, 20, 32, 64])
    assert shares == sorted(shares)
    assert 0.5 < shares[0] < shares[-1] <= 1.0


def test_missing_frames_and_turned_clips_change_nothing(truth: FaceModel, tracks: list[np.ndarray]):
    with_holes = [np.insert(tracks[0], 3, np.nan, axis=0), *tracks[1:4]]
    turned = drawn_tracks(truth, clips=1, frames=60, seed=5, yaw_deg=60)
    reference, found = compute_basis(tracks[:4]), compute_basis([*with_holes, *turned])
    assert found.identity_basis.shape == (3, 468, 3)  # of four clips, not five
    np.testing.assert_allclose(found.mean, reference.mean, atol=0.02)  # all clips help to find the reference's pose


def test_long_clips_do_not_rule(tracks: list[np.ndarray]):
    longer = [np.concatenate([tracks[0]] * 6), *tracks[1:4]]
    settings = BasisSettings(max_frames=60)
    once, often = compute_basis(tracks[:4], settings), compute_basis(longer, settings)
    np.testing.assert_allclose(often.mean, once.mean, atol=1e-3)


def test_too_little_footage_is_refused(tracks: list[np.ndarray]):
    with pytest.raises(UserError, match="1 usable clips"):
        compute_basis(tracks[:1])
    with pytest.raises(UserError, match="0 usable clips with 0 frames"):
        compute_basis([np.full((5, NUM_LANDMARKS, 3), np.nan)])


def test_the_first_dimension_of_the_bundled_model_opens_the_mouth(truth: FaceModel):
    moved = truth.mean + truth.displacement(np.eye(64)[:1] * np.array([[-2.0], [0.0], [2.0]]))
    opening = mouth_opening(moved)
    assert opening[2] > opening[1] > opening[0] or opening[2] < opening[1] < opening[0]
    assert np.ptp(opening) > 0.15


def test_recomputing_from_its_own_reproductions_gives_the_same_faces(computed: FaceModel, tracks: list[np.ndarray]):
    """Fitting, drawing and fitting again must be a fixed point, or the space would drift with every pass."""
    once = fit_clip(tracks[0], computed)
    drawn = landmarks_of(once, computed)
    twice = fit_clip(np.concatenate([drawn, drawn[:, :10]], axis=1), computed)
    np.testing.assert_allclose(twice.expression, once.expression, atol=0.02)
