import dataclasses
import functools
import itertools
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.faces import mouth_opening
from chdtf.media import read_waveform
from chdtf.morphable.coefficients import load_model
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.checkpoint import DEFAULT, Checkpoint, Header, load_checkpoint, new_checkpoint
from disenttalk_ref.generate.motion import SamplerConfig, generate_motion, joined
from disenttalk_ref.generate.sections import Policy
from disenttalk_ref.generate.stream import MotionStream, default_policy
from disenttalk_ref.model import ModelConfig
from disenttalk_ref.motion import Motion

REGIONS = (tuple(range(13, 21)), tuple(range(13)), tuple(range(21, 64)))
SMALL = ModelConfig(
    eye_latent=2, lip_latent=2, global_latent=2, eye_width=8, lip_width=8, global_width=8, blocks=1, heads=2
)
QUICK = SamplerConfig(steps=1)


@functools.cache
def _untrained() -> Checkpoint:
    torch.manual_seed(0)
    audio = AudioFeatures(bands=4)
    model = dataclasses.replace(SMALL, audio_width=audio.width)
    checkpoint = new_checkpoint(Header(model, audio, 400, "v", 16, REGIONS, "mp468", ""))
    checkpoint.denoiser.eval()
    checkpoint.codec.fit(torch.randn(200, model.num_motion), REGIONS, torch.ones(64))
    return checkpoint


def _speech(samples: int) -> np.ndarray:
    return (np.random.default_rng(samples).standard_normal(samples) * 0.1).astype(np.float32)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 24 * 640 + 5), st.lists(st.integers(0, 24 * 640), max_size=5))
def test_how_the_sound_is_cut_does_not_matter(samples: int, cuts: list[int]):
    """Any pieces, empty ones too, give the frames of the whole, to the rounding of the features."""
    speech = _speech(samples)
    one, other = MotionStream(_untrained(), QUICK), MotionStream(_untrained(), QUICK)
    whole = joined([one.push(speech), one.finish()])
    places = [0, *sorted(min(cut, samples) for cut in cuts), samples]
    pieces = joined([*[other.push(speech[a:b]) for a, b in itertools.pairwise(places)], other.finish()])
    assert whole.num_frames == samples // 640
    np.testing.assert_allclose(pieces.expression, whole.expression, atol=1e-3)
    np.testing.assert_allclose(pieces.pose, whole.pose, atol=1e-3)


def test_every_frame_is_decided_within_the_latency_that_is_stated():
    stream, decided = MotionStream(_untrained(), QUICK), {}
    speech, piece = _speech(40 * 640), 160
    for given_samples in range(piece, len(speech) + 1, piece):
        before = stream.num_frames
        stream.push(speech[given_samples - piece : given_samples])
        decided |= dict.fromkeys(range(before, stream.num_frames), given_samples / 16000)
    waits = [at - (frame + 1) / 25 for frame, at in decided.items()]
    assert max(waits) <= stream.latency_s + piece / 16000
    assert max(waits) == pytest.approx(stream.latency_s, abs=piece / 16000)
    assert default_policy(48) == Policy(4, 6, 38)
    assert stream.latency_s == pytest.approx(9 / 25 + 120 / 16000)


def test_memory_stays_flat():
    stream, speech, sizes = MotionStream(_untrained(), QUICK), _speech(8 * 640), []
    tracemalloc.start()
    try:
        for _ in range(24):
            stream.push(speech)
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sizes[-1] - sizes[7] < 20_000  # of 128 frames, whose features alone take 8 KB, and sound 320 KB


def test_a_stream_ends_once_and_hears_no_nan():
    stream = MotionStream(_untrained(), QUICK)
    with pytest.raises(UserError, match="not a number"):
        stream.push(np.array([0.0, np.nan], np.float32))
    assert stream.finish().num_frames == 0
    with pytest.raises(ValueError, match="finished"):
        stream.push(_speech(10))


@pytest.fixture(scope="module")
def streamed() -> tuple[np.ndarray, Motion]:
    """Speech, and the motion that the committed checkpoint streams for it."""
    folder = DEFAULT.parents[2] / "chdtf" / "assets" / "speech"
    spoken = [read_waveform(folder / f"{name}.ogg") for name in ("en_weather", "es_bread")]
    speech = np.concatenate([part for part in spoken if part is not None])
    stream = MotionStream(load_checkpoint(), SamplerConfig())
    return speech, joined([stream.push(speech), stream.finish()])


def _vertices(motion: Motion) -> np.ndarray:
    model = load_model("mp468")
    return model.mean + model.displacement(motion.expression)


def test_a_stream_of_the_committed_model_has_no_seams(streamed: tuple[np.ndarray, Motion]):
    """At most 1.2 times the motion where sections meet."""
    velocity = np.linalg.norm(np.diff(_vertices(streamed[1]), axis=0), axis=-1).mean(-1)  # frame k to k + 1
    seams = np.arange(1, len(velocity) + 1) % default_policy(48).section_frames == 0
    assert velocity[seams].mean() < 1.2 * velocity[~seams].mean()


def test_a_stream_moves_the_mouth_as_the_whole_recording_would(streamed: tuple[np.ndarray, Motion]):
    speech, motion = streamed
    whole = generate_motion(speech, motion.num_frames, load_checkpoint(), SamplerConfig())
    assert np.corrcoef(mouth_opening(_vertices(motion)), mouth_opening(_vertices(whole)))[0, 1] > 0.9
