"""Stage quality: every score is there or says why not; nothing is refused; weights change the fingerprint."""

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from chdtf import weights
from chdtf.encode import encode_audio, write_video
from chdtf.engine.shards import Workspace, config_fingerprint
from chdtf.errors import UserError
from chdtf.faces import track_landmarks
from chdtf.media import frames, read_frames
from chdtf.schema import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from pipelines.scores import pose
from pipelines.stages.quality import Models, Stage

NUM_FRAMES = 30


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights."""
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A dataset folder with one finished clip of a photograph that moves a little, and its row."""
    root = tmp_path_factory.mktemp("clip")
    photo = cv2.resize(data.astronaut()[0:256, 96:352], (256, 256))
    images = [np.roll(photo, round(3 * np.sin(k / 3)), axis=1) for k in range(NUM_FRAMES)]
    wave = np.random.default_rng(0).normal(0, 0.1, NUM_FRAMES * SAMPLES_PER_FRAME).astype(np.float32)
    write_video(root / "a.mp4", images, wave)
    (root / "a.flac").write_bytes(encode_audio(wave))
    landmarks = track_landmarks(read_frames(root / "a.mp4"))
    return root, {"clip_id": "a", "video": "a.mp4", "audio": "a.flac", "landmarks": landmarks.reshape(NUM_FRAMES, -1)}


def scored(clip: tuple[Path, dict[str, Any]], stage: Stage, **more: Any) -> dict[str, Any]:
    root, row = clip
    (out,) = stage.apply({**row, **more}, stage.load(), Workspace(root, "quality", "0" * 8))
    return out


def test_without_weights_all_that_needs_none_is_scored_and_the_rest_says_why(clip: tuple[Path, dict[str, Any]]) -> None:
    row = scored(clip, Stage())
    empty = {"av_offset_frames", "av_confidence", "active_speaker", "identity_embedding"}
    assert {name for name in Stage.adds.names if row[name] is None} == empty
    reasons = dict(part.split(": ", 1) for part in row["unscored"].split("; "))
    assert set(reasons) == empty
    assert reasons["av_confidence"] == "syncnet_v2.model is missing (disentbench weights fetch syncnet_v2)"
    assert row["sound_envelope"].shape == (NUM_FRAMES,)
    assert row["loudness_dbfs"] == pytest.approx(-20, abs=0.5)
    assert 0.01 < row["sharpness"] < 1
    assert row["yaw_median_deg"] < 20
    assert row["face_size_px"] > 50


def test_nothing_is_refused_here(clip: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    (clip[0] / "silent.flac").write_bytes(encode_audio(np.zeros(SAMPLE_RATE_HZ, np.float32)))
    lost = np.full_like(clip[1]["landmarks"], np.nan)
    row = scored(clip, Stage(), audio="silent.flac", landmarks=lost)
    assert row.get("reject") is None
    assert row["loudness_dbfs"] == -120
    assert row["silence_share"] == 1
    assert [row[name] for name in (*pose.COLUMNS, "sharpness")] == [None] * 6


def test_a_frame_a_second_is_the_same_decoded_alone(clip: tuple[Path, dict[str, Any]]) -> None:
    """Fetching weights, after which all frames are decoded, must not change the sharpness."""
    few = list(frames(clip[0] / "a.mp4", 1.0))
    every = read_frames(clip[0] / "a.mp4")[::25]
    assert len(few) >= len(every) == 2
    for one, other in zip(few, every, strict=False):
        np.testing.assert_array_equal(one, other)


def test_weights_that_appear_change_the_fingerprint_and_no_other_field(folder: Path, shared: Path) -> None:
    before = Stage()
    assert config_fingerprint(before) == config_fingerprint(Stage())
    (folder / "light_asd_talkset.model").write_bytes((shared / "weights" / "light_asd_talkset.model").read_bytes())
    after = Stage()
    assert config_fingerprint(after) != config_fingerprint(before)
    assert after.light_asd_hash == weights.WEIGHTS["light_asd"].sha256
    (folder / "mobilefacenet.onnx").write_bytes(b"another file")
    assert Stage() == after  # what is not the registered file is not used


def test_weights_that_vanish_during_a_build_are_told(folder: Path, shared: Path) -> None:
    path = folder / "light_asd_talkset.model"
    path.write_bytes((shared / "weights" / path.name).read_bytes())
    stage = Stage()
    path.unlink()
    with pytest.raises(UserError, match=r"light_asd_talkset\.model: was here when the build began"):
        stage.load()


@pytest.mark.slow
def test_with_weights_the_face_is_known_and_held_still_does_not_speak(
    clip: tuple[Path, dict[str, Any]], folder: Path, shared: Path
) -> None:
    pytest.importorskip("onnxruntime")
    for name in ("light_asd_talkset.model", "mobilefacenet.onnx"):
        (folder / name).write_bytes((shared / "weights" / name).read_bytes())
    stage = Stage()
    models = stage.load()
    row = scored(clip, stage)
    assert row["identity_embedding"].shape == (128,)
    assert np.linalg.norm(row["identity_embedding"]) == pytest.approx(1, abs=1e-5)
    assert set(row["unscored"].split("; ")[0].split(": ")) >= {"av_offset_frames"}
    if row["active_speaker"] is None:  # noise, in which the detector may hear no speech
        assert "active_speaker: no_speech" in row["unscored"]
    else:
        assert row["active_speaker"] < 0.5
    assert models != Models()
    lost = np.full_like(clip[1]["landmarks"], np.nan)
    blind = scored(clip, stage, landmarks=lost)
    assert "identity_embedding: no_face" in blind["unscored"]
    assert "active_speaker: no_face: found in 0 of 30 frames" in blind["unscored"]


def test_without_onnxruntime_the_identity_says_so(
    clip: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name))
    assert "identity_embedding: onnxruntime is not installed" in scored(clip, Stage())["unscored"]
    with pytest.raises(UserError, match="pip install"):
        Stage(identity_model=__file__)


def test_an_identity_model_of_the_user_is_checked(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(UserError, match="no such file"):
        Stage(identity_model=str(tmp_path / "none.onnx"))
    text = tmp_path / "text.onnx"
    text.write_text("not a model")
    with pytest.raises(UserError, match=r"text\.onnx: not a model that ONNX Runtime reads"):
        Stage(identity_model=str(text)).load()
    moved = tmp_path / "elsewhere.onnx"
    moved.write_text("not a model")
    assert config_fingerprint(Stage(identity_model=str(text))) == config_fingerprint(Stage(identity_model=str(moved)))
