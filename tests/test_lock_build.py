"""A dataset's lock is enough to make it again, byte for byte, and to say what another set lacks."""

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmark.cli import main


def media(root: Path) -> dict[str, tuple[str, str]]:
    """Hashes of picture and sound of each clip."""
    tables = [pq.read_table(path) for path in sorted((root / "meta").glob("*.parquet"))]
    rows = [row for table in tables for row in table.to_pylist()]
    return {row["clip_id"]: (row["video_sha256"], row["audio_sha256"]) for row in rows}


@pytest.mark.slow
def test_a_dataset_is_made_again_from_its_lock(
    sample_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three clips of the sample: same ids, same bytes; the others are told as missing."""
    lines = (sample_dataset / "lock.csv").read_text(encoding="utf-8").splitlines()
    accepted = [line for line in lines[1:] if csv.DictReader([lines[0], line]).__next__()["outcome"] == "accepted"]
    for line in accepted:
        assert "file:" in line
    lock = tmp_path / "some.lock.csv"
    lock.write_text("\n".join([lines[0], *accepted[:3]]) + "\n", encoding="utf-8")
    (tmp_path / "some.lock.json").write_bytes((sample_dataset / "lock.json").read_bytes())
    (tmp_path / "sources").symlink_to(sample_dataset / "sources")  # its relative addresses count from the lock's folder
    out = tmp_path / "again"
    assert main(["build", "--manifest", str(lock), "--out", str(out), "--allow-local"]) == 0
    made, whole = media(out), media(sample_dataset)
    assert len(made) == 3
    assert made == {clip: whole[clip] for clip in made}
    capsys.readouterr()
    assert main(["diff", str(lock), str(out)]) == 0
    assert main(["diff", str(sample_dataset / "lock.csv"), str(out)]) == 1
    assert f"{len(whole) - 3}" in capsys.readouterr().out
    assert json.loads((out / "dataset.json").read_text())["counts"]["clips_accepted"] == 3
