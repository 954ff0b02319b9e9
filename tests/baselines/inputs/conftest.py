"""A clip made by hand, from which inputs are derived."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from baselines.inputs.source import Source
from chdtf.morphable.model import load_model


@dataclasses.dataclass(frozen=True)
class FakeClip:
    """What `Source` asks of a clip; frame k is grey with level 10 k."""

    points: np.ndarray
    language: str = "en"
    clip_id: str = "v0_000"
    pictures: np.ndarray | None = None

    @property
    def num_frames(self) -> int:
        return len(self.points)

    def frames(self) -> np.ndarray:
        if self.pictures is not None:
            return self.pictures
        levels = (10 * np.arange(self.num_frames) % 256).astype(np.uint8)
        return np.broadcast_to(levels[:, None, None, None], (self.num_frames, 256, 256, 3))

    def landmarks(self) -> np.ndarray:
        return self.points

    def waveform(self) -> np.ndarray:
        rng = np.random.default_rng(0)
        return (rng.integers(-9000, 9000, 640 * self.num_frames) / 32768).astype(np.float32)

    def write_video(self, path: Path) -> None:
        path.write_bytes(b"the dataset's own bytes")


def _faces(angles_rad: np.ndarray, scale: float = 90.0, centre: tuple[float, float] = (128.0, 128.0)) -> np.ndarray:
    """mp468's mean face turned by R = Rx Ry Rz, weak perspective: float32 (T, 478, 3) px; irises are not there."""
    mean = load_model("mp468").landmark_mean
    turned = mean @ np.swapaxes(Rotation.from_euler("XYZ", angles_rad).as_matrix(), 1, 2)
    points = np.zeros((len(turned), 478, 3), np.float32)
    points[:, :468] = scale * turned + [*centre, 0]
    return points


@pytest.fixture(scope="session")
def faces() -> Callable[..., np.ndarray]:
    """A function that makes landmarks, `_faces`."""
    return _faces


@pytest.fixture(scope="session")
def make_source() -> Callable[..., Source]:
    """A function that makes a `Source` of landmarks."""

    def make(points: np.ndarray, **more: object) -> Source:
        return Source(FakeClip(points, **more))  # type: ignore[arg-type]

    return make
