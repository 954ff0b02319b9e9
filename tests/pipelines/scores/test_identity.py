"""Identity: frames with a face are chosen over the clip, and real persons are told apart."""

from pathlib import Path

import numpy as np
import pytest

from chdtf.faces import detect_landmarks
from chdtf.media import frames
from chdtf.recogniser import IMAGENET, POINTS, TEMPLATE, Recogniser, load_recogniser
from pipelines.scores.footage import Footage
from pipelines.scores.identity import identity_embedding, scores


def landmarks_at(points: np.ndarray) -> np.ndarray:
    """(478, 3) whose five points are these (5, 2)."""
    made = np.zeros((478, 3), np.float32)
    made[list(POINTS), :2] = points
    return made


class Means:
    """Stands for a session: the embedding is the mean of each channel."""

    def get_inputs(self) -> list["Means"]:
        return [self]

    name, shape = "data", [1, 3, 112, 112]

    def run(self, outputs: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert given["data"].dtype == np.float32
        assert given["data"].shape == (1, 3, 112, 112)
        return [given["data"].mean(axis=(2, 3))]


def test_some_frames_spread_over_the_clip_and_only_those_with_a_face_are_used() -> None:
    points = np.tile(landmarks_at(TEMPLATE), (50, 1, 1))
    points[:20] = np.nan
    clip = Footage(np.zeros((50, 112, 112, 3), np.uint8), points, np.zeros(0), np.zeros(50, bool))
    assert clip.spread(4).tolist() == [20, 30, 39, 49]
    assert clip.spread(100).tolist() == list(range(20, 50))
    assert scores(Recogniser(Means(), *IMAGENET), clip, 4)["identity_embedding"].shape == (3,)
    points[:] = np.nan
    with pytest.raises(ValueError, match="no_face"):
        scores(Recogniser(Means(), *IMAGENET), clip, 4)


def test_one_person_is_alike_and_others_are_not(shared: Path) -> None:
    pytest.importorskip("onnxruntime")
    recogniser = load_recogniser(shared / "weights" / "mobilefacenet.onnx", IMAGENET)

    def embedded(name: str) -> np.ndarray:
        images = list(frames(shared / "data" / "clips" / name, 0.5, 0.5, 4.5, 640))[:2]
        points = [detect_landmarks(image) for image in images]
        found = [(image, point) for image, point in zip(images, points, strict=True) if point is not None]
        return identity_embedding(recogniser, np.stack([f[0] for f in found]), np.stack([f[1] for f in found]))

    obama = [embedded(name) for name in ("obama_uncrop.mp4", "obama_540p.mp4")]
    others = [embedded(name) for name in ("may_5s.mp4", "kim_1080p.mp4", "hdtf_katiehill.mp4")]
    assert obama[0] @ obama[1] > 0.6
    assert max(float(a @ b) for k, a in enumerate(others) for b in [*others[k + 1 :], *obama]) < 0.4
