"""AVCT's driver and the program in OpenFace's place: upstream's call of it finds the pose that the clip was given."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.method import FOLDER, RUNTIME, load_method

POSE = "frame, pose_Tx, pose_Rx\n1, 3.0, 0.5\n"
CALL = """
import subprocess, config
program = config.OPENFACE_POSE_EXTRACTOR_PATH
subprocess.check_call([program, "-f", "{image}", "-out_dir", "samples/tmp_dir", "-pose"])
"""


def _drive(folder: Path, image: str = "inputs/image/clip.png") -> Path:
    """Run the driver with a command that calls OpenFace as upstream does; returns where its output should be."""
    checkout = folder / "checkout"
    checkout.mkdir(parents=True)
    (checkout / "config.py").write_text('OPENFACE_POSE_EXTRACTOR_PATH = "Your_PATH"\n')
    (folder / "pose.csv").write_text(POSE)
    (folder / "first.png").write_bytes(b"picture")
    wrapped = load_method("avct").wrapped
    assert wrapped is not None
    output = folder / "output.csv"
    inputs = {"pose": str(folder / "pose.csv"), "image": str(folder / "first.png")}
    path = str(FOLDER / "shims" / "path")
    job = {
        "device": "cpu",
        "weights_origin": "generated",
        "settings": {},
        "checkout": str(checkout),
        "files": ["config.py"],
        "weights": {},
        "work": str(folder / "work"),
        "command": [sys.executable, "-c", CALL.format(image=image)],
        "output": "samples/tmp_dir/*.csv",
        "environment": {"PYTHONPATH": path, "DISENTBENCH_SHIMS": "openface_path", **wrapped.run.environment},
        "items": [{"clip_id": "a", "seed": 1, "num_frames": 25, "inputs": inputs, "output": str(output)}],
    }
    (folder / "job.json").write_text(json.dumps(job))
    driver = [sys.executable, str(FOLDER / "avct" / "drive.py"), str(folder / "job.json")]
    environment = {**os.environ, "PYTHONPATH": str(RUNTIME)}
    subprocess.run(driver, env=environment, check=True, capture_output=True, timeout=60)
    return output


@pytest.mark.parametrize("name", ["plain", "with 'quote and blank"])
def test_upstreams_call_of_openface_finds_the_clips_own_pose(tmp_path: Path, name: str) -> None:
    assert _drive(tmp_path / name).read_text() == POSE


def test_a_picture_that_is_not_there_gives_no_pose(tmp_path: Path) -> None:
    output = _drive(tmp_path, "inputs/image/other.png")
    assert not output.exists()
    assert output.with_suffix(".error").read_text().startswith("failed: ")


def test_the_pose_takes_the_pictures_name(tmp_path: Path) -> None:
    picture = tmp_path / "a.b.jpg"
    picture.write_bytes(b"picture")
    (tmp_path / "pose.csv").write_text(POSE)
    program = [sys.executable, str(FOLDER / "avct" / "feature_extraction.py"), str(tmp_path / "pose.csv")]
    subprocess.run([*program, "-f", picture, "-out_dir", tmp_path / "out", "-pose"], check=True, timeout=60)
    assert (tmp_path / "out" / f"{picture.name[:-4]}.csv").read_text() == POSE  # the name that upstream then reads


def test_the_shim_and_its_variable_are_declared() -> None:
    wrapped = load_method("avct").wrapped
    assert wrapped is not None
    assert "openface_path" in wrapped.run.shims
    assert wrapped.run.environment["OPENFACE_POSE_EXTRACTOR_PATH"] == "openface/FeatureExtraction"
