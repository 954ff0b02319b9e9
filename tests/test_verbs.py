"""Every verb of the command line: its help, and that it does what its summary says."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from skimage import data, io

from benchmark.cli import main, verbs
from chdtf.manifest import read_manifest
from chdtf.media import probe, read_waveform
from chdtf.morphable.model import load_model
from pipelines.recipes import chdtf_recipe, configured


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_help_names_the_verb_and_every_option_is_told(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*verb.split(" ", 1), "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: disentbench {verb}" in " ".join(text.split())
    assert "{None}" not in text


def test_the_overview_lists_every_verb_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    assert main(["--help"]) == 0
    assert time.monotonic() - started < 1
    overview = capsys.readouterr().out
    assert all(f"  {verb} " in overview for verb in verbs())


def test_methods_and_weights_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    assert main(["methods"]) == main(["weights", "list"]) == 0
    out = capsys.readouterr().out
    assert "disenttalk" in out
    assert re.search(r"^syncnet_v2 +missing", out, re.MULTILINE)


def test_every_setting_that_is_listed_can_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    """`stages` prints what `build --set` takes; with the values that it prints nothing changes."""
    assert main(["stages"]) == 0
    listed = [line.strip() for line in capsys.readouterr().out.splitlines() if "=" in line]
    assert "cut.max_clip_s=30.0" in listed
    assert configured(chdtf_recipe(), listed) == chdtf_recipe()


@pytest.mark.slow
def test_a_portrait_speaks(sample_dataset: Path, tmp_path: Path) -> None:
    portrait, out = tmp_path / "portrait.png", tmp_path / "talk.mp4"
    io.imsave(portrait, data.astronaut()[:256, 96:352])
    speech = sample_dataset / "sources" / "hopper_en_bridge.mp4"
    assert main(["generate", "--image", str(portrait), "--audio", str(speech), "--out", str(out)]) == 0
    made, heard = probe(out), read_waveform(speech)
    assert heard is not None
    assert (made.width, made.height, made.fps) == (256, 256, 25)
    assert made.duration_s == pytest.approx(len(heard) / 16_000, abs=0.1)


def test_what_cannot_speak_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, image = tmp_path / "a.txt", tmp_path / "grey.png"
    text.write_text("no picture")
    io.imsave(image, data.astronaut()[:40, :40])
    for arguments, said in (
        ([str(tmp_path / "none.png"), str(text)], "none.png: no such file"),
        ([str(text), str(text)], "a.txt"),
        ([str(image), str(text)], "a.txt"),
    ):
        assert (
            main(["generate", "--image", arguments[0], "--audio", arguments[1], "--out", str(tmp_path / "o.mp4")]) == 2
        )
        assert said in capsys.readouterr().err
    assert not (tmp_path / "o.mp4").exists()


@pytest.mark.slow
def test_training_and_the_basis_take_a_built_dataset(
    sample_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = [
        "train",
        "--data",
        str(sample_dataset),
        "--out",
        str(run),
        "--steps",
        "4",
        "--batch",
        "4",
        "--threads",
        "1",
    ]
    assert main(command) == main(command) == 0
    assert (run / "checkpoint.safetensors").stat().st_size < 10_000_000
    assert main(["basis", "--data", str(sample_dataset), "--out", str(tmp_path / "mp468.npz")]) == 0
    assert load_model(str(tmp_path / "mp468.npz")).hash in capsys.readouterr().out


def test_a_folder_becomes_a_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "videos" / "li").mkdir(parents=True)
    (tmp_path / "videos" / "li" / "a talk.mp4").write_bytes(b"x")
    out = tmp_path / "list.csv"
    assert main(["manifest", "from-folder", str(tmp_path / "videos"), "--out", str(out), "--language", "zh"]) == 0
    (row,) = read_manifest(out)
    assert (row.speaker_id, row.language, row.url) == ("li", "zh", "file:videos/li/a%20talk.mp4")
    assert main(["manifest", "check", str(out)]) == 0
    assert "1 rows, 1 speakers, no mistakes" in capsys.readouterr().out


def test_a_reader_that_stops_reading_is_no_bug() -> None:
    """As in `disentbench stages | head -1`."""
    command = [sys.executable, "-c", "import sys; from benchmark.cli import main; sys.exit(main(['stages']))"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b"")
