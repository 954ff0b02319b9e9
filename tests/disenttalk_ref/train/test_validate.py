import dataclasses

import numpy as np
import pytest
import torch

from chdtf.dataset import MotionClip
from chdtf.morphable.model import load_model
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.checkpoint import load_checkpoint
from disenttalk_ref.motion import Motion
from disenttalk_ref.sync import SyncExpert
from disenttalk_ref.train.batches import gap_direction
from disenttalk_ref.train.validate import blinks, compare, expert_accuracy, landmarks, validate

FACE = load_model("mp468")


def _recorded(clip: MotionClip) -> Motion:
    return Motion(clip.expression, clip.pose)


def test_recorded_motion_agrees_with_itself(clips: list[MotionClip]):
    found = compare(_recorded(clips[0]), clips[0], FACE)
    assert found["mouth_corr"] == pytest.approx(1)
    assert found["mouth_amplitude"] == pytest.approx(1)
    assert found["lip_distance"] == 0
    for name in ("blinks_per_s", "velocity", "turning"):
        assert found[name] == found[f"recorded_{name}"]


def test_planted_differences_are_measured_back(clips: list[MotionClip]):
    """Half the mouth opening, a mouth that opens where it should close, a head that turns 0.1 rad a frame."""
    rng, frames = np.random.default_rng(0), 50
    opening = np.abs(rng.standard_normal(frames))[:, None].astype(np.float32)
    direction = gap_direction(FACE)[None].astype(np.float32)
    clip = dataclasses.replace(clips[0], expression=opening * direction * 40)
    pose = np.zeros((frames, 6), np.float32)
    pose[:, 1] = np.arange(frames) * 0.1
    half = compare(Motion(clip.expression / 2, pose), clip, FACE)
    assert half["mouth_amplitude"] == pytest.approx(0.5, abs=0.02)
    assert half["mouth_corr"] > 0.99
    assert half["turning"] == pytest.approx(2.5, rel=1e-4)
    assert half["velocity"] == pytest.approx(half["recorded_velocity"] / 2, rel=1e-3)
    lips = np.linalg.norm(FACE.displacement(clip.expression / 2), axis=-1)
    assert 0 < half["lip_distance"] < float(lips.max(1).mean())
    turned_round = compare(Motion(clip.expression.max(0) - clip.expression, pose), clip, FACE)
    assert turned_round["mouth_corr"] < -0.8


def test_frames_without_a_face_do_not_count(clips: list[MotionClip]):
    clip = clips[0]
    valid = clip.valid.copy()
    valid[10:20] = False
    broken = clip.expression.copy()
    broken[10:20] = 100
    partly = dataclasses.replace(clip, valid=valid)
    same = compare(Motion(broken, clip.pose), partly, FACE)
    assert same["mouth_corr"] == pytest.approx(1)
    assert same["lip_distance"] == 0
    never = compare(_recorded(clip), dataclasses.replace(clip, valid=np.zeros(50, bool)), FACE)
    assert all(np.isnan(value) for value in never.values())


@pytest.mark.parametrize(("length", "count"), [(1, 0), (2, 1), (8, 1), (15, 1), (16, 0)])
def test_a_blink_lasts_2_to_15_frames(length: int, count: int):
    ear = np.full(50, 0.3)
    ear[20 : 20 + length] = 0.06
    rate, closure = blinks(ear, np.ones(50, bool))
    assert rate == pytest.approx(count / 2)
    assert closure == pytest.approx(0.2) if count else np.isnan(closure)


def test_landmarks_are_those_of_the_mean_face():
    still = landmarks(np.zeros((2, 64), np.float32), FACE)
    np.testing.assert_allclose(still[1], FACE.mean, atol=1e-6)
    assert np.linalg.norm(still[0, 33] - still[0, 263]) == pytest.approx(1, abs=1e-5)


class Loud(SyncExpert):
    """An expert whose score is how well the first lip dimension follows the loudness."""

    def forward(self, audio: torch.Tensor, lips: torch.Tensor) -> torch.Tensor:
        return torch.tanh(audio.amax(-1) - audio.amax(-1).mean()) * torch.tanh(lips[..., 0])


def test_accuracy_of_an_expert_is_counted(clips: list[MotionClip]):
    """A perfect one is right nearly always; lips that follow nothing leave it at chance."""
    checkpoint = load_checkpoint()
    checkpoint = dataclasses.replace(checkpoint, header=dataclasses.replace(checkpoint.header, audio=AudioFeatures()))
    lip, rng = checkpoint.header.regions[1][0], np.random.default_rng(0)
    long = [_longer(rng, lip, follows) for follows in (True, False)]
    right, chance = (expert_accuracy(Loud(320, 13), checkpoint, clip) for clip in long)
    assert right > 0.9
    assert 0.2 < chance < 0.8
    short = dataclasses.replace(
        clips[0],
        waveform=clips[0].waveform[:6400],
        expression=clips[0].expression[:10],
        pose=clips[0].pose[:10],
        valid=clips[0].valid[:10],
    )
    assert np.isnan(expert_accuracy(Loud(320, 13), checkpoint, short))


def _longer(rng: np.random.Generator, lip: int, follows: bool) -> MotionClip:
    frames = 250
    loud = np.repeat(rng.random(frames // 5) < 0.5, 5)
    opens = loud if follows else np.repeat(rng.random(frames // 5) < 0.5, 5)
    tone = np.sin(np.arange(frames * 640) * 0.2) * 0.3
    expression = np.zeros((frames, 64), np.float32)
    expression[:, lip] = np.where(opens, 1.5, -1.5)
    waveform = (tone * np.repeat(loud, 640)).astype(np.float32)
    return MotionClip(
        "long", "speaker", "en", waveform, expression, np.zeros((frames, 6), np.float32), np.ones(frames, bool)
    )


def test_validation_is_a_mean_over_clips(clips: list[MotionClip]):
    checkpoint = load_checkpoint()
    one, two, both = (validate(checkpoint, FACE, chosen) for chosen in (clips[:1], clips[1:2], clips[:2]))
    assert both["mouth_corr"] == pytest.approx((one["mouth_corr"] + two["mouth_corr"]) / 2)
    assert validate(checkpoint, FACE, []) == {}
