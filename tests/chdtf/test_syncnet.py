"""SyncNet's scoring against syncnet-python's own, on generated weights; its own weights are not needed for that."""

import contextlib
import hashlib
import io
import os
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import python_speech_features
import torch
from scipy.signal import medfilt
from syncnet_python import SyncNetInstance, SyncNetModel, SyncNetPipeline
from syncnet_python.syncnet_pipeline import PipelineConfig

from chdtf import media, syncnet, weights
from chdtf.schema import SAMPLES_PER_FRAME

original = sys.modules["syncnet_python.SyncNetInstance"]


@pytest.fixture(scope="module")
def network() -> Any:
    """syncnet-python's network with random weights and batch norms; its features are of a trained net's size."""
    torch.manual_seed(0)
    made = SyncNetModel()
    for module in made.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        made.netcnnlip[0].weight /= 128.0  # frames are 0-255
        made.netcnnaud[0].weight /= 10.0  # cepstra
    return made.eval()


@pytest.fixture(scope="module")
def weights_file(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "syncnet_v2.model"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def fast(weights_file: Path) -> Any:
    return syncnet.load_syncnet(weights_file)


def sound(num_frames: float, seed: int = 0) -> np.ndarray:
    """Noise whose loudness changes from frame to frame, float32 in [-1, 1], of 16-bit levels."""
    random = np.random.default_rng(seed)
    loudness = np.repeat(np.exp(random.uniform(-6, -1, int(num_frames) + 1)), SAMPLES_PER_FRAME)
    noise = (loudness * random.uniform(-1, 1, len(loudness)))[: round(num_frames * SAMPLES_PER_FRAME)]
    return (np.round(noise * 32768) / 32768).astype(np.float32)


def pictures(num_frames: int, seed: int = 0) -> np.ndarray:
    """Patterns of random colours, another in each frame; red is brighter than blue."""
    small = np.random.default_rng(seed).integers(0, 256, (num_frames, 14, 14, 3)) // [1, 2, 3]
    return np.stack([cv2.resize(image.astype(np.uint8), (224, 224)) for image in small])


def pcm(waveform: np.ndarray) -> np.ndarray:
    return np.clip(np.round(waveform.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)


def write_wav(path: Path, waveform: np.ndarray) -> None:
    with wave.open(str(path), "wb") as sink:
        sink.setparams((1, 2, 16_000, 0, "NONE", ""))
        sink.writeframes(pcm(waveform).tobytes())


def by_original(
    network: Any, crops: np.ndarray, waveform: np.ndarray, folder: Path, vshift: int = 15
) -> tuple[tuple[int, float, float], np.ndarray]:
    """(offset, confidence, distance) of SyncNetInstance.evaluate, and its distances (N, 2 vshift + 1)."""
    folder.mkdir(exist_ok=True)
    for number, crop in enumerate(crops):  # lossless, under the names that it looks for
        (folder / f"{number:06d}.jpg").write_bytes(cv2.imencode(".png", crop[..., ::-1])[1].tobytes())
    write_wav(folder / "audio.wav", waveform)
    return evaluated(network, folder, vshift)


def evaluated(network: Any, folder: Path, vshift: int) -> tuple[tuple[int, float, float], np.ndarray]:
    kept: list[np.ndarray] = []

    def watched(*arguments: Any, **options: Any) -> Any:
        distances = plain(*arguments, **options)
        kept.append(torch.stack(distances).numpy())
        return distances

    plain = original.calc_pdist
    options = SimpleNamespace(tmp_dir=str(folder), batch_size=20, vshift=vshift)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(original, "calc_pdist", watched)
        found = SyncNetInstance(network, device="cpu").evaluate(options)
    return found, kept[0]


def compare(found: np.ndarray, expected: np.ndarray, numbers: tuple[int, float, float]) -> None:
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)
    score = syncnet.score(found)
    assert score.offset_frames == numbers[0]
    assert score.confidence == pytest.approx(numbers[1], abs=1e-4)
    assert score.distance == pytest.approx(numbers[2], abs=1e-4)


CLIPS: dict[str, tuple[int, Callable[[], np.ndarray]]] = {
    "as long as each other": (14, lambda: sound(14)),
    "8 frames": (8, lambda: sound(8)),
    "15 + 5 frames": (20, lambda: sound(20)),
    "more sound": (9, lambda: sound(23.7)),
    "more pictures": (12, lambda: sound(8.99)),
    "silence": (9, lambda: np.zeros(9 * SAMPLES_PER_FRAME, np.float32)),
    "clipping": (9, lambda: sound(9) * 8),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:kernel_size exceeds volume extent")  # of the confidence per frame that it prints
@pytest.mark.parametrize("name", CLIPS)
def test_every_distance_is_that_of_syncnet_python(name: str, network: Any, fast: Any, tmp_path: Path) -> None:
    num_frames, make = CLIPS[name]
    crops, waveform = pictures(num_frames), make()
    numbers, expected = by_original(network, crops, waveform, tmp_path)
    lips, sounds = syncnet.embed(fast, crops, waveform)
    assert lips.shape == sounds.shape == (len(expected), 1024)
    assert expected.min() > 1  # the generated weights say something
    compare(syncnet.shifted_distances(lips, sounds, 15), expected, numbers)
    if name == "8 frames":
        plain = syncnet.shifted_distances(*syncnet.embed(network, crops, waveform), 15)
        np.testing.assert_allclose(plain, expected, atol=1e-4, rtol=0)
        for wrong in (crops[..., ::-1], crops // 2):  # the agreement would notice other channels or another scale
            lips, sounds = syncnet.embed(fast, wrong, waveform)
            assert np.abs(syncnet.shifted_distances(lips, sounds, 15) - expected).max() > 1


@pytest.mark.slow
def test_the_pipeline_class_agrees_on_the_crops_that_it_cuts(
    network: Any, fast: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ffmpeg steps, tracker and cropping run; only its detector is replaced by one that knows where the face is."""
    import imageio_ffmpeg

    (tmp_path / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    small = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8), (0, 0), 2)
    wide = cv2.resize(cv2.normalize(small, None, 0, 255, cv2.NORM_MINMAX), (256, 256))
    frames = np.stack([np.roll(wide, 2 * i, axis=1) for i in range(24)])
    boxes = np.stack([[70 + i / 2, 60, 190 + i / 2, 170, 0.99] for i in range(30)])  # ffmpeg may add a frame
    media.write_video(tmp_path / "in.mp4", frames, None)  # with AAC inside, ffmpeg would begin with doubled frames
    write_wav(tmp_path / "in.wav", sound(len(frames)))
    told = iter(boxes)
    pipeline: Any = SyncNetPipeline.__new__(SyncNetPipeline)
    pipeline.cfg = PipelineConfig(min_track=15)
    pipeline.s3fd = SimpleNamespace(detect_faces=lambda image, conf_th, scales: next(told)[None])
    pipeline.syncnet = SyncNetInstance(network, device="cpu")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        offsets, confidences, distances, *_, found_face = pipeline.inference(
            str(tmp_path / "in.mp4"), str(tmp_path / "in.wav"), cache_dir=str(tmp_path / "work")
        )
    assert found_face
    assert len(offsets) == 1
    folder = tmp_path / "work" / "cropped" / "crop_00000"
    cut = np.stack([cv2.imread(str(path))[..., ::-1] for path in sorted(folder.glob("*.jpg"))])
    with wave.open(str(folder / "audio.wav")) as source:
        samples = np.frombuffer(source.readframes(source.getnframes()), np.int16)
    lips, sounds = syncnet.embed(fast, cut, (samples / 32768).astype(np.float32))
    score = syncnet.score(syncnet.shifted_distances(lips, sounds, 15))
    assert score.offset_frames == offsets[0]
    assert score.confidence == pytest.approx(confidences[0], abs=1e-4)
    assert score.distance == pytest.approx(distances[0], abs=1e-4)
    # and the crops are those that are cut here, but for three lossy encodings
    own = syncnet.box_crops(frames, boxes[: len(frames), :4])
    cut = cut[: len(own)]
    error = np.abs(own.astype(float) - cut)
    assert error.mean() < 4
    assert np.abs(np.roll(own, 2, axis=2).astype(float) - cut).mean() > 1.5 * error.mean()


def test_example_avi_gives_the_published_numbers(shared: Path) -> None:
    """README of joonson/syncnet_python: offset 3, distance 5.353, confidence 10.021."""
    path = weights.find("syncnet_v2")
    if path is None:
        pytest.skip(f"needs syncnet_v2.model in {weights.folder()}: run disentbench weights fetch syncnet_v2")
    example = shared / "data" / "sync" / "example.avi"
    waveform = media.read_waveform(example)
    assert waveform is not None
    lips, sounds = syncnet.embed(syncnet.load_syncnet(path), np.stack(list(media.frames(example, 25))), waveform)
    score = syncnet.score(syncnet.shifted_distances(lips, sounds, 15))
    assert score.offset_frames == 3
    assert score.distance == pytest.approx(5.353, abs=0.1)
    assert score.confidence == pytest.approx(10.021, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("early_frames", [-3, 5])
def test_distances_of_the_network_move_with_the_sound(fast: Any, early_frames: int) -> None:
    """Sound that is early by k frames has, at shift j, the distances that it had at j + k."""
    crops, waveform = pictures(26), sound(26)
    before = syncnet.shifted_distances(*syncnet.embed(fast, crops, waveform), 15)
    moved = syncnet.embed(fast, crops, np.roll(waveform, -early_frames * SAMPLES_PER_FRAME))
    after = syncnet.shifted_distances(*moved, 15)
    compared = 0
    for i in range(len(after)):
        for j in range(31):
            k = j + early_frames
            # sound window i + j - 15 of one is i + k - 15 of the other, where neither wraps round or is padding
            if 0 <= k < 31 and 1 <= i + j - 15 < len(after) - 6 and 1 <= i + k - 15 < len(after) - 6:
                assert after[i, j] == pytest.approx(before[i, k], abs=1e-4)
                compared += 1
    assert compared > 50
    assert before.std(axis=1).min() > 0.1


def test_order_threads_and_processes_change_no_bit(weights_file: Path, fast: Any) -> None:
    clips = [(pictures(n, n), sound(n, n)) for n in (9, 12)]

    def digests() -> list[str]:
        return [hashlib.sha256(b"".join(f.tobytes() for f in syncnet.embed(fast, *clip))).hexdigest() for clip in clips]

    before = torch.get_num_threads()
    first = digests()
    torch.set_num_threads(2)
    try:
        clips.reverse()
        assert digests() == first[::-1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    script = (
        "import hashlib, sys; from pathlib import Path; import numpy as np; from chdtf import syncnet\n"
        "clip = np.load(sys.argv[2]); found = syncnet.embed(syncnet.load_syncnet(Path(sys.argv[1])), *clip.values())\n"
        "sys.stdout.write(hashlib.sha256(b''.join(f.tobytes() for f in found)).hexdigest())"
    )
    file = weights_file.with_name("clip.npz")
    np.savez(file, crops=clips[0][0], waveform=clips[0][1])
    command = [sys.executable, "-c", script, str(weights_file), str(file)]
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert said == first[1]


@pytest.mark.parametrize(("count", "vshift"), [(1, 15), (7, 15), (40, 15), (40, 3)])
def test_zeros_beyond_the_ends_as_in_syncnet_python(count: int, vshift: int) -> None:
    lips, sounds = np.random.default_rng(count).standard_normal((2, count, 64)).astype(np.float32) * 5
    expected = torch.stack(original.calc_pdist(torch.from_numpy(lips), torch.from_numpy(sounds), vshift)).numpy()
    found = syncnet.shifted_distances(lips, sounds, vshift)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(found[0, 0], np.linalg.norm(lips[0] + 1e-6), atol=1e-4)  # no sound there: a zero vector


MEAN_LEVEL = 130  # the zeros beyond the ends must not be nearer or farther than other sound


class LoudnessEncoder:
    """Features are the loudness of the five frames: read from the cepstra, and from the brightness of the lips."""

    def forward_lip(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1:] == (3, 5, 224, 224)
        return x.mean(dim=(1, 3, 4)) - MEAN_LEVEL

    def forward_aud(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1:] == (1, 13, 20)
        return 10 * x[:, 0, 0].reshape(-1, 5, 4).mean(dim=2) - MEAN_LEVEL


def lit_by(waveform: np.ndarray) -> np.ndarray:
    """Frames as bright as the sound is loud."""
    energy = syncnet.mfcc(waveform)[0][: 4 * (len(waveform) // SAMPLES_PER_FRAME)]
    energy = np.pad(energy, (0, -len(energy) % 4), mode="edge").reshape(-1, 4).mean(axis=1)
    level = np.clip(np.round(10 * energy), 0, 255).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (len(level), 224, 224, 3))


@pytest.mark.parametrize("early_frames", [-11, -4, 0, 1, 7, 14])
def test_sound_that_is_early_by_k_frames_gives_offset_k(early_frames: int) -> None:
    waveform = sound(80)
    crops = lit_by(waveform)
    shifted = np.roll(waveform, -early_frames * SAMPLES_PER_FRAME)
    found = syncnet.score(syncnet.shifted_distances(*syncnet.embed(LoudnessEncoder(), crops, shifted), 15))
    assert found.offset_frames == early_frames
    assert found.confidence > 5


def test_score_is_median_and_minimum_of_the_means() -> None:
    distances = np.full((4, 31), 9.0)
    distances[:, :15] = 11.0
    distances[:, 20] = [3, 5, 4, 4]
    assert syncnet.score(distances) == syncnet.SyncScore(confidence=5.0, distance=4.0, offset_frames=-5)


def test_frames_are_bgr_and_windows_the_originals() -> None:
    seen = {}

    class Spy(LoudnessEncoder):
        def forward_lip(self, x: torch.Tensor) -> torch.Tensor:
            seen["lips"] = x
            return super().forward_lip(x)

        def forward_aud(self, x: torch.Tensor) -> torch.Tensor:
            seen["speech"] = x
            return super().forward_aud(x)

    red = np.zeros((10, 224, 224, 3), np.uint8)
    red[..., 0] = 200
    red[7] = 30
    syncnet.embed(Spy(), red, sound(10))
    assert seen["lips"][0, :, 0, 0, 0].tolist() == [0, 0, 200]
    assert seen["lips"][4, :, 3, 0, 0].tolist() == [30, 30, 30]
    assert seen["speech"].shape == (5, 1, 13, 20)  # of ten frames; the original leaves out the last window that fits
    np.testing.assert_allclose(seen["speech"][2, 0], syncnet.mfcc(sound(10))[:, 8:28])


def test_samples_are_16_bit() -> None:
    """On samples in [-1, 1] the energy coefficient is 20.8 lower, and nothing says so."""
    waveform = sound(10)
    expected = python_speech_features.mfcc(pcm(waveform), 16_000).T
    np.testing.assert_array_equal(syncnet.mfcc(waveform), expected.astype(np.float32))
    wrong = python_speech_features.mfcc(waveform, 16_000).T
    np.testing.assert_allclose((expected - wrong)[0], np.log(32768.0**2), atol=0.1)
    np.testing.assert_array_equal(syncnet.mfcc(np.float32([1.5, -1.5] * 400)), syncnet.mfcc(np.float32([1, -1] * 400)))


def test_windows_of_unequal_lengths() -> None:
    assert syncnet.num_windows(100, 100 * 640) == 95
    assert syncnet.num_windows(100, 90 * 640 + 639) == 85
    assert syncnet.num_windows(3, 640) == -4
    with pytest.raises(ValueError, match="too_short: 5 frames and 64000 samples give no window"):
        syncnet.embed(LoudnessEncoder(), pictures(5), np.zeros(64_000, np.float32))


def test_crop_geometry_of_the_original_pipeline() -> None:
    """Box 80-160 x 60-140, s = 40: rows 60 to 172, columns 64 to 176, scaled by two to 224."""
    landmarks = np.zeros((13, 4, 3), np.float32)
    landmarks[:, :, :2] = [(80, 60), (160, 60), (160, 140), (80, 140)]
    frames = np.zeros((13, 256, 256, 3), np.uint8)
    frames[:, 60:172, 64:176] = 90
    crops = syncnet.face_crops(frames, landmarks)
    assert crops.shape == (13, 224, 224, 3)
    assert (crops[6] == 90).all()
    np.testing.assert_array_equal(crops, syncnet.box_crops(frames, np.tile([80.0, 60, 160, 140], (13, 1))))
    frames[:, 116, 120] = 250  # the middle of the crop
    bright = np.argwhere(syncnet.face_crops(frames, landmarks)[6, :, :, 0] > 90)
    assert np.abs(bright.mean(axis=0) - 112.5).max() < 1.5


def test_boxes_are_median_filtered_over_13_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box that jumps for six frames is not followed; scipy.signal.medfilt, as the original calls it, agrees."""
    boxes = np.tile([80.0, 60, 160, 140], (40, 1))
    boxes[20:26] += 40
    frames = np.random.default_rng(0).integers(0, 256, (40, 256, 256, 3), dtype=np.uint8)
    still = np.tile(boxes[:1], (40, 1))
    np.testing.assert_array_equal(syncnet.box_crops(frames, boxes)[10:30], syncnet.box_crops(frames, still)[10:30])
    seen = []
    monkeypatch.setattr("scipy.ndimage.median_filter", lambda v, *_, **__: (seen.append(v), medfilt(v, 13))[1])
    by_medfilt = syncnet.box_crops(frames, boxes)
    monkeypatch.undo()
    assert len(seen) == 3
    np.testing.assert_array_equal(syncnet.box_crops(frames, boxes), by_medfilt)


def test_crops_beyond_the_frame_are_grey() -> None:
    landmarks = np.zeros((13, 4, 3), np.float32)
    landmarks[:, :, :2] = [(180, 180), (250, 180), (250, 250), (180, 250)]
    crop = syncnet.face_crops(np.zeros((13, 256, 256, 3), np.uint8), landmarks)[6]
    assert crop[0, 0].tolist() == [0, 0, 0]
    assert crop[-1, -1].tolist() == [110, 110, 110]
