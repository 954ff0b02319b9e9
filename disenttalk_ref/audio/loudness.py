"""Loudness of a clip, and what a waveform must be before anything is computed from it."""

import numpy as np

from chdtf.errors import UserError
from chdtf.schema import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME

SPEECH_LEVEL = 0.1  # root mean square of the speech after `normalise_loudness`, -20 dBFS
MAX_GAIN = 30.0  # quieter recordings are taken for silence and stay quiet
_BLOCK_FRAMES = 1500  # in double precision at a time: an hour at once would take a gigabyte
SPEECH_RANGE_DB = 30.0  # frames this much below the loud ones are pauses and do not count as speech


def checked(waveform: np.ndarray) -> np.ndarray:
    """The waveform itself when it is (S,) and finite.

    Raises `ValueError` for another shape, `UserError` for NaN or infinity (broken files; clipped sound is taken as is).
    """
    if waveform.ndim != 1:
        raise ValueError(f"waveform must be (S,), got {waveform.shape}")
    if not (finite := np.isfinite(waveform)).all():
        first = int(np.argmin(finite))
        raise UserError(
            f"audio: sample {first} (at {first / SAMPLE_RATE_HZ:.3f} s) is {waveform[first]}, not a number that can be "
            "heard; decode the file again, or repair it: ffmpeg -i BROKEN -c:a pcm_s16le REPAIRED.wav"
        )
    return waveform


def normalise_loudness(waveform: np.ndarray) -> np.ndarray:
    """Scale one clip so that its speech has a root mean square of 0.1: (S,) -> float32 (S,).

    Speech is every video frame (40 ms) within 30 dB of the 95th percentile frame. The gain is at most 30, so silence
    stays silence.
    """
    frames = len(waveform) // SAMPLES_PER_FRAME
    if frames == 0:
        return waveform.astype(np.float32)
    blocks = waveform[: frames * SAMPLES_PER_FRAME].reshape(frames, SAMPLES_PER_FRAME)
    parts = (blocks[first : first + _BLOCK_FRAMES] for first in range(0, frames, _BLOCK_FRAMES))
    power = np.concatenate([(part.astype(np.float64) ** 2).mean(1) for part in parts])
    speech = power[power >= np.percentile(power, 95) * 10 ** (-SPEECH_RANGE_DB / 10)]
    gain = min(MAX_GAIN, SPEECH_LEVEL / max(float(np.sqrt(speech.mean())), 1e-9))
    return (waveform * gain).astype(np.float32)
