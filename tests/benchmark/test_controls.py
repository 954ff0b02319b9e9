from pathlib import Path

import numpy as np
import pytest

from benchmark.controls import write_shifted_audio, write_still_image
from chdtf import media


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("source") / "gt.mp4"
    random = np.random.default_rng(0)
    frames = [np.full((64, 64, 3), level, np.uint8) for level in np.linspace(20, 220, 50)]
    media.write_video(path, frames, random.uniform(-0.2, 0.2, 50 * 640).astype(np.float32))
    return path


def test_shifted_audio_is_late_by_so_many_frames(source: Path, tmp_path: Path):
    target = write_shifted_audio(source, tmp_path / "late.wav", shift_frames=20)
    before, after = media.read_waveform(source), media.read_waveform(target)
    np.testing.assert_allclose(after[20 * 640 :], before[: -20 * 640], atol=1e-4)
    assert len(after) == len(before)


def test_still_image_shows_the_first_frame_for_as_long(source: Path, tmp_path: Path):
    target = write_still_image(source, tmp_path / "still.mp4")
    frames, reference = media.read_frames(target), media.read_frames(source)
    assert frames.shape == reference.shape
    assert np.abs(frames.astype(int) - reference[0]).max() <= 2
    assert media.read_waveform(target) is not None


def test_what_is_there_is_kept(source: Path, tmp_path: Path):
    for write, name in ((write_shifted_audio, "late.wav"), (write_still_image, "still.mp4")):
        target = write(source, tmp_path / name)
        time = target.stat().st_mtime_ns
        assert write(source, target).stat().st_mtime_ns == time
