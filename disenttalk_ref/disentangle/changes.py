"""Delta_r of Eq. 1 from one clip: three ways that need no other video of it.

`edited` and `animated` close the region in every frame of the fitted face; `natural` compares frames where it is
closed with frames where it is open. The fourth way, `pairs`, is in `disenttalk_ref.disentangle.pairs`.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from chdtf.animate import close_eyes, open_mouth
from chdtf.schema import NUM_VERTICES
from disenttalk_ref.disentangle.material import FaceClip
from disenttalk_ref.disentangle.points import REGIONS, Points

Way = Literal["edited", "animated", "natural", "pairs"]
CLOSED_SHARE = 0.2  # the share of a clip's frames that count as closed, and as open
ANIMATED_FRAMES = 50  # of a clip are edited one by one

_NO_MODEL = "needs the face model, to edit the face"


def edited(clip: FaceClip, points: Points, region: int) -> np.ndarray:
    """Delta (T, K): the region takes its mean shape of the clip's most closed frames, in every frame.

    The edit is weighted by the region's soft weights and expressed in the model's dimensions by least squares.
    """
    offsets = points.offsets(clip.expression)
    closed = offsets[_closed(clip.opening[:, region])].mean(0)
    return points.expression(points.weights[region][:, None] * (closed - offsets))


def animated(clip: FaceClip, points: Points, region: int) -> np.ndarray:
    """Delta (F, K): lips or lids are closed by `chdtf.animate`, which knows no model, in evenly spaced frames.

    Needs a model whose landmark map holds all 468 vertices.
    """
    assert clip.neutral is not None
    keep = np.linspace(0, len(clip.expression) - 1, min(len(clip.expression), ANIMATED_FRAMES)).round().astype(int)
    faces = clip.neutral + points.offsets(clip.expression[keep])
    close = _CLOSE[REGIONS[region]]
    return points.expression(np.stack([close(face) for face in faces]) - faces)


def natural(clip: FaceClip, region: int) -> np.ndarray:
    """Delta (T, K), the same for all T frames: mean of the most closed minus mean of the most open frames.

    Needs no face model: openings may have been read from the video.
    """
    opening = clip.opening[:, region]
    change = clip.expression[_closed(opening)].mean(0) - clip.expression[_closed(-opening)].mean(0)
    return np.broadcast_to(change.astype(np.float64), clip.expression.shape)


def _close_mouth(face: np.ndarray) -> np.ndarray:
    return open_mouth(face, 0.0)


def _close_lids(face: np.ndarray) -> np.ndarray:
    return close_eyes(face, 1.0)


_CLOSE: dict[str, Callable[[np.ndarray], np.ndarray]] = {"lip": _close_mouth, "eye": _close_lids}


def _closed(opening: np.ndarray) -> np.ndarray:
    """Which frames belong to the most closed share, bool (T,)."""
    closed: np.ndarray = opening <= np.quantile(opening, CLOSED_SHARE)
    return closed


def impossible(way: Way, points: Points | None) -> str | None:
    """Why a way cannot be computed with what is known of the model, or None."""
    if way in ("edited", "animated") and points is None:
        return _NO_MODEL
    if way == "animated" and points is not None and len(points.model.landmark_map.landmarks) < NUM_VERTICES:
        return f"needs all 468 vertices; {points.model.name} maps {len(points.model.landmark_map.landmarks)}"
    return None


def changes_of(way: Way, clip: FaceClip, points: Points | None) -> list[np.ndarray | None]:
    """Delta of both regions (lip, eye) by one of the ways that need no other video.

    Raises:
        ValueError: if `impossible(way, points)`, or `way` is "pairs".

    """
    if way == "pairs" or impossible(way, points):
        raise ValueError(f"way {way!r}: {impossible(way, points) or 'is measured on pairs of videos'}")
    if points is None:
        return [natural(clip, region) for region in (0, 1)]
    make = {"edited": edited, "animated": animated}.get(way)
    found = [natural(clip, region) if make is None else make(clip, points, region) for region in (0, 1)]
    return [change * points.seen for change in found]
