"""The shim that keeps DreamTalk's video as it is before its mark: one kind of removal is left out, and no other."""

# ruff: noqa: PTH107 - upstream calls os.remove

import os
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.method import FOLDER, load_method
from baselines.shims import keep_unmarked


@pytest.fixture
def shim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "remove", os.remove)
    keep_unmarked.install()


@pytest.mark.usefixtures("shim")
@pytest.mark.parametrize("as_text", [str, Path, os.fsencode])
def test_the_video_without_the_mark_stays(tmp_path: Path, as_text: type) -> None:
    unmarked = tmp_path / "clip.mp4-no_watermark.mp4"
    unmarked.write_bytes(b"frames")
    os.remove(as_text(str(unmarked)))
    assert unmarked.read_bytes() == b"frames"


@pytest.mark.usefixtures("shim")
@pytest.mark.parametrize(
    "name", ["clip.mp4", "clip.mp4-silent.mp4", "no_watermark.mp4", "clip.mp4-no_watermark.mp4.txt"]
)
def test_any_other_file_is_removed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    os.remove(path)
    assert not path.exists()


@pytest.mark.usefixtures("shim")
def test_a_file_that_is_missing_is_still_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        os.remove(tmp_path / "clip.mp4-silent.mp4")


@pytest.mark.usefixtures("shim")
def test_installed_twice_it_removes_once(tmp_path: Path) -> None:
    once = os.remove
    keep_unmarked.install()
    assert os.remove is once


def test_upstream_interpreter_installs_it_by_name(tmp_path: Path) -> None:
    """Move, mark, remove: the three steps at the end of DreamTalk's script leave both videos."""
    steps = (
        "import os, shutil\n"
        "shutil.move('clip.mp4', 'clip.mp4-no_watermark.mp4')\n"
        "shutil.copy('clip.mp4-no_watermark.mp4', 'clip.mp4')\n"
        "os.remove('clip.mp4-no_watermark.mp4')\n"
    )
    (tmp_path / "clip.mp4").write_bytes(b"frames")
    environment = {"DISENTBENCH_SHIMS": "keep_unmarked", "PYTHONPATH": str(FOLDER / "shims" / "path")}
    subprocess.run([sys.executable, "-c", steps], cwd=tmp_path, env={**os.environ, **environment}, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "clip.mp4-no_watermark.mp4"]


def test_dreamtalk_takes_what_the_shim_keeps() -> None:
    method = load_method("dreamtalk")
    assert method.wrapped is not None
    assert method.wrapped.run.output.endswith(keep_unmarked.SUFFIX)
    assert "keep_unmarked" in method.wrapped.run.shims
