"""kill -9 at any moment, then the same command: it continues, and the result is that of an uninterrupted run."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chdtf.engine.journal import count_entries
from chdtf.files import sha256_file

UNEQUAL = {"report.html", "work/.lock"}  # the one tells seconds; the other is empty


def files(root: Path) -> dict[str, str]:
    """Everything that a build makes: published tables, shards and media, by hash."""
    names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    skipped = ("runs/", "sources/", "truths/")
    own = ("manifest.csv", "truth.json")
    return {
        name: sha256_file(root / name)
        for name in names
        if name not in UNEQUAL and name not in own and not name.startswith(skipped)
    }


def progress(root: Path) -> int:
    """Entries in journals and finished shards of all stages: grows while a build goes on."""
    count = 0
    for journal in (root / "work").rglob("shard-*.journal"):
        try:
            count += count_entries(journal)
        except FileNotFoundError:
            continue
    return count + 8 * len(list((root / "work").rglob("shard-*.parquet")))


@pytest.mark.slow
def test_a_build_killed_again_and_again_equals_an_uninterrupted_one(sample_dataset: Path, tmp_path: Path) -> None:
    """The bundled sample, killed with SIGKILL three times at ever later moments, among them in mid-clip."""
    out = tmp_path / "out"
    manifest = sample_dataset / "manifest.csv"
    command = [sys.executable, "-c", "from benchmark.cli import main; raise SystemExit(main())"]
    command += ["build", "--manifest", str(manifest), "--out", str(out), "--allow-local", "--workers", "2"]
    before = 0
    for step in (1, 5, 20):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while progress(out) < before + step:
                assert process.poll() is None, (process.stderr or sys.stderr).read()
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=20)
        assert progress(out) >= before + step, "what was done is kept"
        before = progress(out)
        assert not (out / "dataset.json").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert files(out) == files(sample_dataset)
    outcomes = [json.loads(path.read_text())["outcome"] for path in sorted((out / "runs").iterdir())]
    assert sorted(outcomes) == ["done", *["running"] * 3]
