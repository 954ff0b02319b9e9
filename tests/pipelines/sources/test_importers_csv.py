"""A CSV of YouTube ids becomes a manifest, whatever its columns are called."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.cli import main
from chdtf.errors import UserError
from chdtf.manifest import ManifestRow, read_manifest
from pipelines.sources.importers import Account, seconds
from pipelines.sources.importers.csv_list import BoxForm, Columns, from_csv

A, B = "-aaaaaaaaa_", "bbbbbbbbbbb"


def write(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "list.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def taken(path: Path, **options: object) -> tuple[list[ManifestRow], Account]:
    account: Account = []
    return list(from_csv(path, account, **options)), account  # type: ignore[arg-type]


def test_the_default_columns_may_stand_in_any_order_among_others(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "title,end,start,youtube_id,y1,x1,y0,x0,speaker_id,language",
        f'"<b>, ""x""",0:09.5,4,{A},1,0.75,0,0.25,li,zh',
        f"../../x,1:00:00,,https://youtu.be/{B}?t=3,,,,,,",
        f"again,20,10,{A},,,,,li,",
    )
    rows, account = taken(path, language="en", license="CC0")
    assert not account
    link = "https://www.youtube.com/watch?v="
    assert rows == [
        ManifestRow(f"yt_{A}_000", link + A, 4.0, 9.5, "li", "zh", "CC0", None, (0.25, 0.0, 0.75, 1.0)),
        ManifestRow(f"yt_{B}_000", link + B, None, 3600.0, f"yt_{B}", "en", "CC0"),
        ManifestRow(f"yt_{A}_001", link + A, 10.0, 20.0, "li", "en", "CC0"),
    ]


def test_ids_alone_suffice(tmp_path: Path) -> None:
    rows, _ = taken(write(tmp_path, "youtube_id", A, B))
    assert [row.video_id for row in rows] == [f"yt_{A}_000", f"yt_{B}_000"]


@pytest.mark.parametrize(
    ("header", "cells", "columns", "form"),
    [
        ("youtube_id,x0,y0,x1,y1", "320,180,960,540", Columns(), BoxForm(frame="1280x720")),
        ("youtube_id,x,y,w,h", "320,180,640,360", Columns(box="x,y,w,h"), BoxForm(True, "1280x720")),
        ("youtube_id,bbox", '"[320, 180, 960, 540]"', Columns(box="bbox"), BoxForm(frame="1280x720")),
        ("youtube_id,bbox,fw,fh", "0.5 0.5 1.5 1.5,2,2", Columns(box="bbox"), BoxForm(frame="fw,fh")),
        ("youtube_id,x0,y0,x1,y1", "0.25,0.25,0.75,0.75", Columns(), BoxForm()),
    ],
)
def test_every_way_to_write_a_box_gives_the_same_fractions(
    tmp_path: Path, header: str, cells: str, columns: Columns, form: BoxForm
) -> None:
    (row,), account = taken(write(tmp_path, header, f"{A},{cells}"), columns=columns, box_form=form)
    assert not account
    assert row.crop == (0.25, 0.25, 0.75, 0.75)


def test_a_box_that_leaves_the_frame_is_cut_to_it(tmp_path: Path) -> None:
    (row,), _ = taken(write(tmp_path, "youtube_id,x0,y0,x1,y1", f"{A},-0.1,0.5,0.5,1.2"))
    assert row.crop == (0.0, 0.5, 0.5, 1.0)


@pytest.mark.parametrize(
    ("line", "outcome", "words"),
    [
        ("; rm -rf /,,,,,,", "left out", "'; rm -rf /' is not a YouTube id or link"),
        (f"{A}a,,,,,,", "left out", "is not a YouTube id"),
        (",,,,,,", "left out", "'' is not a YouTube id"),
        (f"https://evil.org/watch?v={A},,,,,,", "left out", "is not a YouTube id"),
        (f"{A},soon,,,,,", "left out", "'soon' is not a time"),
        (f"{A},9,5,,,,", "left out", "end_s: 5.0 is not after start_s 9.0"),
        (f"{A},1:75,2:00,,,,", "left out", "'1:75' is not a time"),
        (f"{A},1", "left out", "more or fewer values"),
        (f"{A},,,,,,,,", "left out", "more or fewer values"),
        (f"{A},,,a,b,c,d", "without crop", "'a b c d' is not a box"),
        (f"{A},,,nan,0,1,1", "without crop", "is not a box within the frame"),
        (f"{A},,,0.5,0,0.5,1", "without crop", "is not a box within the frame"),
        (f"{A},,,0.5,0,,1", "without crop", "is not a box"),
    ],
)
def test_a_line_that_cannot_be_taken_is_in_the_account_with_its_value(
    tmp_path: Path, line: str, outcome: str, words: str
) -> None:
    path = write(tmp_path, "youtube_id,start,end,x0,y0,x1,y1", f"{B},,,,,,", line, f"{B},,,,,,")
    rows, (note,) = taken(path)
    assert (note.source, note.line, note.outcome) == ("list.csv", 3, outcome)
    assert words in note.problem
    assert "\n" not in note.problem + note.name
    assert len(rows) == 3 - (outcome == "left out")


def test_mistakes_in_the_command_end_it_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "ytid,start,x0,y0,x1,y1", f"{A},1,10,20,300,400")
    for options, words in {
        (): "no column 'youtube_id'; the file has ytid",
        ("--video", "ytid", "--end", "stop"): "no column 'stop'; the file has",
        ("--video", "ytid", "--box", "x0,y0"): "names 2 columns; a box has four",
        ("--video", "ytid", "--frame", "large"): "'large' is not a frame",
        ("--video", "ytid", "--frame", "w,h"): "no column 'w'",
        ("--video", "ytid"): "line 2: box '10 20 300 400' is not in fractions of the frame; for pixels give the frame",
    }.items():
        assert main(["manifest", "from-csv", str(path), "--out", str(tmp_path / "m.csv"), *options]) == 2
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
    assert not (tmp_path / "m.csv").exists()
    for content, words in {
        b"": "no column",
        b"youtube_id\n\xff": "not a CSV",
        b"youtube_id\nx": "'x' is not a",
    }.items():
        path.write_bytes(content)
        assert main(["manifest", "from-csv", str(path), "--out", str(tmp_path / "m.csv")]) == 2
        assert words in capsys.readouterr().err
    with pytest.raises(UserError, match="cannot be read"):
        taken(tmp_path / "none.csv")


def test_the_verb_writes_what_can_be_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "v,a,b", f"{A},0:10,0:20", "=cmd(),1,2")
    out = tmp_path / "m.parquet"
    flags = ["--video", "v", "--start", "a", "--end", "b", "--language", "zh", "--license", "CC0"]
    assert main(["manifest", "from-csv", str(path), "--out", str(out), *flags]) == 0
    assert "1 left out" in capsys.readouterr().out
    (row,) = read_manifest(out)
    assert (row.start_s, row.end_s, row.language, row.license) == (10.0, 20.0, "zh", "CC0")
    assert "'=cmd()',left out,'=cmd()' is not" in (tmp_path / "m_account.csv").read_text()


@given(hours=st.integers(0, 99), minutes=st.integers(0, 59), milliseconds=st.integers(0, 59_999))
def test_clock_times_are_seconds(hours: int, minutes: int, milliseconds: int) -> None:
    rest = f"{milliseconds / 1000:06.3f}"
    expected = hours * 3600 + minutes * 60 + milliseconds / 1000
    assert seconds(f"{hours}:{minutes:02d}:{rest}") == pytest.approx(expected)
    assert seconds(f" {expected:.3f} ") == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "-1", "1:2:3:4", "1:60", "60:00:", "1e5", "nan", "１", "1:75:00", "00:30-01:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        seconds(text)
