"""MediaPipe's face detector and face mesh, and the one place that knows landmark numbers.

Landmarks are float32 (478, 3) in pixels of the given frame: x right, y down, z away from the viewer in the scale of x;
478 = 468 mesh vertices and 10 iris points. A frame without a face is NaN throughout.
"""

import contextlib
import functools
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from chdtf.schema import NUM_LANDMARKS, NUM_VERTICES

# The 20 mouth points of the 68-point convention, outer 48-59 then inner 60-67 (docs/metrics.md, LMD).
MOUTH_20 = (61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91, 78, 82, 13, 312, 308, 317, 14, 87)
# Contours in order around the opening, beginning at the subject's right corner, upper part first.
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
RIGHT_EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
LEFT_EYE = (362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382)
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
# p1..p6 of the eye aspect ratio (Soukupova and Cech 2016), right and left eye.
RIGHT_EAR = (33, 160, 158, 133, 153, 144)
LEFT_EAR = (362, 385, 387, 263, 373, 380)
UPPER_INNER_LIP, LOWER_INNER_LIP = 13, 14
OUTER_EYE_CORNERS = (33, 263)
# Vertices that expressions move little; the similarity alignment of a face rests on them.
RIGID = (1, 2, 4, 5, 6, 8, 9, 10, 33, 98, 127, 133, 151, 162, 168, 195, 197, 234, 263, 327, 356, 362, 389, 454)


def eye_aspect_ratio(landmarks: np.ndarray) -> np.ndarray:
    """EAR = (|p2-p6| + |p3-p5|) / (2 |p1-p4|) in x and y, mean of both eyes: (T, L, 3) -> (T,)."""

    def one(indices: tuple[int, ...]) -> np.ndarray:
        p1, p2, p3, p4, p5, p6 = (landmarks[:, i, :2] for i in indices)
        tall = np.linalg.norm(p2 - p6, axis=-1) + np.linalg.norm(p3 - p5, axis=-1)
        ratio: np.ndarray = tall / (2 * np.linalg.norm(p1 - p4, axis=-1))
        return ratio

    mean: np.ndarray = (one(RIGHT_EAR) + one(LEFT_EAR)) / 2
    return mean


def mouth_opening(landmarks: np.ndarray) -> np.ndarray:
    """|13 - 14| / |33 - 263| in x and y: inner-lip gap over outer eye corner distance, (T, L, 3) -> (T,)."""
    gap = np.linalg.norm(landmarks[:, UPPER_INNER_LIP, :2] - landmarks[:, LOWER_INNER_LIP, :2], axis=-1)
    right, left = OUTER_EYE_CORNERS
    ratio: np.ndarray = gap / np.linalg.norm(landmarks[:, right, :2] - landmarks[:, left, :2], axis=-1)
    return ratio


@functools.lru_cache(maxsize=1)
def tessellation() -> np.ndarray:
    """Triangles of the face mesh, int32 (F, 3), without the eye and mouth openings; winding is not defined.

    MediaPipe publishes edges; its triangles are the edge graph's three-cycles.
    """
    edges = {tuple(sorted(edge)) for edge in _solutions().face_mesh_connections.FACEMESH_TESSELATION}
    near: dict[int, set[int]] = {}
    for a, b in edges:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    cycles = [(a, b, c) for a in near for b in near[a] for c in near[a] & near[b] if a < b < c]
    return np.array(sorted(cycles), dtype=np.int32)


@functools.lru_cache(maxsize=1)
def _solutions() -> Any:
    """MediaPipe, imported late (it takes seconds) and with its native chatter off."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from mediapipe.python import solutions

    return solutions


@contextlib.contextmanager
def native_stderr_off() -> Iterator[None]:
    """Hide what MediaPipe's native code writes to stderr while a graph starts; Python's own stderr is kept."""
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


_POINT_TAGS = (0x0A, 0x0F, 0x0D, 0x15, 0x1D)  # a point of 15 bytes; its x, its y, its z
_POINT_LAYOUT = np.dtype(
    [("point", "2u1"), ("x_tag", "u1"), ("x", "<f4"), ("y_tag", "u1"), ("y", "<f4"), ("z_tag", "u1"), ("z", "<f4")]
)


def _points(landmarks: Any) -> np.ndarray:
    """A `NormalizedLandmarkList` as float32 (N, 3), read out of its wire format: 20 times as fast as by attributes."""
    raw = landmarks.SerializeToString()
    if len(raw) == len(landmarks.landmark) * _POINT_LAYOUT.itemsize:
        table = np.frombuffer(raw, _POINT_LAYOUT)
        tags = np.column_stack([table["point"], table["x_tag"], table["y_tag"], table["z_tag"]])
        if (tags == _POINT_TAGS).all():
            return np.column_stack([table["x"], table["y"], table["z"]])
    return np.array([(p.x, p.y, p.z) for p in landmarks.landmark], np.float32).reshape(-1, 3)


def track_landmarks(frames: Iterable[np.ndarray]) -> np.ndarray:
    """FaceMesh with irises over one clip in video mode: uint8 (H, W, 3) RGB frames -> float32 (T, 478, 3) px.

    The graph is made anew for every clip, so that the result depends on the clip alone. Frames without a face are NaN.
    """
    found: list[np.ndarray] = []
    given = iter(frames)
    first = list(itertools.islice(given, 1))  # decoded before the graph starts
    with contextlib.ExitStack() as stack:
        quiet = stack.enter_context(contextlib.ExitStack())
        quiet.enter_context(native_stderr_off())  # until the first frame is through: threads start and chatter
        mesh = stack.enter_context(
            _solutions().face_mesh.FaceMesh(static_image_mode=False, max_num_faces=1, refine_landmarks=True)
        )
        seen = 0  # frames with a face; the part of the graph that sees the first one chatters then
        for frame in itertools.chain(first, given):
            with native_stderr_off() if seen < 2 else contextlib.nullcontext():
                faces = mesh.process(frame).multi_face_landmarks
            quiet.close()
            if not faces:
                found.append(np.full((NUM_LANDMARKS, 3), np.nan, np.float32))
                continue
            seen += 1
            height, width = frame.shape[:2]
            found.append(_points(faces[0]) * np.array([width, height, width], np.float32))
    return np.stack(found) if found else np.zeros((0, NUM_LANDMARKS, 3), np.float32)


def detect_landmarks(image: np.ndarray) -> np.ndarray | None:
    """FaceMesh on one still image, uint8 (H, W, 3) RGB -> float32 (478, 3) px, or None when it holds no face."""
    landmarks = track_landmarks([image, image])[-1]
    return None if np.isnan(landmarks).any() else landmarks


class FaceDetector:
    """MediaPipe's face detector: full range (up to about 5 m) by default, short range (up to 2 m) otherwise."""

    def __init__(self, full_range: bool = True, min_confidence: float = 0.5) -> None:
        with native_stderr_off():
            self._detector = _solutions().face_detection.FaceDetection(
                model_selection=int(full_range), min_detection_confidence=min_confidence
            )
            self._detector.process(np.zeros((64, 64, 3), np.uint8))  # its first image is when it chatters

    def detect(self, image: np.ndarray) -> np.ndarray:
        """Faces of one uint8 (H, W, 3) RGB image: float32 (N, 5), x0, y0, x1, y1 as fractions of it and the score."""
        found = self._detector.process(image).detections or []
        boxes = []
        for detection in found:
            box = detection.location_data.relative_bounding_box
            corners = (box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height)
            boxes.append((*corners, detection.score[0]))
        return np.array(boxes, np.float32).reshape(-1, 5)


def vertices(landmarks: np.ndarray) -> np.ndarray:
    """The 468 mesh vertices of (..., 478, 3) landmarks: irises dropped."""
    return landmarks[..., :NUM_VERTICES, :]
