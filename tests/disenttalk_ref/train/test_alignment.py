import dataclasses
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
    found, aligner = measure_offsets(moved, face, 10)
    assert [offset.frames for offset in found] == planted
    assert aligner.offset(aligned(in_sync[0], 5)).frames == -5


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


def test_frames_without_a_face_stay_where_they_are_in_the_picture():
    valid = np.array([True, False, True, True, True, True])
    clip = MotionClip("a", "b", "en", np.zeros(6 * 640, np.float32), np.ones((6, 64)), np.zeros((6, 6)), valid)
    assert aligned(clip, 2).valid.tolist() == [True, False, True, True, False, False]
    assert aligned(clip, -2).valid.tolist() == [False, False, True, True, True, True]
    assert aligned(clip, 0).valid.tolist() == valid.tolist()


def test_frames_without_a_face_do_not_move_the_offset(in_sync: list[MotionClip], face: FaceModel):
    """Their expression is whatever it is: here a mouth wide open, in a fifth of one clip."""
    clip = aligned(in_sync[1], -3)
    valid = clip.valid.copy()
    valid[40 : 40 + len(valid) // 5] = False
    broken = np.where(valid[:, None], clip.expression, 50 * gap_direction(face)).astype(np.float32)
    others = [in_sync[0], *in_sync[2:]]
    found, _ = measure_offsets([dataclasses.replace(clip, valid=valid, expression=broken), *others], face, 10)
    assert [offset.frames for offset in found] == [3, 0, 0, 0]


def test_clips_that_were_not_learnt_from_are_brought_into_sync_too(in_sync: list[MotionClip], face: FaceModel):
    *learnt, held = in_sync
    scrambled = np.random.default_rng(5).permutation(held.expression)
    wrong = dataclasses.replace(held, clip_id="dubbed", expression=scrambled)
    kept, offsets = align(learnt, face, 10)[2].align([aligned(held, 4), wrong])
    assert [clip.clip_id for clip in kept] == [held.clip_id]
    assert offsets[held.clip_id].frames == -4
    np.testing.assert_array_equal(kept[0].waveform[4 * 640 :], held.waveform[4 * 640 :])


def test_lips_of_another_speech_are_left_out(in_sync: list[MotionClip], face: FaceModel):
    dubbed = in_sync[0]
    scrambled = np.random.default_rng(5).permutation(dubbed.expression)
    wrong = MotionClip("dubbed", "x", "en", dubbed.waveform, scrambled, dubbed.pose, dubbed.valid)
    kept, offsets, _ = align([*in_sync, wrong], face, 10)
    assert [clip.clip_id for clip in kept] == [clip.clip_id for clip in in_sync]
    assert offsets["dubbed"].correlation < 0.3
    with pytest.raises(UserError, match="max-offset 0"):
        align([wrong], face, 10)
