"""Two methods compared clip by clip: differences with paired intervals, over all speakers and for each."""

import dataclasses
import math
from collections.abc import Sequence

from benchmark.bootstrap import Sample, difference
from benchmark.clip_score import ClipScore
from benchmark.metric import MetricBase


@dataclasses.dataclass(frozen=True)
class SpeakerDifference:
    """One speaker's clips: values of either method, and the first minus the second."""

    speaker: str
    num_clips: int
    a: float
    b: float
    difference: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One metric on the clips that both methods have.

    `difference` is a - b, with its paired 95 % interval; where closest to the ground truth is best and there is one,
    it is |a - truth| - |b - truth|. Without an interval `reason` says why. `better` is "a" or "b" where the interval
    excludes 0, else "".
    """

    metric: MetricBase
    num_clips: int
    num_left_out: int  # clips that only one of them has, or with other references
    num_speakers: int
    a: float
    b: float
    difference: float
    low: float | None
    high: float | None
    reason: str
    better: str
    to_truth: bool
    by_speaker: tuple[SpeakerDifference, ...]


def compare(
    a: Sequence[ClipScore],
    b: Sequence[ClipScore],
    metrics: Sequence[MetricBase],
    truth: Sequence[ClipScore] = (),
) -> list[Comparison]:
    """Comparisons of two methods' results, metric by metric; `truth` holds the ground truth's where it was scored."""
    other = _other_references(a, b)
    return [_compared(metric, a, b, truth, other) for metric in metrics]


def _other_references(a: Sequence[ClipScore], b: Sequence[ClipScore]) -> frozenset[str]:
    """Clips that the two compare with different references."""
    ours, theirs = ({score.clip_id: score.reference_sha256 for score in side} for side in (a, b))
    return frozenset(clip for clip in ours.keys() & theirs.keys() if ours[clip] != theirs[clip])


def _compared(
    metric: MetricBase,
    a: Sequence[ClipScore],
    b: Sequence[ClipScore],
    truth: Sequence[ClipScore],
    other_references: frozenset[str],
) -> Comparison:
    samples = [Sample.of(metric, side) for side in (a, b)]
    if metric.higher_is_better is None and truth:
        samples.append(Sample.of(metric, truth))
    common = frozenset.intersection(*(sample.usable for sample in samples)) - other_references
    ever = {score.clip_id for side in (a, b) for score in side if score.metric == metric.name}
    parts = [sample.only(common) for sample in samples]
    to_truth = len(parts) == 3
    value, interval = difference(*parts)
    better = ""
    if interval.excludes_zero and interval.low is not None and (to_truth or metric.higher_is_better is not None):
        better = "a" if (interval.low > 0) == bool(metric.higher_is_better) else "b"
    return Comparison(
        metric=metric,
        num_clips=len(common),
        num_left_out=len(ever) - len(common),
        num_speakers=parts[0].num_speakers,
        a=parts[0].value if common else math.nan,
        b=parts[1].value if common else math.nan,
        difference=value,
        low=interval.low,
        high=interval.high,
        reason=interval.reason,
        better=better,
        to_truth=to_truth,
        by_speaker=tuple(_of_speaker(name, parts) for name in sorted(set(parts[0].speakers))),
    )


def _of_speaker(name: str, samples: Sequence[Sample]) -> SpeakerDifference:
    clips = frozenset(
        clip for clip, owner in zip(samples[0].clip_ids, samples[0].speakers, strict=True) if owner == name
    )
    parts = [sample.only(clips) for sample in samples]
    return SpeakerDifference(name, len(clips), parts[0].value, parts[1].value, difference(*parts)[0])
