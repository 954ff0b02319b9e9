"""LMD: distance between the mouth landmarks of generated and reference video."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from benchmark.footage import paired
from benchmark.metric import Footage, MetricBase, Unscored
from chdtf.faces import LEFT_EAR, MOUTH_20, RIGHT_EAR

STABLE_5 = (33, 133, 362, 263, 4)  # four eye corners and the nose tip; the alignment of `lmd_aligned` rests on them


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """LMD = mean over frames and 20 mouth points of |(p - mean p) - (q - mean q)|, in px of the 256x256 frame.

    The points are the mouth of the 68-point convention (outer 48-59, inner 60-67) as MediaPipe vertices. Centring on
    the mouth removes head translation; roll and scale remain. Frames are paired by index, without temporal alignment.
    A frame in which either face is missing has no value: read the value together with `frames_scored`.
    """

    name: ClassVar[str] = "lmd"
    label: ClassVar[str] = "LMD"
    unit: ClassVar[str] = "px"
    higher_is_better: ClassVar[bool | None] = False
    source: ClassVar[str] = (
        "Chen et al., ECCV 2018; centring as in ATVGnet's evaluation_matrix.py, divided by the 20 points as in the "
        "formula; MediaPipe Face Mesh instead of dlib"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"reference", "landmarks"})
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, "mediapipe")

    min_face_share: float = 0.5

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """Float64 (T, 3): LMD in px, in % of the distance of eye centres, and aligned on eyes and nose in px."""
        if reference is None:
            raise Unscored("no_reference")
        ours, theirs = paired(generated, reference)
        p = generated.face_landmarks(self.min_face_share)[ours, :, :2].astype(np.float64)
        q = reference.face_landmarks(self.min_face_share)[theirs, :, :2].astype(np.float64)
        both = np.isfinite(p[:, 0, 0]) & np.isfinite(q[:, 0, 0])
        if not both.any():
            raise Unscored("no_face: no frame in which both videos show one")
        p, q = p[both], q[both]
        distance = centred_distance(p[:, MOUTH_20], q[:, MOUTH_20])
        eyes = np.linalg.norm(_eye_centre(q, RIGHT_EAR) - _eye_centre(q, LEFT_EAR), axis=-1)
        values = np.full((len(both), 3), np.nan)
        values[both] = np.stack([distance, 100 * distance / eyes, aligned_distance(p, q)], axis=1)
        return values

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Frames measured, and the two other readings of the distance."""
        return {
            "frames_scored": float(np.isfinite(values[:, 0]).sum()),
            "lmd_iod_percent": float(np.nanmean(values[:, 1])),
            "lmd_aligned_px": float(np.nanmean(values[:, 2])),
        }


def centred_distance(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Mean distance of (T, L, 2) points after each set's own mean is taken off: (T,)."""
    difference = (p - p.mean(axis=1, keepdims=True)) - (q - q.mean(axis=1, keepdims=True))
    return np.asarray(np.linalg.norm(difference, axis=-1).mean(axis=1))


def aligned_distance(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Mean mouth distance after the similarity that best maps eyes and nose of p on those of q: (T, 478, 2) -> (T,)."""
    source, target = _complex(p[:, STABLE_5]), _complex(q[:, STABLE_5])
    source_mean, target_mean = source.mean(axis=1, keepdims=True), target.mean(axis=1, keepdims=True)
    a, b = source - source_mean, target - target_mean
    turn = (a.conj() * b).sum(axis=1, keepdims=True) / (np.abs(a) ** 2).sum(axis=1, keepdims=True)  # scale and rotation
    moved = turn * (_complex(p[:, MOUTH_20]) - source_mean) + target_mean
    mean: np.ndarray = np.abs(moved - _complex(q[:, MOUTH_20])).mean(axis=1)
    return mean


def _eye_centre(points: np.ndarray, eye: tuple[int, ...]) -> np.ndarray:
    centre: np.ndarray = (points[:, eye[0]] + points[:, eye[3]]) / 2  # p1 and p4 are the corners
    return centre


def _complex(points: np.ndarray) -> np.ndarray:
    values: np.ndarray = points[..., 0] + 1j * points[..., 1]
    return values
