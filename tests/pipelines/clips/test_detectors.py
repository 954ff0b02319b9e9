"""Detectors: SCRFD's boxes are decoded right, and mean what MediaPipe's mean."""

import sys
from pathlib import Path

import numpy as np
import pytest

from chdtf.errors import UserError
from chdtf.media import frames
from pipelines.clips.detectors import brows_to_chin, load, suppress
from pipelines.clips.framing import iou

FACES = ("may_5s.mp4", "raw_720p.mp4", "latentsync_1.mp4", "merkel_1.avi", "kim_1080p.mp4", "grid_bbaf2n.mpg")


def test_boxes_become_squares_from_the_brows_to_the_chin() -> None:
    boxes = np.array([[0.2, 0.1, 0.4, 0.7, 0.9]], np.float32)
    ((x0, y0, x1, y1, score),) = brows_to_chin(boxes, aspect=2.0)
    assert (x1 - x0) * 2.0 == pytest.approx(y1 - y0)
    assert (x0 + x1) / 2 == pytest.approx(0.3)
    assert 0.1 < y0 < y1 < 0.71
    assert score == pytest.approx(0.9)


def test_of_boxes_that_overlap_the_best_is_kept() -> None:
    boxes = np.array([[0, 0, 10, 10, 0.6], [1, 0, 11, 10, 0.9], [20, 0, 30, 10, 0.5], [9, 0, 19, 10, 0.7]])
    assert suppress(boxes, 0.4)[:, 4].tolist() == [0.9, 0.7, 0.5]
    assert suppress(boxes[:0], 0.4).shape == (0, 5)


def test_both_detectors_agree_on_real_faces(shared: Path) -> None:
    """Six sources, from faces that fill a 224 px frame to one tenth of a portrait video."""
    scrfd = load("scrfd", shared / "weights" / "scrfd_500m_kps.onnx")
    mediapipe = load("mediapipe")
    overlaps = []
    for name in FACES:
        image = next(frames(shared / "data" / "clips" / name, longest_side_px=640))
        (found,), (expected,) = scrfd.detect(image), mediapipe.detect(image)
        overlaps.append(float(iou(found[None], expected)[0]))
    assert min(overlaps) > 0.6
    assert np.median(overlaps) > 0.8


def test_nobody_is_found_where_nobody_is(shared: Path) -> None:
    scrfd = load("scrfd", shared / "weights" / "scrfd_500m_kps.onnx")
    assert scrfd.detect(np.full((90, 160, 3), 127, np.uint8)).shape == (0, 5)


def test_several_faces_are_several(shared: Path) -> None:
    scrfd = load("scrfd", shared / "weights" / "scrfd_500m_kps.onnx")
    image = next(frames(shared / "data" / "hard" / "panel_several_faces.mp4", longest_side_px=640))
    assert len(scrfd.detect(image)) >= 4


@pytest.mark.parametrize(
    ("name", "model", "said"),
    [
        ("retina", None, "unknown detector 'retina'; allowed are mediapipe, scrfd"),
        ("scrfd", None, "needs the path of its model file"),
        ("scrfd", Path("absent.onnx"), "absent.onnx: no such file"),
    ],
)
def test_what_is_missing_is_said(name: str, model: Path | None, said: str) -> None:
    with pytest.raises(UserError, match=said.replace(".", r"\.")):
        load(name, model)


def test_a_file_that_is_no_model_is_said(tmp_path: Path, shared: Path) -> None:
    (tmp_path / "a.onnx").write_text("no model")
    with pytest.raises(UserError, match="not an ONNX model"):
        load("scrfd", tmp_path / "a.onnx")
    with pytest.raises(UserError, match="not an SCRFD detector"):
        load("scrfd", shared / "weights" / "mobilefacenet.onnx")


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'disentbench\[onnx\]'"):
        load("scrfd", tmp_path / "a.onnx")
