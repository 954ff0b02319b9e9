"""HDTF's lists become a manifest with nothing lost in silence; its counts are those that were computed by others."""

import filecmp
from pathlib import Path

import pytest

from benchmark.cli import main
from chdtf.errors import UserError
from chdtf.manifest import ManifestRow, read_manifest
from chdtf.manifest_row import find_mistake
from pipelines.sources.importers import Account, account_path
from pipelines.sources.importers.hdtf import SUBSETS, from_hdtf, reference_width_px

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def lists(shared: Path) -> Path:
    return shared / "data" / "hdtf"


@pytest.fixture(scope="module")
def imported(lists: Path) -> tuple[list[ManifestRow], Account]:
    account: Account = []
    return list(from_hdtf(lists, account)), account


def hours(rows: list[ManifestRow]) -> float:
    return sum((row.end_s or 0) - (row.start_s or 0) for row in rows) / 3600


def test_the_counts_of_others_are_met_and_the_video_they_lose_is_found(
    imported: tuple[list[ManifestRow], Account], lists: Path
) -> None:
    rows, account = imported
    links = [
        line for prefix in SUBSETS for line in (lists / f"{prefix}_video_url.txt").read_text().splitlines() if line
    ]
    assert len(links) == 370
    # a plain reader takes the byte order mark for a letter of CarolynMaloney2 and loses it
    plain = [row for row in rows if not row.video_id.startswith("WDA_CarolynMaloney2")]
    assert (len(plain), round(hours(plain), 2)) == (435, 16.99)
    unframed = {note.name for note in account if "has no window" in note.problem}
    framed = [row for row in plain if row.video_id.split("_", 1)[1] not in unframed]
    assert (len(framed), round(hours(framed), 2)) == (420, 16.27)
    assert (len(rows), round(hours(rows), 2), sum(row.crop is not None for row in rows)) == (436, 17.07, 416)
    all_framed = [row for row in rows if row.video_id.split("_", 1)[1] not in unframed]
    assert (len(all_framed), round(hours(all_framed), 2)) == (421, 16.35)


def test_every_row_is_valid_every_link_canonical_and_every_window_square_on_a_wide_frame(
    imported: tuple[list[ManifestRow], Account],
) -> None:
    for row in imported[0]:
        assert find_mistake(row) is None
        assert row.url.startswith("https://www.youtube.com/watch?v=")
        assert len(row.url) == 43
        if row.crop:
            x0, y0, x1, y1 = row.crop
            assert (x1 - x0) * 16 / 9 == pytest.approx(y1 - y0, rel=0.05)  # 714 and 700 px are not quite 16:9


def test_the_account_names_each_line_that_has_no_counterpart(imported: tuple[list[ManifestRow], Account]) -> None:
    rows, account = imported
    out = [(note.source, note.name) for note in account if note.outcome == "left out"]
    assert out == [("RD_video_url.txt", "Radio24")]
    without = {note.name for note in account if note.outcome == "without crop"}
    assert without == {row.video_id.split("_", 1)[1] for row in rows if row.crop is None}
    assert {"MaggieHassan_0", "MazieHirono1_0", "PeterKing_0", "KevinMcCarthy1_0", "KevinMcCarthy1_1"} <= without
    assert {note.name for note in account if note.outcome == "kept"} == {"JamesClyburn1", "MittRomney"}


def test_one_person_has_one_speaker_id(imported: tuple[list[ManifestRow], Account]) -> None:
    speakers = {row.video_id: row.speaker_id for row in imported[0]}
    assert {speakers[f"WRA_AdamKinzinger{i}_0"] for i in range(3)} == {"AdamKinzinger"}
    assert speakers["WDA_JimMcGovern_0"] == speakers["WDA_JimMcGovern1_0"] == "JimMcGovern"
    assert speakers["WDA_WhipJimClyburn_0"] == speakers["WDA_JamesClyburn_0"] == "JamesClyburn"
    of_video: dict[str, set[str]] = {}
    for row in imported[0]:
        of_video.setdefault(row.url, set()).add(row.speaker_id)
    assert all(len(found) == 1 for found in of_video.values())
    # who is Radio10 is not said, so that no radio voice may be tested on
    assert {row.split for row in imported[0] if row.video_id.startswith("RD_")} == {"train"}


def test_the_committed_list_is_what_the_verb_writes(
    lists: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "hdtf.csv"
    assert main(["manifest", "from-hdtf", str(lists), "--out", str(out)]) == 0
    assert "436 rows" in capsys.readouterr().out
    assert filecmp.cmp(out, REPOSITORY / "manifests" / "hdtf.csv", shallow=False)
    assert filecmp.cmp(account_path(out), REPOSITORY / "manifests" / "hdtf_account.csv", shallow=False)
    assert main(["manifest", "from-hdtf", str(lists), "--out", str(out), "--no-crops"]) == 0
    assert {row.crop for row in read_manifest(out)} == {None}


def test_the_committed_list_is_a_valid_manifest() -> None:
    assert len(read_manifest(REPOSITORY / "manifests" / "hdtf.csv")) == 436


def write_lists(folder: Path, **texts: str) -> Path:
    """Empty lists but for those given, `WDA_video_url="..."`."""
    for prefix in SUBSETS:
        for kind in ("video_url", "annotion_time", "resolution", "crop_wh", "crop_ratio"):
            (folder / f"{prefix}_{kind}.txt").write_text(texts.get(f"{prefix}_{kind}", ""), encoding="utf-8")
    return folder


LINK = "https://www.youtube.com/watch?v=abcdefghij"


def test_a_window_in_pixels_becomes_fractions_of_the_frame_of_its_height(tmp_path: Path) -> None:
    folder = write_lists(
        tmp_path,
        WDA_video_url=f"\ufeffAnn {LINK}0&t=6s",
        WDA_annotion_time="Ann.mp4 00:30-01:30 1:00:00-1:00:02",
        WDA_resolution="Ann.mp4 1080",
        WDA_crop_wh="Ann_0.mp4 480 540 270 540",
    )
    account: Account = []
    first, second = from_hdtf(folder, account)
    assert first.crop == (0.25, 0.25, 0.53125, 0.75)
    assert (first.start_s, first.end_s, second.start_s, second.end_s) == (30.0, 90.0, 3600.0, 3602.0)
    assert (first.video_id, second.video_id, first.url) == ("WDA_Ann_0", "WDA_Ann_1", LINK + "0")
    assert [reference_width_px(height) for height in (360, 700, 714, 720, 1080, 2160)] == [640, *[1280] * 3, 1920, 3840]


@pytest.mark.parametrize(
    ("texts", "outcome", "words"),
    [
        ({"WDA_video_url": "Ann $(reboot)"}, "left out", "'$(reboot)' is not a link"),
        ({"WDA_video_url": f"../Ann {LINK}0"}, "left out", "'../Ann' is not a name"),
        ({"WDA_video_url": "Ann"}, "left out", "'' is not a link"),
        ({"WDA_video_url": f"Ann {LINK}0\nAnn {LINK}1"}, "left out", "'Ann' stands already in line 1"),
        ({"WDA_annotion_time": "Ann.mp4 00:10 00:20-00:30"}, "left out", "'00:10' is not an interval"),
        ({"WDA_annotion_time": "Ann.mp4 00:10-00:99 00:20-00:30"}, "left out", "'00:99' is not a time"),
        ({"WDA_annotion_time": "Ann.mp4 00:30-00:10 00:20-00:30"}, "left out", "end_s: 10.0 is not after start_s 30.0"),
        ({"WDA_annotion_time": "Ann.mp4 0:10-0:20\nBob.mp4 0:1-0:2"}, "left out", "'Bob' has intervals but no link"),
        ({"WDA_resolution": "Ann.mp4 tall"}, "without crop", "gives 'tall' as the height"),
        ({"WDA_resolution": ""}, "without crop", "gives nothing as the height"),
        ({"WDA_crop_wh": "Ann_0.mp4 1 2 3"}, "without crop", "'1 2 3' is not four whole numbers"),
        ({"WDA_crop_wh": "Ann_0.mp4 0 0 0 0"}, "without crop", "is not a box"),
        ({"WDA_crop_wh": "Ann_0.mp4 -1 99 0 99"}, "without crop", "leaves the frame of 1280x720"),
        ({"WDA_crop_wh": "Ann_0.mp4 0 720 0 720\nZoe_0.mp4 1 2 3 4"}, "left out", "Zoe_0 belongs to no interval"),
    ],
)
def test_what_cannot_be_taken_is_named_with_its_value_and_the_rest_goes_on(
    tmp_path: Path, texts: dict[str, str], outcome: str, words: str
) -> None:
    good = {
        "WDA_video_url": f"Ann {LINK}0",
        "WDA_annotion_time": "Ann.mp4 00:10-00:20",
        "WDA_resolution": "Ann.mp4 720",
        "WDA_crop_wh": "Ann_0.mp4 0 720 0 720",
        "WDA_crop_ratio": "Ann_0.mp4 1.2",
        "RD_video_url": f"Radio1 {LINK}9",
        "RD_annotion_time": "Radio1.mp4 00:10-00:20",
    }
    account: Account = []
    rows = list(from_hdtf(write_lists(tmp_path, **{**good, **texts}), account))
    assert "RD_Radio1_0" in [row.video_id for row in rows]
    assert [(note.outcome, "\n" in note.problem) for note in account if words in note.problem] == [(outcome, False)]


def test_a_folder_that_is_not_hdtfs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"RD_video_url.txt: no such list; give the folder HDTF_dataset"):
        list(from_hdtf(tmp_path, []))
    write_lists(tmp_path)
    assert list(from_hdtf(tmp_path, [])) == []
    (tmp_path / "RD_video_url.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read as UTF-8"):
        list(from_hdtf(tmp_path, []))
