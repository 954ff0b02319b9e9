"""The constant-rate rule, against an oracle that looks at every frame, and on the cases that it is made for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.timing import ConstantRate


def run(times: list[float], start_s: float = 0.0, end_s: float = math.inf, fps: float = 25.0) -> list[float]:
    """Time of the frame that each output shows."""
    rate = ConstantRate(start_s, fps)
    counts = [rate.add(time_s) for time_s in times]
    assert rate.end(end_s) == len(rate.shown_s)
    assert sum(counts) <= len(times) * fps * 100
    return rate.shown_s


def expected(times: list[float], start_s: float, end_s: float) -> list[float]:
    """The same, from the definition: the last frame whose half-way point to its predecessor has passed."""
    times = [time_s for i, time_s in enumerate(times) if i + 1 == len(times) or times[i + 1] > start_s]
    gaps = np.diff(times)
    last_s = times[-1] + (min(gaps[-1], 1.0) if len(gaps) else 0.04)
    out = []
    for k in range(100_000):
        now_s = start_s + k * 0.04
        early = [time_s - min(gap / 2, 0.04) for time_s, gap in zip(times[1:], gaps, strict=True)]
        shown_s = times[sum(begin <= now_s + 1e-6 for begin in early)]
        limit_s = end_s if times[-1] >= end_s - 1e-6 else min(end_s, last_s)
        if now_s >= limit_s - 1e-6 or shown_s >= end_s - 1e-6:
            break
        out.append(shown_s)
    return out


@given(
    gaps_ms=st.lists(st.integers(3, 300), min_size=1, max_size=60),
    begin_ms=st.integers(0, 500),
    start_ms=st.integers(0, 2000),
    length_ms=st.integers(100, 3000),
)
def test_equals_its_definition(gaps_ms: list[int], begin_ms: int, start_ms: int, length_ms: int) -> None:
    times = (begin_ms + np.cumsum([0, *gaps_ms])) / 1000
    start_s, end_s = start_ms / 1000 + 1e-4, (start_ms + length_ms) / 1000 + 1e-4  # never a tie
    assert run(times.tolist(), start_s, end_s) == expected(times.tolist(), start_s, end_s)


@given(
    cut=st.integers(1, 99), extra=st.integers(0, 40), before=st.integers(0, 40), rate=st.sampled_from([22.13, 25, 50])
)
def test_neither_frames_before_nor_after_change_the_clip(cut: int, extra: int, before: int, rate: float) -> None:
    """So that a clip taken in passing equals one that is decoded for itself."""
    times = np.arange(150) / rate
    start_s, end_s = 41.5 / rate, (41.5 + cut) / rate
    last = int(np.searchsorted(times, end_s))
    assert run(times[41 - before : last + 1 + extra].tolist(), start_s, end_s) == run(
        times[41 : last + 1].tolist(), start_s, end_s
    )


@pytest.mark.parametrize("phase_s", [0.0, 0.013, 0.0333])
def test_a_source_at_the_rate_passes_one_to_one_whatever_its_jitter(phase_s: float) -> None:
    times = phase_s + np.arange(100) * 0.04 + np.random.default_rng(0).uniform(-0.006, 0.006, 100)
    assert run(times.tolist(), start_s=phase_s)[:99] == times.tolist()[:99]


@pytest.mark.parametrize(
    ("fps", "bound_s"), [(24, 1e-3), (29.97, 1e-3), (30, 1e-3), (50, 1e-6), (60, 1e-3), (22.13, 1e-3), (15, 1e-3)]
)
def test_the_picture_is_neither_early_nor_late(fps: float, bound_s: float) -> None:
    times = np.arange(round(fps * 40)) / fps
    shown_s = np.array(run(times.tolist()))
    late_s = shown_s - np.arange(len(shown_s)) * 0.04
    assert abs(late_s.mean()) < bound_s
    assert np.abs(late_s[:-1]).max() <= 0.5 / fps + 1e-6
    assert len(shown_s) == pytest.approx(1000, abs=1)


def test_a_long_frame_is_held_and_the_last_one_for_its_length() -> None:
    assert run([0.0, 0.04, 2.0, 2.04]) == [0.0] + [0.04] * 48 + [2.0, 2.0, 2.04]
    assert run([0.0, 0.1], end_s=0.16) == [0.0, 0.0, 0.1, 0.1], "outputs end before the end"
    assert run([0.0, 5.0], end_s=0.2) == [0.0] * 5, "the frame is shown until the next, though that lies beyond"
    assert run([0.0]) == [0.0]
    assert run([]) == []
    assert run([0.0, 0.04, 0.01, 0.08]) == [0.0, 0.04, 0.08], "a time that goes back is not shown"
