import importlib
from pathlib import Path

import numpy as np
import pytest
from skimage import data, io

from benchmark.cli import main
from chdtf.clip import read_clips
from chdtf.media import encode_audio, frames, probe, read_frames, read_waveform, write_video
from chdtf.morphable.coefficients import Coefficients, landmarks_of
from chdtf.morphable.exchange.camera import bfm_from_fit
from chdtf.morphable.exchange.clips import FittedClip
from chdtf.morphable.exchange.files import read_bfm, write_bfm
from chdtf.morphable.exchange.fitted import write_fitted
from chdtf.morphable.fitting import fit_clip
from chdtf.morphable.model import load_model, save_model
from chdtf.morphable.models import bfm

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


@pytest.fixture(scope="module")
def planted() -> Coefficients:
    """40 frames of a talking, blinking face of mp468, in the middle of 256 px."""
    model = load_model("mp468")
    time_s = np.arange(40) / 25
    expression = np.zeros((40, 64))
    for k in range(16):
        expression[:, k] = 1.5 * np.sin(2 * np.pi * (0.6 + 0.3 * k) * time_s + k)
    turn = 0.2 * np.sin(2 * np.pi * 0.8 * time_s)
    return Coefficients(
        identity=model.mean,
        expression=expression,
        rotation=np.column_stack([0 * turn, turn, 0 * turn]),
        translation=np.tile([128, 128, 0], (40, 1)),
        scale=np.full(40, 90.0),
        valid=np.ones(40, bool),
    )


@pytest.fixture
def grey(planted: Coefficients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A video of 40 grey frames, in which the planted face is tracked."""
    points = landmarks_of(planted, load_model("mp468"))
    tracked = np.concatenate([points, points[:, :10]], axis=1)
    monkeypatch.setattr("chdtf.faces.track_landmarks", lambda images: tracked[: sum(1 for _ in images)])
    write_video(tmp_path / "talk.mp4", [np.full((256, 256, 3), 128, np.uint8)] * 40)
    return tmp_path / "talk.mp4"


@pytest.fixture
def bfm_file(planted: Coefficients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The planted face in the coefficients of a small handmade bfm, as a .mat that begins with its third frame."""
    with monkeypatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2] / "chdtf/morphable/models")
        handmade = importlib.import_module("handmade_bfm")
    handmade.write_front(tmp_path / "BFM_model_front.mat")
    model = bfm.load(tmp_path / "BFM_model_front.mat", handmade.SMALL)
    found = bfm_from_fit(fit_clip(landmarks_of(planted, load_model("mp468")), model), model)
    cut = found.replace(**{name: array[2:] for name, array in found.parts.items()}, valid=found.valid[2:])
    write_bfm(tmp_path / "talk.mat", cut.with_zero_appearance())
    monkeypatch.setattr("chdtf.morphable.model.load_model", lambda name: model if name == "bfm" else load_model(name))
    return tmp_path / "talk.mat"


def test_a_coefficient_file_is_drawn_where_it_belongs(grey: Path, bfm_file: Path, capsys: pytest.CaptureFixture[str]):
    """The two frames that it lacks are found, told and left without a mesh; given wrongly, the distance grows."""
    out = ["--alone", "--out", str(grey.with_name("o.mp4"))]
    assert main(["coeffs", "overlay", str(grey), "--coefficients", str(bfm_file), *out]) == 0
    said = capsys.readouterr().out
    assert "its first frame is frame 2 of the video" in said
    assert "no coefficients in 2 of them" in said
    distance = float(said.split("landmarks ")[1].split()[0])
    assert distance < 1.0
    drawn = np.abs(read_frames(grey.with_name("o.mp4")).astype(int) - 128).max(3)[:, 40:] > 30
    assert drawn.any(axis=(1, 2)).tolist() == [False] * 2 + [True] * 38
    assert main(["coeffs", "overlay", str(grey), "--coefficients", str(bfm_file), "--first-frame", "-2", *out]) == 0
    said = capsys.readouterr().out
    assert "its first frame" not in said
    assert float(said.split("landmarks ")[1].split()[0]) > 2 * distance


def test_a_fit_is_drawn_on_larger_frames(
    grey: Path, planted: Coefficients, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Its pixels are those of the video, however large the frames are drawn."""
    model = load_model("mp468")
    write_fitted(
        tmp_path / "f.parquet", [FittedClip(name, planted, 25.0, "mp468", model.hash) for name in ("talk", "b")]
    )
    for side, error in ((1280, "0.00 px"), (128, " px")):
        out = ["--longest-side", str(side), "--alone", "--out", str(tmp_path / f"{side}.png")]
        assert main(["coeffs", "overlay", str(grey), "--coefficients", str(tmp_path / "f.parquet"), *out]) == 0
        assert error in capsys.readouterr().out
    large, small = (io.imread(tmp_path / f"{side}.png").astype(int) for side in (1280, 128))
    assert np.abs(large[::2, ::2] - small).mean() < 3


def test_files_that_do_not_belong_to_the_video_are_refused(
    grey: Path, bfm_file: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    held = read_bfm(bfm_file)
    rng = np.random.default_rng(0)
    other = held.replace(expression=rng.normal(size=held.expression.shape).astype(np.float32))
    write_bfm(tmp_path / "other.mat", other)
    short = held.replace(**{name: array[:20] for name, array in held.parts.items()}, valid=held.valid[:20])
    write_bfm(tmp_path / "short.mat", short)
    write_bfm(tmp_path / "motion.npy", held)
    wide = held.transform_params
    assert wide is not None
    write_bfm(tmp_path / "wide.mat", held.replace(transform_params=wide * [1, 2, 1, 1, 1]))
    model = load_model("mp468")
    fits = [FittedClip(name, short_fit(20), 25.0, "mp468", model.hash) for name in "ab"]
    write_fitted(tmp_path / "two.parquet", fits)
    for arguments, said in (
        (["--coefficients", str(tmp_path / "none.mat")], "none.mat: no such file"),
        (["--coefficients", str(tmp_path / "other.mat")], "does not follow mouth and eyes"),
        (["--coefficients", str(tmp_path / "short.mat")], "20 frames, "),
        (["--coefficients", str(tmp_path / "motion.npy")], "clip motion: a pose in the frame needs transform_params"),
        (["--coefficients", str(tmp_path / "wide.mat")], "of frames of 256 x 512 px, the video's have 256 x 256"),
        (["--coefficients", str(tmp_path / "two.parquet")], "choose one with --clip: a, b"),
        (["--coefficients", str(tmp_path / "two.parquet"), "--clip", "a"], "clip a has 20 frames"),
        (["--coefficients", str(bfm_file), "--first-frame", "40"], "--first-frame 40"),
        (["--coefficients", str(bfm_file), "--model", "mp468"], "80 and 64"),
        (["--first-frame", "2"], "--first-frame 2"),
    ):
        assert main(["coeffs", "overlay", str(grey), *arguments, "--out", str(tmp_path / "o.mp4")]) == 2, said
        error = capsys.readouterr().err.splitlines()
        assert said in error[-1]
    assert main(["coeffs", "overlay", str(dataset), "--coefficients", str(bfm_file), "--out", "o.mp4"]) == 2
    assert "is a dataset, whose clips have their own coefficients" in capsys.readouterr().err
    assert not (tmp_path / "o.mp4").exists()


def short_fit(frames: int) -> Coefficients:
    """A face at rest."""
    return Coefficients(
        identity=load_model("mp468").mean,
        expression=np.zeros((frames, 64)),
        rotation=np.zeros((frames, 3)),
        translation=np.full((frames, 3), 128.0),
        scale=np.full(frames, 90.0),
        valid=np.ones(frames, bool),
    )


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
        ([str(video), "--clip", "a", *out], "only datasets and --coefficients have clips"),
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
