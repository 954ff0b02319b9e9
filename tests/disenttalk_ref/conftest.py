"""Clips whose lips follow the loudness of their audio, and one CPU thread: small networks gain nothing from more."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from chdtf.dataset import MotionClip


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def clips() -> list[MotionClip]:
    """Three clips of 50 frames: lip dimension 0 is high where a tone sounds."""
    made = []
    for number in range(3):
        rng = np.random.default_rng(number)
        loud = np.repeat(rng.random(10) < 0.5, 5)
        tone = np.sin(np.arange(50 * 640) * 0.2) * 0.3
        waveform = (tone * np.repeat(loud, 640)).astype(np.float32)
        expression = rng.standard_normal((50, 64)).astype(np.float32) * 0.1
        expression[:, 0] += np.where(loud, 1.5, -1.5)
        pose = np.cumsum(rng.standard_normal((50, 6)), 0).astype(np.float32) * 0.01
        made.append(MotionClip(f"clip_{number}", "speaker", "en", waveform, expression, pose, np.ones(50, bool)))
    return made


@pytest.fixture(scope="session")
def regions() -> tuple[tuple[int, ...], ...]:
    """Eye, lip and global dimensions."""
    return tuple(range(13, 21)), tuple(range(13)), tuple(range(21, 64))
