import fractions
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from benchmark.footage import Footage, Unscored
from benchmark.lossless import write_lossless
from benchmark.normalise import AS_IS, Normalise, footage_of_arrays
from chdtf import media
from chdtf.errors import UserError


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


@pytest.mark.parametrize("fps", [24, 30000 / 1001, 30, 50])
def test_every_frame_rate_shows_what_was_shown_at_that_time(tmp_path: Path, fps: float):
    """Two seconds in which the grey level is a clock: output k shows the level of time k / 25, to half a frame."""
    path = tmp_path / "clip.mp4"
    count = round(2 * fps)
    media.write_video(path, [np.full((256, 256, 3), 50 + round(60 * k / fps), np.uint8) for k in range(count)], fps=fps)
    footage = AS_IS.footage(path)
    assert footage.num_frames in (50, 51)
    shown_s = (footage.frames[:50].mean(axis=(1, 2, 3)) - 50) / 60
    assert np.abs(shown_s - np.arange(50) / 25).max() <= 0.5 / min(fps, 25) + 0.025  # and rounding of the levels
    assert any(note.startswith("resampled from") for note in footage.notes)


def test_a_variable_frame_rate_is_read_by_its_timestamps(tmp_path: Path):
    """Ten frames of 20 ms, then ten of 120 ms: an average of 14.3 fps that no constant rate describes."""
    path = tmp_path / "clip.mkv"
    times_ms = [*range(0, 200, 20), *range(200, 1400, 120)]
    write_timed(path, [np.full((64, 64, 3), 40 + time_ms // 10, np.uint8) for time_ms in times_ms], times_ms)
    footage = AS_IS.footage(path)
    assert footage.num_frames in (33, 34, 35, 36)
    shown_ms = 10 * (footage.frames.mean(axis=(1, 2, 3)) - 40)
    wanted_ms = 40 * np.arange(footage.num_frames)
    nearest = [min(times_ms, key=lambda time_ms: abs(time_ms - wanted)) for wanted in wanted_ms]
    early = shown_ms - wanted_ms
    assert early.max() <= 40 + 10
    assert np.abs(shown_ms - nearest)[:5].max() <= 12


def write_timed(path: Path, frames: list[np.ndarray], times_ms: list[int]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "bgr0"
        stream.codec_context.time_base = fractions.Fraction(1, 1000)
        for image, time_ms in zip(frames, times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = time_ms, fractions.Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


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


def test_sound_that_cannot_be_had_costs_the_sound_alone(numbered: Path, tmp_path: Path):
    (tmp_path / "noise.wav").write_bytes(b"no sound at all")
    for sound, why in ((tmp_path / "none.wav", "none.wav is missing"), (tmp_path / "noise.wav", "unreadable: noise")):
        footage = AS_IS.footage(numbered, sound)
        assert footage.num_frames == 20
        assert footage.waveform is None
        assert footage.no_sound.startswith(why)


def test_a_folder_is_no_video(tmp_path: Path):
    (tmp_path / "clip.mp4").mkdir()
    with pytest.raises(Unscored, match=r"not_a_file: clip\.mp4 is a folder"):
        AS_IS.footage(tmp_path / "clip.mp4")


def test_what_means_nothing_is_refused():
    with pytest.raises(UserError, match="geometry 'sideways' is not known; choose one of method_crop"):
        Normalise(geometry="sideways")
    with pytest.raises(UserError, match="give x, y, width and height"):
        Normalise(panel=(0, 0, 0, 256))


def test_arrays_come_into_the_same_form_as_a_file(numbered: Path, tmp_path: Path):
    read = AS_IS.footage(numbered)
    write_lossless(read, tmp_path / "clip.mkv")
    assert AS_IS.footage(tmp_path / "clip.mkv").normalised_sha256 == read.normalised_sha256
    assert footage_of_arrays(read.frames, read.waveform).normalised_sha256 == read.normalised_sha256
    small = footage_of_arrays(np.full((3, 64, 64, 3), 90, np.uint8))
    assert small.frames.shape == (3, 256, 256, 3)
    assert small.notes == ("scaled from 64x64", "no sound: none was given")


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (np.full((2, 64, 64, 3), 0.5), r"floats of 0\.5 to 0\.5 instead of bytes; multiply by 255"),
        (np.ones((2, 64, 64, 3), np.float32), "multiply by 255"),
        (np.full((2, 64, 64, 3), np.nan), "24576 values are NaN"),
        (np.full((2, 64, 64, 3), 90.0), "float64 instead of uint8"),
        (np.full((2, 64, 64, 3), 90, np.int64), "int64 instead of uint8"),
        (np.full((2, 64, 64), 90, np.uint8), r"\(T, H, W, 3\) is needed, not \(2, 64, 64\)"),
        (np.zeros((0, 64, 64, 3), np.uint8), "is needed"),
    ],
)
def test_arrays_of_another_kind_are_refused_at_the_door(frames: np.ndarray, said: str):
    with pytest.raises(ValueError, match=said):
        footage_of_arrays(frames)


@pytest.mark.parametrize(
    "waveform", [np.zeros(640, np.int16), np.full(640, 3000.0), np.full(640, np.nan), np.zeros((2, 9))]
)
def test_sound_of_another_kind_is_refused_at_the_door(waveform: np.ndarray):
    with pytest.raises(ValueError, match="waveform"):
        footage_of_arrays(np.full((1, 64, 64, 3), 90, np.uint8), waveform)


@pytest.mark.parametrize("frames", [np.zeros((2, 256, 256, 3)), np.zeros((2, 256, 256), np.uint8)])
def test_footage_of_floats_or_of_grey_is_refused(frames: np.ndarray):
    with pytest.raises(ValueError, match=r"instead of uint8 \(T, H, W, 3\)"):
        Footage(frames, None, "", "", "")
