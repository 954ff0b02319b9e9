"""Other thresholds over a built dataset: what is published changes, and nothing else is touched."""

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli import main
from chdtf.clip import read_clips
from chdtf.errors import UserError
from pipelines.judging.thresholds import Thresholds
from pipelines.publication.publish import publish
from pipelines.publication.republish import republish


@pytest.fixture
def built(hand: Any, tmp_path: Path) -> Path:
    """Four clips that differ in loudness, one refused video; published under the default thresholds."""
    rows = [hand.finished_row(tmp_path, n, "train", loudness_dbfs=-20.0 - 10 * n, speech_share=0.5) for n in range(4)]
    shards = [hand.write_rows(tmp_path, 0, rows), hand.write_rows(tmp_path, 1, [hand.refused_row(8, reject="no_face")])]
    lost = [hand.refused_row(9, error="worker_died: twice")]
    publish(tmp_path, shards, lost, hand.SCHEMA, hand.SETTINGS, Thresholds())
    return tmp_path


def contents(root: Path) -> dict[str, bytes]:
    """What is published, but for the report, which tells seconds."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.name != "report.html"]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files if "work" not in path.parts}


def work(root: Path) -> dict[str, tuple[bytes, int]]:
    kept = [*sorted((root / "work").glob("*.parquet")), *sorted((root / "work" / "media").rglob("*.*"))]
    assert len(kept) == 10
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in kept}


def test_back_and_forth_gives_the_first_bytes_and_touches_no_work(built: Path) -> None:
    published, worked = contents(built), work(built)
    result = republish(built, {"min_loudness_dbfs": -35})
    assert (result.before.clips_accepted, result.after.clips_accepted) == (4, 2)
    assert result.after.reasons == {"no_face": 1, "silence": 2}
    assert [clip.clip_id for clip in read_clips(built)] == ["v0_000", "v1_000"]
    assert contents(built) != published
    back = republish(built, {"min_loudness_dbfs": -60})
    assert (back.before, back.after) == (result.after, result.before)
    assert contents(built) == published
    assert work(built) == worked


def test_thresholds_that_are_not_given_stay(built: Path) -> None:
    republish(built, {"min_loudness_dbfs": -35, "drop_duplicates": False})
    assert republish(built, {"min_speech_share": None}).thresholds == Thresholds(
        min_loudness_dbfs=-35, min_speech_share=None, drop_duplicates=False
    )
    again = republish(built, {})
    assert not again.published
    assert again.before == again.after
    assert republish(built, {}, reset=True).thresholds == Thresholds()


def test_the_verb_prints_both_accounts_by_reason(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rethreshold", str(built), "--min-loudness-dbfs", "-45", "--max-yaw-median-deg", "off"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["clips", "accepted", "4", "3", "-1"] in lines
    assert ["silence", "0", "1", "+1"] in lines
    assert ["no_face", "1", "1"] in lines
    assert ["clips", "failed", "1", "1"] in lines
    assert "at least <b>-45 dBFS</b>: 3 within, 1 beyond" in (built / "report.html").read_text()
    kept = json.loads((built / "dataset.json").read_text())["thresholds"]
    assert (kept["min_loudness_dbfs"], kept["max_yaw_median_deg"], kept["min_speech_share"]) == (-45, None, 0.2)


def test_the_verb_has_a_flag_for_every_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["rethreshold", "--help"])
    said = capsys.readouterr().out
    for name in Thresholds.__dataclass_fields__:
        assert f"--{name.replace('_', '-')} " in said
    assert "Share of the sound that a voice activity detector calls speech" in said


def test_what_is_not_to_be_had_is_said_in_one_line(built: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: is not a folder"):
        republish(tmp_path / "nowhere", {})
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: holds no dataset; build one with"):
        republish(tmp_path / "empty", {})
    with pytest.raises(UserError, match="unknown threshold 'min_speech_shar'; did you mean min_speech_share"):
        republish(built, {"min_speech_shar": 1})
    with pytest.raises(UserError, match="a share lies between 0 and 1"):
        republish(built, {"min_speech_share": 7})


def test_working_files_that_changed_or_are_gone_are_named(hand: Any, built: Path) -> None:
    before = contents(built)
    hand.write_rows(built, 1, [hand.refused_row(8, reject="dark")])
    with pytest.raises(
        UserError, match=r"shard-1.parquet: has changed since the dataset was published; build it again"
    ):
        republish(built, {"min_speech_share": 0.4})
    (built / "work" / "publication.json").unlink()
    with pytest.raises(UserError, match=r"publication.json: not readable; thresholds need the files below work/"):
        republish(built, {"min_speech_share": 0.4})
    assert contents(built) == before


def test_a_build_at_work_is_not_disturbed(built: Path) -> None:
    with (built / "work" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another build is at work in it"):
            republish(built, {"min_speech_share": 0.4})
