"""A warped portrait shows what its vertices say: measured back by MediaPipe, and by paint put into the source."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf import animate
from chdtf.faces import (
    INNER_LIPS,
    LEFT_EYE,
    RIGHT_EYE,
    detect_landmarks,
    eye_aspect_ratio,
    mouth_opening,
    track_landmarks,
)
from chdtf.morphable.model import load_model
from chdtf.warp import FaceWarp
from chdtf.warp.mesh import HeadMesh, head_motion
from chdtf.warp.raster import painted, runs

GREEN = (0, 255, 0)


def _portrait(name: str, size_px: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """A bundled portrait with its face filling half the height of a square, and its landmarks (478, 3)."""
    if name == "astronaut":
        image = skimage.data.astronaut()
    else:
        path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    found = detect_landmarks(image)
    assert found is not None
    low, high = found[:468, :2].min(0), found[:468, :2].max(0)
    scale = size_px / (2.1 * (high[1] - low[1]))
    shift = size_px / 2 - scale * (low + high) / 2
    affine = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    crop = cv2.warpAffine(image, affine, (size_px, size_px), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    landmarks = detect_landmarks(crop)
    assert landmarks is not None
    return crop, landmarks


@pytest.fixture(scope="module", params=["astronaut", "grace_hopper"])
def portrait(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    return _portrait(request.param)


@pytest.fixture(scope="module")
def astronaut() -> tuple[np.ndarray, np.ndarray]:
    return _portrait("astronaut")


def _painted(image: np.ndarray, landmarks: np.ndarray, contour: tuple[int, ...]) -> np.ndarray:
    """Green all over the opening but for its outermost pixel, which holds the edge of lips or lids as well."""
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round((landmarks[list(contour), :2] - 0.5) * 16).astype(np.int32)], 1, shift=4)
    return np.where(cv2.erode(inside, np.ones((3, 3), np.uint8))[..., None] > 0, np.uint8(GREEN), image)


def _greenness(image: np.ndarray, landmarks: np.ndarray, contour: tuple[int, ...], margin_px: int = 8) -> np.ndarray:
    points = landmarks[list(contour), :2]
    (x0, y0), (x1, y1) = np.floor(points.min(0)).astype(int), np.ceil(points.max(0)).astype(int)
    part = image[y0 - margin_px : y1 + margin_px, x0 - margin_px : x1 + margin_px].astype(int)
    return part[..., 1] - np.maximum(part[..., 0], part[..., 2])


def test_its_own_vertices_give_the_source_back(portrait: tuple[np.ndarray, np.ndarray]):
    image, landmarks = portrait
    error = np.abs(FaceWarp(image, landmarks).render(landmarks[:468]).astype(int) - image)
    assert error.mean() < 0.02
    assert error.max() <= 16


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.tuples(*[st.floats(-0.2, 0.2)] * 3), st.tuples(*[st.floats(-8, 8)] * 2))
def test_the_mesh_covers_every_pixel_and_small_expressions_turn_no_skin_over(
    seed: int, angles: tuple[float, float, float], shift: tuple[float, float]
):
    model = load_model("mp468")
    face = model.mean.astype(np.float64) * 90 + (128, 120, 0)
    mesh = HeadMesh(face, 256, 256)
    beta = 0.35 * np.random.default_rng(seed).standard_normal((1, model.num_expression))
    moved = face + 90 * model.displacement(beta)[0]
    # only larger triangles: at a pixel's size, noise of the tracker turns some over in real footage as well
    large = _areas(mesh, face) > 3
    assert (_signs(mesh, moved) == _signs(mesh, face))[large].mean() > 0.99
    target = animate.move_head(moved, *angles, shift_px=shift)
    placed = mesh.place(target, head_motion(face, target))
    faces = np.vstack([mesh.outside, *mesh.layers(mesh.source, placed)])
    x0, y0, width, height = mesh.box.x0, mesh.box.y0, mesh.box.x1 - mesh.box.x0, mesh.box.y1 - mesh.box.y0
    drawn = runs(placed[:, :2] - (x0, y0), faces, height, width)
    bare = painted(drawn, height, width) == len(drawn.row)
    assert not bare[:-1, :-1].any()  # the last row and column may lie on the mesh's own edge, which stays where it is


def _signs(mesh: HeadMesh, face: np.ndarray) -> np.ndarray:
    return mesh.orientation(face)


def _areas(mesh: HeadMesh, face: np.ndarray) -> np.ndarray:
    p, q, r = (face[mesh.skin[:, k], :2] for k in range(3))
    return np.abs(np.cross(q - p, r - p)) / 2


@given(st.tuples(*[st.floats(-0.2, 0.2)] * 3), st.tuples(*[st.floats(-10, 10)] * 2), st.floats(0, 0.3))
@settings(max_examples=25, deadline=None)
def test_surroundings_follow_without_folding_and_the_border_stays(
    angles: tuple[float, float, float], shift: tuple[float, float], opening: float
):
    face = load_model("mp468").mean.astype(np.float64) * 90 + (160, 160, 0)
    mesh = HeadMesh(face, 320, 320)
    target = animate.move_head(animate.open_mouth(face, opening), *angles, shift_px=shift).astype(np.float64)
    placed = mesh.place(target, head_motion(face, target))
    around = mesh.outside[(mesh.outside >= 468).all(1)]  # all corners beyond the face
    assert (_turn(placed, around) == _turn(mesh.source, around)).all()
    low, high = mesh.source[:, :2].min(0), mesh.source[:, :2].max(0)
    border = np.flatnonzero((np.isclose(mesh.source[:, :2], low) | np.isclose(mesh.source[:, :2], high)).any(1))
    assert placed[border, :2] == pytest.approx(mesh.source[border, :2])


def _turn(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    p, q, r = (points[faces[:, k], :2] for k in range(3))
    return np.sign(np.cross(q - p, r - p))


def test_far_background_is_untouched(astronaut: tuple[np.ndarray, np.ndarray]):
    image, landmarks = astronaut
    canvas = cv2.copyMakeBorder(image, 150, 150, 150, 150, cv2.BORDER_REFLECT)
    points = landmarks + np.float32([150, 150, 0])
    frame = FaceWarp(canvas, points).render(animate.move_head(points[:468], yaw=0.2, roll=0.1, shift_px=(10, 6)))
    changed = (frame != canvas).any(2)
    assert changed[200:350, 200:350].mean() > 0.5
    assert not changed[:120].any()
    assert not changed[:, :120].any()
    assert not changed[-120:].any()
    assert not changed[:, -120:].any()


def test_a_mouth_that_closes_shows_nothing_of_its_interior(astronaut: tuple[np.ndarray, np.ndarray]):
    image, landmarks = astronaut
    assert mouth_opening(landmarks[None])[0] > 0.08  # it smiles with open lips
    warp = FaceWarp(_painted(image, landmarks, INNER_LIPS), landmarks)
    closed = animate.open_mouth(landmarks[:468], 0.0)
    assert (_greenness(warp.render(landmarks[:468]), landmarks, INNER_LIPS) > 100).sum() > 100
    shown = _greenness(warp.render(closed), closed, INNER_LIPS)
    assert (shown > 60).sum() <= 2  # thin lips at the very corners
    assert shown.max() < 120
    assert (shown > 25).mean() < 0.01


def test_a_closed_mouth_that_opens_shows_a_dark_cavity_below_bright_teeth():
    image, landmarks = _portrait("grace_hopper")
    target = animate.open_mouth(landmarks[:468], 0.2)
    frame = FaceWarp(image, landmarks).render(target).astype(float)
    top, bottom = target[13, :2], target[14, :2]
    column = [frame[int(y), int(x)].mean() for x, y in top + (bottom - top) * np.linspace(0.1, 0.9, 9)[:, None]]
    assert max(column[:4]) > 90
    assert min(column[3:7]) < 50


@pytest.mark.parametrize("contour", [RIGHT_EYE, LEFT_EYE])
def test_a_closed_eye_shows_no_eyeball(astronaut: tuple[np.ndarray, np.ndarray], contour: tuple[int, ...]):
    image, landmarks = astronaut
    warp = FaceWarp(_painted(image, landmarks, contour), landmarks)
    assert (_greenness(warp.render(landmarks[:468]), landmarks, contour) > 100).sum() > 40
    shown = _greenness(warp.render(animate.close_eyes(landmarks[:468], 1.0)), landmarks, contour)
    assert (shown > 60).sum() == 0


def test_lids_leave_the_iris_where_it_is(astronaut: tuple[np.ndarray, np.ndarray]):
    image, landmarks = astronaut
    for iris, contour in ((468, RIGHT_EYE), (473, LEFT_EYE)):
        middle = landmarks[list(contour), :2].mean(0) + np.array([0, 0.8])
        marked = image.copy()
        cv2.circle(marked, tuple(np.round((middle - 0.5) * 16).astype(int).tolist()), 24, GREEN, -1, cv2.LINE_AA, 4)
        assert np.linalg.norm(landmarks[iris, :2] - middle) < 6
        warp = FaceWarp(marked, landmarks)
        places = []
        for closure in (0.0, 0.35):
            frame = warp.render(animate.close_eyes(landmarks[:468], closure))
            weight = np.clip(frame[..., 1].astype(float) - frame[..., [0, 2]].max(2) - 60, 0, None)
            y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
            places.append(np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum())
        assert np.linalg.norm(places[1] - places[0]) < 0.6


def test_measured_mouth_opening_is_the_one_put_in(portrait: tuple[np.ndarray, np.ndarray]):
    image, landmarks = portrait
    warp = FaceWarp(image, landmarks)
    planted = 0.14 * (1 - np.cos(np.arange(32) / 5))
    measured = mouth_opening(track_landmarks(warp.render(animate.open_mouth(landmarks[:468], o)) for o in planted))
    assert np.corrcoef(planted, measured)[0, 1] > 0.97
    assert 0.8 < np.polyfit(planted, measured, 1)[0] < 1.2
    assert measured[planted < 1e-3].max() < 0.02


def test_a_blink_is_measured_as_closed_eyes(portrait: tuple[np.ndarray, np.ndarray]):
    image, landmarks = portrait
    warp = FaceWarp(image, landmarks)
    closure = [0, 0, 0, 0.5, 1, 1, 0.5, 0, 0]
    frames = [warp.render(animate.close_eyes(landmarks[:468], c)) for c in closure]
    ratio = eye_aspect_ratio(track_landmarks(frames))
    assert ratio[4:6].min() < 0.12
    assert ratio[[0, 1, 2, 8]].min() > 0.2


def test_frames_depend_on_the_input_alone(astronaut: tuple[np.ndarray, np.ndarray]):
    image, landmarks = astronaut
    target = animate.close_eyes(animate.open_mouth(landmarks[:468], 0.2), 0.5)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = FaceWarp(image, landmarks).render(target)
        cv2.setNumThreads(4)
        warp = FaceWarp(image, landmarks)
        warp.render(animate.move_head(target, yaw=0.1))
        many = warp.render(target)
    finally:
        cv2.setNumThreads(threads)
    assert np.array_equal(one, many)


def test_a_face_that_leaves_the_frame_is_drawn_as_far_as_it_is_in(astronaut: tuple[np.ndarray, np.ndarray]):
    image, landmarks = astronaut
    warp = FaceWarp(image, landmarks)
    for shift in ((-150.0, 0.0), (0.0, 180.0), (400.0, 400.0)):
        assert warp.render(animate.move_head(landmarks[:468], shift_px=shift)).shape == image.shape
    cropped = image[:, 128:]
    points = landmarks - np.float32([128, 0, 0])
    assert FaceWarp(cropped, points).render(points[:468]).shape == cropped.shape


def test_bad_input_is_named(astronaut: tuple[np.ndarray, np.ndarray]):
    image, landmarks = astronaut
    with pytest.raises(ValueError, match="float64"):
        FaceWarp(image.astype(np.float64), landmarks)
    with pytest.raises(ValueError, match=r"\(468, 2\)"):
        FaceWarp(image, landmarks[:468, :2])
    with pytest.raises(ValueError, match="finite"):
        FaceWarp(image, landmarks).render(np.full((468, 3), np.nan))
