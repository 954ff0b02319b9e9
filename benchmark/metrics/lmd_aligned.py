"""LMD-aligned: distance between mouth landmarks after the head is laid on the reference's."""

import dataclasses
from typing import ClassVar

import numpy as np

from benchmark.landmark_distance import LandmarkDistance
from chdtf.faces import MOUTH_20

STABLE_5 = (33, 133, 362, 263, 4)  # four eye corners and the nose tip: what the alignment rests on


@dataclasses.dataclass(frozen=True)
class Metric(LandmarkDistance):
    """Mean over frames and 20 mouth points of |s R p + t - q|, in px of the reference's 256x256 frame.

    (s, R, t) is the similarity that best takes eye corners and nose tip of the generated face to the reference's, frame
    by frame; the mouth is not centred, so that one in the wrong place counts. It removes translation, roll and scale,
    and so means something on a crop of the method's own choosing too. Turns of the head remain in it.
    """

    name: ClassVar[str] = "lmd_aligned"
    label: ClassVar[str] = "LMD-aligned"
    source: ClassVar[str] = (
        "LMD (Chen et al., ECCV 2018) after a least-squares similarity (Umeyama 1991, without reflection) on four eye "
        "corners and the nose tip; MediaPipe Face Mesh"
    )

    def distances(self, p: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Float64 (N, 1) px."""
        return aligned_distance(p, q)[:, None]


def aligned_distance(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Mean mouth distance after the similarity that best maps eyes and nose of p on those of q: (T, 478, 2) -> (T,)."""
    source, target = _complex(p[:, STABLE_5]), _complex(q[:, STABLE_5])
    source_mean, target_mean = source.mean(axis=1, keepdims=True), target.mean(axis=1, keepdims=True)
    a, b = source - source_mean, target - target_mean
    turn = (a.conj() * b).sum(axis=1, keepdims=True) / (np.abs(a) ** 2).sum(axis=1, keepdims=True)  # scale and rotation
    moved = turn * (_complex(p[:, MOUTH_20]) - source_mean) + target_mean
    mean: np.ndarray = np.abs(moved - _complex(q[:, MOUTH_20])).mean(axis=1)
    return mean


def _complex(points: np.ndarray) -> np.ndarray:
    values: np.ndarray = points[..., 0] + 1j * points[..., 1]
    return values
