"""Faces are brought onto the template exactly; a network gets what it was trained on; other files are refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.recogniser import IMAGENET, POINTS, TEMPLATE, Recogniser, aligned_face, load_recogniser


def landmarks_at(points: np.ndarray) -> np.ndarray:
    """(478, 3) whose five points are these (5, 2)."""
    made = np.zeros((478, 3), np.float32)
    made[list(POINTS), :2] = points
    return made


@settings(deadline=None, max_examples=30)
@given(st.floats(-1.0, 1.0), st.floats(0.5, 2.0), st.integers(0, 100), st.integers(0, 100))
def test_a_turned_scaled_and_moved_face_comes_back_onto_the_template(
    angle: float, scale: float, x: int, y: int
) -> None:
    """Dots painted at the template's points, moved by a similarity, lie at the template's points again."""
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (TEMPLATE - 56) @ turn.T + [200 + x, 200 + y]
    image = np.zeros((500, 500, 3), np.uint8)
    for point in points:
        cv2.circle(image, np.round(point).astype(int).tolist(), max(1, round(3 * scale)), (255, 255, 255), -1)
    face = aligned_face(image, landmarks_at(points))
    assert face.shape == (112, 112, 3)
    for column, row in np.round(TEMPLATE).astype(int):
        assert face[row, column, 0] > 200
    assert face.mean() < 20


class Means:
    """Stands for a session: the embedding is the mean of each channel."""

    def get_inputs(self) -> list["Means"]:
        return [self]

    name, shape = "data", [1, 3, 112, 112]

    def run(self, outputs: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert given["data"].dtype == np.float32
        assert given["data"].shape == (1, 3, 112, 112)
        return [given["data"].mean(axis=(2, 3))]


def test_input_is_rgb_and_scaled_as_in_training() -> None:
    red = np.zeros((1, 112, 112, 3), np.uint8)
    red[..., 0] = 255
    expected = np.array([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225])
    found = Recogniser(Means(), *IMAGENET).embed(red)
    np.testing.assert_allclose(found[0], expected / np.linalg.norm(expected), atol=1e-3)


def test_another_kind_of_model_is_refused(shared: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(UserError, match=r"scrfd_500m_kps\.onnx: takes input of shape"):
        load_recogniser(shared / "weights" / "scrfd_500m_kps.onnx", IMAGENET)
