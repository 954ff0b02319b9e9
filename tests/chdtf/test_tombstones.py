"""What was withdrawn is blocked under whatever name it comes back."""

import pickle
import time
from pathlib import Path

import pytest

from chdtf import tombstones
from chdtf.errors import UserError
from chdtf.tombstones import Tombstone, Tombstones

HEADER = "source_id,sha256,date,reason\n"
SHA = "ab" * 32


def load(path: Path, *lines: str) -> Tombstones:
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return Tombstones.load([path])


@pytest.fixture(autouse=True)
def _no_list_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tombstones.ENVIRONMENT, raising=False)


@pytest.mark.parametrize(
    "entry", ["youtube:abcdefghijk", "https://youtu.be/abcdefghijk?t=3", "https://www.youtube.com/shorts/abcdefghijk"]
)
@pytest.mark.parametrize(
    "row",
    [
        {"url": "https://m.youtube.com/watch?list=x&v=abcdefghijk"},
        {"url": "https://mirror.example/x", "site_id": "youtube:abcdefghijk"},
        {"url": "https://www.youtube.com/embed/abcdefghijk", "video_id": "x", "site_id": None, "sha256": None},
    ],
)
def test_a_site_s_video_is_blocked_by_any_of_its_addresses(tmp_path: Path, entry: str, row: dict):
    found = load(tmp_path / "t.csv", f"{entry},,2026-05-01,asked by the speaker")
    assert found.blocks(row) == f"tombstoned: {entry} (2026-05-01, asked by the speaker)"
    assert found.blocks({**row, "url": "https://youtu.be/abcdefghijK", "site_id": None}) is None


def test_a_part_of_a_bilibili_video_is_blocked_with_it(tmp_path: Path):
    found = load(tmp_path / "t.csv", "bilibili:av170001,,,")
    assert found.blocks({"url": "x", "site_id": "bilibili:BV17x411w7KC_p2"})
    assert found.blocks({"url": "https://www.bilibili.com/video/BV17x411w7KC?p=7"})


@pytest.mark.parametrize("name", ["id00012_abcdefghijk_00001", "id00012_abcdefghijk_00001_003"])
def test_a_track_of_voxceleb_is_blocked_with_its_source(tmp_path: Path, name: str):
    """A clip on disk, known by its id alone."""
    found = load(tmp_path / "t.csv", "youtube:abcdefghijk,,2026-05-01,asked")
    assert (
        found.blocks({"video_id": name, "url": "file:a.mp4"}) == "tombstoned: youtube:abcdefghijk (2026-05-01, asked)"
    )
    assert found.blocks({"video_id": name.replace("abcdefghijk", "abcdefghijK"), "url": "file:a.mp4"}) is None
    assert found.blocks({"video_id": f"x{name}", "url": "file:a.mp4"}) is None


def test_a_clip_of_a_lock_is_blocked_with_the_video_that_it_was_cut_from(tmp_path: Path):
    found = load(tmp_path / "t.csv", "talk,,,")
    assert found.blocks({"video_id": "talk_003", "is_exact": True})
    assert found.blocks({"video_id": "talk_003", "is_exact": None}) is None, "a manifest's own id"


@pytest.mark.parametrize("column", ["source_sha256", "sha256", "video_sha256", "audio_sha256"])
def test_content_is_blocked_whatever_it_is_called(tmp_path: Path, column: str):
    found = load(tmp_path / "t.csv", f",{SHA.upper()},2026-05-01,")
    assert found.blocks({"video_id": "x", column: SHA}) == f"tombstoned: sha256 {SHA[:12]} (2026-05-01)"
    assert found.blocks({"video_id": "x", column: SHA.upper()})
    assert found.blocks({"video_id": "x", column: "cd" * 32}) is None


def test_names_and_direct_addresses_are_blocked_and_nothing_like_them(tmp_path: Path):
    found = load(tmp_path / "t.csv", "talk_01,,,", "https://Host.example/a/Talk.mp4,,,")
    assert found.blocks({"video_id": "talk_01", "url": "file:a.mp4"})
    assert found.blocks({"video_id": "b", "url": "https://host.example/a/Talk.mp4#t=3"})
    for row in ({"video_id": "talk_011", "url": "file:a.mp4"}, {"url": "https://host.example/a/talk.mp4"}, {}):
        assert found.blocks(row) is None


def test_equal_lists_have_equal_hashes_and_other_lists_others(tmp_path: Path):
    one = load(tmp_path / "a.csv", "a,,,", "b,,,")
    same = load(tmp_path / "b.csv", "b,,,", "a,,,", "a,,,")
    other = load(tmp_path / "c.csv", "a,,,", "c,,,")
    assert one.hash == same.hash != other.hash
    assert Tombstones().hash not in (one.hash, other.hash)
    assert pickle.loads(pickle.dumps(one)) == one


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; its first line is source_id"),
        ("video,sha256,date,reason\n", "line 1: unknown column 'video'"),
        ("source_id,sha256,date\n", "line 1: missing or double column"),
        (HEADER + "a,,\n", "line 2: 3 values for 4 columns"),
        (HEADER + ",,2026-01-01,why\n", "line 2: names no source"),
        (HEADER + "a,,,\nb,abc,,\n", "line 3, column sha256: 'abc' is not 64"),
        (HEADER + "a,,May 2026,\n", "line 2, column date: 'May 2026' is not a day"),
        (HEADER + 'a,"b\n', "not CSV"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(tmp_path: Path, text: str, said: str):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said) as caught:
        Tombstones.load([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lists_are_found_in_the_project_the_environment_and_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("project", "one", "two", "given", "dataset/tombstones"):
        path = tmp_path / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        load(path, f"{path.parent.name if '/' in name else name},,,")
    monkeypatch.setattr(tombstones, "_PROJECT", tmp_path / "project.csv")
    monkeypatch.setenv(tombstones.ENVIRONMENT, f"{tmp_path / 'one.csv'}:{tmp_path / 'two.csv'}:")
    found = tombstones.find(tmp_path / "given.csv", dataset=tmp_path / "dataset")
    assert {entry.source_id for entry in found.entries} == {"project", "one", "two", "given", "dataset"}
    # an installed package has no manifests folder, a new dataset no list of its own; a list that was named must exist
    monkeypatch.setattr(tombstones, "_PROJECT", tmp_path / "nowhere.csv")
    monkeypatch.delenv(tombstones.ENVIRONMENT)
    assert tombstones.find(dataset=tmp_path).files == ()
    with pytest.raises(UserError, match=r"none\.csv: cannot be read"):
        tombstones.find(tmp_path / "none.csv")


def test_the_list_that_ships_is_valid_and_empty():
    assert tombstones.read(Path(__file__).parents[2] / "manifests" / tombstones.FILE) == []


def test_entries_are_added_once_and_keep_what_was_there(tmp_path: Path):
    path = tmp_path / "t.csv"
    first = Tombstone("youtube:abcdefghijk", SHA, "2026-05-01", 'said: "no, thanks"\nreally')
    tombstones.append(path, [first])
    before = tombstones.read(path)
    tombstones.append(path, [*before, Tombstone("b")])
    assert tombstones.read(path) == [*before, Tombstone("b")]
    assert before[0].reason == 'said: "no, thanks" really'


def test_a_lookup_takes_microseconds_however_long_the_list(tmp_path: Path):
    found = load(tmp_path / "t.csv", *(f"youtube:{number:011d},,," for number in range(2000)))
    rows = [{"video_id": f"v{n}", "url": f"https://www.youtube.com/watch?v={n:011d}"} for n in range(20_000)]
    began = time.process_time()
    assert sum(found.blocks(row) is not None for row in rows) == 2000
    assert time.process_time() - began < 1.0  # a stage asks once for every row
