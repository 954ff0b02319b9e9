"""How the sample's faces move: mouth opening from phoneme times, blinks, and small head motion.

Curves are functions of time, sampled where a video's frames lie, so that one plan serves every frame rate.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

Phoneme = tuple[float, str]  # start_s in the speech file, IPA name; an empty name is a pause

_STEP_S = 0.002
_COARTICULATION_S = 0.035  # standard deviation of the blending of neighbouring sounds
_LEAD_S = 0.02  # the mouth takes its shape a little before the sound
_CLOSURE_HOLD_S = 0.06  # lips stay together at least so long in m, b, p: more than one frame at 25 fps
_CLOSURE_EDGE_S = 0.045
_PAUSE_S = 0.10  # shorter pauses are stop closures of the tongue, in which the lips stay as they are

# Mouth opening (chdtf.faces.mouth_opening: inner-lip gap over outer eye corner distance) by the first letter that
# matches; the sizes are those of ordinary speech, 0.25 for an open vowel.
_OPENINGS = {
    **dict.fromkeys("mbpɓβ", 0.0),
    **dict.fromkeys("fvɱ", 0.02),
    **dict.fromkeys("wʍɥ", 0.04),
    **dict.fromkeys("szʃʒɕʑj", 0.05),
    **dict.fromkeys("tdnɾθð", 0.07),
    **dict.fromkeys("lɹrɲʎ", 0.09),
    **dict.fromkeys("kɡgŋxχʁhçɣ", 0.10),
    **dict.fromkeys("uyʊʏ", 0.08),
    **dict.fromkeys("iɪɨᵻ", 0.10),
    **dict.fromkeys("oøɔɤ", 0.16),
    **dict.fromkeys("əɚɘɵɜɐʌ", 0.14),
    **dict.fromkeys("eɛœ", 0.17),
    **dict.fromkeys("æaɑɒ", 0.25),
}
_UNKNOWN = 0.08


@dataclasses.dataclass(frozen=True)
class Blink:
    """Both lids: they begin to fall at `start_s`, are shut from `shut_s` to `reopen_s`, and are open at `end_s`."""

    start_s: float
    shut_s: float
    reopen_s: float
    end_s: float


@dataclasses.dataclass(frozen=True)
class HeadMotion:
    """Per frame (T,): rotation in radians and shift in shares of the outer eye corner distance."""

    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    shift_x: np.ndarray
    shift_y: np.ndarray


def opening_of(phoneme: str) -> float:
    """Mouth opening that a sound aims at; diphthongs take the wider of their two vowels."""
    letters = [_OPENINGS[letter] for letter in phoneme if letter in _OPENINGS]
    if not letters:
        return _UNKNOWN
    vowels = [value for letter, value in zip(phoneme, letters, strict=False) if value >= 0.14]
    return max(vowels) if vowels else letters[0]


def _gaussian(values: np.ndarray, sigma_s: float) -> np.ndarray:
    radius = int(4 * sigma_s / _STEP_S)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) * _STEP_S / sigma_s) ** 2)
    padded = np.pad(values, radius, mode="edge")
    smooth: np.ndarray = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    return smooth


def _spans(phonemes: Sequence[Phoneme], end_s: float) -> list[tuple[float, float, str]]:
    """(start_s, end_s, name) of each sound; language marks such as "(en)" are dropped, adjoining pauses joined."""
    spans: list[tuple[float, float, str]] = []
    named = [(start, name) for start, name in phonemes if not name.startswith("(")]
    for (start, name), following in zip(named, [*named[1:], (end_s, "")], strict=True):
        if following[0] <= start:
            continue
        if spans and not name and not spans[-1][2]:
            spans[-1] = (spans[-1][0], following[0], "")
        else:
            spans.append((start, following[0], name))
    return spans


def _aims(grid: np.ndarray, spans: Sequence[tuple[float, float, str]]) -> np.ndarray:
    aims = np.zeros_like(grid)
    last = 0.0
    for start, end, name in spans:
        pause = not name or not any(letter in _OPENINGS for letter in name)
        if not pause:
            last = opening_of(name)
        elif end - start >= _PAUSE_S:
            last = 0.0
        aims[(grid >= start) & (grid < end)] = last
    return aims


def _closures(spans: Sequence[tuple[float, float, str]]) -> Iterator[tuple[float, float]]:
    """When the lips touch: through all of an m; for p and b through the silence before the burst that opens them."""
    before = _PAUSE_S
    for start, end, name in spans:
        if name and name[0] in "pbɓ":
            yield start - (before if before < _PAUSE_S else 0.02), start + 0.025
        elif name and name[0] == "m":
            yield start, end
        before = end - start if not name else _PAUSE_S


def mouth_curve(phonemes: Sequence[Phoneme], speech_s: float, times_s: np.ndarray) -> np.ndarray:
    """Mouth opening at `times_s` (T,), seconds from the beginning of the speech; before and after it the mouth is shut.

    Each sound's aim is blended with its neighbours'; lips meet fully in m, b and p.
    """
    grid = np.arange(-1.0, speech_s + 1.0, _STEP_S)
    spans = _spans(phonemes, speech_s)
    curve = _gaussian(_aims(grid + _LEAD_S, spans), _COARTICULATION_S)
    for start, end in _closures(spans):
        middle, half = (start + end) / 2, max(end - start, _CLOSURE_HOLD_S) / 2
        away = np.clip((np.abs(grid - middle) - half) / _CLOSURE_EDGE_S, 0, 1)
        curve *= away * away * (3 - 2 * away)
    sampled: np.ndarray = np.interp(times_s, grid, np.where(curve < 0.004, 0.0, curve), left=0.0, right=0.0)
    return sampled


def plan_blinks(count: int, duration_s: float, rng: np.random.Generator) -> tuple[Blink, ...]:
    """`count` blinks of about 0.3 s, at least 0.4 s from both ends and 0.8 s from each other."""
    slot = (duration_s - 0.8) / max(count, 1)
    blinks = []
    for index in range(count):
        start = round(0.4 + slot * index + float(rng.uniform(0.05, max(slot - 0.75, 0.06))), 3)
        shut = start + 0.08
        reopen = shut + round(float(rng.uniform(0.085, 0.11)), 3)
        blinks.append(Blink(start, round(shut, 3), round(reopen, 3), round(reopen + 0.12, 3)))
    return tuple(blinks)


def lid_curve(blinks: Sequence[Blink], times_s: np.ndarray) -> np.ndarray:
    """How far the eyes are shut at `times_s`: (T,), 0 open to 1 shut."""
    shut = np.zeros(len(times_s))
    for blink in blinks:
        knots = (blink.start_s, blink.shut_s, blink.reopen_s, blink.end_s)
        linear = np.interp(times_s, knots, (0.0, 1.0, 1.0, 0.0))
        shut = np.maximum(shut, linear * linear * (3 - 2 * linear))
    return shut


def head_motion(times_s: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> HeadMotion:
    """Slow sways of some degrees, each the sum of three sines between 0.1 and 0.6 Hz, at rest on average."""

    def sway(size: float) -> np.ndarray:
        rates = rng.uniform((0.10, 0.22, 0.40), (0.20, 0.38, 0.60))
        phases = rng.uniform(0, 2 * np.pi, 3)
        waves = np.sin(2 * np.pi * rates * times_s[:, None] + phases) * (0.55, 0.30, 0.15)
        total: np.ndarray = waves.sum(axis=1) * size * strength
        return total

    return HeadMotion(sway(0.07), sway(0.035), sway(0.035), sway(0.05), sway(0.03))
