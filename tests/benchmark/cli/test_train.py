import csv
from pathlib import Path

import av
import pytest

from benchmark.cli import main
from benchmark.cli import train as verb

SMALL = ["--steps", "2", "--batch", "2", "--window-frames", "16", "--log-every", "1", "--cpu", "--prediction", "v"]


def test_a_run_leaves_checkpoints_logs_and_samples(
    sample_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(verb, "_SAMPLES", 1)
    monkeypatch.setattr(verb, "_SAMPLE_FRAMES", 12)
    out = tmp_path / "run"
    flags = ["--validate-every", "2", "--validate-clips", "1", "--samples-every", "2"]
    assert main(["train", "--data", str(sample_dataset), "--out", str(out), *SMALL, *flags]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [f"checkpoint: {out / 'checkpoint.safetensors'}", f"best in validation: {out / 'best.safetensors'}"]
    with (out / "train.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["1", "2"]
    assert all(float(row["windows_per_s"]) > 0 and 0 <= float(row["data_wait"]) <= 1 for row in rows)
    with (out / "validation.csv").open() as stream:
        assert [row["clips"] for row in csv.DictReader(stream)] == ["1"]
    (video,) = (out / "samples").iterdir()
    with av.open(str(video)) as container:
        assert "synthetic" in container.metadata["comment"]
        assert (len(container.streams.audio), len(list(container.decode(video=0)))) == (1, 12)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--log", "tensorboard"], "tensorboard is not installed"),
        (["--ablate", "nose"], "'nose' is not known"),
        (["--audio", "sonar"], "'sonar' are not known"),
        (["--batch", "0"], "batch 0 is too small"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str):
    assert main(["train", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out"), *SMALL, *flags]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert said in lines[-1]
    assert [line for line in lines if line.startswith("disentbench:")] == lines[-1:]
    assert not (tmp_path / "out").exists()
