from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.morphable.model import FaceModel
from disenttalk_ref.disentangle.evidence import Evidence, deviations, evidence, ratios
from disenttalk_ref.disentangle.material import Material
from disenttalk_ref.disentangle.measure import evidence_of
from disenttalk_ref.disentangle.stability import (
    Choice,
    across_halves,
    across_speakers,
    across_ways,
    chance,
    overlaps,
    within_clips,
)


def noise(seed: int, clips: int = 6, num: int = 64, frames: int = 60) -> list[Evidence]:
    """Clips in which no dimension means anything."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(clips):
        change = [np.broadcast_to(rng.normal(size=num), (frames, num)) for _ in range(2)]
        made.append(evidence(f"c{i}", f"s{i // 2}", rng.normal(size=(frames, num)), change))
    return made


@settings(max_examples=30, deadline=None)
@given(num=st.integers(4, 64), seed=st.integers(0, 1000))
def test_random_sets_overlap_as_chance_says(num: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, num // 2 + 1))
    draws = [(set(rng.permutation(num)[:k]), set(rng.permutation(num)[:k])) for _ in range(400)]
    shares = np.array([len(a & b) / k for a, b in draws])
    jaccard = np.array([len(a & b) / len(a | b) for a, b in draws])
    expected = chance(num, k)
    assert expected[0] == pytest.approx(k / num)
    for found, value in zip((shares, jaccard), expected, strict=True):
        assert abs(found.mean() - value) < 5 * found.std() / 20 + 1e-3  # five standard errors


def test_chance_by_hand() -> None:
    # two sets of 2 of 4: 1/6 equal, 4/6 share one, 1/6 none
    assert chance(4, 2) == (pytest.approx(0.5), pytest.approx((1 + 4 / 3) / comb(4, 2)))


def test_clips_without_meaning_agree_no_better_than_chance() -> None:
    found = [row for seed in range(12) for row in across_speakers(noise(seed), "natural", Choice())]
    rows = [row for row in found if row.comparison == "two speakers"]
    for region in ("lip", "eye"):
        chosen = [row for row in rows if row.region == region]
        mean = np.mean([row.overlap for row in chosen])  # type: ignore[misc]
        assert mean == pytest.approx(chosen[0].chance_overlap, abs=0.05)


def test_planted_dimensions_are_the_same_for_all_speakers_and_halves(plant: Any, material: Material) -> None:
    found = evidence_of(material, "edited")
    rows = across_speakers(found, "edited", plant.CHOICE)
    rows += across_halves(found, "edited", plant.CHOICE, seeds=5, by="clips")
    rows += across_halves(found, "edited", plant.CHOICE, seeds=5, by="speakers")
    halves = [evidence_of(material, "edited", lambda clip, s=s: clip.part(s)) for s in (slice(0, 60), slice(60, None))]
    rows += within_clips(halves[0], halves[1], "edited", plant.NUM, plant.CHOICE)
    assert [row.overlap for row in rows] == [1.0] * len(rows)
    assert [row.jaccard for row in rows] == [1.0] * len(rows)
    by_name = {(row.comparison, row.region): row.comparisons for row in rows}
    assert by_name["two speakers", "lip"] == 6
    assert by_name["one speaker, all others", "lip"] == 4
    assert by_name["random halves of the clips", "lip"] == 5
    assert by_name["random halves of the speakers", "lip"] <= 3  # four speakers have three divisions


def test_halves_are_the_same_for_the_same_seeds() -> None:
    found = noise(3, clips=12)
    first = across_halves(found, "natural", Choice(), seeds=3)
    assert first == across_halves(found, "natural", Choice(), seeds=3)
    assert first[0].comparisons == 3


def test_two_speakers_are_compared_once() -> None:
    found = across_speakers(noise(0, clips=4), "natural", Choice())
    rows = {row.comparison: row for row in found if row.region == "lip"}
    assert rows["two speakers"].comparisons == rows["one speaker, all others"].comparisons == 1


def test_a_way_that_is_missing_leaves_a_row_with_the_reason() -> None:
    chosen = {"edited": ((0, 1), (2,)), "natural": ((0, 3), (2,))}
    rows = across_ways(chosen, {"pairs": "needs pairs"}, 10, Choice(2, 1))
    found = {(row.way, row.region): row for row in rows}
    assert (found["edited, natural", "lip"].overlap, found["edited, natural", "eye"].overlap) == (0.5, 1.0)
    assert found["edited, natural", "lip"].jaccard == pytest.approx(1 / 3)
    assert found["edited, pairs", "lip"].overlap is None
    assert found["edited, pairs", "lip"].reason == "pairs needs pairs"


def test_the_lowest_overlap_is_of_the_worst_comparison() -> None:
    pairs = [(((0, 1), (2,)), ((0, 1), (3,))), (((0, 1), (2,)), ((4, 5), (2,)))]
    lip, eye = overlaps("x", "w", pairs, 10, Choice(2, 1), "")
    assert (lip.overlap, lip.lowest, lip.comparisons) == (0.5, 0.0, 2)
    assert (eye.overlap, eye.lowest) == (0.5, 0.0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 3))
def test_evidence_adds_up(seed: int, cut: int) -> None:
    """Ratios of clips are those of all their frames at once, by NumPy's own means and deviations."""
    rng = np.random.default_rng(seed)
    clips = [rng.normal(size=(20, 6)) * rng.uniform(0.5, 2, 6) + rng.normal(size=6) for _ in range(4)]
    changes = [[rng.normal(size=(20, 6)), rng.normal(size=(5 * cut, 6))] for _ in clips]
    found = [evidence(str(i), "s", clip, change) for i, (clip, change) in enumerate(zip(clips, changes, strict=True))]
    within = np.concatenate([clip - clip.mean(0) for clip in clips]).std(0)
    assert deviations(found, "within") == pytest.approx(within)
    assert deviations(found, "all") == pytest.approx(np.concatenate(clips).std(0))
    for region in (0, 1):
        every = np.concatenate([change[region] for change in changes])
        assert ratios(found)[region] == pytest.approx(np.sqrt(np.square(every).mean(0)) / within)
        assert ratios(found, statistic="mean")[region] == pytest.approx(np.abs(every.mean(0)) / within)
        peaks = np.mean([np.abs(change[region]).max(0) for change in changes], axis=0)
        assert ratios(found, statistic="max")[region] == pytest.approx(peaks / within)


def test_a_region_without_evidence_is_no_number() -> None:
    found = [evidence("c", "s", np.random.default_rng(0).normal(size=(9, 4)), [np.ones((9, 4)), None])]
    lip, eye = ratios(found)
    assert np.isfinite(lip).all()
    assert np.isnan(eye).all()
    with pytest.raises(ValueError, match="no clips"):
        ratios([])


def test_too_many_dimensions_are_refused(model: FaceModel) -> None:
    Choice(12, 8).check(model.num_expression)
    with pytest.raises(UserError, match="K_lip = 13 and K_eye = 8 of 20 dimensions"):
        Choice().check(model.num_expression)
