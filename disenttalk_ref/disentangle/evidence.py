"""|Delta_r^i| / sigma_i of Eq. 1 from sums that are kept for each clip, so that any choice of clips can be added up."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

Sigma = Literal["within", "all"]
Statistic = Literal["rms", "mean", "max"]


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """What one stretch of one clip says of the K dimensions, by one way of making Delta. Regions: lip, eye."""

    clip_id: str
    speaker_id: str
    frames: int  # that sigma is computed from
    changed: np.ndarray  # (2,) frames that Delta is computed from, 0 where the clip says nothing of a region
    sums: np.ndarray  # (2, K) sum over those frames of Delta
    squares: np.ndarray  # (2, K) sum over those frames of Delta^2
    peaks: np.ndarray  # (2, K) largest |Delta| of those frames
    total: np.ndarray  # (K,) sum of the expression
    power: np.ndarray  # (K,) sum of its square
    spread: np.ndarray  # (K,) sum of the squared distance from the stretch's own mean


def evidence(clip_id: str, speaker_id: str, expression: np.ndarray, changes: Sequence[np.ndarray | None]) -> Evidence:
    """Sums of a stretch: expression (T, K) of the unedited frames, and Delta (F, K) for lip and eye, or None."""
    values = expression.astype(np.float64)
    num = values.shape[1]
    parts = [np.zeros((0, num)) if change is None else change for change in changes]
    return Evidence(
        clip_id=clip_id,
        speaker_id=speaker_id,
        frames=len(values),
        changed=np.array([len(part) for part in parts]),
        sums=np.stack([part.sum(0) for part in parts]),
        squares=np.stack([np.square(part).sum(0) for part in parts]),
        peaks=np.stack([np.abs(part).max(0, initial=0.0) for part in parts]),
        total=values.sum(0),
        power=np.square(values).sum(0),
        spread=np.square(values - values.mean(0)).sum(0),
    )


def deviations(found: Sequence[Evidence], sigma: Sigma = "within") -> np.ndarray:
    """sigma_i, (K,): the standard deviation over frames, about each clip's own mean, or about that of all frames."""
    frames = sum(one.frames for one in found)
    if sigma == "within":
        variance = sum(one.spread for one in found) / frames
    else:
        mean = sum(one.total for one in found) / frames
        variance = np.maximum(sum(one.power for one in found) / frames - np.square(mean), 0.0)
    return np.sqrt(variance)


def ratios(found: Sequence[Evidence], sigma: Sigma = "within", statistic: Statistic = "rms") -> np.ndarray:
    """|Delta_r^i| / sigma_i, (2, K) for lip and eye; NaN for a region that no clip says anything of.

    Args:
        found: of the clips that count.
        sigma: "within" (standard deviation about each clip's own mean: what a face does) or "all" (about the mean of
            all frames: what tells people apart is in it as well).
        statistic: "rms" (root mean square of Delta over all frames, so that long clips count more), "mean" (size of its
            mean over all frames, in which what has another sign in every clip cancels) or "max" (largest |Delta| of a
            clip, mean over clips: the paper's implementation details call it the maximum temporal variation).

    Raises:
        ValueError: if `found` is empty.

    """
    if not found:
        raise ValueError("no clips to compute ratios from")
    deviation = deviations(found, sigma)
    changes = []
    for region in (0, 1):
        telling = [one for one in found if one.changed[region]]
        if not telling:
            changes.append(np.full(len(deviation), np.nan))
        elif statistic == "max":
            changes.append(np.mean([one.peaks[region] for one in telling], axis=0))
        else:
            count = sum(one.changed[region] for one in telling)
            if statistic == "mean":
                changes.append(np.abs(sum(one.sums[region] for one in telling)) / count)
            else:
                changes.append(np.sqrt(sum(one.squares[region] for one in telling) / count))
    safe = np.where(deviation > 0, deviation, 1.0)
    result: np.ndarray = np.where(deviation > 0, np.stack(changes) / safe, 0.0)  # what never moves is never chosen
    return result
