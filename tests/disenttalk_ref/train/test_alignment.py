from pathlib import Path

import numpy as np
import pytest

from chdtf.dataset import MotionClip
from chdtf.errors import UserError
from chdtf.media import read_waveform
from chdtf.morphable.coefficients import FaceModel
from chdtf.morphable.model import load_model
from disenttalk_ref.audio.extractors.phones import PHONES, Features
from disenttalk_ref.train.alignment import align, aligned, measure_offsets
from disenttalk_ref.train.batches import gap_direction

SPEECH = Path(__file__).parents[3] / "chdtf" / "assets" / "speech"
OPEN = ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "OW"]


@pytest.fixture(scope="module")
def face() -> FaceModel:
    return load_model("mp468")


@pytest.fixture(scope="module")
def in_sync(face: FaceModel) -> list[MotionClip]:
    """Speech of four voices; the mouth opens in vowels, with noise, as far as a phone recogniser can tell them."""
    direction = gap_direction(face)
    clips = []
    for number, name in enumerate(("en_garden", "en_weather", "es_bread", "cmn_river")):
        waveform = read_waveform(SPEECH / f"{name}.ogg")
        assert waveform is not None
        frames = len(waveform) // 640
        rows = np.square(Features().extract(waveform)).reshape(frames, 2, len(PHONES)).mean(1)
        vowels = rows[:, [PHONES.index(phone) for phone in OPEN]].sum(1)
        noise = np.random.default_rng(number).normal(0, 0.5 * vowels.std(), frames)
        opening = np.convolve(vowels, [0.2, 0.6, 0.2], "same") + noise
        expression = (opening[:, None] * direction / (direction @ direction)).astype(np.float32)
        pose = np.zeros((frames, 6), np.float32)
        clips.append(MotionClip(name, name, "en", waveform[: frames * 640], expression, pose, np.ones(frames, bool)))
    return clips


def test_planted_offsets_are_measured(in_sync: list[MotionClip], face: FaceModel):
    planted = [0, -4, 7, 2]
    moved = [aligned(clip, -frames) for clip, frames in zip(in_sync, planted, strict=True)]
    assert [offset.frames for offset in measure_offsets(moved, face, 10)] == planted


def test_aligned_takes_the_sound_from_later_and_marks_what_lost_it():
    waveform = np.arange(5 * 640, dtype=np.float32)
    clip = MotionClip("a", "b", "en", waveform, np.ones((5, 64)), np.zeros((5, 6)), np.ones(5, bool))
    later, earlier = aligned(clip, 2), aligned(clip, -2)
    np.testing.assert_array_equal(later.waveform[: 3 * 640], waveform[2 * 640 :])
    np.testing.assert_array_equal(earlier.waveform[2 * 640 :], waveform[: 3 * 640])
    assert later.valid.tolist() == [True, True, True, False, False]
    assert earlier.valid.tolist() == [False, False, True, True, True]
    np.testing.assert_array_equal(later.expression, clip.expression)
    assert not later.waveform[3 * 640 :].any()


def test_lips_of_another_speech_are_left_out(in_sync: list[MotionClip], face: FaceModel):
    dubbed = in_sync[0]
    scrambled = np.random.default_rng(5).permutation(dubbed.expression)
    wrong = MotionClip("dubbed", "x", "en", dubbed.waveform, scrambled, dubbed.pose, dubbed.valid)
    kept, offsets = align([*in_sync, wrong], face, 10)
    assert [clip.clip_id for clip in kept] == [clip.clip_id for clip in in_sync]
    assert offsets["dubbed"].correlation < 0.3
    with pytest.raises(UserError, match="max-offset 0"):
        align([wrong], face, 10)
