"""Weighted similarity transforms (rotation, uniform scale, translation) between point sets, many frames at once.

Closed form: S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
IEEE TPAMI 13(4), 1991, with a weight for each point.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Similarity:
    """y = scale * rotation @ x + translation, for every frame: (T, 3, 3), (T,), (T, 3), float64."""

    rotation: np.ndarray
    scale: np.ndarray
    translation: np.ndarray

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Move points (T, L, 3) or (L, 3), the same for every frame: -> (T, L, 3)."""
        turned = points @ np.swapaxes(self.rotation, -1, -2)
        moved: np.ndarray = self.scale[:, None, None] * turned + self.translation[:, None]
        return moved

    def undo(self, points: np.ndarray) -> np.ndarray:
        """Inverse of `apply`: (T, L, 3) -> (T, L, 3)."""
        back: np.ndarray = ((points - self.translation[:, None]) @ self.rotation) / self.scale[:, None, None]
        return back


def fit_similarity(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> Similarity:
    """The similarity that takes `source` closest to `target` in weighted least squares.

    Args:
        source: (T, L, 3) or (L, 3), the same for every frame.
        target: (T, L, 3).
        weights: (L,), not negative; at least three points that are not on a line need a positive one.

    Raises:
        ValueError: if the shapes do not fit, or the weighted points of `source` coincide.

    """
    if target.ndim != 3 or source.shape[-2:] != target.shape[-2:] or weights.shape != target.shape[1:2]:
        raise ValueError(f"source {source.shape}, target {target.shape} and weights {weights.shape} do not fit")
    used = np.flatnonzero(weights)  # most vertices carry no weight in an alignment on rigid ones
    share = weights[used, None].astype(np.float64) / weights.sum()
    x = np.broadcast_to(source[..., used, :], (len(target), len(used), 3)).astype(np.float64)
    y = target[:, used].astype(np.float64)
    x_mean, y_mean = (x * share).sum(1, keepdims=True), (y * share).sum(1, keepdims=True)
    x, y = x - x_mean, y - y_mean
    spread = (x**2 * share).sum((1, 2))
    if not np.all(spread > 0):
        raise ValueError("the weighted points of the source coincide")
    u, singular, vt = np.linalg.svd(np.swapaxes(y * share, 1, 2) @ x)
    flip = np.sign(np.linalg.det(u @ vt))  # a rotation, never a reflection
    u[:, :, 2] *= flip[:, None]
    singular[:, 2] *= flip
    rotation = u @ vt
    scale = singular.sum(1) / spread
    translation = y_mean[:, 0] - scale[:, None] * (rotation @ x_mean[:, 0, :, None])[..., 0]
    return Similarity(rotation, scale, translation)
