"""A short video of a portrait that speaks, blinks and turns, drawn at 50 fps in a frame that is not square."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from chdtf import animate
from chdtf.faces import detect_landmarks
from chdtf.media import resize, write_video
from chdtf.sample.canvas import portrait
from chdtf.warp import FaceWarp

FRAMES = 24  # at 25 fps


@dataclass(frozen=True)
class Spoken:
    """The video and what was drawn, at 25 fps."""

    path: Path
    opening: np.ndarray  # (T,) mouth opening
    closure: np.ndarray  # (T,) of the eyes, 0 open
    yaw: np.ndarray  # (T,) radians


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    """24 frames shown twice each, 360x280."""
    image = resize(portrait("grace_hopper")[40:440, 60:460], 256)
    landmarks = detect_landmarks(image)
    assert landmarks is not None
    t = np.arange(FRAMES)
    opening = 0.12 * (1 - np.cos(2 * np.pi * t / 12))
    closure = np.where((t >= 14) & (t < 17), 1.0, 0.0)
    yaw = 0.1 * np.sin(2 * np.pi * t / 24)
    warp, frames = FaceWarp(image, landmarks), []
    for gap, shut, turn in zip(opening, closure, yaw, strict=True):
        face = animate.close_eyes(animate.open_mouth(landmarks[:468], gap), shut)
        frame = np.full((280, 360, 3), 90, np.uint8)
        frame[12:268, 60:316] = warp.render(animate.move_head(face, yaw=turn))
        frames += [frame, frame]
    path = tmp_path_factory.mktemp("spoken") / "spoken.mp4"
    write_video(path, frames, fps=50)
    return Spoken(path, opening, closure, yaw)
