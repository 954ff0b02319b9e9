"""CMUSphinx's acoustic models: their files, their cepstra and the likelihood of their context-independent states.

Layout of the files and the definition of the cepstra as documented and implemented by sphinxbase and pocketsphinx
(`ms_gauden`, `ptm_mgau`, `bin_mdef`, `fe_sigproc`); feature type 1s_c_d_dd in three streams of 13.
"""

import functools
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from chdtf.errors import UserError
from chdtf.schema import SAMPLE_RATE_HZ

CEPSTRA = 13
STREAMS = 3  # cepstra, first and second difference
STATES = 3  # of a phone
FFT_SIZE = 512
WINDOW_SAMPLES = 410  # 25.6 ms
HOP_SAMPLES = 160
_MAGIC = 0x11223344  # byte order
_WEIGHT_STEP = 1024 * float(np.log(1.0001))  # natural logarithms a step of a mixture weight
_BANDS, _LOW_HZ, _HIGH_HZ = 25, 130.0, 6800.0  # feat.params of the en-us model
_LIFTER = 22
_FULL_SCALE = 32768.0  # the model heard 16-bit integers
_FLOOR = 50.0  # of a band's energy: 16-bit rounding raised tenfold has 40 (mean of the bands); less is silence
_LEAST_VARIANCE = 3.0  # a codeword of ZH has almost none, and would take digital silence for itself


@dataclass(frozen=True)
class Acoustics:
    """Densities of the three streams: with y = (x, x^2, 1), y @ `densities[s]` is the log density of each codeword."""

    phones: tuple[str, ...]
    densities: tuple[torch.Tensor, ...]  # float32 (27, phones x codewords) a stream
    weights: tuple[torch.Tensor, ...]  # float32 (phones, codewords, states) a stream, each state sums to about 1

    def log_likelihood(self, x: torch.Tensor) -> torch.Tensor:
        """Of each state: (n, 3, 13) cepstra and differences -> (n, phones, 3)."""
        total = x.new_zeros(len(self.phones), len(x), STATES)
        for stream in range(STREAMS):
            y = x[:, stream]
            y = torch.cat([y, y.square(), y.new_ones(len(y), 1)], 1)
            codewords = (y @ self.densities[stream].to(x)).view(len(x), len(self.phones), -1).transpose(0, 1)
            highest = codewords.amax(2, keepdim=True)
            mixed = torch.bmm((codewords - highest).exp(), self.weights[stream].to(x))
            total = total + mixed.clamp_min(1e-30).log() + highest
        return total.transpose(0, 1)


def read_acoustics(folder: Path) -> Acoustics:
    """Read `means`, `variances`, `sendump` and `mdef` of a phonetically tied model with 8-bit mixture weights.

    Raises `UserError` when a file is missing or is laid out in another way.
    """
    try:
        means, variances = _gaussians(folder / "means"), _gaussians(folder / "variances").clip(_LEAST_VARIANCE)
        phones, states = _definition(folder / "mdef")
        weights = _mixture_weights(folder / "sendump", means.shape[2])[:, :, :states]
    except (OSError, ValueError, struct.error) as error:
        raise UserError(
            f"{folder}: not an acoustic model that can be read ({error}); pip install pocketsphinx"
        ) from error
    if means.shape[::3] != (len(phones), CEPSTRA) or means.shape[1] != STREAMS or states != STATES * len(phones):
        raise UserError(f"{folder}: an acoustic model of another kind, {means.shape}; pip install pocketsphinx")
    constant = -0.5 * (np.log(2 * np.pi * variances) + means**2 / variances).sum(-1, keepdims=True)
    rows = np.concatenate([means / variances, -0.5 / variances, constant], -1)  # (phones, streams, codewords, 27)
    shaped = np.exp(-_WEIGHT_STEP * weights).reshape(STREAMS, -1, len(phones), STATES).transpose(0, 2, 1, 3)
    return Acoustics(
        phones,
        tuple(_tensor(rows[:, stream].reshape(-1, rows.shape[-1]).T) for stream in range(STREAMS)),
        tuple(_tensor(shaped[stream]) for stream in range(STREAMS)),
    )


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _gaussians(path: Path) -> np.ndarray:
    """(codebooks, streams, codewords, length) float64."""
    data = path.read_bytes()
    start = data.index(b"endhdr\n") + 7
    magic, codebooks, streams, codewords = struct.unpack_from("<Iiii", data, start)
    lengths = struct.unpack_from(f"<{streams}i", data, start + 16)
    if magic != _MAGIC or len(set(lengths)) != 1:
        raise ValueError(f"{path.name}: other byte order, or streams of different lengths")
    first = start + 16 + 4 * streams
    (count,) = struct.unpack_from("<i", data, first)
    table = np.frombuffer(data, "<f4", count, first + 4)
    return table.reshape(codebooks, streams, codewords, lengths[0]).astype(np.float64)


def _mixture_weights(path: Path, codewords: int) -> np.ndarray:
    """(streams, codewords, states of all phones) float64, minus logarithms in steps."""
    data, place = path.read_bytes(), 0
    while length := struct.unpack_from("<i", data, place)[0]:  # header strings, ended by an empty one
        place += 4 + length
    found, states = struct.unpack_from("<ii", data, place + 4)
    if found != codewords or len(data) - place - 12 < STREAMS * found * states:
        raise ValueError(f"{path.name}: mixture weights are not 8-bit")
    table = np.frombuffer(data, np.uint8, STREAMS * found * states, place + 12)
    return table.reshape(STREAMS, found, states).astype(np.float64)


def _definition(path: Path) -> tuple[tuple[str, ...], int]:
    """Names of the phones, and how many states they have in all: these are the model's first."""
    data = path.read_bytes()
    if data[:4] != b"BMDF":
        raise ValueError(f"{path.name}: not a binary model definition")
    (length,) = struct.unpack_from("<i", data, 8)
    numbers = struct.unpack_from("<10i", data, 12 + length)
    names = data[12 + length + 40 :].split(b"\0", numbers[0])[: numbers[0]]
    return tuple(name.decode() for name in names), numbers[3]


def cepstra(waveforms: torch.Tensor, warp: float = 1.0) -> torch.Tensor:
    """Mel cepstra (B, S) -> (B, n, 13); frame j is centred on sample 205 + 160 j, n = 1 + (S - 410) // 160.

    Pre-emphasis 0.97, Hamming window, 25 bands of 130-6800 Hz, orthonormal cosine transform, lifter 22, as in
    sphinxbase; samples are full scale at 1. Energies are floored, so that digital silence is all zeros but the first.
    """
    x = waveforms * _FULL_SCALE
    x = torch.cat([x[:, :1], x[:, 1:] - 0.97 * x[:, :-1]], 1)
    window = torch.hamming_window(WINDOW_SAMPLES, periodic=False, device=x.device)
    frames = x.unfold(1, WINDOW_SAMPLES, HOP_SAMPLES) * window
    power = torch.fft.rfft(frames, FFT_SIZE).abs().square()
    energy = power @ _filters(warp).to(power).T
    return torch.as_tensor(energy.clamp_min(_FLOOR).log() @ _transform().to(power).T)


@functools.lru_cache(maxsize=64)
def _filters(warp: float) -> torch.Tensor:
    """Triangles of area 1 whose corners are rounded to bins: (25, 257)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (_LOW_HZ, _HIGH_HZ))
    step = SAMPLE_RATE_HZ / FFT_SIZE
    corners = np.round(700 * (10 ** (np.linspace(low, high, _BANDS + 2) / 2595) - 1) * warp / step) * step
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    bins = np.arange(FFT_SIZE // 2 + 1) * step
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    return _tensor(np.clip(np.minimum(rising, falling), 0, None) * 2 / (right - left))


@functools.lru_cache(maxsize=1)
def _transform() -> torch.Tensor:
    """Cosine transform and lifter: (13, 25)."""
    k, band = np.arange(CEPSTRA)[:, None], np.arange(_BANDS)[None]
    cosine = np.cos(np.pi * k * (band + 0.5) / _BANDS) * np.sqrt(2 / _BANDS)
    cosine[0] /= np.sqrt(2)
    return _tensor(cosine * (1 + _LIFTER / 2 * np.sin(np.pi * k / _LIFTER)))
