"""Histograms of every score, with the threshold that judges it."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipelines.judging.thresholds import SHARE, Bound, Thresholds

BINS = 50  # so that shares have edges at every 2 %
# numbers that say where and what a clip is, not how good it is
_PLACES = ("start_s", "end_s", "clip_start_s", "clip_end_s", "shot", "sampled_frames")
_CONSTANTS = ("num_samples", "fps", "sample_rate_hz", "fitter_version")
_NO_SCORES = frozenset([*_PLACES, *_CONSTANTS])
_UNITS = {
    "share": SHARE,
    "px": "px",
    "deg": "degrees",
    "dbfs": "dBFS",
    "s": "s",
    "bps": "bit/s",
    "frames": "frames",
    "bytes": "bytes",
    "fps": "fps",
    "hz": "Hz",
}
_PIXELS = ("source_width", "source_height", "shown_width", "shown_height")


@dataclasses.dataclass(frozen=True)
class Histogram:
    """One score over all clips that have it."""

    column: str
    unit: str
    low: float  # the left edge of the first bin, and
    high: float  # the right one of the last; what lies beyond is counted in these
    accepted: Sequence[int]
    refused: Sequence[int]
    num_scored: int
    num_missing: int
    median: float
    limits: Sequence[float]  # where thresholds are drawn
    bound: Bound | None
    num_beyond: int  # on the wrong side of the threshold

    @property
    def highest(self) -> int:
        """Clips in the highest bar."""
        return max(kept + lost for kept, lost in zip(self.accepted, self.refused, strict=True))

    @property
    def is_clamped_low(self) -> bool:
        """Whether the first bin also holds lower values."""
        return self._minimum < self.low

    @property
    def is_clamped_high(self) -> bool:
        """Whether the last bin also holds higher values."""
        return self._maximum > self.high

    _minimum: float = 0.0
    _maximum: float = 0.0


def histograms(accepted: pa.Table, refused: pa.Table, thresholds: Thresholds) -> list[Histogram]:
    """A histogram of each score that any clip has: those with a threshold first, in the order of judgement."""
    bounds = {bound.column: bound for bound in thresholds.bounds()}
    numeric = [
        field.name
        for field in accepted.schema
        if (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)) and field.name not in _NO_SCORES
    ]
    active = [name for name, bound in bounds.items() if bound.limit is not None and name in numeric]
    idle = [name for name in bounds if name not in active and name in numeric]
    names = [*active, *idle, *(name for name in numeric if name not in bounds)]
    found = [_histogram(name, _values(accepted, name), _values(refused, name), bounds.get(name)) for name in names]
    return [histogram for histogram in found if histogram is not None]


def _values(rows: pa.Table, name: str) -> np.ndarray:
    """float64 (rows,), NaN where the score is null."""
    if name not in rows.column_names:
        return np.full(rows.num_rows, np.nan)
    return np.asarray(rows[name].cast(pa.float64()).to_numpy(), np.float64)


def unit_of(column: str) -> str:
    """The unit that a column's name ends in, or ""."""
    return _UNITS.get(column.rpartition("_")[2], "") if "_" in column else ""


def _histogram(name: str, accepted: np.ndarray, refused: np.ndarray, bound: Bound | None) -> Histogram | None:
    both = np.concatenate([accepted, refused])
    scored = both[np.isfinite(both)]
    if not len(scored):
        return None
    unit = bound.unit if bound else "px" if name in _PIXELS else unit_of(name)
    limits = [bound.limit] if bound and bound.limit is not None else []
    if bound and bound.is_magnitude:
        limits = [side * limit for limit in limits for side in (-1, 1)]
    low, high = _range(scored, unit, limits)
    edges = np.linspace(low, high, BINS + 1)
    counts = [np.histogram(np.clip(values[np.isfinite(values)], low, high), edges)[0] for values in (accepted, refused)]
    return Histogram(
        column=name,
        unit=unit,
        low=low,
        high=high,
        accepted=counts[0].tolist(),
        refused=counts[1].tolist(),
        num_scored=len(scored),
        num_missing=len(both) - len(scored),
        median=float(np.median(scored)),
        limits=limits,
        bound=bound,
        num_beyond=_beyond(scored, bound),
        _minimum=float(scored.min()),
        _maximum=float(scored.max()),
    )


def _beyond(scored: np.ndarray, bound: Bound | None) -> int:
    """Number of scores that are out of bounds, as `Bound.verdict` judges."""
    if bound is None or bound.limit is None:
        return 0
    values = np.abs(scored) if bound.is_magnitude else scored
    return int(np.sum(values < bound.limit if bound.is_minimum else values > bound.limit))


def _range(scored: np.ndarray, unit: str, limits: Sequence[float]) -> tuple[float, float]:
    """Where to draw: all but the outermost hundredth on each side, and the threshold, which is an edge of a bin."""
    if unit == SHARE:
        return 0.0, 1.0
    ends = [*np.quantile(scored, [0.01, 0.99]), *limits]
    low, high = float(min(ends)), float(max(ends))
    room = 0.04 * (high - low) or max(abs(low) * 0.1, 0.5)
    # a count or a size does not begin below zero
    low, high = (max(0.0, low - room) if scored.min() >= 0 and low >= 0 else low - room), high + room
    if len(limits) != 1:
        is_whole = not np.any(scored % 1) and high - low > BINS
        return (float(np.floor(low)), float(np.ceil(high))) if is_whole else (low, high)
    below = max(1, int((limits[0] - low) / (high - low) * BINS))  # rounded down: what is added lies above
    width = max((limits[0] - low) / below, (high - limits[0]) / (BINS - below))
    return limits[0] - below * width, limits[0] + (BINS - below) * width
