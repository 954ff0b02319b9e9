"""Splits follow the speaker, stay when a dataset grows, and have the sizes asked for."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.manifest import ManifestRow
from chdtf.schema import SPLITS
from chdtf.splits import split_of, with_splits

shares = st.floats(0, 0.5)


def row(speaker_id: str, split: str | None = None) -> ManifestRow:
    return ManifestRow("a", "https://x.org/a", speaker_id=speaker_id, split=split)


def test_the_split_of_a_speaker_is_fixed_for_ever():
    # sha256sum gives 09.., 11.., ec..: 9/256 < 0.05 <= 17/256 < 0.1. A change here reshuffles published datasets
    known = {"speaker-28": "test", "speaker-39": "val", "speaker-0": "train"}
    assert {speaker: split_of(speaker) for speaker in known} == known


@given(speaker=st.text(), val=shares, test=shares)
def test_every_text_has_one_split(speaker: str, val: float, test: float):
    assert split_of(speaker, val, test) in SPLITS
    assert split_of(speaker, val, test) == split_of(speaker, val, test)


@given(speaker=st.text())
def test_shares_of_nothing_and_of_everything(speaker: str):
    assert split_of(speaker, 0, 0) == "train"
    assert split_of(speaker, 1, 0) == "val"
    assert split_of(speaker, 0, 1) == "test"


@given(speaker=st.text(), test=shares, more=shares)
def test_a_larger_test_share_only_adds_speakers_to_it(speaker: str, test: float, more: float):
    if split_of(speaker, 0, test) == "test":
        assert split_of(speaker, 0, min(test + more, 1)) == "test"


def test_the_shares_are_met_by_many_speakers():
    found = [split_of(f"speaker-{i}", 0.1, 0.2) for i in range(20_000)]
    # 4 standard deviations of a binomial: 0.2 +- 0.0113, 0.1 +- 0.0085
    assert found.count("test") / len(found) == pytest.approx(0.2, abs=0.0113)
    assert found.count("val") / len(found) == pytest.approx(0.1, abs=0.0085)


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0.1), (0.6, 0.6), (float("nan"), 0.1)])
def test_shares_that_are_none_are_refused(val: float, test: float):
    with pytest.raises(UserError, match="not shares"):
        split_of("s", val, test)


speakers = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([None, None, "stated"])), max_size=12)


@given(rows=speakers, stated=st.fixed_dictionaries({name: st.sampled_from(SPLITS) for name in "abcdef"}))
def test_no_speaker_is_in_two_splits_and_a_stated_split_wins(
    rows: list[tuple[str, str | None]], stated: dict[str, str]
):
    given_rows = [row(speaker, stated[speaker] if mark else None) for speaker, mark in rows]
    done = with_splits(given_rows)
    assert [dataclasses.replace(one, split=None) for one in done] == [
        dataclasses.replace(one, split=None) for one in given_rows
    ]
    for before, after in zip(given_rows, done, strict=True):
        speaks = {one.split for one in done if one.speaker_id == before.speaker_id}
        assert speaks == {after.split}
        assert before.split in (None, after.split)
        if not any(one.split for one in given_rows if one.speaker_id == before.speaker_id):
            assert after.split == split_of(before.speaker_id)


@given(rows=st.lists(st.sampled_from("abcdefgh")), added=st.lists(st.sampled_from("abcdefghij")))
def test_added_rows_move_nobody(rows: list[str], added: list[str]):
    before = with_splits(map(row, rows))
    assert with_splits(map(row, rows + added))[: len(rows)] == before
