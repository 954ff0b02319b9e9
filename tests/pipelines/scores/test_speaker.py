"""Active speaker: what the network is given, and that real faces at rest are told from real faces that talk."""

from pathlib import Path

import numpy as np
import pytest

from chdtf.faces import track_landmarks
from chdtf.media import read_frames, read_waveform
from pipelines.networks.light_asd import load_light_asd
from pipelines.scores.footage import Footage
from pipelines.scores.sound import voiced_frames
from pipelines.scores.speaker import active_speaker, cepstra, grey_faces, scores


def test_the_middle_of_the_crop_is_seen_in_grey() -> None:
    crops = np.zeros((2, 224, 224, 3), np.uint8)
    crops[0, 56:168, 56:168] = 255
    crops[1, 56:168, 56:168, 1] = 100
    faces = grey_faces(crops)
    assert faces.shape == (2, 112, 112)
    assert (faces[0] == 255).all()
    assert (faces[1] == 59).all()  # 0.587 of green


@pytest.mark.parametrize("samples", [25 * 640, 24 * 640 + 100, 26 * 640])
def test_there_are_four_cepstral_frames_a_video_frame(samples: int) -> None:
    wave = np.random.default_rng(0).uniform(-0.1, 0.1, samples).astype(np.float32)
    assert cepstra(wave, 25).shape == (100, 13)


def test_the_score_is_the_mean_where_speech_is_heard() -> None:
    probability = np.array([0.9, 0.1, 0.7, 0.3])
    assert active_speaker(probability, np.array([True, False, True, False])) == pytest.approx(0.8)
    with pytest.raises(ValueError, match="no_speech"):
        active_speaker(probability, np.zeros(4, bool))


@pytest.mark.slow
def test_a_face_that_talks_and_the_same_face_held_still(shared: Path) -> None:
    path = shared / "data" / "clips" / "may_5s.mp4"
    images = read_frames(path, size_px=256)[:50]
    wave = read_waveform(path)
    assert wave is not None
    wave = wave[: 50 * 640]
    landmarks, spoken = track_landmarks(images), voiced_frames(wave, 50)
    network = load_light_asd(shared / "weights" / "light_asd_talkset.model")
    talks = scores(network, Footage(images, landmarks, wave, spoken))
    still = scores(network, Footage(images[:1].repeat(50, 0), landmarks[:1].repeat(50, 0), wave, spoken))
    assert talks["active_speaker"] > 0.95
    assert still["active_speaker"] < 0.5
