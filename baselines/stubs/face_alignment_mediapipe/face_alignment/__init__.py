"""`face_alignment` by MediaPipe's face mesh: 68 landmarks of one face, offline, without the package's own networks.

For runs with generated weights: the package's detector and landmark networks, random, would find nothing. Needs
mediapipe in the method's environment. Written with IP_LAP (2-D); 3-D points carry MediaPipe's relative depth, smaller
is nearer. What it gives is near what the package gives, but is not its convention: jaw points lie on the mesh.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

# Vertices of MediaPipe's mesh for the 68 points of 300 Faces in-the-Wild: jaw, brows, nose, eyes, lips.
VERTICES = (
    127, 234, 93, 132, 172, 136, 149, 176, 152, 400, 378, 365, 397, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 1, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip


class LandmarksType(enum.IntEnum):
    """Both generations of names."""

    TWO_D = 1
    TWO_HALF_D = 2
    THREE_D = 3
    _2D = 1
    _2halfD = 2
    _3D = 3


class FaceAlignment:
    """Stands in for the class of the same name; what names networks and devices is taken and not used."""

    def __init__(self, landmarks_type: LandmarksType, *unused: Any, **unused_too: Any) -> None:
        import mediapipe

        self.landmarks_type = landmarks_type
        self._mesh = mediapipe.solutions.face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=1, refine_landmarks=False, min_detection_confidence=0.3
        )

    def get_landmarks(self, image_or_path: Any, *unused: Any, **unused_too: Any) -> list[np.ndarray] | None:
        """Landmarks of one face, px: one array (68, 2), or (68, 3) of a 3-D type; None where no face is found."""
        image = _read(image_or_path)
        found = self._mesh.process(image).multi_face_landmarks
        if not found:
            return None
        height, width = image.shape[:2]
        points = np.array([[one.x * width, one.y * height, one.z * width] for one in found[0].landmark], np.float32)
        return [points[list(VERTICES), : 3 if self.landmarks_type == LandmarksType.THREE_D else 2]]

    get_landmarks_from_image = get_landmarks


def _read(image_or_path: Any) -> np.ndarray:
    """An image (h, w, 3) of bytes, as MediaPipe wants it; colours as they were given."""
    if isinstance(image_or_path, str):
        import cv2

        return np.asarray(cv2.cvtColor(cv2.imread(image_or_path), cv2.COLOR_BGR2RGB))
    return np.ascontiguousarray(np.asarray(image_or_path)[..., :3].astype(np.uint8))
