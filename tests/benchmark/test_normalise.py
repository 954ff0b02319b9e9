from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.footage import Footage, Unscored
from benchmark.normalise import AS_IS, Normalise
from chdtf import media


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory):
    """A video of 20 frames, each a grey level of its own, 100 + 5 k, with a tone."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    frames = [np.full((256, 256, 3), 100 + 5 * k, np.uint8) for k in range(20)]
    tone = np.sin(np.arange(20 * 640) / 10).astype(np.float32) * 0.3
    media.write_video(path, frames, tone)
    return path


def levels(footage: Footage) -> list[int]:
    return [round((float(frame.mean()) - 100) / 5) for frame in footage.frames]


def test_common_form(numbered: Path):
    footage = AS_IS.footage(numbered)
    assert footage.frames.shape == (20, 256, 256, 3)
    assert footage.frames.dtype == np.uint8
    assert footage.waveform.dtype == np.float32
    assert len(footage.waveform) == pytest.approx(20 * 640, abs=1024)
    assert levels(footage) == list(range(20))
    assert footage.notes == ()
    assert footage.duration_s == 0.8


def test_hashes_name_the_file_and_what_became_of_it(numbered: Path, tmp_path: Path):
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(numbered.read_bytes())
    first, second, late = (AS_IS.footage(numbered), AS_IS.footage(copy), Normalise(offset_frames=-1).footage(copy))
    assert (first.raw_sha256, first.normalised_sha256) == (second.raw_sha256, second.normalised_sha256)
    assert late.raw_sha256 == first.raw_sha256
    assert late.normalised_sha256 != first.normalised_sha256


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing_video: clip.mp4"),
        (b"", "empty_video: clip.mp4 has 0 bytes"),
        (b"<html>", "unreadable: clip.mp4"),
    ],
)
def test_what_is_no_video_gets_a_reason(tmp_path: Path, content: bytes | None, reason: str):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Unscored) as caught:
        AS_IS.footage(path)
    assert caught.value.reason.startswith(reason)


def test_black_frames_at_the_end_are_dropped_and_noted(tmp_path: Path):
    path = tmp_path / "clip.mp4"
    grey, black = np.full((256, 256, 3), 90, np.uint8), np.zeros((256, 256, 3), np.uint8)
    media.write_video(path, [black, grey, grey, black, grey, black, black])
    footage = AS_IS.footage(path)
    assert footage.num_frames == 5
    assert footage.notes == ("dropped 2 black frames at the end", "no sound: clip.mp4 holds none")
    media.write_video(path, [black] * 3)
    with pytest.raises(Unscored, match=r"all_black: clip\.mp4, 3 frames"):
        AS_IS.footage(path)


def test_panel_is_cut_and_scaled(tmp_path: Path):
    path = tmp_path / "grid.mp4"
    wide = np.zeros((128, 384, 3), np.uint8)
    wide[:, 128:256] = 200
    media.write_video(path, [wide] * 3)
    with pytest.raises(Unscored, match=r"not_square: grid\.mp4 is 384x128"):
        AS_IS.footage(path)
    footage = Normalise(panel=(128, 0, 128, 128)).footage(path)
    assert footage.frames.shape == (3, 256, 256, 3)
    assert np.abs(footage.frames[:, 8:-8, 8:-8].astype(int) - 200).max() < 8
    assert footage.notes[:2] == ("cut panel (128, 0, 128, 128)", "scaled from 128x128")
    with pytest.raises(Unscored, match=r"no_panel: grid\.mp4 is 384x128, the panel is"):
        Normalise(panel=(300, 0, 128, 128)).footage(path)


def test_other_frame_rates_are_resampled_by_time(tmp_path: Path):
    path = tmp_path / "fast.mp4"
    media.write_video(path, [np.full((256, 256, 3), 100 + 5 * (k // 2), np.uint8) for k in range(40)], fps=50)
    footage = AS_IS.footage(path)
    assert levels(footage) == list(range(20))
    assert "resampled from 50 fps" in footage.notes


def test_offsets_move_frames_and_sound_together(numbered: Path):
    early = Normalise(offset_frames=-3).footage(numbered)
    assert levels(early) == list(range(3, 20))
    assert early.start_frame == 0
    lead = Normalise(offset_frames=2).footage(numbered, audio=numbered)
    assert levels(lead) == list(range(20))
    assert lead.start_frame == 2
    whole = AS_IS.footage(numbered).waveform
    np.testing.assert_array_equal(lead.waveform, whole[2 * 640 :])


def test_driving_sound_replaces_the_track(numbered: Path, tmp_path: Path):
    sound = tmp_path / "sound.wav"
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 12_800).astype(np.float32)
    sound.write_bytes(media.encode_audio(wave, codec="wav"))
    np.testing.assert_allclose(AS_IS.footage(numbered, sound).waveform, wave, atol=1e-4)


def test_landmarks_are_tracked_once_and_kept(
    photo: np.ndarray, footage: Callable[..., Footage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import dataclasses

    made = dataclasses.replace(footage(np.stack([photo] * 3)), landmarks_file=tmp_path / "kept" / "a.npy")
    assert np.isfinite(made.landmarks).all()
    monkeypatch.setattr("chdtf.faces.track_landmarks", lambda frames: pytest.fail("tracked again"))
    again = dataclasses.replace(made)
    np.testing.assert_array_equal(again.landmarks, made.landmarks)
