"""kill -9 or Ctrl-C at any moment, then the same command: it continues, and ends as an uninterrupted run does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chdtf.engine.journal import count_entries
from chdtf.files import sha256_file

pytestmark = pytest.mark.slow

VIDEOS = ("collins_en_weather", "hopper_en_bridge", "two_faces", "no_face")
CODE = (
    "import signal, sys; from benchmark.cli import main; "
    "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a parent in the background leaves it ignored
    "sys.exit(main())"
)
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


def published(made: dict[str, str]) -> dict[str, str]:
    """Without the shards of single stages."""
    return {name: content for name, content in made.items() if not name.startswith("work/0")}


def progress(root: Path) -> int:
    """Entries in journals and finished shards of all stages: grows while a build goes on."""
    count = 0
    for journal in (root / "work").rglob("shard-*.journal"):
        try:
            count += count_entries(journal)
        except FileNotFoundError:
            continue
    return count + 8 * len(list((root / "work").rglob("shard-*.parquet")))


@pytest.fixture(scope="module")
def command(sample_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build some videos of the sample into the folder that is appended."""
    header, *rows = (sample_dataset / "manifest.csv").read_text().splitlines()
    chosen = [row.replace("file:", f"file:{sample_dataset}/") for row in rows if row.startswith(VIDEOS)]
    assert len(chosen) == len(VIDEOS)
    manifest = tmp_path_factory.mktemp("some") / "manifest.csv"
    manifest.write_text("\n".join([header, *chosen]) + "\n")
    flags = ("build", "--manifest", str(manifest), "--allow-local", "--workers", "2", "--out")
    return [sys.executable, "-c", CODE, *flags]


@pytest.fixture(scope="module")
def whole(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an uninterrupted build makes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    subprocess.run([*command, str(out)], check=True, capture_output=True)
    return files(out)


def test_a_build_killed_again_and_again_equals_an_uninterrupted_one(
    command: list[str], whole: dict[str, str], tmp_path: Path
) -> None:
    """SIGKILL three times at ever later moments, among them in mid-clip."""
    out = tmp_path / "out"
    before = 0
    for step in (1, 5, 12):
        with subprocess.Popen([*command, str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while progress(out) < before + step:
                assert process.poll() is None, (process.stderr or sys.stderr).read()
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=20)
        assert progress(out) >= before + step, "what was done is kept"
        before = progress(out)
        assert not (out / "dataset.json").exists()
    done = subprocess.run([*command, str(out)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert files(out) == whole
    outcomes = [json.loads(path.read_text())["outcome"] for path in sorted((out / "runs").iterdir())]
    assert sorted(outcomes) == ["done", *["running"] * 3]


def test_interrupted_and_continued_equals_uninterrupted(
    command: list[str], whole: dict[str, str], tmp_path: Path
) -> None:
    """Ctrl-C in the middle: exit status 130, one line, nothing half-written; the same command finishes the job."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*command, str(out)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("work/01_download/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.strip().splitlines()[-1] == "disentbench: interrupted; give the same command again to go on"
    assert "Traceback" not in said
    assert not (out / "dataset.json").exists()
    assert not list(out.rglob(".tmp-*"))
    subprocess.run([*command, str(out)], check=True, capture_output=True)
    assert published(files(out)) == published(whole)
