"""Face detectors behind one call: MediaPipe's, which comes with the project, and SCRFD from a file of the user's.

Both answer in MediaPipe's terms: a box reaches from the brows to the chin, so that sizes and thresholds mean the same.
"""

import dataclasses
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from chdtf.errors import UserError

NAMES = ("mediapipe", "scrfd")


class Detector(Protocol):
    """Finds faces in one image."""

    def detect(self, image: np.ndarray) -> np.ndarray:
        """Faces of uint8 (H, W, 3) RGB: float32 (N, 5), x0, y0, x1, y1 as fractions of it and the score."""
        ...


@dataclasses.dataclass(frozen=True)
class MediaPipe:
    """Both of MediaPipe's face detectors: full range for small faces, short range for those that fill the frame.

    The full-range detector misses turned faces in tight crops; only where it sees nothing is the other asked. Both look
    at 192 px or less whatever the image's size.
    """

    full_range: Detector
    short_range: Detector

    def detect(self, image: np.ndarray) -> np.ndarray:
        """Faces of uint8 (H, W, 3) RGB: float32 (N, 5), x0, y0, x1, y1 as fractions of it and the score."""
        found = self.full_range.detect(image)
        return found if len(found) else self.short_range.detect(image)


class Scrfd:
    """SCRFD (Guo et al. 2022) from an ONNX file of insightface: strides 8, 16 and 32, two anchors a place.

    Decoding follows deepinsight/insightface, python-package/insightface/model_zoo/scrfd.py: the image in the upper left
    corner of a square input, (x - 127.5) / 128, distances to the four sides in strides, then non-maximum suppression.
    Run by onnxruntime, without the insightface package, whose dependencies bring a second OpenCV. One thread.
    """

    STRIDES = (8, 16, 32)
    ANCHORS = 2

    def __init__(self, model: Path, input_px: int = 640, min_score: float = 0.5, max_overlap: float = 0.4) -> None:
        """Load the file. Raises `UserError` when it, or onnxruntime, is missing or the file is not such a model."""
        self._session = _session(model)
        self._input = self._session.get_inputs()[0].name
        self._size, self._min_score, self._max_overlap = input_px, min_score, max_overlap
        if len(self._session.get_outputs()) not in (6, 9):  # scores, boxes and perhaps key points of each stride
            outputs = len(self._session.get_outputs())
            raise UserError(f"{model}: not an SCRFD detector ({outputs} outputs, 6 or 9 expected); name det_*.onnx")

    def raw(self, image: np.ndarray) -> np.ndarray:
        """SCRFD's own boxes, hairline to chin: float32 (N, 5), x0, y0, x1, y1 as fractions of the image, and score.

        A face that fills the picture is larger than what the network was made for; where it finds nothing it looks
        again from twice as far.
        """
        found = self._look(image, self._size)
        return found if len(found) else self._look(image, self._size // 2)

    def _look(self, image: np.ndarray, longest_px: int) -> np.ndarray:
        height, width = image.shape[:2]
        ratio = longest_px / max(height, width)
        inner = cv2.resize(image, (max(1, round(width * ratio)), max(1, round(height * ratio))))
        blob = np.zeros((self._size, self._size, 3), np.uint8)
        blob[: inner.shape[0], : inner.shape[1]] = inner
        normal = ((blob.astype(np.float32) - 127.5) / 128.0).transpose(2, 0, 1)[None]
        outputs = self._session.run(None, {self._input: normal})
        boxes = np.concatenate([self._decode(outputs, i, stride) for i, stride in enumerate(self.STRIDES)])
        kept = suppress(boxes, self._max_overlap)
        whole = np.array([inner.shape[1], inner.shape[0]] * 2 + [1], np.float32)
        fractions: np.ndarray = (kept / whole).astype(np.float32)
        return fractions

    def _decode(self, outputs: list[np.ndarray], level: int, stride: int) -> np.ndarray:
        """(N, 5) boxes in input pixels of one stride whose score is high enough."""
        scores = outputs[level].reshape(-1)
        sides = outputs[level + 3].reshape(-1, 4) * stride
        count = self._size // stride
        places = np.stack(np.meshgrid(np.arange(count), np.arange(count)), axis=-1).reshape(-1, 2) * stride
        centres = np.repeat(places, self.ANCHORS, axis=0)
        good = scores >= self._min_score
        low, high = centres[good] - sides[good, :2], centres[good] + sides[good, 2:]
        boxes: np.ndarray = np.concatenate([low, high, scores[good, None]], axis=1)
        return boxes

    def detect(self, image: np.ndarray) -> np.ndarray:
        """Faces of uint8 (H, W, 3) RGB: float32 (N, 5), brows to chin, as fractions of it, and the score."""
        return brows_to_chin(self.raw(image), image.shape[1] / image.shape[0])


def brows_to_chin(boxes: np.ndarray, aspect: float) -> np.ndarray:
    """MediaPipe's boxes for SCRFD's (N, 5), fractions of an image `aspect` times as wide as tall.

    Medians over 127 faces of 27 real videos on which both detectors agreed: a square of 0.85 of SCRFD's height, about
    the same vertical line, from 0.14 of that height below its top.
    """
    side = 0.852 * (boxes[:, 3] - boxes[:, 1])
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    top = boxes[:, 1] + 0.138 * (boxes[:, 3] - boxes[:, 1])
    across = side / (2 * aspect)
    squares: np.ndarray = np.stack([middle - across, top, middle + across, top + side, boxes[:, 4]], axis=1)
    return squares.astype(np.float32)


def suppress(boxes: np.ndarray, max_overlap: float) -> np.ndarray:
    """Non-maximum suppression: of boxes (N, 5) that overlap by more than `max_overlap` (IoU) the one of best score."""
    from pipelines.clips.framing import iou

    left = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    kept: list[np.ndarray] = []
    while len(left):
        kept.append(left[0])
        left = left[1:][iou(left[1:], left[0]) <= max_overlap]
    return np.stack(kept) if kept else np.zeros((0, 5), boxes.dtype)


def _session(model: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            "detector 'scrfd' needs onnxruntime; install it with: pip install 'disentbench[onnx]'"
        ) from error
    if not model.is_file():
        raise UserError(f"{model}: no such file; detector 'scrfd' needs the path of an SCRFD model (det_*.onnx)")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own kinds, which are not exported
        raise UserError(f"{model}: not an ONNX model that onnxruntime can read; name an SCRFD file") from error


def load(name: str, model: Path | None = None) -> Detector:
    """Start a detector by name. Raises `UserError` for an unknown one, or one whose file is missing."""
    if name == "scrfd":
        if model is None:
            raise UserError("detector 'scrfd' needs the path of its model file (detector_model)")
        return Scrfd(model)
    if name != "mediapipe":
        raise UserError(f"unknown detector {name!r}; allowed are {', '.join(NAMES)}")
    from chdtf.faces import FaceDetector

    return MediaPipe(FaceDetector(full_range=True), FaceDetector(full_range=False))
