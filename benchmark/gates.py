"""Gates: what ground truth and controls must show before a table may be believed. A failed gate is printed on it.

The ground truth goes through the same door as every method, so it must come out perfect where it is compared with
itself, and in sync. Controls are made to fail in one respect each: `gt_shifted` and `gt_shuffled` have wrong sound,
`still` does not move. A metric that does not tell them from the ground truth measures something else.

`GATES` is the list; each gate names its claim and the columns that it concerns, and a judge for one column.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from benchmark.metric import MetricBase
from benchmark.summary import ALL, GROUND_TRUTH, MEASURED, ScoreRow
from benchmark.tables.board import FAILED, NOT_JUDGED, PASSED, GateResult, MethodFacts

SHIFTED, SHUFFLED, STILL = "gt_shifted", "gt_shuffled", "still"
MAX_SHARE_IN_SYNC = 0.5  # of the ground truth's confidence; out of sync 0.3-2, in sync 5.5-8.3
MAX_SHARE_OF_MOTION = 0.25  # of the ground truth's change between frames, for a still image that was encoded
SEARCHED_FRAMES = 15  # SyncNet looks for the offset within +-15 frames
PERFECT = {  # what a video has against itself; CSIM has no such value: a head that turns differs from its first frame
    "psnr": math.inf,
    "ssim": 1.0,
    "lpips": 0.0,
    "lmd": 0.0,
    "lmd_aligned": 0.0,
    "f_lmd": 0.0,
    "mouth_open_corr": 1.0,
    "blink_gt_distance": 0.0,
    "fid": 0.0,
}
TOLERANCE = 1e-3
# what a still image cannot have; a ground truth that does not blink leaves no distance to its blinks
UNREACHED = tuple(name for name in PERFECT if name != "blink_gt_distance")
MOTION = ("blink", "blink_fixed", "lpips_consecutive")  # nothing of which a still image has
_BROKEN = ("no_face", "failed", "reference", "no_frames", "all_black", "unreadable", "not_a_number")


class NotJudgedError(Exception):
    """Why a gate cannot be judged."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """Rows over all clips of one data set and split, by method and metric."""

    rows: Mapping[tuple[str, str], ScoreRow]
    facts: Mapping[str, MethodFacts]
    truth: str | None  # name of the ground truth

    def row(self, method: str | None, metric: str) -> ScoreRow:
        """The row; raises `NotJudgedError` where there is none."""
        if method is None:
            raise NotJudgedError("no ground truth was scored")
        if method not in {name for name, _ in self.rows}:
            raise NotJudgedError(f"{method} was not scored")
        if (method, metric) not in self.rows:
            raise NotJudgedError(f"{method} was not scored with {metric}")
        return self.rows[method, metric]

    def value(self, method: str | None, metric: str) -> float:
        """The value; raises `NotJudgedError` where there is none."""
        row = self.row(method, metric)
        if row.value is None:
            why = row.reasons[0][0].partition(";")[0] if row.reasons else "no clips"
            raise NotJudgedError(f"{row.method} has no {metric} ({why})")
        return row.value


Judge = Callable[[Seen, MetricBase], tuple[bool, str]]  # whether it holds, and what was found


@dataclasses.dataclass(frozen=True)
class Gate:
    """One claim about columns that `concerns` picks, each judged by `judge`."""

    name: str
    claim: str
    concerns: Callable[[MetricBase], bool]
    judge: Judge


def judge_gates(
    rows: Sequence[ScoreRow], metrics: Sequence[MetricBase], facts: Mapping[str, MethodFacts] | None = None
) -> tuple[GateResult, ...]:
    """Verdicts of all gates on every data set and split of the rows. Paper rows and single languages are ignored."""
    found = [row for row in rows if row.origin == MEASURED and row.subset == ALL]
    results = []
    for dataset, split in sorted({(row.dataset, row.split) for row in found}):
        part = [row for row in found if (row.dataset, row.split) == (dataset, split)]
        truth = next((row.method for row in part if row.kind == GROUND_TRUTH), None)
        seen = Seen({(row.method, row.metric): row for row in part}, facts or {}, truth)
        present = [metric for metric in metrics if any(row.metric == metric.name for row in part)]
        results += [_judged(gate, seen, present, dataset, split) for gate in GATES]
    return tuple(results)


def _judged(gate: Gate, seen: Seen, metrics: Sequence[MetricBase], dataset: str, split: str) -> GateResult:
    held: list[tuple[str, str]] = []
    broken: list[tuple[str, str]] = []
    unknown: list[str] = []
    concerned = [metric for metric in metrics if gate.concerns(metric)]
    for metric in concerned:
        try:
            holds, detail = gate.judge(seen, metric)
        except NotJudgedError as why:
            unknown.append(str(why))
            continue
        (held if holds else broken).append((metric.name, detail))
    if broken:
        state, details, about = FAILED, [detail for _, detail in broken], [name for name, _ in broken]
    elif held:
        state, details, about = PASSED, [detail for _, detail in held], [name for name, _ in held]
    else:
        state, about = NOT_JUDGED, [metric.name for metric in concerned]
        details = list(dict.fromkeys(unknown)) or ["no metric that it concerns was measured"]
    return GateResult(gate.name, gate.claim, dataset, split, state, "; ".join(details), tuple(about))


def _hears(metric: MetricBase) -> bool:
    return "audio" in metric.needs and metric.higher_is_better is not None and not metric.variant_of


def _sees_only(metric: MetricBase) -> bool:
    return "audio" not in metric.needs and metric.name != "fps"  # speed is no property of the picture


def _truth_in_sync(seen: Seen, metric: MetricBase) -> tuple[bool, str]:
    value = seen.value(seen.truth, metric.name)
    return value >= (metric.truth_floor or 0.0), f"{metric.label} {value:.3g}, at least {metric.truth_floor:g} expected"


def _truth_scored(seen: Seen, metric: MetricBase) -> tuple[bool, str]:
    row = seen.row(seen.truth, metric.name)
    broken = [(reason, clips) for reason, clips in row.reasons if reason.partition(":")[0] in _BROKEN]
    if broken:
        clips = sum(number for _, number in broken)
        return False, f"{metric.label} {clips} of {row.num_expected} clips: {broken[0][0]}"
    if not row.num_scored:
        seen.value(seen.truth, metric.name)
    return True, f"{metric.label} {row.num_scored} of {row.num_expected} clips"


def _truth_copy(seen: Seen, metric: MetricBase) -> tuple[bool, str]:
    value, perfect = seen.value(seen.truth, metric.name), PERFECT[metric.name]
    return value == perfect or abs(value - perfect) <= TOLERANCE, f"{metric.label} {value:.4g}, {perfect:g} expected"


def _falls(control: str) -> Judge:
    def judge(seen: Seen, metric: MetricBase) -> tuple[bool, str]:
        truth, value = seen.value(seen.truth, metric.name), seen.value(control, metric.name)
        holds = value <= MAX_SHARE_IN_SYNC * truth if metric.higher_is_better else value > truth
        return holds, f"{metric.label} {value:.3g}, ground truth {truth:.3g}"

    return judge


def _shifted_falls(seen: Seen, metric: MetricBase) -> tuple[bool, str]:
    late = seen.facts[SHIFTED].audio_shift_frames if SHIFTED in seen.facts else None
    if late is not None and abs(late) <= SEARCHED_FRAMES:
        raise NotJudgedError(f"{SHIFTED} is {late} frames late, which {metric.label} makes good by its search")
    return _falls(SHIFTED)(seen, metric)


def _same_picture(control: str) -> Judge:
    def judge(seen: Seen, metric: MetricBase) -> tuple[bool, str]:
        truth, value = seen.value(seen.truth, metric.name), seen.value(control, metric.name)
        return value == truth, f"{metric.label} {value:.6g}, ground truth {truth:.6g}"

    return judge


def _offset_found(seen: Seen, metric: MetricBase) -> tuple[bool, str]:
    truth, value = seen.value(seen.truth, metric.name), seen.value(SHIFTED, metric.name)
    late = seen.facts[SHIFTED].audio_shift_frames if SHIFTED in seen.facts else None
    if late is None:
        raise NotJudgedError(f"how late the sound of {SHIFTED} is, is not known")
    if abs(truth - late) > SEARCHED_FRAMES:
        raise NotJudgedError(f"{SHIFTED} is {late} frames late, {SEARCHED_FRAMES} are searched")
    return abs(truth - late - value) <= 1, f"{metric.label} {value:.3g}, {truth - late:.3g} expected"


def _still_does_not_move(seen: Seen, metric: MetricBase) -> tuple[bool, str]:
    value = seen.value(STILL, metric.name)
    if metric.name == "lpips_consecutive":
        truth = seen.value(seen.truth, metric.name)
        return value <= MAX_SHARE_OF_MOTION * truth, f"{metric.label} {value:.3g}, ground truth {truth:.3g}"
    return value == 0, f"{metric.label} {value:.3g}, 0 expected"


def _still_is_no_copy(seen: Seen, metric: MetricBase) -> tuple[bool, str]:
    truth, value = seen.value(seen.truth, metric.name), seen.value(STILL, metric.name)
    worse = value < truth if metric.higher_is_better else value > truth
    return worse, f"{metric.label} {value:.3g}, ground truth {truth:.3g}"


def _named(*names: str) -> Callable[[MetricBase], bool]:
    return lambda metric: metric.name in names


def _has_floor(metric: MetricBase) -> bool:
    return metric.truth_floor is not None


def _unseen(control: str) -> str:
    return f"only metrics that hear tell {control} from the ground truth"


GATES = (
    Gate("truth_in_sync", "lips and sound of the ground truth belong together", _has_floor, _truth_in_sync),
    Gate("truth_scored", "a face is found and measured in every clip of the ground truth", _sees_only, _truth_scored),
    Gate("truth_copy", "the ground truth equals itself", _named(*PERFECT), _truth_copy),
    Gate("shifted_sound", f"{SHIFTED} is heard to be out of sync", _hears, _shifted_falls),
    Gate("shifted_offset", f"the offset of {SHIFTED} is found", _named("av_offset"), _offset_found),
    Gate("shifted_picture", _unseen(SHIFTED), _sees_only, _same_picture(SHIFTED)),
    Gate("shuffled_sound", f"{SHUFFLED} is heard to be out of sync", _hears, _falls(SHUFFLED)),
    Gate("shuffled_picture", _unseen(SHUFFLED), _sees_only, _same_picture(SHUFFLED)),
    Gate("still_sync", f"{STILL} is seen to be out of sync", _hears, _falls(STILL)),
    Gate("still_motion", f"{STILL} neither blinks nor moves", _named(*MOTION), _still_does_not_move),
    Gate("still_copy", f"{STILL} is no copy of the ground truth", _named(*UNREACHED), _still_is_no_copy),
)
