"""F-LMD: distance between the landmarks of the whole face in generated and reference video."""

import dataclasses
from typing import ClassVar

import numpy as np

from benchmark.face_pairs import PIXELS_COMPARE
from benchmark.landmark_distance import LandmarkDistance, centred_distance
from chdtf.morphable.ibug import IBUG_68


@dataclasses.dataclass(frozen=True)
class Metric(LandmarkDistance):
    """F-LMD = mean over frames and 68 points of |(p - mean p) - (q - mean q)|, in px of the 256x256 frame.

    The 68 points of the iBUG convention as MediaPipe vertices, centred on their own mean. Roll, scale and the turn of
    the head remain in it: for a method that chooses the pose itself it measures pose. The 17 points of the jaw follow
    the silhouette.
    """

    name: ClassVar[str] = "f_lmd"
    label: ClassVar[str] = "F-LMD"
    source: ClassVar[str] = (
        "F-LMD of yuexihang/evaluation_eat (Gan et al., ICCV 2023): 68 points centred on their mean, divided by 68; "
        "MediaPipe Face Mesh instead of dlib"
    )
    geometries: ClassVar[frozenset[str]] = PIXELS_COMPARE

    def distances(self, p: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Float64 (N, 1) px."""
        return centred_distance(p[:, IBUG_68], q[:, IBUG_68])[:, None]
