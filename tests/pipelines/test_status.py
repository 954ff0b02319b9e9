"""pipelines.status: what is done, at work, stuck and left, while a build runs and after it was killed."""

import importlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli import main
from chdtf.manifest import ManifestRow, write_manifest
from pipelines.build import build
from pipelines.status import status

RUN = """
import sys
sys.path[:0] = [sys.argv[1]]
import toy_stages
from pathlib import Path
from pipelines.build import build
if __name__ == "__main__":
    root = sys.argv[2]
    stages = (toy_stages.Add(folder=root), toy_stages.Patient(folder=root, pause_s=0.02))
    build(Path(root) / "toys.csv", Path(root) / "out", workers=1, videos_per_shard=3, stages=stages)
"""


@pytest.fixture(scope="module")
def toys() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent.parent / "chdtf" / "engine"))
        yield importlib.import_module("toy_stages")


def test_a_build_tells_how_far_it_is(toys: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seven videos of which the fifth hangs: four done, the fifth named; killed and mended, all seven."""
    names = [f"v{i}" for i in range(7)]
    rows = [ManifestRow(name, f"https://videos.example/{name}", speaker_id=name, split="train") for name in names]
    write_manifest(rows, tmp_path / "toys.csv")
    for name in names:
        (tmp_path / f"again-{name}").write_text("reject")
    (tmp_path / "again-v4").write_text("hang")
    (tmp_path / "run.py").write_text(RUN)
    out = tmp_path / "out"
    command = [sys.executable, str(tmp_path / "run.py"), str(Path(toys.__file__).parent), str(tmp_path)]
    with subprocess.Popen(command) as process:
        while not (out / "work/running/shard-00001.json").exists() or not any(
            item.clip_id == "v4" and item.stage == "again" for _, item, _ in status(out).running
        ):
            assert process.poll() is None
            time.sleep(0.02)
        seen = status(out)
        assert main(["status", str(out)]) == 0
        process.kill()
    assert (seen.is_running, seen.videos, seen.videos_done, seen.shards) == (True, 7, 4, 3)
    assert seen.remaining_s is not None
    assert seen.remaining_s > 0
    ((shard, item, taken_s),) = seen.running
    assert (shard, item.stage, item.clip_id, item.timeout_s) == ("shard-00001", "again", "v4", 60.0)
    assert 0 <= taken_s < 20
    assert [(stage.name, stage.rows, stage.shards) for stage in seen.stages] == [("add", 4, 1), ("again", 4, 1)]
    said = capsys.readouterr().out
    assert "videos: 4 of 7 done (57%)" in said
    assert "again      v4  for " in said
    time.sleep(0.5)  # the worker ends with its parent
    stopped = status(out)
    assert (stopped.is_running, stopped.outcome, stopped.videos_done) == (False, "killed", 4)
    assert "run the same build command again to continue" in stopped.text()
    (tmp_path / "again-v4").write_text("reject")
    (tmp_path / "add.log").unlink()
    stages = (toys.Add(folder=str(tmp_path)), toys.Patient(folder=str(tmp_path)))
    build(tmp_path / "toys.csv", out, workers=0, videos_per_shard=3, stages=stages)
    assert (tmp_path / "add.log").read_text().split() == ["v4", "v5", "v6"], "what was done is kept"
    whole = status(out)
    assert (whole.outcome, whole.videos_done, whole.rejects, whole.failures) == ("done", 7, {"ugly": 7}, {})
    assert not list(out.rglob("*.journal"))
    assert not (out / "work/running").exists()


def test_a_journal_that_goes_while_it_is_counted_is_a_shard_that_is_complete(
    toys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest([ManifestRow("v", "https://videos.example/v", speaker_id="s", split="train")], tmp_path / "toys.csv")
    (tmp_path / "add-v").write_text("reject")
    stages = (toys.Add(folder=str(tmp_path)),)
    build(tmp_path / "toys.csv", tmp_path / "out", workers=0, stages=stages)
    journal = tmp_path / "out/work/01_add/shard-00000.12345678.journal"
    journal.touch()

    def gone(path: Path) -> int:
        assert path == journal
        path.unlink()
        raise FileNotFoundError(path)

    monkeypatch.setattr("pipelines.status.count_entries", gone)
    monkeypatch.setattr("pipelines.status._is_held", lambda _: journal.touch() or True)
    assert [stage.rows for stage in status(tmp_path / "out").stages] == [1]


def test_a_run_that_makes_only_a_late_stage_again_tells_how_far_it_is(toys: Any, tmp_path: Path) -> None:
    """The first stage's files are all there; what counts is what this run found stale."""
    names = [f"v{i}" for i in range(4)]
    rows = [ManifestRow(name, f"https://videos.example/{name}", speaker_id=name, split="train") for name in names]
    write_manifest(rows, tmp_path / "toys.csv")
    for name in names:
        (tmp_path / f"again-{name}").write_text("reject")
    folder, out = str(tmp_path), tmp_path / "out"
    build(
        tmp_path / "toys.csv", out, 0, videos_per_shard=2, stages=(toys.Add(folder=folder), toys.Again(folder=folder))
    )
    assert status(out).videos_done == 4
    (tmp_path / "again-v3").write_text("stop")
    changed = (toys.Add(folder=folder), toys.Again(folder=folder, amount=5))
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "toys.csv", out, 0, videos_per_shard=2, stages=changed)
    stopped = status(out)
    assert (stopped.outcome, stopped.videos_done) == ("interrupted", 3)
