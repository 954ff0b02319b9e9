"""What `manifest check` counts, and what it warns of."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.cli import main
from chdtf.manifest import ManifestRow, manifest_table, write_manifest
from chdtf.manifest_summary import summarise, warnings

ID = "abcdefghij-"


def rows_of(*spans: tuple[str, float | None, float | None]) -> list[ManifestRow]:
    return [ManifestRow(f"v{i}", url, start, end, speaker_id=f"s{i}") for i, (url, start, end) in enumerate(spans)]


def test_counts_are_those_of_the_rows() -> None:
    rows = [
        ManifestRow("a", "https://x.org/a", None, 1800.0, "s", "en", "CC0", "train", (0.0, 0.0, 1.0, 1.0)),
        ManifestRow("b", "file:b.mp4", 900.0, 1800.0, "s", "en", "CC0"),
        ManifestRow("c", "FILE:c.mp4", 5.0, None, "t", "zh", "mine", "test"),
    ]
    found = summarise(manifest_table(rows))
    assert (found.num_rows, found.num_speakers, found.num_timed, found.num_local, found.num_crops) == (3, 2, 2, 2, 1)
    assert found.hours == pytest.approx(0.75)
    assert list(found.languages.items()) == [("en", 2), ("zh", 1)]
    assert found.licenses == {"CC0": 2, "mine": 1}
    assert found.splits == {"train": 2, "test": 1}


def test_two_forms_of_one_link_overlap_and_touching_intervals_do_not() -> None:
    touching = rows_of((f"https://www.youtube.com/watch?v={ID}", None, 5.0), (f"https://youtu.be/{ID}", 5.0, 9.0))
    assert not warnings(manifest_table(touching), Path("m.csv"))
    for url in (f"https://youtu.be/{ID}?t=3", f"http://m.youtube.com/watch?a=1&v={ID}&t=3"):
        rows = rows_of((f"https://www.youtube.com/watch?v={ID}", None, 5.0), (url, 4.0, None))
        (said,) = warnings(manifest_table(rows), Path("m.csv"))
        assert said == "1 rows overlap an earlier interval of the same source: v1"


spans = st.tuples(st.sampled_from(["https://x.org/a", "https://x.org/b"]), st.integers(0, 9), st.integers(1, 9))


@given(drawn=st.lists(spans, max_size=8))
def test_overlaps_are_found_whenever_two_rows_share_a_second(drawn: list[tuple[str, int, int]]) -> None:
    rows = rows_of(*((url, float(start), float(start + length)) for url, start, length in drawn))
    shared = 0
    for url in {row.url for row in rows}:
        ordered = sorted((row.start_s, row.end_s) for row in rows if row.url == url)
        shared += sum(
            any(other[1] > span[0] for other in ordered[:place]) for place, span in enumerate(ordered)
        )  # each row that begins before an earlier one has ended
    said = warnings(manifest_table(rows), Path("m.csv"))
    assert [int(text.split()[0]) for text in said] == ([shared] if shared else [])


def test_speakers_that_differ_by_case_and_missing_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "b.mp4").touch()
    rows = [
        ManifestRow("a", "file:a.mp4", speaker_id="Li Wei"),
        ManifestRow("b", "file:b.mp4", speaker_id="li wei"),
        ManifestRow("c", "https://x.org/c", speaker_id="Zoe"),
    ]
    by_case, missing = warnings(manifest_table(rows), tmp_path / "m.csv")
    assert by_case == "1 speakers are spelled in several ways: 'Li Wei' and 'li wei'"
    assert missing == "1 of 2 local files are not there: file:a.mp4"


def test_the_verb_prints_counts_and_warnings_or_the_first_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.csv"
    write_manifest(rows_of(("https://x.org/a", None, 3600.0), ("https://x.org/a", 1800.0, None)), path)
    assert main(["manifest", "check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "2 rows, 2 speakers, no mistakes" in out
    assert "1.00 h in 1 rows; 1 rows without an end" in out
    assert "warning:   1 rows overlap an earlier interval of the same source: v1" in out
    path.write_text(path.read_text().replace("v1", "v0"))
    assert main(["manifest", "check", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"disentbench: {path}, line 3, column video_id: 'v0' stands already in line 2; ids are unique\n"


def test_pairs_of_the_same_source_need_not_be_neighbours() -> None:
    rows = rows_of(("https://x.org/a", 0.0, 9.0), ("https://x.org/a", 1.0, 2.0), ("https://x.org/a", 3.0, 4.0))
    assert all(first.end_s > second.start_s for first, second in pairwise(rows[:2]))
    assert warnings(manifest_table(rows), Path("m.csv"))[0].startswith("2 rows overlap")
