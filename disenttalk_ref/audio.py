"""Audio features A at the video frame rate: one row a frame, so that row k hears what is seen in frame k.

The paper takes HuBERT features; `kind="logmel"` needs no weights. Every kind turns S samples into T = S // 640 rows.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch

from chdtf.errors import UserError
from chdtf.schema import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

KINDS = ("logmel",)
FFT_SIZE = 512
SPEECH_LEVEL = 0.1  # root mean square of the speech after `normalise_loudness`, -20 dBFS
MAX_GAIN = 30.0  # quieter recordings are taken for silence and stay quiet
SPEECH_RANGE_DB = 30.0  # frames this much below the loud ones are pauses and do not count as speech


def mel_filters(bands: int, low_hz: float, high_hz: float, warp: float = 1.0) -> np.ndarray:
    """Triangular filters of peak 1, equally spaced on the mel scale 2595 log10(1 + f / 700): float32 (bands, 257).

    `warp` multiplies all corner frequencies: a longer or shorter vocal tract (training augmentation).
    """
    edges_mel = np.linspace(_mel(low_hz), _mel(high_hz), bands + 2)
    edges_hz = 700 * (10 ** (edges_mel / 2595) - 1) * warp
    left, centre, right = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    bins_hz = np.arange(FFT_SIZE // 2 + 1)[None] * SAMPLE_RATE_HZ / FFT_SIZE
    rising, falling = (bins_hz - left) / (centre - left), (right - bins_hz) / (right - centre)
    filters: np.ndarray = np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)
    return filters


def _mel(hz: float) -> float:
    return 2595 * float(np.log10(1 + hz / 700))


def normalise_loudness(waveform: np.ndarray) -> np.ndarray:
    """Scale one clip so that its speech has a root mean square of 0.1: (S,) -> float32 (S,).

    Speech is every video frame (40 ms) within 30 dB of the 95th percentile frame. The gain is at most 30, so silence
    stays silence.
    """
    frames = len(waveform) // SAMPLES_PER_FRAME
    if frames == 0:
        return waveform.astype(np.float32)
    blocks = waveform[: frames * SAMPLES_PER_FRAME].reshape(frames, SAMPLES_PER_FRAME).astype(np.float64)
    power = (blocks**2).mean(1)
    speech = power[power >= np.percentile(power, 95) * 10 ** (-SPEECH_RANGE_DB / 10)]
    gain = min(MAX_GAIN, SPEECH_LEVEL / max(float(np.sqrt(speech.mean())), 1e-9))
    return (waveform * gain).astype(np.float32)


@dataclass(frozen=True)
class AudioFeatures:
    """How speech becomes features. The defaults: 80 log-mel bands, 25 ms window, 10 ms hop, 4 mel frames a video frame.

    Energies are floored at `floor_db` (0 dB: a full-scale sine in its band), which hides the noise of most recordings,
    and mapped so that the floor is -1 and speech at the normalised level lies about 0 to 2.
    """

    kind: str = "logmel"
    bands: int = 80
    window_samples: int = 400
    hop_samples: int = 160
    low_hz: float = 60.0
    high_hz: float = 7600.0
    floor_db: float = -65.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"audio features {self.kind!r} are not known; choose one of {', '.join(KINDS)}")

    @property
    def width(self) -> int:
        """Features a video frame."""
        return self.bands * (SAMPLES_PER_FRAME // self.hop_samples)

    def extract(self, waveform: np.ndarray) -> np.ndarray:
        """Features of one clip, mono 16 kHz: (S,) -> float32 (S // 640, width), after `normalise_loudness`."""
        if waveform.ndim != 1:
            raise ValueError(f"waveform must be (S,), got {waveform.shape}")
        normal = torch.from_numpy(normalise_loudness(waveform))
        features: np.ndarray = self.features(normal[None])[0].numpy()
        return features

    def features(self, waveforms: torch.Tensor, warp: float = 1.0) -> torch.Tensor:
        """Features of waveforms whose loudness is normalised already: (B, S) -> float32 (B, S // 640, width)."""
        frames = waveforms.shape[1] // SAMPLES_PER_FRAME
        power = self._power(waveforms[:, : frames * SAMPLES_PER_FRAME])  # (B, 4 T, 257)
        energy = power @ _filters(self.bands, self.low_hz, self.high_hz, warp).to(power).T  # (B, 4 T, bands)
        decibels = 10 * torch.log10(energy.clamp_min(10 ** (self.floor_db / 10)))
        scaled = (decibels - self.floor_db) / 15 - 1
        return scaled.reshape(len(waveforms), frames, self.width)

    def _power(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Power of each bin, 1 for a full-scale sine. Mel frame j is centred on sample 80 + 160 j."""
        if waveforms.shape[1] == 0:
            return waveforms.new_zeros(len(waveforms), 0, FFT_SIZE // 2 + 1)
        before = FFT_SIZE // 2 - self.hop_samples // 2
        padded = torch.nn.functional.pad(waveforms, (before, FFT_SIZE - self.hop_samples - before))
        window = torch.hann_window(self.window_samples, device=waveforms.device)
        spectrum = torch.stft(
            padded, FFT_SIZE, self.hop_samples, self.window_samples, window, center=False, return_complex=True
        )
        return (spectrum.abs() * (2 / window.sum())).square().transpose(1, 2)


@functools.lru_cache(maxsize=64)
def _filters(bands: int, low_hz: float, high_hz: float, warp: float) -> torch.Tensor:
    return torch.from_numpy(mel_filters(bands, low_hz, high_hz, warp))
