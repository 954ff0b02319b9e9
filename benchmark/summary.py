"""Results per clip to one row per method, subset and metric, with interval and coverage."""

import collections
import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

from benchmark.bootstrap import Interval, Sample
from benchmark.clip_score import ClipScore
from benchmark.metric import MetricBase
from benchmark.withdrawn import is_withdrawn

GROUND_TRUTH, METHOD, CONTROL = "ground_truth", "method", "control"
KINDS = (GROUND_TRUTH, METHOD, CONTROL)
ALL = "all"
MEASURED, PAPER = "measured", "paper"


@dataclasses.dataclass(frozen=True)
class ScoreRow:
    """One number of a leaderboard.

    `value` is None when it could not be computed, and may be infinite. `num_infinite` clips were infinite and left out
    of a finite value. `reasons` says why clips were not scored, each with the number of clips. Clips that were
    withdrawn (`benchmark.withdrawn`) are among the reasons, and not expected. Where there is no interval,
    `interval_reason` says why. `tie_group` is 1 + the number of methods that are better beyond chance, None where the
    row is not ranked; `mark` is "best" or "second" where the intervals allow to say so (`benchmark.ties`).
    """

    method: str
    dataset: str
    subset: str  # "all", or a language
    split: str
    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    num_scored: int
    num_expected: int
    num_infinite: int
    reasons: tuple[tuple[str, int], ...]
    origin: str  # "measured" or "paper"
    run_id: str
    kind: str = METHOD
    label: str = ""  # as printed; "" prints the method's name
    interval_reason: str = ""
    num_speakers: int = 0  # of the clips that were scored
    clip_set: str = ""  # hash of clips and references; only rows with the same one compare
    tie_group: int | None = None
    mark: str = ""
    note: str = ""  # what the metric wants to have said beside the value
    order: int = 0  # place among rows of its kind where that is not alphabetical, as in the paper's tables


def summarise(
    scores: Iterable[ClipScore],
    metrics: Sequence[MetricBase],
    dataset: str,
    run_id: str,
    kind: str = METHOD,
    references: Mapping[str, str] | None = None,
) -> list[ScoreRow]:
    """Rows of one method: over all clips, then per language where there are several.

    `references` holds hashes of reference videos by clip; with them rows measured against others can be told apart.
    The order of `scores` changes nothing.
    """
    scores = sorted(scores, key=lambda score: score.clip_id)
    languages = sorted({score.language or "" for score in scores})
    subsets = {ALL: scores}
    if len(languages) > 1:
        subsets |= {language: [s for s in scores if (s.language or "") == language] for language in languages}
    rows = []
    for subset, part in subsets.items():
        clip_set = _clip_set(part, references or {})
        by_metric: dict[str, list[ClipScore]] = {}
        for score in part:
            by_metric.setdefault(score.metric, []).append(score)
        for metric in metrics:
            if found := by_metric.get(metric.name):
                row = _row(metric, found, dataset, subset, run_id, kind)
                rows.append(dataclasses.replace(row, clip_set=clip_set))
    return rows


def _clip_set(scores: Sequence[ClipScore], references: Mapping[str, str]) -> str:
    """Hash of the clips that count and of their references: eight hexadecimal digits."""
    clips = sorted({score.clip_id for score in scores if not is_withdrawn(score.reason)})
    text = "\n".join(f"{clip_id}\t{references.get(clip_id, '')}" for clip_id in clips)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _row(
    metric: MetricBase, scores: Sequence[ClipScore], dataset: str, subset: str, run_id: str, kind: str
) -> ScoreRow:
    counted = [score for score in scores if not is_withdrawn(score.reason)]
    sample = Sample.of(metric, counted)
    complete = len(sample.arrays) == len(counted)
    is_scored = bool(sample.arrays) and (complete or not metric.all_or_none)
    interval = sample.interval() if is_scored else Interval()
    return ScoreRow(
        method=scores[0].method,
        dataset=dataset,
        subset=subset,
        split="+".join(sorted({score.split or "" for score in scores})),
        metric=metric.name,
        value=sample.value if is_scored else None,
        ci_low=interval.low,
        ci_high=interval.high,
        num_scored=len(sample.arrays),
        num_expected=len(counted),
        num_infinite=sum(score.value is not None and math.isinf(score.value) for score in counted),
        reasons=_reasons(scores),
        origin=MEASURED,
        run_id=run_id,
        kind=kind,
        interval_reason=interval.reason,
        num_speakers=sample.num_speakers,
        note=metric.note(sample.arrays) if is_scored else "",
    )


def _reasons(scores: Sequence[ClipScore]) -> tuple[tuple[str, int], ...]:
    """Reasons by their leading word, most frequent first, each shown by its first example."""
    count: collections.Counter[str] = collections.Counter()
    example: dict[str, str] = {}
    for score in scores:
        if score.reason:
            word = score.reason.split(":")[0]
            count[word] += 1
            example.setdefault(word, score.reason)
    return tuple(
        (example[word], number) for word, number in sorted(count.items(), key=lambda item: (-item[1], item[0]))
    )
