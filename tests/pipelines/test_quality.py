"""Quality: scores measure what is planted; thresholds refuse what is beyond them, and scores stay."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chdtf.face_model import load_model
from chdtf.media import encode_audio
from chdtf.schema import NUM_LANDMARKS, SAMPLE_RATE_HZ
from chdtf.shards import Workspace
from pipelines.stages.quality import Stage, loudness_dbfs, speech_share, yaw_deg


def buzz(seconds: float) -> np.ndarray:
    """Something like a voice: a pulse train of 120 Hz through formants, with syllables of 4 Hz."""
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tones = [np.sin(2 * np.pi * 120 * k * time_s) * np.exp(-(((120 * k - f) / 150) ** 2)) for f in (500, 1500, 2500)
             for k in range(1, 30)]  # fmt: skip
    wave = np.sum(tones, axis=0) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_s))
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


def turned_face(degrees: float, frames: int = 3) -> np.ndarray:
    """The mean face, 120 px between the eye corners, turned about the vertical: (T, 478, 3) px."""
    mean = load_model("mp468").mean * 120
    turn = Rotation.from_rotvec([0, np.radians(degrees), 0]).as_matrix()
    points = np.zeros((frames, NUM_LANDMARKS, 3), np.float32)
    points[:, : len(mean)] = mean @ turn.T + [128, 128, 0]
    return points


def measured(root: Path, wave: np.ndarray, points: np.ndarray, **more: Any) -> dict[str, Any]:
    (root / "a.flac").write_bytes(encode_audio(wave))
    row = {
        "audio": "a.flac",
        "landmarks": points.reshape(len(points), -1),
        "face_found_share": float(np.mean(~np.isnan(points[:, 0, 0]))),
        "mean_luma": 100.0,
        **more,
    }
    (out,) = Stage().apply(row, None, Workspace(root, "quality", "0" * 8))
    return out


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.003])
def test_loudness_of_a_sine_is_its_amplitude_less_3_db(amplitude: float) -> None:
    wave = amplitude * np.sin(np.arange(SAMPLE_RATE_HZ) * 0.1)
    assert loudness_dbfs(wave) == pytest.approx(20 * np.log10(amplitude) - 3.01, abs=0.05)
    assert loudness_dbfs(np.zeros(100)) == loudness_dbfs(np.zeros(0)) == -120


def test_speech_share_is_the_share_that_sounds_like_a_voice() -> None:
    silence = np.zeros(4 * SAMPLE_RATE_HZ, np.float32)
    voice = buzz(4.0)
    assert speech_share(voice) > 0.9
    assert speech_share(silence) == 0
    assert speech_share(np.concatenate([silence, voice])) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("degrees", [-50, -20, 0, 20, 50])
def test_yaw_is_the_planted_turn(degrees: float) -> None:
    """The planted rotation about y is positive when the nose turns to the left of the picture."""
    assert yaw_deg(turned_face(degrees)) == pytest.approx(-degrees, abs=3)


def test_a_good_clip_passes_with_its_scores(tmp_path: Path) -> None:
    row = measured(tmp_path, buzz(2), turned_face(10))
    assert row["reject"] is None
    assert row["yaw_median_deg"] == pytest.approx(10, abs=3)
    assert row["face_size_px"] > 100
    assert row["speech_share"] > 0.9


def _lost() -> np.ndarray:
    points = turned_face(0, 10)
    points[4:] = np.nan
    return points


@pytest.mark.parametrize(
    ("wave", "points", "more", "reason"),
    [
        (np.zeros(32000, np.float32), turned_face(0), {}, "silence"),
        (np.full(32000, 0.05, np.float32), turned_face(0), {}, "no_speech"),
        (buzz(2), _lost(), {}, "face_lost"),
        (buzz(2), np.full_like(_lost(), np.nan), {}, "face_lost"),
        (buzz(2), turned_face(75), {}, "profile"),
        (buzz(2), turned_face(0) * 0.2, {}, "face_too_small"),
        (buzz(2), turned_face(0), {"mean_luma": 3.0}, "dark"),
    ],
)
def test_what_is_out_of_bounds_is_refused_and_keeps_its_scores(
    tmp_path: Path, wave: np.ndarray, points: np.ndarray, more: dict[str, Any], reason: str
) -> None:
    row = measured(tmp_path, wave, points, **more)
    assert row["reject"].split(":")[0] == reason
    assert row["loudness_dbfs"] is not None
    assert row["speech_share"] is not None


def test_every_threshold_can_be_opened(tmp_path: Path) -> None:
    row = measured(tmp_path, np.zeros(32000, np.float32), _lost(), mean_luma=0.0)
    opened = Stage(0, -1, -200, 0, 0, 180, -1)
    assert dataclasses.fields(Stage)[1].name == "min_speech_share"
    assert opened.verdict(row) is None
