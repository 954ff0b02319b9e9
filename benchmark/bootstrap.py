"""Intervals and differences of sets of clips, by bootstrap over speakers.

Clips of one speaker resemble each other, so speakers are drawn, each with all of its clips; a clip without a speaker
counts as a speaker of its own. Percentiles are taken at the expanded level of Hesterberg (The American Statistician
69, 2015, section 4.3), which makes up for the bootstrap's being too narrow in small samples. Below `MIN_SPEAKERS`
there is no interval: five speakers agree by chance more often than once in twenty (2 / 2^5), and no resampling of them
can tell.

The draws depend on the number of speakers alone, so that two methods on the same clips are drawn alike (paired), and
sums are exact, so that neither the order of clips nor the machine changes a bit.
"""

import dataclasses
import functools
import math
import sys
from collections.abc import Iterable, Sequence

import numpy as np

from benchmark.clip_score import ClipScore
from benchmark.metric import MetricBase, mean_terms

NUM_RESAMPLES = 2000
MIN_SPEAKERS = 6
SEED = 0
MAX_RESAMPLED_VALUES = 2_000_000_000  # more are not resampled through `reduce`; about a minute of means


@dataclasses.dataclass(frozen=True)
class Interval:
    """95 % interval, or the reason why there is none; the reason begins with a short stable word."""

    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside; False without an interval."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Scored clips of one method and metric, by speaker and then clip."""

    metric: MetricBase
    clip_ids: tuple[str, ...]
    speakers: tuple[str, ...]
    values: np.ndarray  # of the clips, float64 (clips,); NaN where only a set has a value
    arrays: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, metric: MetricBase, scores: Iterable[ClipScore]) -> "Sample":
        """Those of the metric that were scored."""
        found = [score for score in scores if score.metric == metric.name and score.reason is None]
        scored = [(speaker(score), score.clip_id, score.value, score.values) for score in found]
        usable = sorted((one for one in scored if one[3] is not None), key=lambda one: one[:2])
        values = np.array([math.nan if one[2] is None else one[2] for one in usable], np.float64)
        arrays = tuple(one[3] for one in usable if one[3] is not None)
        return cls(metric, tuple(one[1] for one in usable), tuple(one[0] for one in usable), values, arrays)

    @functools.cached_property
    def terms(self) -> np.ndarray | None:
        """See `MetricBase.terms`."""
        kind = type(self.metric)
        if kind.terms is MetricBase.terms and kind.reduce is MetricBase.reduce:
            return mean_terms(self.values)  # the same numbers, without computing them again
        return self.metric.terms(self.arrays) if self.arrays else None

    @functools.cached_property
    def value(self) -> float:
        """The set's value: what `reduce` gives, from the terms where there are any."""
        if self.terms is not None and self.terms[:, 1].any():
            numerator, denominator = self.terms.sum(axis=0)
            return float(numerator / denominator)
        return self.metric.reduce(self.arrays)

    @property
    def num_speakers(self) -> int:
        """Number of speakers whose clips were scored."""
        return len(set(self.speakers))

    @functools.cached_property
    def usable(self) -> frozenset[str]:
        """Clips that count in the value: those whose denominator is not 0."""
        if self.terms is None:
            return frozenset(self.clip_ids)
        return frozenset(name for name, used in zip(self.clip_ids, self.terms[:, 1], strict=True) if used)

    def only(self, clip_ids: frozenset[str]) -> "Sample":
        """The part with these clips; the sample itself when that is all of it."""
        if clip_ids == self.usable and len(clip_ids) == len(self.clip_ids):
            return self
        keep = [index for index, clip_id in enumerate(self.clip_ids) if clip_id in clip_ids]
        part = Sample(
            self.metric,
            tuple(self.clip_ids[index] for index in keep),
            tuple(self.speakers[index] for index in keep),
            self.values[keep],
            tuple(self.arrays[index] for index in keep),
        )
        if self.terms is not None:
            part.__dict__["terms"] = self.terms[keep]
        return part

    def interval(self) -> Interval:
        """95 % interval of the set's value: the metric's own where it has one, else by bootstrap."""
        if not self.arrays:
            return Interval(reason="no_clips")
        exact = self.metric.interval(self.arrays)
        if exact is not None:
            return Interval(*exact)
        drawn = self.draws
        return drawn if isinstance(drawn, Interval) else percentiles(drawn, self._num_drawn())

    @functools.cached_property
    def draws(self) -> "np.ndarray | Interval":
        """The set's value in every resample, float64 (R,), or an `Interval` without numbers that says why not."""
        number = self._num_drawn()
        if not number and self.arrays:
            return Interval(reason="infinite: every clip is" if np.isinf(self.values).any() else "not_a_number")
        if number < MIN_SPEAKERS:
            return Interval(reason=f"too_few_speakers: {number}, at least {MIN_SPEAKERS} needed")
        drawn = self._drawn_terms() if self.terms is not None else self._drawn_sets()
        if isinstance(drawn, np.ndarray) and not np.isfinite(drawn).all():
            return Interval(reason="not_finite: the value of some resamples is not")
        return drawn

    def _num_drawn(self) -> int:
        """Speakers that have anything to resample."""
        if self.terms is None:
            return self.num_speakers
        return len({name for name, term in zip(self.speakers, self.terms[:, 1], strict=True) if term})

    def _drawn_terms(self) -> np.ndarray:
        terms = self.terms
        assert terms is not None
        used = terms[:, 1] != 0
        _, index = np.unique(np.array(self.speakers)[used], return_inverse=True)
        sums = np.stack([np.bincount(index, terms[used, column]) for column in (0, 1)], axis=1)
        counts = resample_counts(len(sums), NUM_RESAMPLES)
        numerator, denominator = (counts @ _on_grid(column) for column in sums.T)
        scale_numerator, scale_denominator = (_grid(column) for column in sums.T)
        ratio: np.ndarray = (numerator / denominator) * (scale_numerator / scale_denominator)
        return ratio

    def _drawn_sets(self) -> "np.ndarray | Interval":
        repeats = self.metric.num_resamples
        if repeats * sum(array.size for array in self.arrays) > MAX_RESAMPLED_VALUES or not repeats:
            return Interval(reason=f"too_costly: {self.metric.label} is not resampled")
        names, index = np.unique(np.array(self.speakers), return_inverse=True)
        clips = [np.flatnonzero(index == number) for number in range(len(names))]
        values = []
        for counts in resample_counts(len(names), repeats).astype(int):
            drawn = np.concatenate([np.tile(clips[number], count) for number, count in enumerate(counts) if count])
            values.append(self.metric.reduce([self.arrays[position] for position in drawn]))
        return np.array(values, np.float64)


def speaker(score: ClipScore) -> str:
    """What is drawn as one: the clip's speaker, or the clip itself where no speaker is known."""
    return score.speaker_id or f"clip {score.clip_id}"


@functools.lru_cache(maxsize=4)
def resample_counts(num_speakers: int, num_resamples: int) -> np.ndarray:
    """How often each speaker is drawn, float64 whole numbers (resamples, speakers); rows sum to `num_speakers`."""
    random = np.random.default_rng(SEED)
    counts = np.empty((num_resamples, num_speakers))
    for row in counts:
        row[:] = np.bincount(random.integers(0, num_speakers, num_speakers), minlength=num_speakers)
    counts.setflags(write=False)
    return counts


def percentiles(draws: np.ndarray, num_speakers: int) -> Interval:
    """95 % interval of resampled values (R,) of that many speakers, at the expanded level."""
    low, high = np.quantile(draws, [tail_level(num_speakers), 1 - tail_level(num_speakers)])
    return Interval(float(low), float(high))


@functools.lru_cache(maxsize=64)
def tail_level(num_speakers: int) -> float:
    """Share of resamples on either side of a 95 % interval: Phi(-sqrt(n / (n - 1)) t(0.975, n - 1)); 0.025 for many."""
    from scipy.special import ndtr, stdtrit

    t = stdtrit(num_speakers - 1, 0.975)
    return float(ndtr(-math.sqrt(num_speakers / (num_speakers - 1)) * t))


def difference(a: Sample, b: Sample, truth: Sample | None = None) -> tuple[float, Interval]:
    """Value of a minus value of b on the clips that both have, with its paired interval.

    With `truth`, of their distances from it instead. NaN and a reason where there is nothing in common.
    """
    parts = [a, b] if truth is None else [a, b, truth]
    common = _common(parts)
    if not common:
        return math.nan, Interval(reason="no_common_clips")
    parts = [part.only(common) for part in parts]
    value = _contrast([np.array(part.value) for part in parts])
    if any((part.clip_ids, part.speakers) != (parts[0].clip_ids, parts[0].speakers) for part in parts):
        return float(value), Interval(reason="speakers_differ: the runs name other speakers for the same clips")
    drawn = [part.draws for part in parts]
    missing = [draw for draw in drawn if isinstance(draw, Interval)]
    if missing:
        return float(value), missing[0]
    contrast = _contrast([draw for draw in drawn if isinstance(draw, np.ndarray)])
    return float(value), percentiles(contrast, parts[0].num_speakers)


def _common(samples: Sequence[Sample]) -> frozenset[str]:
    """Clips that all have, infinite ones left out where a set's mean leaves them out."""
    return frozenset.intersection(*(sample.usable for sample in samples))


def _contrast(values: Sequence[np.ndarray]) -> np.ndarray:
    if len(values) == 3:
        contrast: np.ndarray = np.abs(values[0] - values[2]) - np.abs(values[1] - values[2])
        return contrast
    plain: np.ndarray = values[0] - values[1]
    return plain


def _grid(column: np.ndarray) -> float:
    """Spacing of numbers of which any sum of as many stays exact in float64."""
    largest = float(np.abs(column).max()) * len(column)
    return 2.0 ** max(math.frexp(largest)[1] - 52, sys.float_info.min_exp) if largest else 1.0


def _on_grid(column: np.ndarray) -> np.ndarray:
    """Whole multiples of `_grid`: their sums are the same in any order and on any machine."""
    grid: np.ndarray = np.rint(column / _grid(column))
    return grid
