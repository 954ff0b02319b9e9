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


class FaceAnalysis:
    """Takes what the package's class takes, and loads nothing."""

    def __init__(self, *unused: Any, **unused_too: Any) -> None:
        self.models: dict[str, Any] = {}
        vector = np.random.default_rng(IDENTITY_SEED).normal(size=512).astype(np.float32)
        self._identity = vector / np.linalg.norm(vector)

    def prepare(self, *unused: Any, **unused_too: Any) -> None:
        """Nothing is prepared."""

    def get(self, img: np.ndarray, max_num: int = 0) -> list[dict[str, Any]]:
        """One face of an image (height, width, 3): `bbox` (4,) and `kps` (5, 2) in px, `embedding` (512,)."""
        height, width = img.shape[:2]
        box = np.array(BOX, np.float32) * np.array([width, height, width, height], np.float32)
        points = np.array(POINTS, np.float32) * np.array([width, height], np.float32)
        return [{"bbox": box, "kps": points, "det_score": 1.0, "embedding": self._identity.copy()}]
