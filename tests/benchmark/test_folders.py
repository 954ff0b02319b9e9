import unicodedata
from pathlib import Path

import pytest

from benchmark.folders import Speaker, pair, read_speakers
from chdtf.errors import UserError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    made = touch(
        tmp_path / "made", "a_1.mp4", "a_2.MKV", "z.webm", "log.txt", ".DS_Store", "._a_1.mp4", "below/c_1.mp4"
    )
    return made, touch(tmp_path / "real", "a_1.mov", "a_2.avi", "b_1.mp4", "notes.md")


def test_files_pair_by_name_whatever_the_container(folders: tuple[Path, Path]):
    made, real = folders
    found = pair(made, real)
    assert [(item.clip_id, item.generated.name, item.reference.name) for item in found.items] == [
        ("a_1", "a_1.mp4", "a_1.mov"),
        ("a_2", "a_2.MKV", "a_2.avi"),
        ("b_1", "b_1.mp4", "b_1.mp4"),
    ]
    assert (found.missing, found.extra) == (("b_1",), ("z",))
    assert found.ignored == ("below", "log.txt")
    assert found.account() == [
        "3 clips expected, 2 generated",
        "missing (null in every column): 1 (b_1)",
        "extra, without a reference and not scored: 1 (z)",
        "not videos, left alone: 2 (below, log.txt)",
    ]
    assert [item.generated for item in found.truth] == [item.reference for item in found.items]


def test_without_references_every_video_is_a_clip(folders: tuple[Path, Path]):
    found = pair(folders[0])
    assert [item.clip_id for item in found.items] == ["a_1", "a_2", "z"]
    assert {item.reference for item in found.items} == {item.audio for item in found.items} == {None}
    assert found.truth == found.missing == found.extra == ()


def test_the_sound_is_what_drove_the_method(folders: tuple[Path, Path], tmp_path: Path):
    made, real = folders
    assert [item.audio for item in pair(made, real).items] == [item.reference for item in pair(made, real).items]
    assert {item.audio for item in pair(made, real, own_sound=True).items} == {None}
    sounds = touch(tmp_path / "sounds", "a_1.wav", "b_1.mp3", "extra.wav")
    found = [item.audio.relative_to(sounds).name for item in pair(made, real, sounds).items]
    assert found == ["a_1.wav", "a_2.wav", "b_1.mp3"]  # a_2.wav is not there: what needs sound says so


def test_speakers_come_from_a_list_or_from_names(folders: tuple[Path, Path], tmp_path: Path):
    made, real = folders
    assert [item.speaker_id for item in pair(made, real).items] == ["a_1", "a_2", "b_1"]
    assert [item.speaker_id for item in pair(made, real, speaker_from_name=True).items] == ["a", "a", "b"]
    path = tmp_path / "speakers.csv"
    path.write_text("﻿clip,speaker,language\na_1,Ann,en\na_2,Ann,\nb_1,Bo,zh\nelse,Cy,\n", encoding="utf-8")
    speakers = read_speakers(path)
    assert speakers["b_1"] == Speaker("Bo", "zh")
    found = [(item.speaker_id, item.language) for item in pair(made, real, speakers=speakers).items]
    assert found == [("Ann", "en"), ("Ann", "und"), ("Bo", "zh")]
    del speakers["a_2"]
    with pytest.raises(UserError, match=r"the list of speakers lacks 1 of 3 clips \(a_2\); add them"):
        pair(made, real, speakers=speakers)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,who\na,b\n", "line 2: no clip or no speaker; the columns are clip,speaker,language"),
        ("clip,speaker\na,\n", "line 2: no clip or no speaker"),
        ("clip,speaker\na,x\na,y\n", "line 3: clip 'a' is there twice"),
    ],
)
def test_a_list_of_speakers_that_is_wrong_names_the_line(tmp_path: Path, text: str, said: str):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        read_speakers(tmp_path / "s.csv")
    with pytest.raises(UserError, match="not a readable CSV file"):
        read_speakers(tmp_path / "none.csv")


def test_folders_that_cannot_be_paired_are_refused(folders: tuple[Path, Path], tmp_path: Path):
    _, real = folders
    with pytest.raises(UserError, match="none: no such folder"):
        pair(tmp_path / "none", real)
    with pytest.raises(UserError, match=r"text: holds no video \(1 other files\)"):
        pair(touch(tmp_path / "text", "a.txt"), real)
    with pytest.raises(UserError, match=r"two files for clip 'a_1', a_1\.mkv and a_1\.mp4; keep one"):
        pair(touch(tmp_path / "twice", "a_1.mp4", "a_1.mkv"), real)
    other = touch(tmp_path / "other", "a_1_out.mp4", "b_1_out.mp4")
    with pytest.raises(UserError, match=r"no video of .*other is named as one of .*real \('a_1_out' against 'a_1'\)"):
        pair(other, real)


def test_one_name_in_two_spellings_of_unicode_is_one_name(tmp_path: Path):
    apart, together = unicodedata.normalize("NFD", "rené"), unicodedata.normalize("NFC", "rené")
    found = pair(touch(tmp_path / "made", f"{apart}.mp4"), touch(tmp_path / "real", f"{together}.mp4"))
    assert found.missing == ()
    assert found.items[0].generated.is_file()
