"""Resample: what is planted in a source stands at its place, time and length in the clip."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chdtf import media
from chdtf.colour import STANDARD
from chdtf.engine.shards import Workspace
from chdtf.errors import Reject
from chdtf.region import Footage, read_footage
from chdtf.schema import FPS, FRAME_SIZE_PX, SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from pipelines.stages import resample as resample_stage
from pipelines.stages.resample import Stage

WIDTH, HEIGHT = 320, 180


def scene(index: int, fps: float) -> np.ndarray:
    """Grey that tells the time, with a white square on the black left part."""
    image = np.full((HEIGHT, WIDTH, 3), 40 + 60 * (index / fps), np.uint8)
    image[:, :100] = 0
    image[40:60, 40:60] = 255
    return image


def source(root: Path, fps: float = 25.0, seconds: float = 4.0, sound_s: float | None = 4.0) -> dict[str, Any]:
    """A source with a tone from 2 s on."""
    wave = None
    if sound_s is not None:
        time_s = np.arange(round(sound_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        wave = np.where(time_s >= 2, 0.5 * np.sin(2 * np.pi * 440 * time_s), 0).astype(np.float32)
    frames = (scene(index, fps) for index in range(round(seconds * fps)))
    media.write_video(root / "a.mp4", frames, wave, fps)
    box = np.array([20 / WIDTH, 20 / HEIGHT, 120 / WIDTH, 120 / HEIGHT])
    return {"source": "a.mp4", "clip_id": "a_000", "clip_start_s": 1.0, "clip_end_s": 3.5, "box": box}


def resample(root: Path, row: dict[str, Any], stage: Stage | None = None) -> dict[str, Any]:
    (out,) = (stage or Stage()).apply(row, None, Workspace(root, "resample", "0123456789"))
    return out


@pytest.mark.parametrize("fps", [25.0, 30.0, 50.0, 22.0])
def test_place_time_and_length(tmp_path: Path, fps: float) -> None:
    row = resample(tmp_path, source(tmp_path, fps))
    frames = media.read_frames(tmp_path / row["video"])
    wave = media.read_waveform(tmp_path / row["audio"])
    assert wave is not None
    assert frames.shape == (row["num_frames"], FRAME_SIZE_PX, FRAME_SIZE_PX, 3)
    assert abs(row["num_frames"] - 2.5 * FPS) <= 1
    assert len(wave) == row["num_frames"] * SAMPLES_PER_FRAME
    onset_s = float(np.argmax(np.abs(wave) > 0.1)) / SAMPLE_RATE_HZ
    assert onset_s == pytest.approx(1.0, abs=0.003), "sound keeps its place"
    shown_s = (frames[:, 10, 250].mean(-1) - 40) / 60
    wanted_s = 1.0 + np.arange(len(frames)) / FPS
    assert np.abs(shown_s - wanted_s).max() < 0.5 / fps + 0.5 / FPS + 0.03, "picture keeps its time"
    white = np.argwhere(frames[5].mean(-1) > 200)
    begin, end = white.min(0), white.max(0)
    assert begin == pytest.approx(np.array([20, 20]) * 2.56, abs=2)
    assert end == pytest.approx(np.array([40, 40]) * 2.56, abs=2)


def test_the_muxed_sound_is_the_separate_one(tmp_path: Path) -> None:
    row = resample(tmp_path, source(tmp_path))
    muxed, separate = media.read_waveform(tmp_path / row["video"]), media.read_waveform(tmp_path / row["audio"])
    assert muxed is not None
    assert separate is not None
    part = slice(20_000, 30_000)
    assert np.corrcoef(muxed[part], separate[part])[0, 1] > 0.99


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        row = resample(tmp_path / name, source(tmp_path / name))
        made.append([(tmp_path / name / row[key]).read_bytes() for key in ("video", "audio")])
    assert made[0] == made[1]


def test_missing_sound_is_padded_up_to_a_limit(tmp_path: Path) -> None:
    row = resample(tmp_path, source(tmp_path, sound_s=3.2))
    assert row["audio_padded_s"] == pytest.approx(0.3, abs=0.07)
    with pytest.raises(Reject, match="audio_short"):
        resample(tmp_path, source(tmp_path, sound_s=2.5))
    assert resample(tmp_path, source(tmp_path, sound_s=2.5), Stage(max_padding_s=2))["audio_padded_s"] > 0.9


def test_a_source_without_sound_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(Reject, match="no_audio"):
        resample(tmp_path, source(tmp_path, sound_s=None))


def test_an_interval_past_the_picture_is_rejected(tmp_path: Path) -> None:
    row = {**source(tmp_path, seconds=1.5, sound_s=4.0), "clip_end_s": 4.0}
    with pytest.raises(Reject, match=r"too_short: 1[234] frames"):
        resample(tmp_path, row)


def test_frames_left_in_memory_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clip is the same with the frames that `cut` left, without, and with another clip's; only the time differs."""
    row = {**source(tmp_path), "roi": [0.0, 0.05, 0.6, 0.9]}
    times = row["clip_start_s"], row["clip_end_s"]
    left = read_footage(tmp_path / "a.mp4", *times, row["roi"])
    other = read_footage(tmp_path / "a.mp4", 0.0, 1.0, row["roi"])
    made = {}
    for name, scratch in (("left", (row["clip_id"], left)), ("gone", None), ("other", ("b_000", other))):
        workspace = Workspace(tmp_path, "resample", "0123456789", {} if scratch is None else {"footage": scratch})
        with monkeypatch.context() as patch:
            if name == "left":
                patch.setattr(resample_stage, "read_footage", None)  # nothing is decoded again
            (out,) = Stage().apply(row, None, workspace)
        made[name] = (tmp_path / out["video"]).read_bytes(), out["mean_luma"], out["num_frames"]
    assert made["left"] == made["gone"] == made["other"]


@pytest.mark.parametrize(
    ("roi", "box", "asked"),
    [
        (None, (0.2, 0.2, 0.5, 0.6), (0.2, 0.2, 0.5, 0.6)),
        ((0.1, 0.1, 0.9, 0.9), (0.2, 0.2, 0.5, 0.6), (0.1, 0.1, 0.9, 0.9)),
        ((0.3, 0.1, 0.9, 0.9), (0.2, 0.2, 0.5, 0.6), (0.2, 0.2, 0.5, 0.6)),  # the box leaves the region
        ((0.0, 0.0, 1.0, 1.0), (0.2, 0.2, 0.3, 0.4), (0.2, 0.2, 0.3, 0.4)),  # kept at a half: 80 px of 160
    ],
)
def test_the_box_is_the_region_where_the_kept_one_does_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roi: Any, box: Any, asked: Any
) -> None:
    frame = tuple(np.zeros(shape, np.uint8) for shape in ((400, 800), (200, 400), (200, 400)))
    seen = []

    def read(path: Path, start_s: float, end_s: float, region: Any) -> Footage:
        seen.append(tuple(region))
        whole = tuple(region) == (0.0, 0.0, 1.0, 1.0)
        return Footage([frame], (1600, 800), (0, 0, 1600, 800) if whole else (0, 0, 800, 400), STANDARD)

    monkeypatch.setattr(resample_stage, "read_footage", read)
    row = {"source": "a.mp4", "clip_id": "a", "clip_start_s": 0.0, "clip_end_s": 1.0, "roi": roi, "box": box}
    resample_stage.footage_of(row, Workspace(tmp_path, "resample", "0" * 8))
    assert seen[-1] == asked
