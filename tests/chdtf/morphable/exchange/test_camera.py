"""Poses to Deep3DFaceRecon's camera and back, against a camera and a crop written down anew."""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients, vertices_of
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.camera import Crop, bfm_from_fit, fit_from_bfm, project
from chdtf.morphable.model import FaceModel, load_model

NAMES = ("identity", "expression", "rotation", "translation", "scale")


def in_source(model: FaceModel, vertices: np.ndarray) -> np.ndarray:
    """Vertices in Deep3DFaceRecon's coordinates, by the definition of `unit` and `origin`."""
    return vertices * [1, -1, -1] * model.unit + model.origin


def faces(model: FaceModel, fit: Coefficients) -> np.ndarray:
    return in_source(model, model.face(fit.identity) + model.displacement(fit.expression))


def seen_upstream(point: np.ndarray, angle: np.ndarray, translation: np.ndarray, params: np.ndarray) -> np.ndarray:
    """One point through models/bfm.py and back out of util/preprocess.py's crop, in plain arithmetic."""
    x, y, z = Rotation.from_euler("xyz", angle.astype(float)).apply(point) + translation
    u, up = 1015 * x / (10 - z) + 112, 1015 * y / (10 - z) + 112
    w0, h0, s, t0, t1 = (float(value) for value in params)
    w, h = int(w0 * s), int(h0 * s)
    left, top = int(w / 2 - 112 + (t0 - w0 / 2) * s), int(h / 2 - 112 + (h0 / 2 - t1) * s)
    return np.array([(u + left) * w0 / w, (224 - up + top) * h0 / h])


def test_projection_is_that_of_the_upstream_code(bfm: FaceModel, fit: Coefficients):
    found = bfm_from_fit(fit, bfm)
    assert found.angle is not None
    assert found.translation is not None
    assert found.transform_params is not None
    vertices = faces(bfm, fit)
    seen = project(found, vertices)
    for frame in np.flatnonzero(fit.valid):
        for vertex in (0, 7):
            point = vertices[frame, vertex]
            wanted = seen_upstream(point, found.angle[frame], found.translation[frame], found.transform_params[frame])
            np.testing.assert_allclose(seen[frame, vertex], wanted, atol=1e-9)
    assert np.isnan(seen[~fit.valid]).all()


@pytest.mark.parametrize("yaw_deg", [40.0, 90.0])
def test_a_fit_comes_back_through_the_camera(bfm: FaceModel, planted_fit: Callable[..., Coefficients], yaw_deg: float):
    fit = planted_fit(yaw_deg=yaw_deg)
    back = fit_from_bfm(bfm_from_fit(fit, bfm), bfm)
    for name in NAMES:
        np.testing.assert_allclose(
            getattr(back, name), getattr(fit, name), atol=2e-5 if name == "translation" else 1e-6
        )
    assert np.array_equal(back.valid, fit.valid)


def test_coefficients_come_back_through_a_fit_with_the_crop_they_had(bfm: FaceModel, fit: Coefficients):
    rng = np.random.default_rng(3)
    frames = fit.num_frames
    crop = np.column_stack(
        [np.full((frames, 2), 256), rng.uniform(0.8, 1.2, frames), rng.uniform(110, 140, (frames, 2))]
    )
    given = BfmCoefficients(
        expression=fit.expression,
        valid=fit.valid,
        identity=np.repeat(fit.identity[None], frames, 0),
        angle=rng.uniform(-0.5, 0.5, (frames, 3)),
        translation=rng.uniform(-0.5, 0.5, (frames, 3)),
        transform_params=crop,
    )
    back = bfm_from_fit(fit_from_bfm(given, bfm), bfm, transform_params=given.transform_params)
    for name, array in given.parts.items():
        np.testing.assert_allclose(back.parts[name], array, atol=2e-6, err_msg=name)


def test_both_ways_of_projecting_agree_at_the_origin_and_nearby_by_perspective(bfm: FaceModel, fit: Coefficients):
    found = bfm_from_fit(fit, bfm)
    valid = fit.valid
    origin = project(found, np.repeat(in_source(bfm, np.zeros((1, 1, 3))), fit.num_frames, 0))[valid, 0]
    np.testing.assert_allclose(origin, fit.translation[valid, :2], atol=1e-4)
    weak, strong = vertices_of(fit, bfm)[valid, :, :2], project(found, faces(bfm, fit))[valid]
    error = np.linalg.norm(weak - strong, axis=-1)
    assert error.mean() < 4.0  # px in 256: the figures for a face are in the module's documentation
    far = found.transform_params.copy()  # type: ignore[union-attr]
    far[:, 2] /= 4  # a crop four times as coarse puts the face four times as far away
    distant = project(bfm_from_fit(fit, bfm, transform_params=far), faces(bfm, fit))[valid]
    assert np.linalg.norm(weak - distant, axis=-1).mean() == pytest.approx(error.mean() / 4, rel=0.15)


def test_axes_point_where_both_conventions_say(bfm: FaceModel, fit: Coefficients):
    """Yaw, pitch, roll of +10 degrees each, in ours: nose to the left, chin away, clockwise."""
    turns = np.radians(10) * np.eye(3)
    one = Coefficients(
        identity=fit.identity,
        expression=np.zeros((3, 64), np.float32),
        rotation=turns.astype(np.float32),
        translation=np.full((3, 3), 128, np.float32) * [1, 1, 0],
        scale=np.full(3, 90, np.float32),
        valid=np.ones(3, bool),
    )
    angle = bfm_from_fit(one, bfm).angle
    np.testing.assert_allclose(angle, np.radians([[10, 0, 0], [0, -10, 0], [0, 0, -10]]), atol=1e-6)


def test_the_crop_is_where_pillow_puts_the_pixels():
    params = np.array([[256, 256, 1.07, 133.6, 125.2]], np.float32)
    size, scale = 256, float(params[0, 2])
    resized = int(size * scale)
    left = int(resized / 2 - 112 + (float(params[0, 3]) - 128) * scale)
    top = int(resized / 2 - 112 + (128 - float(params[0, 4])) * scale)
    for x, y in [(100, 90), (160, 150)]:
        picture = np.zeros((size, size), np.float32)
        picture[y - 4 : y + 4, x - 4 : x + 4] = 1.0  # its middle is (x, y) counted from the edge
        cut = np.asarray(Image.fromarray(picture).resize((resized, resized), Image.Resampling.BICUBIC))
        cut = cut[top : top + 224, left : left + 224]
        rows, columns = np.indices(cut.shape) + 0.5
        middle = np.array([(cut * columns).sum(), (cut * rows).sum()]) / cut.sum()
        crop = Crop.of(params)
        np.testing.assert_allclose(crop.to_crop(np.array([[x, y]], float))[0], middle, atol=0.02)
        np.testing.assert_allclose(crop.to_frame(middle[None])[0], [x, y], atol=0.02)


def test_the_default_crop_holds_the_face_in_its_middle_at_the_trained_size(bfm: FaceModel, fit: Coefficients):
    found = bfm_from_fit(fit, bfm)
    assert found.translation is not None
    assert found.transform_params is not None
    assert np.abs(found.translation[:, :2]).max() < 0.05  # as in the field's files, of the order of rounding
    assert np.abs(found.translation[:, 2]).max() < 0.6
    assert (found.transform_params[fit.valid, :2] == 256).all()
    assert found.texture is None
    assert found.gamma is None
    with pytest.raises(UserError, match="texture and gamma"):
        found.to_array("257")


def test_other_models_are_refused_by_name(bfm: FaceModel, fit: Coefficients):
    with pytest.raises(UserError, match=r"mp468.*fit it again with face_model=bfm"):
        bfm_from_fit(fit, load_model("mp468"))
    few = dataclasses.replace(bfm, expression_basis=bfm.expression_basis[:57], expression_deviation=np.ones(57))
    with pytest.raises(UserError, match="57 expression"):
        fit_from_bfm(bfm_from_fit(fit, bfm), few)


def test_what_a_pose_lacks_is_named(bfm: FaceModel, fit: Coefficients):
    found = bfm_from_fit(fit, bfm)
    with pytest.raises(UserError, match="needs transform_params"):
        fit_from_bfm(found.replace(transform_params=None), bfm)
    with pytest.raises(UserError, match="no identity"):
        fit_from_bfm(found.replace(identity=None), bfm)
    with pytest.raises(UserError, match="none of 12 frames"):
        fit_from_bfm(found.replace(valid=np.zeros(12, bool)), bfm)
    with pytest.raises(ValueError, match=r"\(3, 5\), not \(12, 5\)"):
        bfm_from_fit(fit, bfm, transform_params=np.ones((3, 5)))


def test_head_turns_and_places_of_real_coefficients_are_those_of_the_tracked_face(shared: Path):
    """Signs and axes of the whole chain, on a clip of data/coeffs whose video is there: 100 frames."""
    from chdtf.faces import track_landmarks
    from chdtf.media import frames
    from chdtf.morphable.exchange.files import read_bfm
    from chdtf.morphable.fitting import fit_clip

    folder = shared / "data/coeffs"
    found = read_bfm(folder / "feifeili_clip1.mat")
    pictures = itertools.islice(frames(folder / "feifeili_clip1.mp4", 30.0), 100)
    tracked = fit_clip(track_landmarks(pictures), load_model("mp468"))
    # these videos begin with two repeated frames: picture i + 2 is coefficient i
    place, angle = tracked.translation[2:], tracked.rotation[2:]
    count = len(place)
    assert found.angle is not None
    projected = project(found, np.zeros((found.num_frames, 1, 3)))[:count, 0]
    for axis in (0, 1):
        assert np.corrcoef(projected[:, axis], place[:, axis])[0, 1] > 0.9
    for axis in (1, 2):  # yaw and roll; pitch hardly moves here
        assert np.corrcoef(-found.angle[:count, axis], angle[:, axis])[0, 1] > 0.9
        assert np.polyfit(-found.angle[:count, axis], angle[:, axis], 1)[0] == pytest.approx(1, abs=0.2)
