"""Drawn clips for the renderer: a mouth as wide open as the first coefficient says, on 32 px."""

import dataclasses

import numpy as np
import pytest

from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import load_model

SIDE = 32


@dataclasses.dataclass(frozen=True)
class DrawnClip:
    """What training asks of a `chdtf.clip.Clip`."""

    clip_id: str
    seed: int
    num_frames: int = 24
    speaker_id: str = "disc"
    license: str = "CC0-1.0"

    def coefficients(self) -> Coefficients:
        """It opens and shuts: the first coefficient goes between -1 and 1, and is another in every frame."""
        frames = self.num_frames
        expression = np.zeros((frames, 64))
        expression[:, 0] = np.sin(np.linspace(0, 6, frames) + self.seed)
        return Coefficients(
            identity=load_model("mp468").mean,
            expression=expression,
            rotation=np.zeros((frames, 3)),
            translation=np.full((frames, 3), 128.0),
            scale=np.full(frames, 64.0),
            valid=np.arange(frames) != 5,
        )

    def frames(self) -> np.ndarray:
        """A dark disc of 4 to 10 px on a gradient; black where not valid."""
        found = self.coefficients()
        y, x = np.mgrid[:SIDE, :SIDE]
        ground = np.stack([4 * x, 4 * y, 0 * x + 60], -1).astype(np.uint8)
        drawn = np.repeat(ground[None], self.num_frames, 0)
        for frame, opening in zip(drawn, found.expression[:, 0], strict=True):
            frame[np.hypot(x - SIDE / 2, y - SIDE / 2) < 7 + 3 * opening] = (90, 10, 20)
        drawn[~found.valid] = 0
        return drawn


@pytest.fixture(scope="session")
def drawn() -> list[DrawnClip]:
    """Two clips."""
    return [DrawnClip("disc_0", 0), DrawnClip("disc_1", 1)]
