"""How far the chosen dimensions depend on who and what was looked at: overlaps, against what chance would give."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import comb

import numpy as np

from chdtf.errors import UserError
from disenttalk_ref.disentangle.evidence import Evidence, Sigma, Statistic, ratios
from disenttalk_ref.disentangle.points import REGIONS
from disenttalk_ref.subspaces import K_EYE, K_LIP, choose

Chosen = tuple[tuple[int, ...], tuple[int, ...]]  # lip, eye
Pair = tuple[Chosen, Chosen]
MIN_FRAMES = 100  # of a group (speaker, half) that dimensions are chosen from
_ENOUGH = f"{MIN_FRAMES} frames, in which lips and lids move"


@dataclasses.dataclass(frozen=True)
class Choice:
    """What Eq. 1 is told."""

    k_lip: int = K_LIP
    k_eye: int = K_EYE
    sigma: Sigma = "within"
    statistic: Statistic = "rms"

    @property
    def counts(self) -> tuple[int, int]:
        """K of lip and eye."""
        return self.k_lip, self.k_eye

    def check(self, num: int) -> None:
        """Raise `UserError` unless N dimensions can give K of lip and eye."""
        if self.k_lip < 1 or self.k_eye < 1 or self.k_lip + self.k_eye > num:
            raise UserError(
                f"K_lip = {self.k_lip} and K_eye = {self.k_eye} of {num} dimensions: both are 1 or more, and {num} at "
                "most together"
            )

    def of(self, found: Sequence[Evidence]) -> Chosen:
        """D_lip and D_eye.

        Raises:
            UserError: if too few dimensions change with a region, as in clips in which it never opens.

        """
        both = ratios(found, self.sigma, self.statistic)
        for name, ratio, k in zip(REGIONS, both, self.counts, strict=True):
            changing = int((ratio > 0).sum())
            if changing < k:
                raise UserError(
                    f"{changing} dimensions change when the {name} region closes, K_{name} = {k} are wanted; "
                    "give more footage, in which faces talk and blink"
                )
        return choose(both[0], both[1], self.k_lip, self.k_eye)

    def possible(self, found: Sequence[Evidence]) -> bool:
        """Whether there are frames enough, and dimensions of both regions, to choose from."""
        if sum(one.frames for one in found) < MIN_FRAMES:
            return False
        both = ratios(found, self.sigma, self.statistic)
        return all((ratio > 0).sum() >= k for ratio, k in zip(both, self.counts, strict=True))


@dataclasses.dataclass(frozen=True)
class Overlap:
    """|A n B| / K and |A n B| / |A u B| of the dimensions chosen twice, mean over comparisons; beside it chance.

    What could not be computed is None, with the reason.
    """

    comparison: str
    way: str
    region: str
    comparisons: int
    overlap: float | None
    lowest: float | None
    jaccard: float | None
    chance_overlap: float
    chance_jaccard: float
    reason: str | None = None


def chance(num: int, k: int) -> tuple[float, float]:
    """Expected overlap / K and Jaccard index of two sets of K drawn at random from N (hypergeometric)."""
    total = comb(num, k)
    shares = [(comb(k, i) * comb(num - k, k - i) / total, i) for i in range(max(0, 2 * k - num), k + 1)]
    return sum(p * i for p, i in shares) / k, sum(p * i / (2 * k - i) for p, i in shares)


def overlaps(
    comparison: str, way: str, pairs: Iterable[Pair], num: int, choice: Choice, why_none: str
) -> list[Overlap]:
    """One row a region. `why_none` is the reason that stands where there is no pair to compare."""
    found = list(pairs)
    rows = []
    for region, k in enumerate(choice.counts):
        expected = chance(num, k)
        common = [len(set(a[region]) & set(b[region])) for a, b in found]
        name = REGIONS[region]
        if not common:
            rows.append(Overlap(comparison, way, name, 0, None, None, None, *expected, why_none))
            continue
        shares = np.array(common) / k
        jaccard = float(np.mean([c / (2 * k - c) for c in common]))
        rows.append(
            Overlap(comparison, way, name, len(common), float(shares.mean()), float(shares.min()), jaccard, *expected)
        )
    return rows


def across_speakers(found: Sequence[Evidence], way: str, choice: Choice) -> list[Overlap]:
    """Pairs of speakers; each speaker against all others; all without one speaker against all."""
    groups = _groups(found, lambda one: one.speaker_id)
    enough = {name: group for name, group in groups.items() if choice.possible(group)}
    num, why = len(found[0].total), f"{len(enough)} of {len(groups)} speakers have {_ENOUGH}; 2 are needed"
    chosen = {name: choice.of(group) for name, group in enough.items()}
    rows = overlaps("two speakers", way, itertools.combinations(chosen.values(), 2), num, choice, why)
    against: list[Pair] = []
    without: list[Pair] = []
    for name in enough if len(enough) > 1 else ():
        rest = [one for one in found if one.speaker_id != name]
        if not choice.possible(rest):
            continue
        others = choice.of(rest)
        if len(groups) > 2 or not against:  # of two speakers, each is all the others
            against.append((chosen[name], others))
        without.append((others, choice.of(found)))
    rows += overlaps("one speaker, all others", way, against, num, choice, why)
    return rows + overlaps("all, all but one speaker (shares data)", way, without, num, choice, why)


def across_halves(
    found: Sequence[Evidence], way: str, choice: Choice, seeds: int = 10, by: str = "clips"
) -> list[Overlap]:
    """Random halves of the clips, or of the speakers; the same for the same seeds 0 to `seeds` - 1."""
    groups = _groups(found, lambda one: one.clip_id if by == "clips" else one.speaker_id)
    names = sorted(groups)
    pairs: list[Pair] = []
    for division in _divisions(len(names), seeds):
        halves = [[one for i in half for one in groups[names[i]]] for half in division]
        if all(choice.possible(half) for half in halves):
            pairs.append((choice.of(halves[0]), choice.of(halves[1])))
    why = f"{len(names)} {by} with {sum(one.frames for one in found)} frames give no two halves of {_ENOUGH}"
    return overlaps(f"random halves of the {by}", way, pairs, len(found[0].total), choice, why)


def within_clips(
    first: Sequence[Evidence], second: Sequence[Evidence], way: str, num: int, choice: Choice, why_none: str = ""
) -> list[Overlap]:
    """First halves of all clips against their second halves."""
    usable = choice.possible(first) and choice.possible(second)
    pairs: list[Pair] = [(choice.of(first), choice.of(second))] if usable else []
    why = why_none or f"the halves do not have {_ENOUGH}"
    return overlaps("first and second half of every clip", way, pairs, num, choice, why)


def across_ways(chosen: Mapping[str, Chosen], missing: Mapping[str, str], num: int, choice: Choice) -> list[Overlap]:
    """Every two ways on the same data; `missing` says why a way could not be computed."""
    rows = []
    for one, other in itertools.combinations([*chosen, *missing], 2):
        if one in missing and other in missing:
            continue
        why = "; ".join(f"{name} {missing[name]}" for name in (one, other) if name in missing)
        pairs: list[Pair] = [] if why else [(chosen[one], chosen[other])]
        rows += overlaps("two ways", f"{one}, {other}", pairs, num, choice, why)
    return rows


def across_readings(found: Sequence[Evidence], way: str, choice: Choice) -> list[Overlap]:
    """The two readings of sigma, and the two of Delta, on the same data."""
    num, rows = len(found[0].total), []
    for comparison, field, values in (
        ("sigma within clips, over all frames", "sigma", ("within", "all")),
        ("Delta rms, mean", "statistic", ("rms", "mean")),
        ("Delta rms, max", "statistic", ("rms", "max")),
    ):
        one, other = (dataclasses.replace(choice, **{field: value}).of(found) for value in values)  # type: ignore[arg-type]
        rows += overlaps(comparison, way, [(one, other)], num, choice, "")
    return rows


def _divisions(count: int, seeds: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Different random divisions of `count` things into halves: `seeds` at most, fewer where there are no more."""
    found: dict[frozenset[tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for seed in range(seeds if count > 1 else 0):
        order = np.random.default_rng(seed).permutation(count).tolist()
        halves = tuple(sorted(order[: count // 2])), tuple(sorted(order[count // 2 :]))
        found.setdefault(frozenset(halves), halves)
    return list(found.values())


def _groups(found: Sequence[Evidence], key: Callable[[Evidence], str]) -> dict[str, list[Evidence]]:
    groups: dict[str, list[Evidence]] = {}
    for one in found:
        groups.setdefault(key(one), []).append(one)
    return groups
