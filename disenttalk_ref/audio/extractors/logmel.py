"""Log-mel bands, four mel frames side by side for each video frame: needs no weights.

The paper takes HuBERT features (`hubert`); these are the default because they need no download.
"""

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from chdtf.errors import UserError
from chdtf.schema import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from disenttalk_ref.audio.loudness import checked, normalise_loudness

FFT_SIZE = 512
_BLOCK_FRAMES = 7500  # computed together by `extract`: 5 minutes


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


@dataclass(frozen=True)
class Features:
    """How speech becomes features. The defaults: 80 log-mel bands, 25 ms window, 10 ms hop, 4 mel frames a video frame.

    Energies are floored at `floor_db` (0 dB: a full-scale sine in its band), which hides the noise of most recordings,
    and mapped so that the floor is -1 and speech at the normalised level lies about 0 to 2.
    """

    on_the_fly: ClassVar[bool] = True
    quick: ClassVar[bool] = True
    free: ClassVar[frozenset[str]] = frozenset()

    kind: str = "logmel"
    bands: int = 80
    window_samples: int = 400
    hop_samples: int = 160
    low_hz: float = 60.0
    high_hz: float = 7600.0
    floor_db: float = -65.0

    def __post_init__(self) -> None:
        if self.kind != "logmel":
            raise UserError(
                f"audio features {self.kind!r} are not logmel; name extractors with disenttalk_ref.audio.parse"
            )

    @classmethod
    def of(cls, rest: str) -> "Features":
        """The extractor that `logmel` names. Raises `UserError` when something follows the name."""
        if rest:
            raise UserError(f"audio features 'logmel:{rest}': logmel takes nothing behind its name; write logmel")
        return cls()

    @property
    def name(self) -> str:
        """logmel; the settings of the defaults."""
        return self.kind

    @property
    def width(self) -> int:
        """Features a video frame."""
        return self.bands * self.parts

    @property
    def parts(self) -> int:
        """Mel frames side by side in the row of a video frame: 4."""
        return SAMPLES_PER_FRAME // self.hop_samples

    def extract(self, waveform: np.ndarray, device: str = "cpu") -> np.ndarray:
        """Features of one clip, mono 16 kHz: (S,) -> float32 (S // 640, width), after `normalise_loudness`.

        Raises `UserError` for NaN, `ValueError` for another shape.
        """
        normal = normalise_loudness(checked(waveform))
        frames, context = len(normal) // SAMPLES_PER_FRAME, self.context_samples
        padded = np.pad(normal[: frames * SAMPLES_PER_FRAME], context)
        found = np.zeros((frames, self.width), np.float32)
        for start in range(0, frames, _BLOCK_FRAMES):  # an hour at once would take gigabytes
            block = padded[start * SAMPLES_PER_FRAME :][: _BLOCK_FRAMES * SAMPLES_PER_FRAME + 2 * context]
            rows = self.rows(torch.from_numpy(block)[None].to(device))[0]
            found[start : start + len(rows)] = rows.cpu().numpy()
        return found

    def features(self, waveforms: torch.Tensor, warp: float = 1.0) -> torch.Tensor:
        """Features of waveforms whose loudness is normalised already: (B, S) -> float32 (B, S // 640, width)."""
        frames = waveforms.shape[1] // SAMPLES_PER_FRAME
        around = (self.context_samples, self.context_samples)
        return self.rows(torch.nn.functional.pad(waveforms[:, : frames * SAMPLES_PER_FRAME], around), warp)

    @property
    def context_samples(self) -> int:
        """Samples to either side of the frames that `rows` takes."""
        return FFT_SIZE // 2 - self.hop_samples // 2

    @property
    def reach_samples(self) -> int:
        """Samples to either side of a frame that its row hears: 120 by default, 7.5 ms."""
        return self.window_samples // 2 - self.hop_samples // 2

    def rows(self, waveforms: torch.Tensor, warp: float = 1.0) -> torch.Tensor:
        """Features of n whole frames with `context_samples` before and after them: (B, C + 640 n + C) -> (B, n, width).

        Of the context only `reach_samples` on either side are heard.
        """
        frames = (waveforms.shape[1] - 2 * self.context_samples) // SAMPLES_PER_FRAME
        power = self._power(waveforms)  # (B, 4 n, 257)
        energy = power @ _filters(self.bands, self.low_hz, self.high_hz, warp).to(power).T  # (B, 4 n, bands)
        decibels = 10 * torch.log10(energy.clamp_min(10 ** (self.floor_db / 10)))
        scaled = (decibels - self.floor_db) / 15 - 1
        return scaled.reshape(len(waveforms), frames, self.width)

    def _power(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Power of each bin, 1 for a full-scale sine. Mel frame j is centred on sample 80 + 160 j of the frames."""
        if waveforms.shape[1] < FFT_SIZE:
            return waveforms.new_zeros(len(waveforms), 0, FFT_SIZE // 2 + 1)
        window = torch.hann_window(self.window_samples, device=waveforms.device)
        spectrum = torch.stft(
            waveforms, FFT_SIZE, self.hop_samples, self.window_samples, window, center=False, return_complex=True
        )
        return (spectrum.abs() * (2 / window.sum())).square().transpose(1, 2)


@functools.lru_cache(maxsize=64)
def _filters(bands: int, low_hz: float, high_hz: float, warp: float) -> torch.Tensor:
    return torch.from_numpy(mel_filters(bands, low_hz, high_hz, warp))
