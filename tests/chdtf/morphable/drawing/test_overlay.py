import numpy as np
import pytest

from chdtf.morphable.coefficients import Coefficients, fit_error_px, landmarks_of
from chdtf.morphable.drawing.overlay import (
    OverlayStyle,
    draw_landmarks,
    draw_mesh,
    mean_error_px,
    meshes,
    overlay,
    strip,
)
from chdtf.morphable.model import FaceModel, load_model

GAP = 2


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model("mp468")


@pytest.fixture(scope="module")
def coefficients(model: FaceModel) -> Coefficients:
    """Five frames of a head that turns, with a gap."""
    turn = np.zeros((5, 3), np.float32)
    turn[:, 1] = np.radians([-40, -20, 0, 20, 40])
    return Coefficients(
        identity=model.mean,
        expression=np.random.default_rng(0).normal(size=(5, model.num_expression)).astype(np.float32),
        rotation=turn,
        translation=np.tile(np.array([128.0, 120.0, 0.0], np.float32), (5, 1)),
        scale=np.full(5, 100, np.float32),
        valid=np.arange(5) != GAP,
    )


def frames(count: int = 5, height: int = 256, width: int = 256) -> list[np.ndarray]:
    return [np.full((height, width, 3), 30 + 20 * k, np.uint8) for k in range(count)]


def test_drawn_vertices_lie_on_the_landmarks(model: FaceModel, coefficients: Coefficients):
    landmarks = landmarks_of(coefficients, model)
    for number, vertices in enumerate(meshes(coefficients, model)):
        if number == GAP:
            assert vertices is None
            continue
        assert vertices is not None
        apart = np.linalg.norm((vertices - landmarks[number])[:, :2], axis=1)
        assert apart.mean() < 1e-3


@pytest.mark.parametrize("style", [OverlayStyle(beside=False), OverlayStyle(beside=False, wireframe=True)])
def test_the_pixels_of_the_mesh_end_where_the_landmarks_end(
    model: FaceModel, coefficients: Coefficients, style: OverlayStyle
):
    landmarks = landmarks_of(coefficients, model)
    for number, (before, after) in enumerate(zip(frames(), overlay(frames(), coefficients, model, style), strict=True)):
        changed = np.argwhere((before != after).any(2))
        if number != GAP:
            low, high = landmarks[number, :, :2].min(0), landmarks[number, :, :2].max(0)
            assert np.abs(changed[:, ::-1].min(0) - low).max() < 1.5
            assert np.abs(changed[:, ::-1].max(0) + 1 - high).max() < 1.5


def test_a_gap_has_a_note_and_no_mesh(model: FaceModel, coefficients: Coefficients):
    drawn = list(overlay(frames(), coefficients, model, OverlayStyle(beside=False)))
    changed = np.argwhere((drawn[GAP] != frames()[GAP]).any(2))
    assert len(changed)
    assert changed.max(0)[0] < 24
    assert changed.max(0)[1] < 90


def test_the_frame_as_it_was_stands_beside_it_and_sizes_become_even(model: FaceModel, coefficients: Coefficients):
    given = frames(5, 255, 201)
    for before, after in zip(given, overlay(given, coefficients, model), strict=True):
        assert after.shape == (256, 404, 3)
        assert (after[:255, :201] == before).all()
        assert (before == before[0, 0]).all()


def test_the_mean_error_is_that_of_all_frames_at_once(model: FaceModel, coefficients: Coefficients):
    many = np.tile(np.arange(5), 9)  # more than one piece
    clip = coefficients.replace(
        **{
            name: getattr(coefficients, name)[many]
            for name in ("expression", "rotation", "translation", "scale", "valid")
        }
    )
    landmarks = landmarks_of(clip, model) + np.random.default_rng(1).normal(size=(45, 468, 3)).astype(np.float32)
    assert mean_error_px(landmarks, clip, model) == pytest.approx(fit_error_px(landmarks, clip, model), rel=1e-6)
    assert np.isnan(mean_error_px(landmarks, clip.replace(valid=np.zeros(45, bool)), model))


def test_frames_and_coefficients_that_do_not_match_are_refused(model: FaceModel, coefficients: Coefficients):
    with pytest.raises(ValueError, match="zip"):
        list(overlay(frames(4), coefficients, model))


def test_opacity_mixes_the_mesh_with_the_frame(model: FaceModel, coefficients: Coefficients):
    vertices = next(v for v in meshes(coefficients, model) if v is not None)
    black = np.zeros((256, 256, 3), np.uint8)
    whole, third = (draw_mesh(black, vertices, model.triangles, OverlayStyle(opacity=share)) for share in (1.0, 1 / 3))
    assert third.sum() / whole.sum() == pytest.approx(1 / 3, abs=0.01)
    with pytest.raises(ValueError, match="opacity"):
        OverlayStyle(opacity=0)


@pytest.mark.parametrize(("moments", "columns", "shape"), [(3, 3, (8, 24, 3)), (3, 2, (16, 16, 3)), (9, 5, (8, 40, 3))])
def test_a_strip_shows_frames_evenly_from_the_first_to_the_last(
    moments: int, columns: int, shape: tuple[int, int, int]
):
    image = strip(frames(5, 8, 8), 5, moments, columns)
    assert image.shape == shape
    assert image[0, 0, 0] == 30
    levels = set(image[:, :, 0].ravel().tolist()) - {255}
    assert levels == ({30, 70, 110} if moments == 3 else {30, 50, 70, 90, 110})


def test_dots_lie_on_the_landmarks():
    points = np.array([[20.5, 30.5, 0], [80.5, 60.5, 0], [np.nan] * 3], np.float32)
    image = draw_landmarks(np.zeros((100, 100, 3), np.uint8), points).max(2).astype(float)
    ys, xs = np.nonzero(image[:45])
    weights = image[ys, xs]
    assert np.average(xs, weights=weights) == pytest.approx(20, abs=0.1)
    assert np.average(ys, weights=weights) == pytest.approx(30, abs=0.1)
    assert image[60, 80] > 200
