"""MakeItTalk's driver: one sound file is left to speak, and a clip too short for its blink is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.method import FOLDER, RUNTIME

LIST_SOUND = (
    "import pathlib; pathlib.Path('made.txt').write_text(str([p.name for p in pathlib.Path('examples').glob('*.wav')]))"
)


def _drive(tmp_path: Path, num_frames: int) -> Path:
    """Run the driver with a command that writes which sound files it finds; returns where its output should be."""
    examples = tmp_path / "checkout" / "examples"
    examples.mkdir(parents=True)
    (examples / "theirs.wav").write_bytes(b"upstream's example")
    for name in ("given.wav", "given.png"):
        (tmp_path / name).write_bytes(b"given")
    output = tmp_path / "output.txt"
    inputs = {"audio": str(tmp_path / "given.wav"), "image": str(tmp_path / "given.png")}
    job = {
        "device": "cpu",
        "weights_origin": "generated",
        "settings": {},
        "checkout": str(tmp_path / "checkout"),
        "files": ["examples/theirs.wav"],
        "weights": {},
        "work": str(tmp_path / "work"),
        "command": [sys.executable, "-c", LIST_SOUND],
        "output": "made.txt",
        "environment": {"PYTHONPATH": ""},
        "items": [{"clip_id": "a", "seed": 1, "num_frames": num_frames, "inputs": inputs, "output": str(output)}],
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    driver = [sys.executable, str(FOLDER / "makeittalk" / "drive.py"), str(tmp_path / "job.json")]
    environment = {**os.environ, "PYTHONPATH": str(RUNTIME)}
    subprocess.run(driver, env=environment, check=True, capture_output=True, timeout=60)
    return output


def test_only_the_clips_own_sound_is_left_in_examples(tmp_path: Path) -> None:
    assert _drive(tmp_path, 26).read_text() == "['clip.wav']"


@pytest.mark.parametrize("num_frames", [1, 25])
def test_a_clip_too_short_for_the_first_blink_is_refused_with_its_length(tmp_path: Path, num_frames: int) -> None:
    output = _drive(tmp_path, num_frames)
    assert not output.exists()
    assert output.with_suffix(".error").read_text().startswith(f"too_short: {num_frames} frames")
