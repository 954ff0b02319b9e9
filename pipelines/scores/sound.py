"""Scores of a clip's sound, (S,) float32 in [-1, 1] at 16 kHz mono."""

import numpy as np

from chdtf.schema import SAMPLES_PER_FRAME
from pipelines.clips.speech import VAD_FRAME, voiced

FLOOR_DBFS = -120.0  # stands for digital silence, whose level has no logarithm
SILENT_DBFS = -50.0  # speech recorded at a usual level has its pauses' room noise below, its words above
FULL_SCALE = 0.98  # resampling and lossy codecs round off what was cut at 1
CLIPPED_RUN = 3  # samples: a loud voice touches full scale with one, a clipped one stays there
_STEP = SAMPLES_PER_FRAME // 4  # 10 ms
_HANN = np.hanning(14)[1:-1] / np.hanning(14).sum()  # 120 ms


def _dbfs(power: np.ndarray) -> np.ndarray:
    level: np.ndarray = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DBFS / 10)))
    return level


def _blocks_dbfs(waveform: np.ndarray, length: int) -> np.ndarray:
    """Level of every whole block of `length` samples, float64 (S // length,) dB relative to full scale."""
    count = len(waveform) // length
    return _dbfs(np.mean(np.square(waveform[: count * length].reshape(count, length), dtype=np.float64), axis=1))


def loudness_dbfs(waveform: np.ndarray) -> float:
    """Root mean square of the whole sound, in dB relative to full scale; -120 (silence) to 0."""
    power = np.mean(np.square(waveform, dtype=np.float64)) if len(waveform) else np.zeros(())
    return float(_dbfs(power))


def silence_share(waveform: np.ndarray) -> float | None:
    """Share of 30 ms frames whose level is below -50 dBFS, 0 to 1; None for a sound shorter than one."""
    levels = _blocks_dbfs(waveform, VAD_FRAME)
    return float(np.mean(levels < SILENT_DBFS)) if len(levels) else None


def clipping_share(waveform: np.ndarray) -> float:
    """Share of samples that stand in runs of three or more at 98 % of full scale or beyond, of one sign; 0 to 1.

    Sound that was clipped first and made quieter afterwards is not seen.
    """
    side = np.where(np.abs(waveform) >= FULL_SCALE, np.sign(waveform), 0).astype(np.int8)
    edges = np.flatnonzero(np.diff(side, prepend=np.int8(0), append=np.int8(0)))
    lengths = np.diff(edges)
    at_limit = side[edges[:-1]] != 0
    return float(lengths[at_limit & (lengths >= CLIPPED_RUN)].sum()) / max(len(waveform), 1)


def speech_share(waveform: np.ndarray, mode: int = 2) -> float:
    """Share of 30 ms frames that WebRTC's voice activity detector calls speech, 0 to 1.

    The detector takes loud music for speech; it tells voices from silence and steady noise.
    """
    heard = voiced(waveform, mode)
    return float(heard.mean()) if len(heard) else 0.0


def voiced_frames(waveform: np.ndarray, num_frames: int, mode: int = 2) -> np.ndarray:
    """Whether speech is heard in the middle of each video frame at 25 fps: bool (T,)."""
    heard = voiced(waveform, mode)
    if not len(heard):
        return np.zeros(num_frames, bool)
    middle = (np.arange(num_frames) * SAMPLES_PER_FRAME + SAMPLES_PER_FRAME // 2) // VAD_FRAME
    spoken: np.ndarray = heard[np.minimum(middle, len(heard) - 1)]
    return spoken


def sound_envelope(waveform: np.ndarray) -> np.ndarray:
    """Level around the middle of every video frame, float32 (T,) dB relative to full scale, -120 to 0.

    What clips are compared by: an encoder hardly changes it, and a change of volume only shifts it. The power is
    weighted by a Hann window of 120 ms, three frames, so that it varies slowly enough to be read between frames: the
    same footage cut elsewhere is not cut at the same samples.
    """
    count = len(waveform) // SAMPLES_PER_FRAME
    blocks = np.square(waveform[: count * SAMPLES_PER_FRAME].reshape(-1, _STEP), dtype=np.float64).mean(axis=1)
    reach = len(_HANN) // 2 - SAMPLES_PER_FRAME // _STEP // 2
    around = np.lib.stride_tricks.sliding_window_view(np.pad(blocks, reach, mode="edge"), len(_HANN)) if count else None
    power = np.zeros(0) if around is None else around[:: SAMPLES_PER_FRAME // _STEP] @ _HANN
    return _dbfs(power).astype(np.float32)
