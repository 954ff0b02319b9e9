"""Splits follow the speaker, stay when a dataset grows, and have the sizes asked for."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.manifest import ManifestRow, manifest_rows, manifest_table
from chdtf.schema import MANIFEST, SPLITS
from chdtf.splits import split_of, splits_of, with_splits

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


@given(rows=speakers, stated=st.fixed_dictionaries({name: st.sampled_from(SPLITS) for name in "abcdef"}), share=shares)
def test_the_table_is_split_as_the_rows_are(
    rows: list[tuple[str, str | None]], stated: dict[str, str], share: float
) -> None:
    given_rows = [row(speaker, stated[speaker] if mark else None) for speaker, mark in rows]
    table = splits_of(manifest_table(given_rows), share, share)
    assert table.schema.equals(MANIFEST)
    assert list(manifest_rows(table)) == with_splits(given_rows, share, share)


names = st.text("abc张Zz 0", min_size=1, max_size=3)


@given(data=st.data(), before=st.lists(names, min_size=1, max_size=12), added=st.lists(names, max_size=12))
def test_rows_added_in_any_place_move_no_speaker_and_order_does_not_matter(
    data: st.DataObject, before: list[str], added: list[str]
) -> None:
    def found(order: list[str]) -> dict[str, str]:
        table = splits_of(manifest_table(map(row, order)), 0.3, 0.3)
        pairs = set(zip(table.column("speaker_id").to_pylist(), table.column("split").to_pylist(), strict=True))
        assert len(pairs) == len(set(order))  # one split a speaker
        return dict(pairs)

    grown = found(data.draw(st.permutations(before + added)))
    assert found(before).items() <= grown.items()
    assert found(data.draw(st.permutations(before))) == found(before)


@given(speakers=st.lists(names, min_size=1, unique=True), split=st.sampled_from(SPLITS))
def test_a_split_stated_in_an_added_row_moves_that_speaker_and_no_other(speakers: list[str], split: str) -> None:
    before = splits_of(manifest_table(map(row, speakers))).column("split").to_pylist()
    after = splits_of(manifest_table([*map(row, speakers), row(speakers[0], split)])).column("split").to_pylist()
    assert after[1:-1] == before[1:]
    assert after[0] == after[-1] == split
