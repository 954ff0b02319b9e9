"""S3FD's path: tracks by syncnet-python's own code, of boxes that a fake detector is told."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.face_tracks import face_tracks, load_s3fd, shots

FRAMES = np.zeros((60, 64, 64, 3), np.uint8)


def told(boxes: list[list[list[float]]]) -> Any:
    """A detector that was told where the faces are."""
    left = iter(boxes)
    return SimpleNamespace(detect_faces=lambda image, conf_th, scales: np.array(next(left)).reshape(-1, 5))


def test_missed_frames_are_filled_linearly() -> None:
    boxes = [[[i, 0.0, 120 + i, 120, 0.99]] for i in range(60)]
    boxes[20:30] = [[] for _ in range(10)]
    (track,) = face_tracks(told(boxes), FRAMES, 40, 100)
    assert track.begin == 0
    np.testing.assert_allclose(track.boxes[25], [25, 0, 145, 120])
    assert len(track.boxes) == 60


def test_25_missed_frames_end_a_track() -> None:
    boxes = [[[0.0, 0, 120, 120, 0.99]] if i < 15 or i >= 40 else [] for i in range(60)]
    assert [(track.begin, len(track.boxes)) for track in face_tracks(told(boxes), FRAMES, 10, 100)] == [
        (0, 15),
        (40, 20),
    ]
    boxes[39] = boxes[0]
    assert [len(track.boxes) for track in face_tracks(told(boxes), FRAMES, 10, 100)] == [60]


def test_two_faces_are_two_tracks_and_small_or_short_ones_none() -> None:
    boxes = [[[0.0, 0, 120, 120, 0.99], [130.0, 0, 250, 120, 0.99], [0.0, 150, 90, 240, 0.99]] for _ in range(60)]
    found = face_tracks(told(boxes), FRAMES, 50, 100)
    assert [track.boxes[0, 0] for track in found] == [0, 130]
    assert face_tracks(told(boxes), FRAMES, 60, 100) == []


def test_a_new_shot_ends_a_track() -> None:
    random = np.random.default_rng(0)
    frames = np.repeat(random.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8), 30, axis=0)
    assert shots(frames) == [(0, 30), (30, 60)]
    assert shots(FRAMES) == [(0, 60)]
    boxes = [[[0.0, 0, 120, 120, 0.99]] for _ in range(60)]
    assert [(track.begin, len(track.boxes)) for track in face_tracks(told(boxes), frames, 20, 100)] == [
        (0, 30),
        (30, 30),
    ]


@pytest.mark.slow
def test_the_detector_itself_takes_a_frame(tmp_path: Path) -> None:
    """With generated weights it finds nothing worth having, but it is the original's network, loaded and called."""
    from syncnet_python.detectors.s3fd.nets import S3FDNet

    torch.manual_seed(0)
    torch.save(S3FDNet(device="cpu").state_dict(), tmp_path / "sfd_face.pth")
    detector = load_s3fd(tmp_path / "sfd_face.pth")
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    assert detector.detect_faces(image, conf_th=0.0001, scales=[0.25]).shape[1] == 5
    torch.save({}, tmp_path / "other.pth")
    with pytest.raises(RuntimeError, match="Missing key"):
        load_s3fd(tmp_path / "other.pth")
