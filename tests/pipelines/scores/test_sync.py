"""Offset and confidence on the finished clip: the planted offset with its sign, and the metric's own numbers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from chdtf import syncnet
from chdtf.schema import SAMPLES_PER_FRAME
from pipelines.scores.footage import Footage
from pipelines.scores.sync import VSHIFT, av_sync, scores


class Loudness:
    """Features are the loudness of five frames: read from the cepstra, and from the brightness of the lips."""

    def forward_lip(self, x: Any) -> Any:
        return x.mean(dim=(1, 3, 4)) - 130

    def forward_aud(self, x: Any) -> Any:
        return 10 * x[:, 0, 0].reshape(-1, 5, 4).mean(dim=2) - 130


@pytest.fixture(scope="module")
def lit() -> tuple[np.ndarray, np.ndarray]:
    """(80, 224, 224, 3) crops as bright as the sound is loud, and the sound."""
    random = np.random.default_rng(0)
    loudness = np.repeat(np.exp(random.uniform(-6, -1, 80)), SAMPLES_PER_FRAME)
    wave = (loudness * random.uniform(-1, 1, len(loudness))).astype(np.float32)
    energy = np.pad(syncnet.mfcc(wave)[0], (0, 320), mode="edge")[:320].reshape(80, 4).mean(axis=1)
    level = np.clip(np.round(10 * energy), 0, 255).astype(np.uint8)
    return np.broadcast_to(level[:, None, None, None], (80, 224, 224, 3)), wave


@pytest.mark.parametrize("early_frames", [-9, 0, 4])
def test_sound_that_is_early_has_a_positive_offset(lit: tuple[np.ndarray, np.ndarray], early_frames: int) -> None:
    crops, wave = lit
    found = av_sync(Loudness(), crops, np.roll(wave, -early_frames * SAMPLES_PER_FRAME))
    assert found.offset_frames == early_frames
    assert found.confidence > 5


def test_with_generated_weights_it_is_the_metrics_computation(tmp_path: Any) -> None:
    from syncnet_python import SyncNetModel

    from benchmark.metrics.lse_c import Metric

    torch.manual_seed(0)
    made = SyncNetModel()
    for module in made.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
    torch.save(made.state_dict(), tmp_path / "syncnet.model")
    network = syncnet.load_syncnet(tmp_path / "syncnet.model")
    random = np.random.default_rng(1)
    frames = random.integers(0, 256, (22, 256, 256, 3), dtype=np.uint8)
    landmarks = np.tile(random.uniform(60, 200, (1, 478, 3)), (22, 1, 1))
    landmarks[5] = np.nan
    wave = random.uniform(-0.5, 0.5, 22 * SAMPLES_PER_FRAME).astype(np.float32)
    found = scores(network, Footage(frames, landmarks, wave, np.ones(22, bool)))
    same: Any = SimpleNamespace(frames=frames, waveform=wave, landmarks=landmarks, num_frames=22)
    same.once = lambda name, compute: compute()
    confidence, _, offset = Metric().measure(same, None, network)[0]
    assert found["av_confidence"] == pytest.approx(confidence, abs=1e-6)
    assert found["av_offset_frames"] == offset


def test_what_is_too_short_or_has_no_face_says_so() -> None:
    wave = np.zeros(20 * SAMPLES_PER_FRAME, np.float32)
    with pytest.raises(ValueError, match=f"too_short: 15 windows, more than {VSHIFT} needed"):
        av_sync(Loudness(), np.zeros((20, 224, 224, 3), np.uint8), wave)
    lost = Footage(np.zeros((20, 256, 256, 3), np.uint8), np.full((20, 478, 3), np.nan), wave, np.ones(20, bool))
    with pytest.raises(ValueError, match="no_face: found in 0 of 20 frames"):
        scores(Loudness(), lost)
