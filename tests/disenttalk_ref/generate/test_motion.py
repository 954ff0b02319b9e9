import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chdtf.errors import UserError
from chdtf.faces import eye_aspect_ratio, mouth_opening
from chdtf.media import read_waveform
from chdtf.morphable.coefficients import Coefficients, load_model
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.checkpoint import DEFAULT, Checkpoint, Header, load_checkpoint, new_checkpoint, save_checkpoint
from disenttalk_ref.generate import motion as motion_module
from disenttalk_ref.generate.generator import Generator
from disenttalk_ref.generate.motion import SamplerConfig, generate_motion
from disenttalk_ref.generate.windows import window_starts
from disenttalk_ref.model import PRESETS

REGIONS = (tuple(range(13, 21)), tuple(range(13)), tuple(range(21, 64)))


@pytest.fixture(scope="module")
def untrained() -> Checkpoint:
    """The tiny network before training, windows of 16 frames."""
    torch.manual_seed(0)
    face = load_model("mp468")
    header = Header(PRESETS["tiny"], AudioFeatures(), 400, "z0", 16, REGIONS, face.name, face.hash)
    checkpoint = new_checkpoint(header)
    checkpoint.denoiser.eval()
    checkpoint.codec.fit(torch.randn(500, checkpoint.header.model.num_motion), REGIONS, torch.ones(64))
    return checkpoint


def _speech(frames: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(frames * 640) * 0.1).astype(np.float32)


@pytest.mark.parametrize(("samples", "frames"), [(0, 5), (640, 5), (640 * 90 + 7, 60), (640 * 5, 0), (300, 1)])
def test_any_length_of_speech_gives_the_frames_asked_for(untrained: Checkpoint, samples: int, frames: int):
    expression = generate_motion(np.ones(samples, np.float32), frames, untrained, SamplerConfig(steps=2)).expression
    assert expression.shape == (frames, 64)
    assert expression.dtype == np.float32
    assert bool(np.isfinite(expression).all())


def test_the_seed_decides(untrained: Checkpoint):
    first, second, third = (
        generate_motion(_speech(20), 20, untrained, SamplerConfig(seed=seed, steps=2)).expression for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, third)


def test_with_temperature_zero_the_seed_does_not_matter(untrained: Checkpoint):
    config = SamplerConfig(temperature_eye=0, temperature_lip=0, temperature_global=0, temperature_pose=0, steps=2)
    first, second = (
        generate_motion(_speech(20), 20, untrained, dataclasses.replace(config, seed=seed)).expression
        for seed in (1, 2)
    )
    np.testing.assert_array_equal(first, second)


def test_the_head_starts_in_the_pose_of_its_source_and_moves_as_far_as_told(untrained: Checkpoint):
    whole, double, still = (
        generate_motion(_speech(40), 40, untrained, SamplerConfig(steps=2, pose_scale=scale)) for scale in (1, 2, 0)
    )
    np.testing.assert_array_equal(whole.pose[0], 0)
    assert float(np.abs(whole.pose[1:]).min(axis=1).max()) > 0
    np.testing.assert_allclose(double.pose, 2 * whole.pose, rtol=1e-5)
    np.testing.assert_array_equal(still.pose, 0)
    np.testing.assert_array_equal(still.expression, whole.expression)


def test_a_model_without_pose_keeps_the_head_still(untrained: Checkpoint):
    model = dataclasses.replace(untrained.header.model, pose_latent=0)
    without = new_checkpoint(dataclasses.replace(untrained.header, model=model))
    without.denoiser.eval()
    motion = generate_motion(_speech(20), 20, without, SamplerConfig(steps=1))
    assert motion.expression.shape == (20, 64)
    np.testing.assert_array_equal(motion.pose, np.zeros((20, 6)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sampler": "euler"}, "sampler 'euler' is not known; choose one of ddim, ddpm, dpmpp"),
        ({"steps": 0}, "steps 0: give 1 or more"),
        ({"windows_at_once": 0}, "windows_at_once 0: give 1 or more"),
        ({"temperature_lip": -1.0}, "temperature_lip -1.0: give a number of 0 or more"),
        ({"guidance": float("nan")}, "guidance nan"),
        ({"seed": -1}, "seed -1 is negative"),
        ({"steps": 401}, "steps 401: this checkpoint has 400; give no more"),
    ],
)
def test_settings_out_of_range_are_refused(untrained: Checkpoint, fields: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        generate_motion(_speech(2), 2, untrained, SamplerConfig(**fields))


def test_features_come_piece_by_piece_as_from_the_whole(untrained: Checkpoint, monkeypatch: pytest.MonkeyPatch):
    speech = _speech(50)[:-300]
    monkeypatch.setattr(motion_module, "ROWS_AT_ONCE", 8)
    pieces = list(motion_module._rows(untrained, speech, 50))
    assert len(pieces) == 7
    whole = untrained.header.audio.extract(np.pad(speech, (0, 300)))
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-4)


class _Portrait:
    def __init__(self) -> None:
        self.model = load_model("mp468")
        one = np.zeros((1, 3), np.float32)
        still = np.zeros((1, 64), np.float32)
        self.source = Coefficients(
            np.zeros((468, 3), np.float32), still, one, one + 128, np.full(1, 60.0), np.ones(1, bool)
        )

    def frames(self, driving: Coefficients) -> Iterator[np.ndarray]:
        assert bool((driving.translation[0] == 128).all())  # the head starts in the pose of the source
        for expression in driving.expression:
            yield np.full((256, 256, 3), np.clip(128 + expression[0], 0, 255), np.uint8)


class _Renderer:
    def prepare(self, image: np.ndarray) -> _Portrait:
        assert image.shape == (300, 200, 3)
        return _Portrait()


def test_generator_renders_a_frame_for_every_coefficient(untrained: Checkpoint, tmp_path: Path):
    path = save_checkpoint(untrained, tmp_path / "model.safetensors")
    generator = Generator(path, SamplerConfig(steps=2), _Renderer())
    image = np.zeros((300, 200, 3), np.uint8)
    frames = [np.stack(list(generator.frames(image, _speech(30), 12, seed))) for seed in (0, 0)]
    assert frames[0].shape == (12, 256, 256, 3)
    np.testing.assert_array_equal(*frames)


@pytest.fixture(scope="module")
def committed() -> Checkpoint:
    return load_checkpoint()


def _spoken(name: str) -> np.ndarray:
    waveform = read_waveform(DEFAULT.parents[2] / "chdtf" / "assets" / "speech" / f"{name}.ogg")
    assert waveform is not None
    return waveform


def _vertices(expression: np.ndarray) -> np.ndarray:
    model = load_model("mp468")
    return model.mean + model.displacement(expression)


def test_the_committed_model_moves_its_mouth_in_speech_and_rests_in_silence(committed: Checkpoint):
    speech = _spoken("en_weather")
    half = len(speech) // 640
    waveform = np.concatenate([speech[: half * 640], np.zeros(50 * 640, np.float32)])
    opening = mouth_opening(_vertices(generate_motion(waveform, half + 50, committed).expression))
    talking, resting = opening[:half], opening[half + 10 :]
    assert float(resting.max()) < 0.08
    assert float(resting.mean()) < 0.5 * float(talking.mean())
    assert float(resting.std()) < 0.4 * float(talking.std())


def test_no_seams_show_in_long_speech(committed: Checkpoint, monkeypatch: pytest.MonkeyPatch):
    """Vertices move from frame to frame at most 1.2 times as far where windows or sections meet as elsewhere."""
    monkeypatch.setattr(motion_module, "SECTION_FRAMES", 96)
    speech = np.concatenate([_spoken(name) for name in ("en_weather", "cmn_market", "en_bridge", "es_bread")])
    frames, window = len(speech) // 640, committed.header.window_frames
    around, seams = window // 2, np.zeros(frames, bool)
    for first in range(0, frames, 96):
        begin = max(0, first - around)
        stop = min(frames, first + 96 + around)
        for start in window_starts(stop - begin, window, window // 3):
            edges = (begin + start, begin + start + window, first)
            seams[[edge for edge in edges if first <= edge < min(frames, first + 96)]] = True
    seams[0] = False
    ratios = []
    for seed in (0, 1):
        expression = generate_motion(speech, frames, committed, SamplerConfig(seed=seed)).expression
        velocity = np.linalg.norm(np.diff(_vertices(expression), axis=0), axis=-1).mean(-1)  # frame k - 1 to k
        ratios.append(velocity[seams[1:]].mean() / velocity[~seams[1:]].mean())
    assert 20 < seams.sum() < frames / 4
    assert float(np.mean(ratios)) < 1.2


@pytest.mark.parametrize(
    "names",
    [("en_weather", "cmn_market", "en_counting"), ("en_bridge", "cmn_river", "es_bread")],
    ids=["mixed", "unseen"],
)
def test_the_committed_model_blinks_now_and_then(committed: Checkpoint, names: tuple[str, ...]):
    """Over many seeds: 0.1-0.6 blinks a second, each under 60 % of the open eye, some nearly closed."""
    speech = np.concatenate([_spoken(name) for name in names])
    frames, blinks, lowest = len(speech) // 640, 0, []
    for seed in range(4):
        ratio = eye_aspect_ratio(
            _vertices(generate_motion(speech, frames, committed, SamplerConfig(seed=seed)).expression)
        )
        ratio = ratio / np.median(ratio)
        closed = ratio < 0.6
        blinks += int((closed[1:] & ~closed[:-1]).sum())
        lowest.append(ratio.min())
    assert 0.1 < blinks / (4 * frames / 25) < 0.6
    assert min(lowest) < 0.35


def test_the_committed_model_hears_the_words(committed: Checkpoint):
    """The same voice with other words moves the mouth otherwise, beyond what the seed does."""
    first, second = _spoken("en_weather"), _spoken("en_garden")
    frames = min(len(first), len(second)) // 640
    openings = [
        mouth_opening(_vertices(generate_motion(w, frames, committed, SamplerConfig(seed=seed)).expression))
        for w in (first, second)
        for seed in (0, 1)
    ]
    correlation = np.corrcoef(openings)
    assert min(correlation[0, 1], correlation[2, 3]) > max(correlation[:2, 2:].flatten()) + 0.2
