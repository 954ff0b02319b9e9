"""chdtf.faces: the landmark tables describe one consistent mesh, and MediaPipe finds the portraits."""

import numpy as np
import pytest
from skimage import data

from chdtf import faces


def test_ear_and_mouth_opening_have_their_definitions() -> None:
    landmarks = np.zeros((2, 478, 3), np.float32)
    for _, p2, p3, p4, p5, p6 in (faces.RIGHT_EAR, faces.LEFT_EAR):
        landmarks[:, p4, 0] = 10
        for upper, x in ((p2, 3), (p3, 7)):
            landmarks[:, upper] = (x, 2, 99)  # depth must not count
        for lower, x in ((p6, 3), (p5, 7)):
            landmarks[:, lower, 0] = x
    assert faces.eye_aspect_ratio(landmarks) == pytest.approx([0.2, 0.2])
    landmarks[:, 33], landmarks[:, 263] = (0, 0, 0), (30, 40, 7)
    landmarks[1, 14] = (0, 5, 3)
    assert faces.mouth_opening(landmarks) == pytest.approx([0, 0.1])


@pytest.mark.parametrize("contour", ["INNER_LIPS", "OUTER_LIPS", "RIGHT_EYE", "LEFT_EYE", "FACE_OVAL"])
def test_contours_follow_edges_of_the_mesh(contour: str) -> None:
    """Neighbours on a contour are neighbours in the tessellation, so no contour jumps."""
    edges = {
        frozenset(pair) for t in faces.tessellation().tolist() for pair in ((t[0], t[1]), (t[1], t[2]), (t[0], t[2]))
    }
    points = getattr(faces, contour)
    assert len(set(points)) == len(points)
    assert all(frozenset(pair) in edges for pair in zip(points, points[1:] + points[:1], strict=True))


def test_a_portrait_has_a_face_and_noise_has_none() -> None:
    portrait = data.astronaut()
    landmarks = faces.detect_landmarks(portrait)
    assert landmarks is not None
    assert landmarks.shape == (478, 3)
    (box,) = faces.FaceDetector().detect(portrait)
    inside = faces.vertices(landmarks)[list(faces.INNER_LIPS), :2] / 512
    assert (inside > box[:2]).all()
    assert (inside < box[2:4]).all()
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    assert faces.detect_landmarks(noise) is None


def test_tracking_is_deterministic_and_scales_with_the_frame() -> None:
    portrait = data.astronaut()
    first, second = (faces.track_landmarks([portrait] * 3) for _ in range(2))
    assert np.array_equal(first, second)
    half = faces.track_landmarks([portrait[::2, ::2].copy()] * 3)
    assert np.abs(half[-1, :, :2] * 2 - first[-1, :, :2]).mean() < 2


def test_tracking_says_nothing_however_late_the_face_comes(capfd: pytest.CaptureFixture[str]) -> None:
    """MediaPipe's native code writes to stderr when its graph starts, and again with the first face."""
    portrait = data.astronaut()[::2, ::2].copy()
    late = [np.zeros_like(portrait)] * 4 + [portrait] * 3
    found = np.isfinite(faces.track_landmarks(late)).all(axis=(1, 2))
    assert found.tolist() == [False] * 4 + [True] * 3
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("extra", [False, True])
def test_points_read_from_the_wire_equal_those_by_attribute(extra: bool) -> None:
    from mediapipe.framework.formats.landmark_pb2 import NormalizedLandmarkList

    values = np.random.default_rng(0).normal(0, 1, (478, 3)).astype(np.float32)
    values[:3] = [[0, 0, 0], [np.nan, 1, -1], [10 / 256, 0x0A, 0]]
    message = NormalizedLandmarkList()
    for x, y, z in values.tolist():
        message.landmark.add(x=x, y=y, z=z, **({"visibility": 1.0} if extra else {}))  # another layout: the slow way
    found = faces._points(message)
    assert found.dtype == np.float32
    assert np.array_equal(found, values, equal_nan=True)
    assert faces._points(NormalizedLandmarkList()).shape == (0, 3)
