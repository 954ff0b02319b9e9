"""Near-duplicates: the same footage in two clips, however it was cropped, scaled, cut or encoded.

Two clips are told by their sound: the normalised cross-correlation of their envelopes (`sound_envelope` of stage
quality) at the lag where it is highest. Comparing all pairs of many clips would be too dear; `rhythm_pairs` finds those
that share some seconds of rhythm, in time that grows like sorting.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

RANGE_DB = 35.0  # below the upper quartile of levels: lower, codecs and noise differ
SILENT_DBFS = -90.0  # of an encoder's padding at either end
MIN_FRAMES = 25
UNLIKELY = 0.7  # half a frame off, the same footage still correlates by more

KEY_BITS, KEY_STEP = 28, 3  # a key looks at 28 rises and falls over 3 frames each: 3.4 s
KEY_FRAMES = KEY_BITS * KEY_STEP + 1
QUERY_EVERY = 4  # frames
WEAK_BITS = 4  # that are tried both ways: those whose rise or fall is least
MIN_RANGE_DB = 6.0  # of a window that has a rhythm
MAX_SHARED = 64  # windows with one key; more say nothing
MIN_HITS = 2
_CHUNK = 1 << 18


@dataclasses.dataclass(frozen=True)
class Match:
    """How alike two envelopes are at their best lag: `lag` frames is where the second begins in the first."""

    correlation: float
    lag: int
    overlap: int  # frames


def prepared(envelope: np.ndarray) -> np.ndarray:
    """An envelope for comparison, float64 (T',): silent ends cut off, the range limited, mean 0."""
    loud = np.flatnonzero(envelope > SILENT_DBFS)
    if not len(loud):
        return np.zeros(0)
    inner = envelope[loud[0] : loud[-1] + 1].astype(np.float64)
    limited = np.maximum(inner, np.quantile(inner, 0.75) - RANGE_DB)  # no single bang decides
    centred: np.ndarray = limited - limited.mean()
    return centred


def correlate(first: np.ndarray, second: np.ndarray, min_overlap: int) -> Match:
    """The highest normalised correlation over all lags with at least `min_overlap` frames, of prepared envelopes.

    Half a frame between two lags is tried too, where that can help. Correlation 0 without such a lag, or when nothing
    varies.
    """
    best = _correlate(first, second, min_overlap)
    if best.correlation < UNLIKELY or len(second) < 4:
        return best
    padded = np.pad(second, 1, mode="edge")
    between = (9 * (padded[1:-2] + padded[2:-1]) - padded[:-3] - padded[3:]) / 16  # cubic
    other = _correlate(first, between, min(min_overlap, len(between)))
    return max(best, other, key=lambda match: match.correlation)


def _correlate(x: np.ndarray, y: np.ndarray, min_overlap: int) -> Match:
    n, m = len(x), len(y)
    if min(n, m) < max(min_overlap, 2):
        return Match(0.0, 0, 0)
    size = 1 << (n + m - 1).bit_length()
    products = np.fft.irfft(np.fft.rfft(x, size) * np.conj(np.fft.rfft(y, size)), size)
    lags = np.arange(min_overlap - m, n - min_overlap + 1)
    begin, end = np.maximum(lags, 0), np.minimum(n, lags + m)
    count = end - begin
    x_sum, x_spread = _sums(x, begin, end)
    y_sum, y_spread = _sums(y, begin - lags, end - lags)
    varies = np.minimum(x_spread, y_spread) > count  # 1 dB: steadier sound is like any other
    scale = np.sqrt(np.where(varies, x_spread * y_spread, np.inf))
    values = (products[lags % size] - x_sum * y_sum / count) / scale
    at = int(values.argmax())
    return Match(float(values[at]), int(lags[at]), int(count[at]))


def _sums(x: np.ndarray, begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum, and sum of squares about the mean, of x[begin:end]."""
    total, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (x, x * x))
    summed = total[end] - total[begin]
    return summed, squares[end] - squares[begin] - summed**2 / (end - begin)


def _windows(envelope: np.ndarray, every: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(keys uint64 (N,), their weakest bits uint64 (N, WEAK_BITS), first frames (N,)) of a prepared envelope."""
    if len(envelope) < KEY_FRAMES:
        return np.zeros(0, np.uint64), np.zeros((0, WEAK_BITS), np.uint64), np.zeros(0, np.int64)
    rise = envelope[KEY_STEP:] - envelope[:-KEY_STEP]
    seen = np.lib.stride_tricks.sliding_window_view(rise, KEY_FRAMES - KEY_STEP)[::every, ::KEY_STEP]
    bits = np.uint64(1) << np.arange(KEY_BITS, dtype=np.uint64)
    keys = ((seen > 0) * bits).sum(axis=1, dtype=np.uint64)
    weak = bits[np.argsort(np.abs(seen), axis=1, kind="stable")[:, :WEAK_BITS]]
    varied = np.lib.stride_tricks.sliding_window_view(envelope, KEY_FRAMES)[::every]
    has_rhythm = np.ptp(varied, axis=1) >= MIN_RANGE_DB
    first = np.arange(len(seen)) * every
    return keys[has_rhythm], weak[has_rhythm], first[has_rhythm]


def rhythm_pairs(envelopes: list[np.ndarray]) -> set[tuple[int, int]]:
    """Pairs (i, j), i < j, of prepared envelopes that share 3.4 s of rhythm, and by chance some more.

    On real clips, cut at random and encoded again, 96 of 100 that share 4 s are found.
    """
    windows = [_windows(envelope, 1) for envelope in envelopes]
    keys = np.concatenate([found[0] for found in windows] or [np.zeros(0, np.uint64)])
    owners = np.repeat(np.arange(len(windows), dtype=np.int32), [len(found[0]) for found in windows])
    order = np.argsort(keys, kind="stable")
    known, starts, counts = np.unique(keys[order], return_index=True, return_counts=True)
    usable = counts <= MAX_SHARED
    known, starts, counts, owners = known[usable], starts[usable], counts[usable], owners[order]
    hits: list[np.ndarray] = []
    for asked, asker in _queries(windows) if len(known) else ():
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        is_known = known[at] == asked
        count, first = counts[at][is_known], starts[at][is_known]
        asking = np.repeat(asker[is_known], count).astype(np.int64)
        within = np.arange(len(asking)) - np.repeat(np.cumsum(count) - count, count)
        other = owners[np.repeat(first, count) + within]
        hits.append((asking << 32 | other)[asking != other])
    found = np.concatenate(hits or [np.zeros(0, np.int64)])
    low_high = np.stack([found >> 32, found & 0xFFFFFFFF], axis=1)
    low_high.sort(axis=1)
    pairs, times = np.unique(low_high, axis=0, return_counts=True)
    return {(int(i), int(j)) for i, j in pairs[times >= MIN_HITS]}


def _queries(windows: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(keys, owners) in chunks: some windows of each clip, each with its weak bits flipped in every combination."""
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    size = 0
    for owner, (keys, weak, first) in enumerate(windows):
        chosen = first % QUERY_EVERY == 0
        variants = np.zeros((int(chosen.sum()), 1), np.uint64)
        for bit in weak[chosen].T:
            variants = np.concatenate([variants, variants | bit[:, None]], axis=1)
        flipped = (keys[chosen][:, None] ^ variants).reshape(-1)
        parts.append((flipped, np.full(len(flipped), owner)))
        size += len(flipped)
        if size >= _CHUNK or owner == len(windows) - 1:
            asked, owners = (np.concatenate(column) for column in zip(*parts, strict=True))
            order = np.argsort(asked)  # neighbours in memory are looked up one after another
            yield asked[order], owners[order]
            parts, size = [], 0
