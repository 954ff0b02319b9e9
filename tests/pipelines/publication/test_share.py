"""A published list suffices to make the clips, and holds no media, no path of this machine and nothing withdrawn."""

import json
from pathlib import Path
from typing import Any

import pandas
import pyarrow.parquet as pq
import pytest

from benchmark.cli import main
from chdtf import tombstones
from chdtf.manifest import read_manifest
from pipelines.publication.diff import compare, open_lock
from pipelines.publication.lock import manifest_of_lock, read_lock
from pipelines.publication.share import publish_manifest

FILES = {"README.md", "lock.csv", "lock.json", "manifest.csv", "manifest.parquet", "tombstones.csv"}
SHA = "ab" * 32


@pytest.fixture(scope="module")
def listed(hand: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of three videos: one of a local file, one with a licence stated by its site, one refused."""
    root = tmp_path_factory.mktemp("listed")
    rows = [
        hand.finished_row(
            root,
            0,
            "train",
            url="file:///home/me/secret/a%20b.mp4",
            source_sha256=SHA,
            clip_start_s=1.0,
            clip_end_s=1.48,
        ),
        hand.finished_row(root, 1, "train", license="unknown", site_license="CC BY | 4.0"),
        hand.finished_row(root, 2, "test", clip_start_s=3.25, clip_end_s=3.73, start_s=3.0, end_s=9.0),
        hand.refused_row(8, reject="no_face: in 96% of frames"),
    ]
    hand.publish(root, [hand.write_rows(root, 0, rows)], [], hand.SCHEMA, hand.SETTINGS)
    return root


def test_the_list_holds_what_is_needed_and_no_media(listed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["publish", str(listed), "--what", "manifest", "--out", str(tmp_path / "list")]) == 0
    assert {path.name for path in (tmp_path / "list").iterdir()} == FILES
    assert sum(path.stat().st_size for path in (tmp_path / "list").iterdir()) < 40_000
    rows = {row.video_id: row for row in read_manifest(tmp_path / "list" / "manifest.csv")}
    assert list(rows) == ["v0", "v1", "v2"]
    assert rows["v0"].sha256 == SHA
    assert (rows["v2"].start_s, rows["v2"].end_s, rows["v2"].split) == (3.0, 9.0, "test")
    assert rows["v1"].license == "CC BY | 4.0"
    assert read_manifest(tmp_path / "list" / "manifest.parquet") == list(rows.values())
    assert set(pq.read_schema(tmp_path / "list" / "manifest.parquet").names).isdisjoint({"landmarks", "expression"})
    assert "3 videos, 3 clips" in capsys.readouterr().out


def test_the_lock_is_that_of_the_dataset(listed: Path, tmp_path: Path):
    publish_manifest(listed, tmp_path)
    assert compare(open_lock(listed), read_lock(tmp_path / "lock.csv")).is_same
    clip = next(row for row in manifest_of_lock(read_lock(tmp_path / "lock.csv")) if row.video_id == "v2_000")
    assert (clip.start_s, clip.end_s, clip.crop) == (3.25, 3.73, (0.1, 0.2, 0.3, 0.4))
    assert pandas.read_csv(tmp_path / "lock.csv").outcome.tolist() == ["accepted"] * 3 + ["rejected"]


def test_no_folder_of_this_machine_is_told(listed: Path, tmp_path: Path):
    publish_manifest(listed, tmp_path)
    for path in tmp_path.iterdir():
        assert b"secret" not in path.read_bytes(), path.name
    assert {row.url for row in read_manifest(tmp_path / "manifest.csv")} >= {"file:a%20b.mp4"}


def test_withdrawn_sources_are_left_out_and_named_only_in_the_list_to_follow(listed: Path, tmp_path: Path):
    asked = tmp_path / "asked.csv"
    asked.write_text(
        "source_id,sha256,date,reason,requested_by,contact\n"
        "https://videos.example/1,,2026-05-01,asked,Somebody,x@example.org\nv8,,,,,\n"
    )
    out = tmp_path / "list"
    shared = publish_manifest(listed, out, [asked])
    assert (shared.videos, shared.clips, shared.withheld) == (2, 2, 2)
    assert {row.video_id for row in read_manifest(out / "manifest.csv")} == {"v0", "v2"}
    for name in FILES - {"tombstones.csv"}:
        assert b"v1" not in (out / name).read_bytes(), name
        assert b"videos.example/1" not in (out / name).read_bytes(), name
    entries = tombstones.read(out / "tombstones.csv")
    assert [entry.source_id for entry in entries] == ["https://videos.example/1", "v8"]
    assert {entry.requested_by + entry.contact for entry in entries} == {""}


def test_the_card_counts_licences_and_shows_them_as_text(listed: Path, tmp_path: Path):
    publish_manifest(listed, tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| CC-BY-4.0 | 2 | 0.00 |" in card
    assert "| CC BY \\| 4.0 | 1 | 0.00 |" in card  # the site's words, which would have been a cell of their own
    assert json.loads((tmp_path / "lock.json").read_text())["clips"]["accepted"] == 3


def test_other_kinds_and_other_folders_are_refused(listed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["publish", str(listed), "--what", "video", "--out", str(tmp_path)]) == 2
    assert "--what 'video': there is manifest" in capsys.readouterr().err
    assert main(["publish", str(listed), "--out", str(listed)]) == 2
    assert "is the dataset itself" in capsys.readouterr().err
    assert main(["publish", str(tmp_path), "--out", str(tmp_path / "x")]) == 2
    assert "holds no published dataset" in capsys.readouterr().err
