"""A user's mistake: one line with the offending value, exit status 2, nothing half-written."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import main
from chdtf import media

HEADER = "video_id,url,start_s,end_s,speaker_id,language,license\n"


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The one line that the command ends with."""
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert "Traceback" not in "\n".join(lines)
    assert lines[-1].startswith("disentbench: ")
    return lines[-1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, r"list\.csv.*no such file|list\.csv"),
        ("", r"list\.csv.*(empty|header)"),
        (HEADER.replace("speaker_id", "speaker"), r"unknown column 'speaker'.*speaker_id"),
        (HEADER + "a,https://x.org/a.mp4,5,2,s,en,CC0\n", r"line 2.*end_s"),
        (HEADER + "a,https://x.org/a.mp4,zero,,s,en,CC0\n", r"line 2.*start_s.*'zero'"),
        (HEADER + "a,https://x.org/a.mp4,,,s,en,CC0\na,https://x.org/b.mp4,,,s,en,CC0\n", r"line 3.*'a'.*line 2"),
        (HEADER + "../a,https://x.org/a.mp4,,,s,en,CC0\n", r"line 2.*video_id.*'\.\./a'"),
        (HEADER + "a,ftp://x.org/a.mp4,,,s,en,CC0\n", r"line 2.*url.*'ftp://x\.org/a\.mp4'"),
    ],
)
def test_manifest_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str) -> None:
    manifest = tmp_path / "list.csv"
    if text is not None:
        manifest.write_text(text)
    out = tmp_path / "out"
    for arguments in (["build", "--manifest", str(manifest), "--out", str(out)], ["manifest", "check", str(manifest)]):
        assert re.search(said, refused(capsys, arguments))
    assert not out.exists()


def test_unknown_names_come_with_the_nearest(sample_dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(sample_dataset)]
    assert "did you mean disenttalk" in refused(capsys, ["run", "--method", "disentalk", *data])
    assert re.search(r"'cpdb'.*cpbd", refused(capsys, ["run", "--method", "still", "--metric", "cpdb", *data]))
    assert re.search(
        r"'val'; it has .*train \(8 clips\)", refused(capsys, ["run", "--method", "still", "--split", "val", *data])
    )
    assert re.search(r"'biuld'.*build", refused(capsys, ["biuld"]))
    assert re.search(r"syncnet_v2", refused(capsys, ["weights", "fetch", "syncnet"]))


def test_a_missing_dataset_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "make chdtf" in refused(capsys, ["run", "--method", "still"])
    assert "disentbench build" in refused(capsys, ["run", "--method", "still", "--data", "data/other"])
    assert list(tmp_path.iterdir()) == []


def test_local_files_need_permission(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text(HEADER + "a,file:a.mp4,,,s,en,CC0\n")
    said = refused(capsys, ["build", "--manifest", str(manifest), "--out", str(tmp_path / "out")])
    assert re.search(r"'a'.*--allow-local", said)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def own_sample(sample_dataset: Path, tmp_path: Path) -> Path:
    """A copy of the built sample that a test may damage."""
    return Path(shutil.copytree(sample_dataset, tmp_path / "copy"))


def test_another_schema_version_names_the_command(own_sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    description = own_sample / "dataset.json"
    text = description.read_text()
    description.write_text(re.sub(r'"schema_version": *\d+', '"schema_version": 0', text))
    assert description.read_text() != text
    for arguments in (["build", "--out", str(own_sample)], ["run", "--method", "still", "--data", str(own_sample)]):
        assert re.search(r"schema version 0.*make chdtf", refused(capsys, arguments))


@pytest.mark.parametrize("damage", ["truncated", "garbage"])
def test_a_corrupt_shard_is_named(own_sample: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    shard = sorted((own_sample / "work").glob("05_*/*.parquet"))[0]
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"x" * 1000)
    assert str(shard) in refused(capsys, ["build", "--out", str(own_sample)])
    published = sorted((own_sample / "meta").glob("*.parquet"))[0]
    published.write_bytes(b"PAR1 no")
    said = refused(capsys, ["run", "--method", "still", "--data", str(own_sample), "--split", "test"])
    assert published.name in said


def talking_head(path: Path, seconds: float) -> None:
    """A video that the pipeline works on for a while: noise, so that it does not compress."""
    rng = np.random.default_rng(0)
    count = round(seconds * 25)
    frames = (rng.integers(0, 255, (480, 480, 3), np.uint8) for _ in range(count))
    media.write_video(path, frames, rng.uniform(-0.1, 0.1, count * 640).astype(np.float32))


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    """On a file system of 3 MB; needs the right to mount one (root, or user namespaces)."""
    small = tmp_path / "small"
    small.mkdir()
    talking_head(tmp_path / "a.mp4", 4)
    (tmp_path / "list.csv").write_text(HEADER + "a,file:a.mp4,,,s,en,CC0\n")
    command = [sys.executable, "-c", "import sys; from benchmark.cli import main; sys.exit(main())", "build"]
    command += ["--manifest", str(tmp_path / "list.csv"), "--out", str(small / "out"), "--allow-local"]
    script = 'mount -t tmpfs -o size=3M tmpfs "$0" || exit 77; "$@"; status=$?; find "$0" -name ".tmp-*"; exit $status'
    mounting = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(small), *command]
    try:
        done = subprocess.run(mounting, capture_output=True, text=True, timeout=120, check=False)
    except FileNotFoundError:
        pytest.skip("needs the command unshare")
    if done.returncode in (1, 77) and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip(f"may not mount a small file system: {done.stderr.strip()}")
    assert done.returncode == 2, done.stderr
    assert re.search(r"disentbench: .*no space left", done.stderr.strip().splitlines()[-1])
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
