"""disentbench checkpoint: what is printed is what the file holds."""

import dataclasses
import json
from pathlib import Path

import pytest

from benchmark.cli import main
from disenttalk_ref.checkpoint import DEFAULT, Header, load_checkpoint, read_header, save_checkpoint

ACCOUNT = {
    "datasets": ["a", "b"],
    "clips": 2,
    "seconds_by_language": {"cmn": 1.5, "en": 4.0},
    "clip_ids": ["one", "two"],
    "validation_clip_ids": ["three"],
    "offset_frames": {"one": 0, "three": 0, "two": -3},
    "out_of_sync_clip_ids": [],
    "training": {"steps": 20, "ablate": []},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = load_checkpoint()
    header = dataclasses.replace(checkpoint.header, account=ACCOUNT, commit="c0ffee", packages={"torch": "2.0"})
    return save_checkpoint(
        dataclasses.replace(checkpoint, header=header), tmp_path_factory.mktemp("x") / "m.safetensors"
    )


def _told(text: str) -> dict[str, str]:
    return {name.strip(): value for name, _, value in (line.partition("  ") for line in text.splitlines())}


def test_settings_data_and_counts_are_told(saved: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["checkpoint", str(saved)]) == 0
    told = {name: value.strip() for name, value in _told(capsys.readouterr().out).items()}
    checkpoint = load_checkpoint(saved)
    learned = sum(value.numel() for value in checkpoint.denoiser.parameters())
    assert told["parameters"].startswith(f"{learned:,} of the denoising network, ")
    assert told["file"] == f"{saved}, {saved.stat().st_size:,} bytes"
    assert "blocks 3, heads 4" in told["network"]
    assert f"width {checkpoint.header.audio.width}, " in told["audio"]
    assert (told["commit"], told["packages"], told["data fingerprint"][:3]) == (
        "c0ffee",
        "torch 2.0",
        _start(checkpoint.header),
    )
    assert told["seconds by language"] == "cmn 1.5, en 4.0"
    assert (told["clips learned from"], told["clips validated on"], told["clips whose sound was moved"]) == (
        "2",
        "1",
        "1",
    )
    assert told["training"] == "steps 20, ablate none"


def _start(header: Header) -> str:
    return (header.data_fingerprint or "not recorded")[:3]


def test_the_clips_are_a_table_for_a_card(saved: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["checkpoint", str(saved), "--clips"]) == 0
    assert capsys.readouterr().out.endswith(
        "\n\n| clip | offset (frames) |\n| --- | --- |\n| one | +0 |\n| two | -3 |\n"
    )


def test_json_is_the_header(capsys: pytest.CaptureFixture[str]):
    assert main(["checkpoint", str(DEFAULT), "--json"]) == 0
    assert Header.from_json(json.loads(capsys.readouterr().out)) == read_header(DEFAULT)


def test_what_is_no_checkpoint_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "text").write_text("hello")
    assert main(["checkpoint", str(tmp_path / "text")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "text: not a readable checkpoint" in line
