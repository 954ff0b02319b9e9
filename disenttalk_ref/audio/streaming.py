"""Log-mel and phone features as sound arrives: the rows of the whole recording, 7.5 or 33 ms late.

The loudness of a recording is known only at its end (`normalise_loudness`); `CausalLoudness` estimates it from what has
been heard. HuBERT hears the whole recording at once and cannot be streamed.
"""

import math
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from chdtf.errors import UserError
from chdtf.schema import SAMPLES_PER_FRAME
from disenttalk_ref.audio.extractors.logmel import Features as AudioFeatures
from disenttalk_ref.audio.features import Features
from disenttalk_ref.audio.loudness import MAX_GAIN, SPEECH_LEVEL, SPEECH_RANGE_DB, checked

FIRST_LEVEL = 0.05  # root mean square of speech that is expected before any was heard, -26 dBFS
FIRST_WEIGHT_FRAMES = 6  # how many frames of speech that expectation counts for
_LOWEST_DB, _HIGHEST_DB, _STEP_DB = -120.0, 20.0, 0.25


class CausalLoudness:
    """Scales sound by the loudness of what came before: `normalise_loudness` without the future, in constant memory.

    The level of every whole frame of 40 ms enters a histogram. Speech is every frame within 30 dB of the 95th
    percentile of those that a gain of 30 could raise to the speech level; quieter ones count as pauses, so that noise
    before the first word is not raised. With n frames of speech heard, the gain in decibels is
    (n g + 6 g0) / (n + 6): g from their root mean square, g0 from the level that is expected at the start. In frame k
    the gain goes linearly from what frames 0 to k - 2 say to what 0 to k - 1 say; so it needs no look-ahead.
    After five seconds of speech the expectation weighs less than 5 %.
    """

    def __init__(self, first_level: float = FIRST_LEVEL) -> None:
        bins = round((_HIGHEST_DB - _LOWEST_DB) / _STEP_DB)
        self._counts, self._power = np.zeros(bins, np.int64), np.zeros(bins)
        self._first_db = _gain_db(first_level**2)
        self._from = self._to = self._first_db  # gain at the start and at the end of the frame being heard
        self._frame = np.zeros(0, np.float32)  # what has been heard of it

    @property
    def gain(self) -> float:
        """Gain that the frames heard so far ask for."""
        return float(10 ** (self._to / 20))

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Scale the next samples, (n,) -> float32 (n,). Raises as `loudness.checked` does."""
        rest = checked(samples).astype(np.float32)
        scaled = []
        while len(rest):
            start = len(self._frame)
            part, rest = rest[: SAMPLES_PER_FRAME - start], rest[SAMPLES_PER_FRAME - start :]
            place = (np.arange(start, start + len(part)) + 0.5) / SAMPLES_PER_FRAME
            scaled.append((part * 10 ** ((self._from + (self._to - self._from) * place) / 20)).astype(np.float32))
            self._frame = np.concatenate([self._frame, part])
            if len(self._frame) == SAMPLES_PER_FRAME:
                self._hear(float((self._frame.astype(np.float64) ** 2).mean()))
                self._frame = self._frame[:0]
        return np.concatenate(scaled) if scaled else np.zeros(0, np.float32)

    def _hear(self, power: float) -> None:
        """Take one whole frame into the estimate."""
        level_db = 10 * math.log10(max(power, 1e-30))
        place = int(np.clip((level_db - _LOWEST_DB) / _STEP_DB, 0, len(self._counts) - 1))
        self._counts[place] += 1
        self._power[place] += power
        self._from, self._to = self._to, self._estimate_db()

    def _estimate_db(self) -> float:
        audible = _place(20 * math.log10(SPEECH_LEVEL / MAX_GAIN))
        heard = np.cumsum(self._counts[audible:])
        if heard[-1] == 0:
            return self._first_db
        loud = audible + int(np.searchsorted(heard, 0.95 * heard[-1]))
        quiet = max(audible, loud - round(SPEECH_RANGE_DB / _STEP_DB))
        count, power = int(self._counts[quiet:].sum()), float(self._power[quiet:].sum())
        measured = _gain_db(power / count)
        return (count * measured + FIRST_WEIGHT_FRAMES * self._first_db) / (count + FIRST_WEIGHT_FRAMES)


def _place(level_db: float) -> int:
    return int((level_db - _LOWEST_DB) / _STEP_DB)


def _gain_db(power: float) -> float:
    return min(20 * math.log10(MAX_GAIN), 20 * math.log10(SPEECH_LEVEL) - 10 * math.log10(max(power, 1e-30)))


@runtime_checkable
class Streamed(Features, Protocol):
    """Features whose rows hear a little sound to either side of their frame and nothing else."""

    @property
    def context_samples(self) -> int:
        """Samples to either side of the frames that `rows` takes."""

    @property
    def reach_samples(self) -> int:
        """Samples beyond a frame that its row hears."""

    def rows(self, waveforms: torch.Tensor, warp: float = 1.0) -> torch.Tensor:
        """Features of n whole frames with their context: (B, C + 640 n + C) -> (B, n, width)."""


class FeatureStream:
    """Chunks of sound in, rows of features out (log-mel without `features`); how the sound is cut does not matter.

    Row k comes as soon as sample 640 (k + 1) + `look_ahead_samples` - 1 was given. With `loudness=None` samples are
    taken as they are, and the rows of a stream are those of the extractor's `features` of the whole (to float32
    rounding; only the last one differs when at least `look_ahead_samples` of an unfinished frame follow it, because the
    whole drops them and the stream heard them). Otherwise samples are scaled first.
    """

    def __init__(self, features: Streamed | None = None, loudness: CausalLoudness | None = None) -> None:
        self.features, self.loudness = features or AudioFeatures(), loudness
        self.num_rows = 0  # rows given so far
        self._held = np.zeros(self.features.context_samples, np.float32)  # from context before the next row on
        self._finished = False

    @property
    def look_ahead_samples(self) -> int:
        """Samples beyond the end of its frame that a row needs: 120 of log-mel, 525 of phones."""
        return self.features.reach_samples

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Give the next samples, mono 16 kHz (n,); returns the rows that they complete, float32 (rows, width).

        Raises `UserError` for NaN, `ValueError` for another shape or after `finish`.
        """
        if self._finished:
            raise ValueError("the stream is finished; open another one")
        scaled = self.loudness(samples) if self.loudness else checked(samples).astype(np.float32)
        self._held = np.concatenate([self._held, scaled])
        received = len(self._held) - self.features.context_samples
        return self._rows(max(0, received - self.look_ahead_samples) // SAMPLES_PER_FRAME)

    def finish(self) -> np.ndarray:
        """The sound has ended: the rows that still waited for more; a frame that is not whole has none."""
        if self._finished:
            raise ValueError("the stream is finished; open another one")
        self._finished = True
        count = (len(self._held) - self.features.context_samples) // SAMPLES_PER_FRAME
        end = self.features.context_samples + count * SAMPLES_PER_FRAME
        self._held = self._held[:end]  # as `features` drops what is no whole frame
        return self._rows(count)

    def _rows(self, count: int) -> np.ndarray:
        if count == 0:
            return np.zeros((0, self.features.width), np.float32)
        context, samples = self.features.context_samples, count * SAMPLES_PER_FRAME
        window = np.zeros(2 * context + samples, np.float32)
        known = self._held[: len(window)]
        window[: len(known)] = known
        self._held = self._held[samples:]
        self.num_rows += count
        with torch.inference_mode():
            rows: np.ndarray = self.features.rows(torch.from_numpy(window)[None])[0].numpy()
        return rows


def open_stream(features: Features) -> FeatureStream:
    """A stream of a checkpoint's features, scaled by `CausalLoudness`.

    Raises `UserError` for features that need the whole recording.
    """
    if not isinstance(features, Streamed):
        raise UserError(
            f"audio features {features.kind!r} hear the whole recording at once and cannot be streamed; use a "
            "checkpoint that was trained with phones or logmel, or generate from the whole recording"
        )
    return FeatureStream(features, CausalLoudness())
