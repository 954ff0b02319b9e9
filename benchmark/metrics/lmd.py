"""LMD: distance between the mouth landmarks of generated and reference video."""

import dataclasses
from typing import ClassVar

import numpy as np

from benchmark.face_pairs import PIXELS_COMPARE
from benchmark.landmark_distance import LandmarkDistance, centred_distance
from chdtf.faces import LEFT_EAR, MOUTH_20, RIGHT_EAR


@dataclasses.dataclass(frozen=True)
class Metric(LandmarkDistance):
    """LMD = mean over frames and 20 mouth points of |(p - mean p) - (q - mean q)|, in px of the 256x256 frame.

    The points are the mouth of the 68-point convention (outer 48-59, inner 60-67) as MediaPipe vertices. Centring on
    the mouth removes head translation; roll and scale remain. Frames are paired by index, without temporal alignment.
    A frame in which either face is missing has no value: read the value together with `missing_frames`.
    """

    name: ClassVar[str] = "lmd"
    label: ClassVar[str] = "LMD"
    version: ClassVar[int] = 2  # 2: the least share of faces holds for the common frames too
    source: ClassVar[str] = (
        "Chen et al., ECCV 2018; centring as in ATVGnet's evaluation_matrix.py, divided by the 20 points as in the "
        "formula; MediaPipe Face Mesh instead of dlib"
    )
    geometries: ClassVar[frozenset[str]] = PIXELS_COMPARE

    def distances(self, p: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Float64 (N, 2): LMD in px, and in % of the distance of the reference's eye centres."""
        distance = centred_distance(p[:, MOUTH_20], q[:, MOUTH_20])
        eyes = np.linalg.norm(_eye_centre(q, RIGHT_EAR) - _eye_centre(q, LEFT_EAR), axis=-1)
        return np.stack([distance, 100 * distance / eyes], axis=1)

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Frames measured and missing, and the distance relative to that of the eyes."""
        return {**super().details(values), "lmd_iod_percent": float(np.nanmean(values[:, 1]))}


def _eye_centre(points: np.ndarray, eye: tuple[int, ...]) -> np.ndarray:
    centre: np.ndarray = (points[:, eye[0]] + points[:, eye[3]]) / 2  # p1 and p4 are the corners
    return centre
