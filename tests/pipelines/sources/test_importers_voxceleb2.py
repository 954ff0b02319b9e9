"""VoxCeleb2's tracks: intervals and crops of txt files, clips on disk with their speaker and source."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import main
from chdtf.errors import UserError
from chdtf.manifest import ManifestRow, local_path, read_manifest
from pipelines.sources.importers import Account, account_path
from pipelines.sources.importers.voxceleb2 import from_voxceleb2, read_track, source_id

PERSON, VIDEO = "id00012", "21Uxsk56VDQ"


def track_text(first: int, boxes: list[tuple[float, ...]], person: str = PERSON, video: str = VIDEO) -> str:
    """A track file as VoxCeleb2 writes them: tabs, a blank after every number, a count behind one confidence."""
    head = f"Identity  : \t{person}\nReference : \t{video}\nOffset    : \t-2\n"
    head += "FV Conf   : \t16.647\t(1)\nASD Conf  : \t4.465\n\n"
    rows = "".join(f"{first + i:06d} \t" + " \t".join(f"{v:.3f}" for v in box) + " \n" for i, box in enumerate(boxes))
    return head + "FRAME \tX \tY \tW \tH \n" + rows


def put(folder: Path, text: str | bytes, name: str = "00001.txt", person: str = PERSON, video: str = VIDEO) -> Path:
    path = folder / "txt" / person / video / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def one(folder: Path, **options: float) -> tuple[ManifestRow | None, Account]:
    account: Account = []
    rows = list(from_voxceleb2(folder, account, **options))
    assert len(rows) <= 1
    return (rows[0] if rows else None), account


def test_a_track_becomes_its_interval_and_the_union_of_its_boxes_with_a_margin(tmp_path: Path) -> None:
    boxes = [(0.3, 0.2, 0.2, 0.4), (0.35, 0.2, 0.2, 0.4), (0.3, 0.25, 0.2, 0.45)]
    put(tmp_path, track_text(250, boxes))
    row, account = one(tmp_path)
    assert row is not None
    assert not account
    assert (row.video_id, row.speaker_id) == (f"{PERSON}_{VIDEO}_00001", PERSON)
    assert row.url == f"https://www.youtube.com/watch?v={VIDEO}"
    assert (row.start_s, row.end_s) == (10.0, 253 / 25)  # frame 252 ends where 253 begins
    assert row.crop == pytest.approx((0.275, 0.15, 0.575, 0.75))  # union 0.3 0.2 0.55 0.7, a tenth on each side
    assert one(tmp_path, margin=0.0)[0].crop == pytest.approx((0.3, 0.2, 0.55, 0.7))  # type: ignore[union-attr]
    assert one(tmp_path, margin=2.0)[0].crop == (0.0, 0.0, 1.0, 1.0)  # type: ignore[union-attr]
    assert source_id(row.video_id) == f"youtube:{VIDEO}"
    assert source_id("yt_21Uxsk56VDQ_000") is None


def test_every_box_lies_in_the_crop(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(5):
        low = 0.3 + 0.1 * rng.random((40, 2))
        boxes = np.concatenate([low, 0.3 + 0.05 * rng.random((40, 2))], axis=1).round(3)
        path = put(tmp_path, track_text(7, [tuple(box) for box in boxes]), f"0000{number}.txt")
        assert read_track(path)[2] == pytest.approx(boxes)
    for row in from_voxceleb2(tmp_path, []):
        values = read_track(tmp_path / "txt" / PERSON / VIDEO / f"{row.video_id[-5:]}.txt")[2]
        assert row.crop is not None
        assert (values[:, :2] >= row.crop[:2]).all()
        assert (values[:, :2] + values[:, 2:] <= np.add(row.crop[2:], 1e-9)).all()


def test_a_face_that_leaves_its_first_box_is_tracked_instead(tmp_path: Path) -> None:
    put(tmp_path, track_text(0, [(0.1, 0.1, 0.2, 0.2), (0.24, 0.1, 0.2, 0.2)]))
    row, (note,) = one(tmp_path)
    assert row is not None
    assert row.crop is None
    assert note.outcome == "without crop"
    assert "IoU with its first box falls to 0.18" in note.problem  # 0.06 of 0.2 shared: 0.06 / 0.34


@pytest.mark.parametrize(
    ("text", "outcome", "words"),
    [
        (track_text(0, [(223, 80, 130, 130)]), "without crop", "not in fractions"),
        (track_text(0, [(0.1, 0.1, 0.0, 0.2)]), "without crop", "no area"),
        (track_text(0, [(0.1, 0.1, 0.2, 0.2)], person="id99999"), "left out", "Identity is 'id99999'"),
        (track_text(0, [(0.1, 0.1, 0.2, 0.2)], video="AAAAAAAAAAA"), "left out", "Reference is 'AAAAAAAAAAA'"),
        (track_text(0, []), "left out", "0 values"),
        (track_text(0, [(0.1, 0.1, 0.2)]), "left out", "4 values are not lines of five"),
        (track_text(0, [(0.1, 0.1, 0.2, float("nan"))]), "left out", "finite"),
        (track_text(0, [(0.1, 0.1, 0.2, 0.2)]).replace("0.200", "rm -rf"), "left out", "not a number"),
        (track_text(-5, [(0.1, 0.1, 0.2, 0.2)]), "left out", "frame numbers"),
        (track_text(0, [(0.1, 0.1, 0.2, 0.2)]).replace("FRAME", "NUMBER"), "left out", "no line of columns"),
        (b"\xff\xfe\x00" * 9, "left out", "no line of columns"),
        (b"", "left out", "no line of columns"),
    ],
)
def test_a_file_of_another_form_is_one_line_of_the_account(
    tmp_path: Path, text: str | bytes, outcome: str, words: str
) -> None:
    put(tmp_path, text)
    put(tmp_path, track_text(0, [(0.1, 0.1, 0.2, 0.2)], video="b" * 11), video="b" * 11)
    account: Account = []
    rows = list(from_voxceleb2(tmp_path, account))
    assert len(rows) == 2 - (outcome == "left out")
    assert [(note.source, note.outcome) for note in account] == [(f"txt/{PERSON}/{VIDEO}/00001.txt", outcome)]
    assert words in account[0].problem
    assert "\n" not in account[0].problem


def test_clips_on_disk_are_rows_that_tell_speaker_and_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, track_text(0, [(0.1, 0.1, 0.2, 0.2)]))
    put(tmp_path, track_text(0, [(0.1, 0.1, 0.2, 0.2)]), "00002.txt")
    clip = tmp_path / "mp4" / PERSON / VIDEO / "00001.mp4"
    clip.parent.mkdir(parents=True)
    for name in ("00001.mp4", "1.mp4", "notes.mp4"):
        (clip.parent / name).touch()
    out = tmp_path / "vox.csv"
    assert main(["manifest", "from-voxceleb2", str(tmp_path), "--out", str(out), "--split", "test"]) == 0
    assert "2 rows" in capsys.readouterr().out
    local, remote = read_manifest(out)
    assert local_path(local.url, tmp_path) == clip
    assert local.url == f"file:mp4/{PERSON}/{VIDEO}/00001.mp4"
    assert (local.video_id, local.speaker_id, local.split) == (f"{PERSON}_{VIDEO}_00001", PERSON, "test")
    assert (local.crop, local.start_s) == (None, None)
    assert remote.video_id == f"{PERSON}_{VIDEO}_00002"
    assert account_path(out).read_text() == "source,line,name,outcome,problem\n"


def test_names_that_are_no_tracks_are_not_read_and_an_empty_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "x", person="id1")
    put(tmp_path, "x", video="a b c d e f")
    put(tmp_path, "x", name="1.txt")
    with pytest.raises(UserError, match="holds no tracks"):
        list(from_voxceleb2(tmp_path, []))
    with pytest.raises(UserError, match="no such folder"):
        list(from_voxceleb2(tmp_path / "none", []))


def test_the_same_track_in_two_places_is_one_row(tmp_path: Path) -> None:
    for part in ("dev", "test"):
        put(tmp_path / part, track_text(0, [(0.1, 0.1, 0.2, 0.2)]))
    row, (note,) = one(tmp_path)
    assert row is not None
    assert note.source.startswith("test/")
    assert "elsewhere" in note.problem
