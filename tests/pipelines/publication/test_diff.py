"""The difference of two sets says what is missing and why."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli.diff import Command
from chdtf.errors import UserError
from pipelines.publication.diff import EXTRA, SAME, compare, open_lock
from pipelines.publication.lock import Lock, manifest_of_lock, write_lock
from pipelines.publication.lock_row import LOCK_VERSION, LockRow


def locked(number: int = 0, **more: Any) -> LockRow:
    row = LockRow(
        lock_version=LOCK_VERSION,
        clip_id=f"v{number}_000",
        video_id=f"v{number}",
        url=f"https://www.youtube.com/watch?v={number:011d}",
        site_id=f"youtube:{number:011d}",
        start_s=10.0,
        end_s=46.0,
        crop=(0.1, 0.2, 0.3, 0.4),
        roi=None,
        speaker_id="s",
        language="zh",
        license="unknown",
        split="train",
        source_sha256=f"{number:064x}",
        video_sha256="c" * 64,
        audio_sha256="d" * 64,
        num_frames=900,
        outcome="accepted",
        reason="",
    )
    return dataclasses.replace(row, **more)


def lock(*rows: LockRow, **settings: Any) -> Lock:
    return Lock(Path("x"), rows, settings)


def statuses(wanted: Lock, found: Lock) -> list[str]:
    return [clip.status for clip in compare(wanted, found).clips]


GONE = {"clip_id": "v0", "start_s": None, "end_s": None, "crop": None, "outcome": "rejected", "reason": "gone: 404"}


@pytest.mark.parametrize(
    ("change", "status", "detail"),
    [
        ({}, SAME, ""),
        ({"start_s": 10.0 + 1e-9}, SAME, ""),
        ({"video_sha256": "e" * 64}, "other_media", "picture"),
        ({"audio_sha256": "e" * 64}, "other_media", "sound"),
        ({"crop": (0.1, 0.2, 0.3, 0.41)}, "other_box", "0.1000 0.2000 0.3000 0.4100, the lock has 0.1000"),
        ({"end_s": 44.0}, "other_interval", "10.0 to 44.0 s, the lock has 10.0 to 46.0 s"),
        ({"source_sha256": "e" * 64, "end_s": 44.0}, "other_source", "sha256 eeeeeeeeeeee"),
        ({"outcome": "rejected", "reason": "no_face: none"}, "no_face", "none"),
        ({"outcome": "failed", "reason": "bot_check: try later"}, "bot_check", "try later"),
        (GONE, "gone", "404"),
        ({**GONE, "reason": "private: for members"}, "private", "for members"),
        ({**GONE, "url": "", "site_id": "", "source_sha256": None, "reason": "tombstoned: x"}, "tombstoned", "x"),
        ({"clip_id": "v0_003", "start_s": 100.0, "end_s": 110.0}, "not_cut", "1 other clips of this source"),
    ],
)
def test_each_fate_of_a_clip_has_its_word(change: dict[str, Any], status: str, detail: str):
    found = compare(lock(locked()), lock(locked(**change)))
    assert found.clips[0].status == status
    assert detail in found.clips[0].detail
    assert found.is_same == (status == SAME)


def test_a_set_is_the_same_as_itself_and_any_loss_and_any_addition_shows():
    both = lock(locked(0), locked(1), locked(2, outcome="rejected", reason="no_face: x"))
    assert compare(both, both).is_same  # what the lock refused is not missed
    assert statuses(both, lock(locked(0))) == [SAME, "absent"]
    assert statuses(lock(locked(0)), both) == [SAME, EXTRA]
    assert not compare(lock(locked(0)), both).is_same


def test_a_set_rebuilt_from_the_lock_is_recognised_by_its_own_names():
    original = lock(locked(0), locked(0, clip_id="v0_001", start_s=46.0, end_s=60.0), locked(1))
    rebuilt = [
        locked(int(row.video_id[1]), clip_id=f"{row.video_id}_000", video_id=row.video_id)
        for row in manifest_of_lock(original)
    ]
    rebuilt = [
        dataclasses.replace(new, start_s=row.start_s, end_s=row.end_s)
        for new, row in zip(rebuilt, manifest_of_lock(original), strict=True)
    ]
    found = compare(original, lock(*rebuilt))
    assert found.is_same
    assert {clip.clip_id: clip.other_clip_id for clip in found.clips}["v0_001"] == "v0_001_000"


def test_a_set_with_other_names_is_recognised_by_source_and_interval():
    renamed = locked(0, clip_id="a_007", video_id="a", end_s=40.0, url="https://youtu.be/00000000000")
    assert statuses(lock(locked()), lock(renamed)) == ["other_interval"]
    # one name for clips of two different sources is no match
    assert statuses(lock(locked()), lock(locked(1, clip_id="v0_000", video_id="v0"))) == ["other_source"]


def test_the_text_counts_clips_and_hours_by_reason():
    found = compare(lock(*(locked(n) for n in range(4))), lock(locked(0), locked(1, **{**GONE, "clip_id": "v1"})))
    assert found.text().splitlines() == [
        "1 clips (0.010 h) of 4 clips (0.040 h) are there and the same",
        "  absent: 2 clips (0.020 h) (such as v2_000: no row of this source)",
        "  gone: 1 clips (0.010 h) (such as v1_000: 404)",
    ]


def test_other_packages_and_settings_are_told_and_are_no_difference():
    stage = {"name": "cut", "version": 1, "fields": {"min_clip_s": 1.0}}
    mine = lock(locked(), packages={"av": "15.0"}, stages=[stage, {"name": "fit", "version": 1}])
    theirs = lock(locked(), packages={"av": "16.0"}, stages=[{**stage, "fields": {"min_clip_s": 2.0}}])
    found = compare(mine, theirs)
    assert found.settings == (
        "av 16.0, the lock has 15.0",
        "stage cut: min_clip_s 2.0, the lock has 1.0",
        "stage fit: absent",
    )
    assert found.is_same


def test_the_verb_ends_with_0_for_the_same_and_1_for_another_set(
    tmp_path: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
):
    whole = open_lock(dataset)  # a published folder without a lock of its own
    assert [row.outcome for row in whole.rows].count("accepted") == 4
    write_lock(tmp_path / "x.lock.csv", whole.rows, whole.settings)
    assert Command(tmp_path / "x.lock.csv", dataset).run() == 0
    write_lock(tmp_path / "less.csv", whole.rows[1:], {})
    assert Command(tmp_path / "x.lock.csv", tmp_path / "less.csv", csv=tmp_path / "d.csv").run() == 1
    assert "absent: 1 clips" in capsys.readouterr().out
    with (tmp_path / "d.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["status"] for row in rows] == ["absent", SAME, SAME, SAME]
    with pytest.raises(UserError, match="no such file or folder"):
        Command(tmp_path / "nothing", dataset).run()
    with pytest.raises(UserError, match="holds no published dataset"):
        Command(dataset, tmp_path).run()
