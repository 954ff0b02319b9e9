"""disentbench features: computed once for several datasets, and continued."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import main
from chdtf.clip import read_clips
from disenttalk_ref.audio import AudioFeatures, key
from disenttalk_ref.audio.cache import cached


@pytest.fixture
def root(dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "dataset"))


def test_features_lie_beside_the_dataset_and_a_second_run_keeps_them(root: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["features", "--data", str(root), "--audio", "logmel"]
    assert main(arguments) == 0
    clips = read_clips(root)
    folder = root / "features" / key(AudioFeatures())
    assert f"{folder}: {len(clips)} clips computed, 0 kept; 320 numbers a frame" in capsys.readouterr().out
    assert main(arguments) == 0
    assert f"0 clips computed, {len(clips)} kept" in capsys.readouterr().out
    expected = AudioFeatures().extract(clips[0].waveform())
    np.testing.assert_allclose(cached(root, AudioFeatures())[clips[0].clip_id], expected, atol=2e-3)


def test_the_published_dataset_does_not_mind_the_folder(root: Path):
    """Its description lists its own files, and they are as they were."""
    before = json.loads((root / "dataset.json").read_text())
    assert main(["features", "--data", str(root), "--audio", "logmel"]) == 0
    assert json.loads((root / "dataset.json").read_text()) == before
    assert len(read_clips(root)) == sum(before["clips"].values())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--data", "nowhere", "--audio", "logmel"], "nowhere: holds no dataset"),
        (["--data", "nowhere", "--audio", "hubrt:x"], "did you mean hubert?"),
        (["--data", "nowhere", "--audio", "hubert:./nothing"], "'./nothing': no such folder"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]):
    assert main(["features", *arguments]) == 2
    *_, message = capsys.readouterr().err.splitlines()  # before it, what it was at
    assert message.startswith("disentbench: ")
    assert line in message
