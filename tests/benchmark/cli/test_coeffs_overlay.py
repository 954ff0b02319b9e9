from pathlib import Path

import numpy as np
import pytest
from skimage import data, io

from benchmark.cli import main
from chdtf.clip import read_clips
from chdtf.media import encode_audio, frames, probe, read_frames, read_waveform, write_video
from chdtf.morphable.model import load_model, save_model

NUM_FRAMES = 14
GAP = range(6, 8)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait that is gone for two frames, with sound."""
    path = tmp_path_factory.mktemp("video") / "talk.mp4"
    face = data.astronaut()[:230, 120:340]
    images = [np.zeros_like(face) if number in GAP else face for number in range(NUM_FRAMES)]
    tone = 0.3 * np.sin(np.arange(round(16_000 * NUM_FRAMES / 25)) / 6).astype(np.float32)
    write_video(path, images, tone)
    return path


@pytest.fixture(scope="module")
def drawn(video: Path) -> Path:
    out = video.with_name("overlay.mp4")
    assert main(["coeffs", "overlay", str(video), "--out", str(out)]) == 0
    return out


def test_every_frame_and_the_sound_are_kept(video: Path, drawn: Path):
    assert sum(1 for _ in frames(drawn)) == NUM_FRAMES
    before, after = read_waveform(video), read_waveform(drawn)
    assert before is not None
    assert after is not None
    length = min(len(before), len(after))
    assert length > 0.95 * len(before)
    np.testing.assert_allclose(after[:length], before[:length], atol=1e-5)


def test_the_mesh_lies_on_the_face_and_a_gap_has_none(video: Path, drawn: Path):
    given, made = read_frames(video).astype(int), read_frames(drawn).astype(int)
    height, width = given.shape[1:3]
    left, right = made[:, :height, :width], made[:, :height, made.shape[2] // 2 :][:, :, :width]
    assert np.abs(left - given).mean() < 4  # encoded twice
    changed = np.abs(right - left).max(3) > 40
    below_note = changed[:, 30:]
    for number in range(NUM_FRAMES):
        if number in GAP:
            assert not below_note[number].any()
            assert changed[number].any()
    assert below_note[3].mean() > 0.05


def test_a_clip_of_a_dataset_needs_no_tracking(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    clip, out = read_clips(dataset)[0], tmp_path / "a.mp4"
    assert main(["coeffs", "overlay", str(dataset), "--clip", clip.clip_id, "--alone", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"{clip.num_frames} frames at 25 fps" in said
    assert "no face in 1 of them" in said
    info = probe(out)
    assert (info.width, info.height, info.audio_codec) == (256, 256, "aac")
    assert sum(1 for _ in frames(out)) == clip.num_frames


def test_a_picture_of_some_moments_can_be_had(dataset: Path, tmp_path: Path):
    clip, out = read_clips(dataset)[0], tmp_path / "a.jpg"
    arguments = ["coeffs", "overlay", str(dataset), "--clip", clip.clip_id, "--moments", "3", "--wireframe"]
    assert main([*arguments, "--alone", "--out", str(out)]) == 0
    assert io.imread(out).shape == (256, 768, 3)


def test_mistakes_are_said_in_one_line(video: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "words.txt").write_text("no video")
    (tmp_path / "sound.wav").write_bytes(encode_audio(np.zeros(16_000, np.float32), codec="wav"))
    write_video(tmp_path / "grey.mp4", [np.full((64, 64, 3), 128, np.uint8)] * 3)
    out = ["--out", str(tmp_path / "o.mp4")]
    for arguments, said in (
        ([str(tmp_path / "none.mp4"), *out], "none.mp4: no such file"),
        ([str(tmp_path / "words.txt"), *out], "words.txt: not a video"),
        ([str(tmp_path / "sound.wav"), *out], "no video stream"),
        ([str(tmp_path / "grey.mp4"), *out], "no face found in any of 3 frames"),
        ([str(video), "--clip", "a", *out], "only a dataset's folder has clips"),
        ([str(dataset), "--clip", "v99_000", *out], "no clip 'v99_000'"),
        ([str(video), "--opacity", "0", *out], "--opacity 0"),
        ([str(video), "--model", "nobody", *out], "no face model"),
        ([str(video), "--out", str(video)], "is the video itself"),
        ([str(video), "--moments", "0", *out], "--moments 0"),
        ([str(video), "--out", str(tmp_path / "o.avi")], ".mp4"),
        ([str(video), "--out", str(tmp_path / "missing" / "o.mp4")], "no folder"),
    ):
        assert main(["coeffs", "overlay", *arguments]) == 2, said
        error = capsys.readouterr().err.splitlines()
        assert said in error[-1]
    assert not (tmp_path / "o.mp4").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grey.mp4", "sound.wav", "words.txt"]


def test_another_model_is_fitted_to_the_stored_landmarks(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Random landmarks: the stored coefficients are others than those of a fit, so the pictures differ."""
    save_model(load_model("mp468"), tmp_path / "own.npz")
    clip, written = read_clips(dataset)[0].clip_id, []
    for number, more in enumerate(([], ["--model", "mp468"], ["--model", str(tmp_path / "own.npz")])):
        out = tmp_path / f"{number}.png"
        assert main(["coeffs", "overlay", str(dataset), "--clip", clip, *more, "--out", str(out)]) == 0
        written.append(out.read_bytes())
    assert written[0] == written[1] != written[2]
