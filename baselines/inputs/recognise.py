"""Phones by pocketsphinx and the English models inside its wheel; needs no download of its own."""

import importlib
from typing import Any

import numpy as np

from chdtf.errors import UserError
from chdtf.schema import SAMPLE_RATE_HZ

_FRAMES_PER_S = 100
_BY_WORDS = ("en", "und")  # primary subtags; `und`: the language is not known
_SILENCE = "SIL"


def recognise(waveform: np.ndarray, language: str) -> list[tuple[float, float, str]]:
    """(start_s, end_s, phone) of speech, float32 (S,) at 16 kHz; noises count as silence, [] when nothing is heard.

    Depends on the clip alone: a decoder serves once, because it takes the mean cepstrum along.
    """
    pcm = np.clip(np.round(waveform * 32768.0), -32768, 32767).astype("<i2").tobytes()
    by_words = language.split("-", 1)[0] in _BY_WORDS
    segments = _by_words(pcm) if by_words else _by_phones(pcm)
    return [
        (start / _FRAMES_PER_S, end / _FRAMES_PER_S, name if name.isalpha() else _SILENCE)
        for name, start, end in segments
    ]


def _by_words(pcm: bytes) -> list[tuple[str, int, int]]:
    """The likeliest words, then their phones aligned: name, first frame, frame after the last."""
    decoder = _decoder()
    _hear(decoder, pcm)
    if decoder.hyp() is None or not any(True for _ in decoder.seg()):
        return []
    decoder.set_alignment()
    _hear(decoder, pcm)
    alignment = decoder.get_alignment()
    if alignment is None:
        return []
    return [(phone.name, phone.start, phone.start + phone.duration) for word in alignment.words() for phone in word]


def _by_phones(pcm: bytes) -> list[tuple[str, int, int]]:
    """The likeliest phones, whatever words they would make."""
    decoder = _decoder(lm=None, allphone=_sphinx().get_model_path("en-us/en-us-phone.lm.bin"))
    _hear(decoder, pcm)
    return [(one.word, one.start_frame, one.end_frame + 1) for one in decoder.seg() or ()]


def _hear(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _decoder(**options: Any) -> Any:
    return _sphinx().Decoder(samprate=SAMPLE_RATE_HZ, loglevel="FATAL", **options)


def _sphinx() -> Any:
    try:
        return importlib.import_module("pocketsphinx")
    except ImportError as error:
        raise UserError("phonemes: pocketsphinx is not installed; pip install pocketsphinx") from error
