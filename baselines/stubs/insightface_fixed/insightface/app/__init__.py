"""Stands in for the package's `FaceAnalysis`, whose detector, random, would find nothing.

It finds one face in every picture, at a fixed place relative to its size, with a fixed unit vector for an identity.
"""

from __future__ import annotations

from typing import Any

import numpy as np

IDENTITY_SEED = 1
# Left, upper, right and lower edge of the face; eyes, nose and mouth's corners: parts of the picture's sides.
BOX = (0.25, 0.2, 0.75, 0.85)
POINTS = ((0.39, 0.45), (0.61, 0.45), (0.5, 0.58), (0.42, 0.7), (0.58, 0.7))
LANDMARKS = (
    106  # insightface's dense landmarks; brows and nose, by which LatentSync aligns, are set, others fill the box
)
LEFT_BROW, RIGHT_BROW, NOSE = (43, 48, 49, 51, 50), (101, 102, 103, 104, 105), (74, 77, 83, 86)
BROW_HEIGHT = 0.38  # of the picture's


class Face(dict):
    """A face as the package gives it: a dictionary, whose values are attributes too."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)


class FaceAnalysis:
    """Takes what the package's class takes, and loads nothing."""

    def __init__(self, *unused: Any, **unused_too: Any) -> None:
        self.models: dict[str, Any] = {}
        vector = np.random.default_rng(IDENTITY_SEED).normal(size=512).astype(np.float32)
        self._identity = vector / np.linalg.norm(vector)

    def prepare(self, *unused: Any, **unused_too: Any) -> None:
        """Nothing is prepared."""

    def get(self, img: np.ndarray, max_num: int = 0) -> list[Face]:
        """One face of an image (height, width, 3): `bbox` (4,), `kps` (5, 2), `landmark_2d_106` (106, 2) in px.

        Further `embedding` (512,) and `det_score`.
        """
        height, width = img.shape[:2]
        box = np.array(BOX, np.float32) * np.array([width, height, width, height], np.float32)
        points = np.array(POINTS, np.float32) * np.array([width, height], np.float32)
        dense = _dense() * np.array([width, height], np.float32)
        about = {"bbox": box, "kps": points, "landmark_2d_106": dense, "det_score": 1.0}
        return [Face(about, embedding=self._identity.copy())]


def _dense() -> np.ndarray:
    """Dense landmarks (106, 2), parts of the picture's sides."""
    found = np.linspace(BOX[:2], BOX[2:], LANDMARKS, dtype=np.float32)
    found[list(LEFT_BROW)] = POINTS[0][0], BROW_HEIGHT
    found[list(RIGHT_BROW)] = POINTS[1][0], BROW_HEIGHT
    found[list(NOSE)] = POINTS[2]
    return found
