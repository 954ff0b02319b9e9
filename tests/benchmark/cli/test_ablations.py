"""disentbench ablations: what is trained, generated and shown. Training itself is tested with the model."""

import csv
import dataclasses
import shutil
from pathlib import Path

import pytest

from baselines.method import REPOSITORY, load_method
from benchmark.cli import main
from benchmark.cli.ablations import Command
from disenttalk_ref.checkpoint import DEFAULT
from disenttalk_ref.train import TrainConfig


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """Configurations that were trained; each gives the committed checkpoint, a still image its videos."""
    configs: list[TrainConfig] = []

    def train(config: TrainConfig, progress: object) -> Path:
        configs.append(config)
        config.out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(DEFAULT, config.out / "checkpoint.safetensors"))

    still = dataclasses.replace(load_method("still"), role="method", checkpoint=str(DEFAULT.relative_to(REPOSITORY)))
    monkeypatch.setattr("disenttalk_ref.train.train", train)
    monkeypatch.setattr(
        "baselines.method.load_method", lambda name: still if name == "disenttalk" else load_method(name)
    )
    return configs


def command(dataset: Path, out: Path, *ablate: str) -> Command:
    config = TrainConfig(data=(dataset,), out=out, ablate=ablate, steps=7, seed=3)
    return Command(config, test=dataset, split="train", metric=("cpbd",), workers=0)


def test_variants_differ_in_what_is_taken_away_and_nothing_else(
    trained: list[TrainConfig], dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert command(dataset, tmp_path, "local", "syncloss").run() == 0
    assert [config.ablate for config in trained] == [("local",), ("syncloss",), ()]
    assert [config.out.name for config in trained] == ["local", "syncloss", "full"]
    alike = {dataclasses.replace(config, ablate=(), out=tmp_path) for config in trained}
    assert alike == {TrainConfig(data=(dataset,), out=tmp_path, steps=7, seed=3)}
    generated = {path.name for path in (tmp_path / "results" / "generated").iterdir()}
    assert generated == {"gt", "disenttalk_full", "disenttalk_without_local", "disenttalk_without_syncloss"}
    with (tmp_path / "table_iv.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["variant"]: row for row in csv.DictReader(stream)}
    assert list(rows) == ["local", "syncloss", "full", "gt"]
    assert float(rows["local"]["value"]) == float(rows["full"]["value"])  # the same still image
    assert rows["local"]["paper"] == "0.808"
    shown = capsys.readouterr().out
    assert "Ours w/o LOCAL" in shown
    assert (tmp_path / "table_iv.md").read_text(encoding="utf-8").startswith("# Table IV on ")


def test_without_mandarin_the_row_says_why_it_is_empty_and_videos_are_kept(
    trained: list[TrainConfig], dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("disenttalk_ref.train.data.MANDARIN", ("xx",))
    made = []
    for _ in range(2):
        assert command(dataset, tmp_path, "chdtf").run() == 0
        made.append({path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("generated/*/*.mp4")})
    assert made[0] == made[1] != {}
    assert [config.ablate for config in trained] == [(), ()]
    with (tmp_path / "table_iv.csv").open(newline="", encoding="utf-8") as stream:
        row = next(row for row in csv.DictReader(stream) if row["variant"] == "chdtf")
    assert row["value"] == "null"
    assert "not trained: no clip is Mandarin; the languages are" in row["reason"]


def test_mistakes_are_named_before_anything_is_trained(
    trained: list[TrainConfig], dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = ["ablations", "--data", str(dataset), "--test", str(dataset), "--out", str(tmp_path)]
    assert main([*arguments, "--metric", "psnr"]) == 2
    assert main([*arguments, "--ablate", "colour"]) == 2
    assert main([*arguments[:4], str(tmp_path / "absent"), *arguments[5:]]) == 2
    assert main([*arguments, "--split", "val"]) == 2
    said = capsys.readouterr().err
    assert "psnr: this table has lse_c" in said
    assert "'colour' is not known; choose from temporal" in said
    assert "no dataset at" in said
    assert "no clips in split 'val'" in said
    assert trained == []
