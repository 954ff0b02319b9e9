"""Footage made in memory, with planted landmarks where a test needs them."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmark.footage import Footage
from chdtf.faces import LEFT_EAR, RIGHT_EAR


def make_footage(
    frames: np.ndarray | None = None,
    waveform: np.ndarray | None = None,
    landmarks: np.ndarray | None = None,
    start_frame: int = 0,
) -> Footage:
    if frames is None:
        frames = np.zeros((len(landmarks), 8, 8, 3), np.uint8)
    made = Footage(frames, waveform, "raw", "frames", "normalised", (), start_frame)
    if landmarks is not None:
        made.__dict__["landmarks"] = landmarks.astype(np.float32)
    return made


@pytest.fixture(scope="session")
def footage() -> Callable[..., Footage]:
    """Factory of footage; `landmarks` given are the ones that it has, and nothing is tracked."""
    return make_footage


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A photograph with a face, uint8 (256, 256, 3) RGB."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[:256, 96:352])


@pytest.fixture(scope="session")
def eyes() -> Callable[[np.ndarray], np.ndarray]:
    """Landmarks (T, 478, 3) of a face whose eye aspect ratio is the given (T,) curve."""

    def make(ear: np.ndarray) -> np.ndarray:
        landmarks = np.full((len(ear), 478, 3), 100.0)
        for left_px, eye in ((60.0, RIGHT_EAR), (140.0, LEFT_EAR)):
            for index, (x, sign) in zip(eye, ((0, 0), (10, -1), (20, -1), (30, 0), (20, 1), (10, 1)), strict=True):
                landmarks[:, index, 0] = left_px + x
                landmarks[:, index, 1] = 100 + sign * ear * 30 / 2
        landmarks[np.isnan(ear)] = np.nan
        return landmarks

    return make
