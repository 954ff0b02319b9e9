"""A lock says everything that is needed to make the same clips again, and reads back exactly."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.manifest_row import find_mistake
from chdtf.schema import MANIFEST
from pipelines.publication.lock import companion, is_lock_header, lock_table, manifest_of_lock, read_lock, write_lock
from pipelines.publication.lock_row import FIELDS, LOCK_VERSION, OUTCOMES, LockRow, lock_row

SETTINGS = {"stages": [{"name": "cut", "version": 1, "fields": {"min_clip_s": 1.0}, "fingerprint": "f"}]}
SHA = "ab" * 32


def clip(number: int = 0, **more: Any) -> dict[str, Any]:
    """A finished row as the stages leave it."""
    row = {
        "clip_id": f"v_{number:03d}",
        "video_id": "v",
        "url": "https://youtu.be/abcdefghijk",
        "site_id": "youtube:abcdefghijk",
        "speaker_id": "康辉",
        "language": "zh",
        "license": "CC-BY-4.0",
        "split": "train",
        "clip_start_s": 0.1 + number * 7,
        "clip_end_s": 6.3 + number * 7,
        "box": np.array([-0.05, 0.1, 0.45, 2 / 3]),
        "roi": np.array([0.0, 0.0, 0.75, 1.0]),
        "num_frames": 155,
        "source_sha256": SHA,
        "video_sha256": "cd" * 32,
        "audio_sha256": "ef" * 32,
        "error": None,
        "reject": None,
        "loudness_dbfs": -20.0,
    }
    return {**row, **more}


ROWS = [
    clip(0),
    clip(1, reject="no_face: found in 3 of 155 frames", video_sha256=None, audio_sha256=None),
    {**clip(), "clip_id": "w", "video_id": "w", "url": "file:a.mp4", "site_id": None, "clip_start_s": None}
    | {"clip_end_s": None, "box": None, "num_frames": None, "source_sha256": None, "error": "silent:\nno data"},
]


def test_every_row_is_locked_with_its_outcome(tmp_path: Path):
    path = tmp_path / "x.lock.csv"
    write_lock(path, ROWS, SETTINGS)
    lock = read_lock(path)
    assert [(row.clip_id, row.outcome, row.reason) for row in lock.rows] == [
        ("v_000", "accepted", ""),
        ("v_001", "rejected", "no_face: found in 3 of 155 frames"),
        ("w", "failed", "silent: no data"),
    ]
    assert [row.site_id for row in lock.rows] == ["youtube:abcdefghijk", "youtube:abcdefghijk", ""]
    assert lock.rows[0].crop == (-0.05, 0.1, 0.45, 2 / 3)
    assert (lock.rows[0].start_s, lock.rows[0].end_s) == (0.1, 6.3)
    assert lock.settings["stages"] == SETTINGS["stages"]
    assert lock.settings["clips"] == {"accepted": 1, "rejected": 1, "failed": 1}
    assert lock.settings["packages"].keys() >= {"av", "mediapipe", "ffmpeg libavcodec"}
    assert companion(path).name == "x.lock.json"
    with path.open(newline="", encoding="utf-8") as stream:  # plain CSV for any other reader
        assert is_lock_header(next(csv.reader(stream)))


def test_the_same_rows_give_the_same_bytes(tmp_path: Path):
    for name in ("a", "b"):
        write_lock(tmp_path / f"{name}.csv", iter(ROWS), SETTINGS)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1).filter(lambda s: s.strip())
TIMES = st.floats(0, 1e5, allow_nan=False)
EDGES = st.tuples(st.floats(-1, 0.4), st.floats(-1, 0.4), st.floats(0.5, 2), st.floats(0.5, 2))
HASHES = st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex)
LOCKED = st.builds(
    LockRow,
    lock_version=st.just(LOCK_VERSION),
    clip_id=st.uuids().map(str),
    video_id=WORDS,
    url=WORDS,
    site_id=st.just("") | WORDS,
    start_s=st.none() | TIMES,
    end_s=st.none() | TIMES,
    crop=st.none() | EDGES,
    roi=st.none() | EDGES,
    speaker_id=WORDS,
    language=WORDS,
    license=WORDS,
    split=st.sampled_from(["train", "val", "test", ""]),
    source_sha256=HASHES,
    video_sha256=HASHES,
    audio_sha256=HASHES,
    num_frames=st.none() | st.integers(1, 750),
    outcome=st.sampled_from(OUTCOMES),
    reason=st.just("") | WORDS,
)


@given(st.lists(LOCKED, max_size=4))
def test_whatever_is_written_reads_back_exactly(tmp_path_factory: pytest.TempPathFactory, rows: list[LockRow]):
    path = tmp_path_factory.mktemp("lock") / "lock.csv"
    write_lock(path, rows, {})
    assert list(read_lock(path).rows) == rows


def test_refused_rows_of_a_published_folder_are_locked_alike():
    published = {**clip(), "kind": "rejected", "reason": "too_short", "detail": "0.4 s"}
    assert lock_row(published) == lock_row(clip(reject="too_short: 0.4 s"))


def test_a_withdrawn_row_keeps_nothing_but_its_ids():
    row = lock_row({"clip_id": "v_000", "video_id": "v", "url": None, "reject": "tombstoned: youtube:x"})
    assert (row.url, row.speaker_id, row.crop, row.outcome) == ("", "", None, "rejected")


def test_the_manifest_of_a_lock_fixes_source_interval_box_and_split_of_every_accepted_clip(tmp_path: Path):
    other = clip(2, box=np.array([0.1, 0.1, 0.4, 0.4]))
    write_lock(tmp_path / "lock.csv", [other, *ROWS], SETTINGS)
    lock = read_lock(tmp_path / "lock.csv")
    rows = manifest_of_lock(lock)
    assert [row.video_id for row in rows] == ["v_000", "v_002"]  # in the source's order, the refused ones left out
    assert (rows[1].start_s, rows[1].end_s, rows[1].crop) == (14.1, 20.3, (0.1, 0.1, 0.4, 0.4))
    assert {(row.url, row.sha256, row.split, row.speaker_id) for row in rows} == {
        ("https://youtu.be/abcdefghijk", SHA, "train", "康辉")
    }
    assert find_mistake(rows[1]) is None


def test_a_build_gets_the_lock_as_a_table_that_is_exact(tmp_path: Path):
    path = tmp_path / "x.lock.csv"
    write_lock(path, [clip(2, roi=None), *ROWS], SETTINGS)
    table = lock_table(path)
    assert table is not None
    assert table.schema.names[: len(MANIFEST.names)] == MANIFEST.names
    rows = table.to_pylist()
    assert [(row["video_id"], row["roi"], row["is_exact"]) for row in rows] == [
        ("v_000", [0.0, 0.0, 0.75, 1.0], True),
        ("v_002", None, True),
    ]
    assert rows[0]["site_id"] == "youtube:abcdefghijk", "also where the address is a copy's"
    assert rows[0]["crop"] == [-0.05, 0.1, 0.45, 2 / 3]  # beyond the frame, as it was
    (tmp_path / "list.csv").write_text("video_id,url\na,b\n")
    assert lock_table(tmp_path / "list.csv") is lock_table(tmp_path / "none.csv") is lock_table(tmp_path) is None
    write_lock(path, ROWS[1:], {})
    with pytest.raises(UserError, match="holds no accepted clip"):
        lock_table(path)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("lock_version", "2", "lock version '2', this reads 1"),
        ("start_s", "abc", "column start_s: 'abc': could not convert"),
        ("end_s", "inf", "column end_s: 'inf': is not a time"),
        ("crop", "0 0 1", "column crop: '0 0 1': is not a box"),
        ("crop", "0.5 0 0.1 1", "column crop: '0.5 0 0.1 1': is not a box"),
        ("video_sha256", "abc", "column video_sha256: 'abc': is not 64"),
        ("outcome", "fine", "column outcome: 'fine': is none of accepted, rejected, failed"),
        ("url", "", "column url: '': is empty"),
        ("num_frames", "1.5", "column num_frames: '1.5': invalid literal"),
    ],
)
def test_a_mistake_is_one_line_that_says_where(tmp_path: Path, column: str, value: str, said: str):
    path = tmp_path / "lock.csv"
    write_lock(path, ROWS[:1], {})
    header, line = path.read_text(encoding="utf-8").splitlines()
    cells = dict(zip(header.split(","), line.split(","), strict=True))
    cells[column] = value
    path.write_text(f"{header}\n{','.join(cells[name] for name in FIELDS)}\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_lock(path)
    assert str(caught.value).startswith(f"{path}, line 2")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_lock_is_said(tmp_path: Path):
    path = tmp_path / "list.csv"
    path.write_text("video_id,url\na,b\n")
    with pytest.raises(UserError, match="not a lock"):
        read_lock(path)
    with pytest.raises(UserError, match=r"none\.csv: cannot be read"):
        read_lock(tmp_path / "none.csv")
    write_lock(path, [ROWS[0], ROWS[0]], {})
    with pytest.raises(UserError, match="row 2: clip 'v_000' stands there twice"):
        read_lock(path)
    write_lock(path, ROWS, {})
    companion(path).write_text("{")
    with pytest.raises(UserError, match=r"list\.json: not the companion"):
        read_lock(path)
    companion(path).unlink()
    assert read_lock(path).settings == {}
    assert json.dumps(dict(read_lock(path).settings)) == "{}"


@pytest.mark.parametrize("text", ["=1+1", "'=1+1", "''-x", "+a", "-a", "@sum", "'quoted'", "it's", "a=b"])
def test_a_spreadsheet_takes_no_words_for_a_formula_and_they_read_back(tmp_path: Path, text: str):
    row = clip(speaker_id=text, license=text)
    write_lock(tmp_path / "lock.csv", [row], {})
    with (tmp_path / "lock.csv").open(newline="") as stream:
        (cells,) = csv.DictReader(stream)
    assert cells["license"][0] not in "=+-@"
    assert (cells["license"] == text) == (text in ("'quoted'", "it's", "a=b"))
    assert read_lock(tmp_path / "lock.csv").rows == (lock_row(row),)
