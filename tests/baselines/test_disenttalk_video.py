"""The reference model, video-driven: its driver, in this process."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from baselines.method import REPOSITORY, load_method
from chdtf.media import encode_audio, read_frames, resize, write_video
from chdtf.sample.canvas import portrait


@pytest.fixture(scope="module")
def driver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drive", load_method("disenttalk_video").driver)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_clip_lies_on_its_reference_and_one_without_a_face_costs_itself(driver: ModuleType, tmp_path: Path) -> None:
    face = resize(portrait("grace_hopper")[40:440, 60:460], 256)
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    speech = 0.2 * np.sin(np.arange(12 * 640) * 0.2).astype(np.float32)
    (tmp_path / "speech.wav").write_bytes(encode_audio(speech, codec="wav"))
    items = []
    for name, image in (("noise", noise), ("face", face)):
        video = tmp_path / f"{name}_in.mp4"
        write_video(video, [cv2.GaussianBlur(image, (0, 0), 0.5 + 0.01 * k) for k in range(6)])
        item = {"clip_id": name, "image": "", "audio": str(tmp_path / "speech.wav"), "video": str(video)}
        items.append({**item, "num_frames": 12, "seed": 1, "output": str(tmp_path / f"{name}.mp4")})
    checkpoint = str(REPOSITORY / load_method("disenttalk_video").checkpoint)
    (tmp_path / "job.json").write_text(
        json.dumps({"fps": 25, "checkpoint": checkpoint, "settings": {"steps": 2}, "items": items})
    )
    driver.main(tmp_path / "job.json")
    assert "no face" in (tmp_path / "noise.error").read_text()
    assert not (tmp_path / "noise.mp4").exists()
    given = read_frames(tmp_path / "face_in.mp4").astype(int)
    made = read_frames(tmp_path / "face.mp4").astype(int)
    assert made.shape == (12, 256, 256, 3)
    order = [*range(6), *range(4, 0, -1), 0, 1]  # shorter than the speech: forward and backward
    apart = np.abs(made - given[order]).mean(axis=(0, 3))
    assert apart[:110].mean() < 3  # all above the nose, but for the encoder
    assert apart[150:210, 90:170].mean() > 2 * apart[:110].mean()
