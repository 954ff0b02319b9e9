"""Thresholds: each refuses what is beyond it, in words with numbers, and nothing else."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.errors import UserError
from pipelines.judging.thresholds import SHARE, Bound, Thresholds

OPEN = {field.name: None for field in dataclasses.fields(Thresholds) if field.name != "drop_duplicates"}
FIELDS = list(OPEN)


def good_row() -> dict[str, Any]:
    """A row that every threshold of `strict` accepts."""
    bounds = strict().bounds()
    return {bound.column: bound.limit for bound in bounds}


def strict() -> Thresholds:
    """All thresholds on: shares at 0.5, others at 10."""
    units = {bound.field: bound.unit for bound in Thresholds().bounds()}
    return Thresholds(**{name: 0.5 if units[name] == SHARE else 10.0 for name in FIELDS})


def test_every_field_is_a_bound_once_and_the_other_way_round() -> None:
    fields = [bound.field for bound in Thresholds().bounds()]
    assert sorted(fields) == sorted(FIELDS)
    assert len({bound.column for bound in Thresholds().bounds()}) == len(fields)


@pytest.mark.parametrize("field", FIELDS)
def test_each_threshold_refuses_beyond_its_limit_only_and_says_its_word(field: str) -> None:
    (bound,) = (bound for bound in strict().bounds() if bound.field == field)
    assert bound.limit is not None
    beyond = bound.limit * (0.9 if bound.is_minimum else 1.1)
    assert strict().verdict(good_row()) is None
    words = strict().verdict({**good_row(), bound.column: beyond})
    assert words is not None
    assert words.startswith(f"{bound.word}: ")
    assert words.endswith(f"at {'least' if bound.is_minimum else 'most'} {_said(bound)}")
    off = dataclasses.replace(strict(), **{field: None})
    assert off.verdict({**good_row(), bound.column: beyond}) is None


def _said(bound: Bound) -> str:
    return "50%" if bound.unit == SHARE else f"10 {bound.unit}".strip()


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e9, 1e9), st.booleans())
def test_a_verdict_is_given_exactly_when_the_score_is_beyond_the_limit(score: float, limit: float, low: bool) -> None:
    bound = Bound("score", "word", "field", limit, low, "", "it is {}")
    words = bound.verdict(score)
    assert (words is None) == (score >= limit if low else score <= limit)
    if words is not None:
        said, stated = words.removeprefix("word: it is ").split(f", at {'least' if low else 'most'} ")
        assert said != stated


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_score_that_is_null_or_nan_or_absent_never_refuses(nothing: float | None) -> None:
    assert strict().verdict(dict.fromkeys(good_row(), nothing)) is None
    assert strict().verdict({}) is None


def test_an_offset_counts_to_both_sides() -> None:
    limits = Thresholds(max_av_offset_frames=6)
    assert limits.verdict({"av_offset_frames": -6}) is None
    assert limits.verdict({"av_offset_frames": -7}) == "out_of_sync: 7 frames, at most 6 frames"
    assert limits.verdict({"av_offset_frames": 7}) == "out_of_sync: 7 frames, at most 6 frames"


def test_duplicates_are_refused_unless_wanted() -> None:
    row = {"duplicate_of": "a_000"}
    assert Thresholds().verdict(row) == "duplicate: the same footage as a_000"
    assert Thresholds(drop_duplicates=False).verdict(row) is None
    assert Thresholds().verdict({"duplicate_of": None}) is None


def test_the_first_fault_in_the_fixed_order_is_told() -> None:
    row = {"mean_luma": 3.0, "several_faces_share": 0.35, "loudness_dbfs": -75.04}
    assert Thresholds().verdict(row) == "several_faces: in 35% of frames, at most 20%"
    del row["several_faces_share"]
    assert Thresholds().verdict(row) == "silence: -75 dBFS, at least -60 dBFS"


def test_numbers_that_differ_are_not_written_alike() -> None:
    assert Thresholds().verdict({"source_face_px": 95.9996}) == (
        "face_too_small: 95.9996 px of the source, at least 96 px"
    )


def test_from_a_recipe_and_its_mistakes() -> None:
    assert Thresholds.of({"min_source_face_px": 128, "max_clipping_share": 0.01}).max_clipping_share == 0.01
    with pytest.raises(UserError, match="unknown threshold 'min_speech'; did you mean min_speech_share"):
        Thresholds.of({"min_speech": 0.5})
    with pytest.raises(UserError, match="min_speech_share 50: a share lies between 0 and 1"):
        Thresholds(min_speech_share=50)
    with pytest.raises(UserError, match="min_sharpness nan"):
        Thresholds(min_sharpness=float("nan"))
