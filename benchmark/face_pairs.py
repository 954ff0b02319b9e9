"""Landmarks of two videos at the same moments, and how much of a clip they cover."""

from collections.abc import Mapping

import numpy as np

from benchmark.footage import Footage, Unscored, paired

PACKAGES = ("mediapipe",)  # that landmarks depend on, besides the packages of every metric
# A crop of the method's own choosing changes sizes in px (until it is undone); ratios and faces survive it.
PIXELS_COMPARE = frozenset({"same_frame", "pasted_back", "recrop"})


def paired_faces(
    generated: Footage, reference: Footage | None, min_share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks of both videos where both show a face: float64 (N, 478, 2) px each, and which of the T frames, bool.

    The T frames are those common to both, paired by index after the declared offset. Leaving out frames without a face
    rewards failure, so `Unscored` is raised when either video, or the common frames, show too few of them.
    """
    if reference is None:
        raise Unscored("no_reference")
    ours, theirs = paired(generated, reference)
    p, q = generated.face_landmarks(min_share)[ours], _reference_landmarks(reference, min_share)[theirs]
    both = np.isfinite(p[:, 0, 0]) & np.isfinite(q[:, 0, 0])
    if both.sum() < min_share * len(both) or not both.any():
        raise Unscored(f"no_face: found in both in {both.sum()} of {len(both)} frames, {min_share:.0%} needed")
    return p[both, :, :2].astype(np.float64), q[both, :, :2].astype(np.float64), both


def _reference_landmarks(reference: Footage, min_share: float) -> np.ndarray:
    try:
        return reference.face_landmarks(min_share)
    except Unscored as problem:
        raise Unscored(f"{problem.reason} (reference)") from None


def on_frames(values: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Values of the found frames, (N, ...), on all of them: float64 (T, ...), NaN elsewhere."""
    spread = np.full((len(found), *values.shape[1:]), np.nan)
    spread[found] = values
    return spread


def coverage(column: np.ndarray) -> Mapping[str, float]:
    """How many frames of a (T,) column were measured, and how many were not for want of a face."""
    scored = int(np.isfinite(column).sum())
    return {"frames_scored": float(scored), "missing_frames": float(len(column) - scored)}
