"""The generator's two steps: motion with parts from elsewhere, and frames of it."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from chdtf.errors import UserError
from chdtf.faces import mouth_opening
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.head_motion import head_motion
from chdtf.morphable.model import load_model
from disenttalk_ref.generate.control import Control
from disenttalk_ref.generate.generator import Generator
from disenttalk_ref.generate.motion import SamplerConfig


class _Portrait:
    """Draws nothing: keeps what it is driven by."""

    def __init__(self, face_model: str = "mp468") -> None:
        self.model = dataclasses.replace(load_model("mp468"), name=face_model)
        one = np.full((1, 3), 0.1, np.float32)
        self.source = Coefficients(
            np.zeros((468, 3), np.float32), np.ones((1, 64), np.float32), one, one, np.full(1, 60.0), np.ones(1, bool)
        )
        self.driving: Coefficients | None = None

    def frames(self, driving: Coefficients) -> Iterator[np.ndarray]:
        self.driving = driving
        return iter(np.zeros((driving.num_frames, 256, 256, 3), np.uint8))


class _Renderer:
    def __init__(self, face_model: str = "mp468") -> None:
        self.portrait = _Portrait(face_model)

    def prepare(self, image: np.ndarray) -> _Portrait:
        return self.portrait


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(config=SamplerConfig(steps=3), renderer=_Renderer())


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    rng = np.random.default_rng(0)
    loud = np.repeat(rng.random(20) < 0.5, 3 * 640)
    return (0.2 * rng.standard_normal(len(loud)) * loud).astype(np.float32)


def test_the_seed_decides_whatever_was_asked_before(generator: Generator, speech: np.ndarray):
    first, other, again = (generator.motion(speech, 20, seed) for seed in (3, 4, 3))
    assert np.array_equal(first.expression, again.expression)
    assert np.array_equal(first.pose, again.pose)
    assert not np.allclose(first.expression, other.expression)


def test_eyes_pose_and_weight_change_their_own_part_to_the_bit(generator: Generator, speech: np.ndarray):
    rng = np.random.default_rng(1)
    eyes, pose = rng.standard_normal((7, 64)).astype(np.float32), rng.standard_normal((7, 6)).astype(np.float32)
    eye, lip, rest = (list(region) for region in generator.checkpoint.header.regions)
    plain = generator.motion(speech, 20)
    for control, changed in (
        (Control(lip_weight=1.3), "lip"),
        (Control(eyes=eyes), "eye"),
        (Control(pose=pose), "pose"),
    ):
        made = generator.motion(speech, 20, control=control)
        same = {
            "eye": np.array_equal(made.expression[:, eye], plain.expression[:, eye]),
            "lip": np.array_equal(made.expression[:, lip], plain.expression[:, lip]),
            "rest": np.array_equal(made.expression[:, rest], plain.expression[:, rest]),
            "pose": np.array_equal(made.pose, plain.pose),
        }
        assert same == {name: name != changed for name in same}


def test_frames_are_driven_by_the_motion_from_the_sources_pose(generator: Generator, speech: np.ndarray):
    pose = np.linspace(0, 0.1, 20)[:, None] * np.ones(6)
    made = list(generator.frames(np.zeros((9, 9, 3), np.uint8), speech, 20, 5, Control(pose=pose)))
    assert len(made) == 20
    portrait: Any = generator.prepare(np.zeros((9, 9, 3), np.uint8))
    assert np.array_equal(portrait.driving.expression, generator.motion(speech, 20, 5).expression)
    assert head_motion(portrait.driving, portrait.source) == pytest.approx(pose, abs=1e-5)


def test_motion_of_one_face_model_does_not_drive_another(speech: np.ndarray):
    generator = Generator(config=SamplerConfig(steps=1), renderer=_Renderer("bfm"))
    image = np.zeros((9, 9, 3), np.uint8)
    with pytest.raises(UserError, match=r"of face model mp468 \w{12}, the renderer draws bfm \w{12}"):
        generator.prepare(image)
    with pytest.raises(UserError, match="draws bfm"):
        generator.draw(_Portrait("bfm"), generator.motion(speech, 2))


def test_silence_keeps_the_mouth_closed_from_the_first_frame_to_the_last():
    generator = Generator(renderer=_Renderer())
    model = generator.face_model
    motion = generator.motion(np.zeros(60 * 640, np.float32), 60)
    opening = mouth_opening(model.mean + model.displacement(motion.expression))
    assert opening.max() < 0.08  # the mean face of a speaker: 0.11
    assert opening.mean() < 0.03


def test_a_video_keeps_its_pose_and_eyes_and_gets_the_lips(generator: Generator, speech: np.ndarray, spoken: Any):
    dubbed = generator.prepare_video(spoken.path, 10)
    lip = list(generator.checkpoint.header.regions[1])
    others = np.setdiff1d(np.arange(64), lip)
    seen: list[Coefficients] = []

    class Watched:
        source = dubbed.source

        def frames(self, driving: Coefficients) -> Iterator[np.ndarray]:
            seen.append(driving)
            return iter(())

    motion = generator.motion(speech, 16)
    list(generator.dub(Watched(), motion))  # type: ignore[arg-type]
    order = [*range(10), *range(8, 2, -1)]
    (driving,) = seen
    assert np.array_equal(driving.expression[:, lip], motion.expression[:, lip])
    assert np.array_equal(driving.expression[:, others], dubbed.source.expression[order][:, others])
    assert np.array_equal(driving.rotation, dubbed.source.rotation[order])
    assert len(list(generator.dub(dubbed, motion))) == 16
