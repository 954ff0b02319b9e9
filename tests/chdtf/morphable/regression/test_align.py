from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from chdtf.errors import UserError
from chdtf.faces import track_landmarks
from chdtf.media import frames
from chdtf.morphable.ibug import IBUG_68
from chdtf.morphable.regression.align import (
    CROP_PX,
    align,
    crop,
    five_of,
    five_points,
    read_standard_points,
    standard_points,
)
from chdtf.sample.canvas import portrait


def _picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_five_points_are_eyes_nose_and_mouth_with_y_from_the_bottom():
    landmarks = np.zeros((1, 478, 3), np.float32)
    landmarks[0, [33, 133], :2] = (10, 20), (30, 22)
    landmarks[0, [362, 263], :2] = (50, 22), (70, 20)
    landmarks[0, [1, 61, 291], :2] = (40, 40), (30, 60), (50, 60)
    wanted = [(20, 21), (60, 21), (40, 40), (30, 60), (50, 60)]
    # the pixel whose corner is at the top left has its centre, 0.5, 0.5, at x = 0, y = height - 1
    np.testing.assert_allclose(five_points(landmarks, 100)[0], [(x - 0.5, 99.5 - y) for x, y in wanted])


@given(st.floats(0.05, 5.0), st.floats(-50, 500), st.floats(-50, 500), st.floats(-1.2, 1.2), st.floats(-0.7, 0.7))
def test_scale_and_place_of_a_posed_standard_face_are_found(
    px: float, x: float, y: float, yaw: float, pitch: float
) -> None:
    """Orthographic: a rotation's rows have length 1, so s is 102 px over px per unit, whatever the pose."""
    turn = Rotation.from_euler("yx", [yaw, pitch]).as_matrix()
    points = px * 100 * (standard_points() @ turn.T)[:, :2] + (x, y)
    params = align(points[None], 640, 480)[0]
    np.testing.assert_allclose(params, [640, 480, 1.02 / px, x, y], rtol=1e-4, atol=1e-3)


def test_parameters_equal_two_separate_least_squares():
    """As POS has it: eight unknowns in ten equations, interleaved; here one system of them all, on noisy points."""
    rng = np.random.default_rng(2)
    standard = standard_points()
    points = standard[:, :2] * 80 + (120, 130) + rng.normal(0, 4, (20, 5, 2))
    found = align(points, 256, 256)
    for params, face in zip(found, points, strict=True):
        system = np.zeros((10, 8))
        system[0::2, :3], system[0::2, 3] = standard, 1
        system[1::2, 4:7], system[1::2, 7] = standard, 1
        k, *_ = np.linalg.lstsq(system, face.reshape(-1), rcond=None)
        scale = 102 / ((np.linalg.norm(k[:3]) + np.linalg.norm(k[4:7])) / 2)
        np.testing.assert_allclose(params, [256, 256, scale, k[3], k[7]], rtol=1e-5)


def test_missing_faces_and_faces_without_size_are_nan():
    points = np.stack([standard_points()[:, :2] * 100 + 128, np.full((5, 2), np.nan), np.full((5, 2), 7.0)])
    params = align(points, 256, 256)
    assert np.isfinite(params[0]).all()
    assert np.isnan(params[1]).all()
    assert np.isnan(params[2]).all() or params[2, 2] > 1e6  # no size: rounding may leave some, far beyond any picture


@pytest.mark.parametrize(
    ("scale", "x", "y"),
    [(0.93, 130, 140), (0.35, 330, 250), (2.4, 60, 200), (1.0, 0, 0), (0.3, 600, 20), (1.7, 320.5, 77.25)],
)
def test_a_crop_equals_resizing_the_frame_and_cutting_it(scale: float, x: float, y: float):
    """By Pillow on the whole frame, as resize_n_crop_img does it; equal but for rounding."""
    picture = _picture(640, 360)
    size = int(640 * scale), int(360 * scale)
    left = int(size[0] / 2 - 112 + (x - 320) * scale)
    top = int(size[1] / 2 - 112 + (180 - y) * scale)
    whole = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    wanted = np.asarray(whole.crop((left, top, left + 224, top + 224)), np.int16)
    ours = crop(picture, np.array([640, 360, scale, x, y]))
    assert ours.shape == (CROP_PX, CROP_PX, 3)
    assert np.abs(ours - wanted).max() <= 1
    assert wanted.max() > 0


def test_a_crop_beside_the_frame_is_black_and_a_huge_scale_costs_no_memory():
    assert not crop(_picture(64, 64), np.array([64, 64, 1.0, 900, 900])).any()
    assert crop(_picture(64, 64), np.array([64, 64, 5000.0, 30, 30])).any()


def test_a_face_comes_to_the_middle_of_its_crop():
    """Eyes level in the upper half, 102 px a unit: outer eye corners of a frontal mean face are 88 px apart."""
    face = standard_points()[:, :2] * 40 + (200, 300)
    params = align(face[None], 400, 400)[0].astype(np.float64)
    in_crop = (face - params[3:]) * params[2] * (1, -1) + 112
    np.testing.assert_allclose(in_crop, standard_points()[:, :2] * (102, -102) + 112, atol=1e-2)
    assert in_crop[:2, 1] == pytest.approx(81, abs=2)
    assert in_crop[1, 0] - in_crop[0, 0] == pytest.approx(61, abs=1)


def test_the_users_own_standard_points_are_read(tmp_path: Path):
    points = np.random.default_rng(0).normal(size=(68, 3))
    scipy.io.savemat(tmp_path / "similarity_Lm3D_all.mat", {"lm": points})
    np.testing.assert_allclose(read_standard_points(tmp_path / "similarity_Lm3D_all.mat"), five_of(points))
    np.testing.assert_allclose(five_of(points)[0], (points[36] + points[39]) / 2)
    scipy.io.savemat(tmp_path / "other.mat", {"lm": points[:5]})
    with pytest.raises(UserError, match=r"lm is 5 x 3 double, 68 x 3 numbers expected"):
        read_standard_points(tmp_path / "other.mat")
    with pytest.raises(UserError, match=r"none.mat: no such file"):
        read_standard_points(tmp_path / "none.mat")


def test_real_faces_are_cropped_as_in_published_coefficients(shared: Path):
    """The clip's own transform_params, which another tracker made: scale to 2 %, place to 2 px in the median."""
    path = shared / "data" / "coeffs" / "feifeili_clip3.mp4"
    published = scipy.io.loadmat(path.with_suffix(".mat"))["transform_params"][:80]
    landmarks = track_landmarks(picture for _, picture in zip(range(80), frames(path, 30), strict=False))
    ours = align(five_points(landmarks, 256), 256, 256)
    assert np.median(ours[:, 2] / published[:, 2]) == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(np.median(ours[:, 3:] - published[:, 3:], axis=0), 0, atol=2)


def test_landmarks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"landmarks are \(T, 478, 3\)"):
        five_points(np.zeros((2, 68, 3)), 100)
    assert len(set(IBUG_68)) == 68


def test_the_portrait_is_upright_in_its_crop():
    image = portrait("eileen_collins")
    out = crop(image, np.array([512, 512, 1.0, 224, 400]))
    np.testing.assert_array_equal(out, image[0:224, 112:336])
