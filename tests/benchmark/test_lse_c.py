"""LSE-C with generated weights and with fake encoders: SyncNet's own weights are not needed for any of this."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from scipy.io import wavfile
from syncnet_python import SyncNetInstance
from syncnet_python.SyncNetInstance import calc_pdist

from benchmark.footage import Footage, Unscored
from benchmark.metrics.lse_c import Metric
from chdtf import syncnet, weights
from chdtf.schema import SAMPLES_PER_FRAME
from chdtf.syncnet import load_syncnet

NUM_FRAMES = 15


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SyncNet with random weights, saved and loaded like the real file; its features are of a trained net's size."""
    from syncnet_python import SyncNetModel

    torch.manual_seed(0)
    made = SyncNetModel()
    for module in made.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
    with torch.no_grad():
        made.netcnnlip[0].weight /= 128.0  # frames are 0-255
        made.netcnnaud[0].weight /= 10.0  # cepstra
    path = tmp_path_factory.mktemp("weights") / "syncnet_v2.model"
    torch.save(made.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def network(weights_file: Path) -> Any:
    return load_syncnet(weights_file)


def sound(num_frames: int, seed: int = 0) -> np.ndarray:
    """Noise whose loudness changes from frame to frame, float32 in [-1, 1]."""
    random = np.random.default_rng(seed)
    loudness = np.repeat(np.exp(random.uniform(-6, -1, num_frames)), SAMPLES_PER_FRAME)
    return (loudness * random.uniform(-1, 1, len(loudness))).astype(np.float32)


def pictures(num_frames: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (num_frames, 14, 14, 3), dtype=np.uint8)
    return np.stack([cv2.resize(image, (224, 224), interpolation=cv2.INTER_NEAREST) for image in small])


@pytest.mark.slow
def test_offset_confidence_and_distance_equal_syncnet_python(network: Any, tmp_path: Path):
    crops, waveform = pictures(NUM_FRAMES), sound(NUM_FRAMES)
    for number, crop in enumerate(crops):  # lossless, under the names that it looks for
        _, png = cv2.imencode(".png", crop[..., ::-1])
        (tmp_path / f"{number:06d}.jpg").write_bytes(png.tobytes())
    wavfile.write(tmp_path / "audio.wav", 16_000, np.round(waveform * 32768).astype(np.int16))
    options = SimpleNamespace(tmp_dir=str(tmp_path), batch_size=20, vshift=15)
    with contextlib.redirect_stdout(io.StringIO()):
        offset, confidence, distance = SyncNetInstance(network, device="cpu").evaluate(options)
    lips, sounds = syncnet.embed(network, crops, waveform)
    assert lips.shape == sounds.shape == (NUM_FRAMES - 5, 1024)
    found = syncnet.score(syncnet.shifted_distances(lips, sounds, 15))
    assert distance > 1  # the generated weights say something
    assert confidence > 0.1
    assert found.offset_frames == offset
    assert found.confidence == pytest.approx(confidence, abs=1e-4)
    assert found.distance == pytest.approx(distance, abs=1e-4)


@pytest.mark.parametrize(("count", "vshift"), [(1, 15), (7, 15), (40, 15), (40, 3)])
def test_every_distance_equals_syncnet_python(count: int, vshift: int):
    lips, sounds = np.random.default_rng(count).standard_normal((2, count, 64)).astype(np.float32) * 5
    expected = torch.stack(calc_pdist(torch.from_numpy(lips), torch.from_numpy(sounds), vshift)).numpy()
    np.testing.assert_allclose(syncnet.shifted_distances(lips, sounds, vshift), expected, atol=1e-4)


MEAN_LEVEL = 130  # the zeros beyond the ends must not be nearer or farther than other sound


class LoudnessEncoder:
    """Features are the loudness of the five frames: read from the cepstra, and from the brightness of the lips."""

    def forward_lip(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1:] == (3, 5, 224, 224)
        return x.mean(dim=(1, 3, 4)) - MEAN_LEVEL

    def forward_aud(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1:] == (1, 13, 20)
        return brightness(x[:, 0, 0].reshape(-1, 5, 4).mean(dim=2)) - MEAN_LEVEL


def brightness(energy: Any):
    return 10 * energy


def lit_by(waveform: np.ndarray) -> np.ndarray:
    """Frames as bright as the sound is loud."""
    energy = syncnet.mfcc(waveform)[0][: 4 * (len(waveform) // SAMPLES_PER_FRAME) // 4 * 4]
    energy = np.pad(energy, (0, -len(energy) % 4), mode="edge").reshape(-1, 4).mean(axis=1)
    level = np.clip(np.round(brightness(energy)), 0, 255).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (len(level), 224, 224, 3))


@pytest.mark.parametrize("shift_frames", [-11, -4, 0, 1, 7, 14])
def test_sound_that_is_early_by_k_frames_gives_offset_k(shift_frames: int):
    waveform = sound(80)
    crops = lit_by(waveform)
    shifted = np.roll(waveform, -shift_frames * SAMPLES_PER_FRAME)
    lips, sounds = syncnet.embed(LoudnessEncoder(), crops, shifted)
    found = syncnet.score(syncnet.shifted_distances(lips, sounds, 15))
    assert found.offset_frames == shift_frames
    assert found.confidence > 5


def test_frames_are_bgr_and_samples_16_bit():
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
    syncnet.embed(Spy(), red, sound(10))
    assert seen["lips"][0, :, 0, 0, 0].tolist() == [0, 0, 200]
    assert seen["speech"].shape == (5, 1, 13, 20)  # of ten frames; the original leaves out the last window that fits
    np.testing.assert_allclose(seen["speech"][2, 0], syncnet.mfcc(sound(10))[:, 8:28])
    quiet, loud = syncnet.mfcc(sound(10) / 2)[0], syncnet.mfcc(sound(10))[0]
    np.testing.assert_allclose((loud - quiet)[4:-4], np.log(4), atol=0.1)
    assert loud.max() > 10  # log energy of 16-bit samples; of samples in [-1, 1] it would be negative


def test_windows_of_unequal_lengths():
    assert syncnet.num_windows(100, 100 * 640) == 95
    assert syncnet.num_windows(100, 90 * 640 + 639) == 85
    assert syncnet.num_windows(3, 640) == -4


def test_crop_geometry_of_the_original_pipeline():
    """Box 80-160 x 60-140, s = 40: rows 60 to 172, columns 64 to 176, scaled by two to 224."""
    landmarks = np.zeros((13, 4, 3), np.float32)
    landmarks[:, :, :2] = [(80, 60), (160, 60), (160, 140), (80, 140)]
    frames = np.zeros((13, 256, 256, 3), np.uint8)
    frames[:, 60:172, 64:176] = 90
    crops = syncnet.face_crops(frames, landmarks)
    assert crops.shape == (13, 224, 224, 3)
    assert (crops[6] == 90).all()
    frames[:, 116, 120] = 250  # the middle of the crop
    bright = np.argwhere(syncnet.face_crops(frames, landmarks)[6, :, :, 0] > 90)
    assert np.abs(bright.mean(axis=0) - 112.5).max() < 1.5


def test_crops_beyond_the_frame_are_grey():
    landmarks = np.zeros((13, 4, 3), np.float32)
    landmarks[:, :, :2] = [(180, 180), (250, 180), (250, 250), (180, 250)]
    crop = syncnet.face_crops(np.zeros((13, 256, 256, 3), np.uint8), landmarks)[6]
    assert crop[0, 0].tolist() == [0, 0, 0]
    assert crop[-1, -1].tolist() == [110, 110, 110]


def test_measure_fills_short_gaps_and_refuses_long_ones(footage: Callable[..., Footage]):
    waveform = sound(60)
    landmarks = np.random.default_rng(0).uniform(60, 200, (60, 478, 3))
    frames = np.zeros((60, 256, 256, 3), np.uint8)
    landmarks[[0, 20, 21, 59]] = np.nan
    values = Metric().measure(footage(frames, waveform, landmarks), None, LoudnessEncoder())
    assert values.shape == (1, 3)
    assert np.isfinite(values).all()
    assert set(Metric().details(values)) == {"lse_d", "offset_frames"}
    landmarks[10:36] = np.nan
    with pytest.raises(Unscored, match="no_face: missing in 26 frames in a row"):
        Metric().measure(footage(frames, waveform, landmarks), None, LoudnessEncoder())


def test_measure_refuses_what_is_too_short_or_mute(footage: Callable[..., Footage]):
    frames = np.zeros((20, 256, 256, 3), np.uint8)
    landmarks = np.ones((20, 478, 3))
    with pytest.raises(Unscored, match="too_short: 20 frames and 12800 samples give 15 windows"):
        Metric().measure(footage(frames, sound(20), landmarks), None, LoudnessEncoder())
    with pytest.raises(Unscored, match="no_audio"):
        Metric().measure(footage(frames, None, landmarks), None, LoudnessEncoder())


def test_whole_frames_when_told_so(footage: Callable[..., Footage]):
    values = Metric(crop="none").measure(footage(lit_by(sound(40)), sound(40)), None, LoudnessEncoder())
    assert values[0, 2] == 0


@pytest.mark.slow
def test_with_weights_a_face_is_tracked_cropped_and_scored(
    weights_file: Path, photo: np.ndarray, footage: Callable[..., Footage], monkeypatch: pytest.MonkeyPatch
):
    entry = weights.WEIGHTS["syncnet_v2"]
    monkeypatch.setattr(weights, "check", lambda name: weights.WeightsStatus(entry, weights_file, "ok"))
    clip = footage(np.stack([np.roll(photo, shift, axis=1) for shift in range(22)]), sound(22))
    confidence, distance, offset = Metric().measure(clip, None, Metric().load())[0]
    assert confidence > 0
    assert distance > 0
    assert -15 <= offset <= 15


def test_without_weights_it_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(Unscored) as caught:
        Metric().load()
    assert caught.value.reason == "weights_missing: syncnet_v2.model; run: disentbench weights fetch syncnet_v2"
    (tmp_path / weights.WEIGHTS["syncnet_v2"].filename).write_bytes(b"not it")
    with pytest.raises(Unscored, match=r"weights_mismatch: syncnet_v2\.model: sha256 is .{64}, expected 961e8696"):
        Metric().load()


def test_a_set_with_an_unscored_clip_has_no_value():
    assert Metric.all_or_none
