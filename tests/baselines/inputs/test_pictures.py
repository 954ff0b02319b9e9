"""Pictures, videos, sound: what lies in the files."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile

from baselines.inputs import Unavailable, get_input
from baselines.inputs.crops import STANDARD, filled, pcavs_matrices, three_points
from baselines.inputs.source import frame_numbers
from chdtf.media import probe, read_frames
from chdtf.morphable.ibug import IBUG_68

Make = Callable[..., object]


def moved(three: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Points (T, 3, 2) where affine matrices (T, 2, 3) take them."""
    return three @ np.swapaxes(matrices[:, :, :2], 1, 2) + matrices[:, None, :, 2]


def test_a_picture_without_a_crop_is_the_first_frame_pixel_by_pixel(faces: Make, make_source: Make, tmp_path: Path):
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (2, 256, 256, 3), np.uint8)
    source = make_source(np.full((2, 478, 3), np.nan), pictures=pictures)
    get_input("image", {}).derive(source, tmp_path / "x.png")  # needs no face
    assert np.array_equal(cv2.imread(str(tmp_path / "x.png"))[..., ::-1], pictures[0])


def test_the_crop_of_one_frame_has_mouth_and_eyes_where_pcavs_puts_them(faces: Make, make_source: Make, tmp_path: Path):
    points = faces(np.array([[0.0, 0.0, 0.3]]), 60.0, (140.0, 110.0))
    picture = np.zeros((1, 256, 256, 3), np.uint8)
    mouth = points[0, list(IBUG_68[60:68]), :2].mean(0)
    cv2.circle(picture[0], tuple(int(v) for v in np.round((mouth - 0.5) * 16)), 2 * 16, (255, 255, 255), -1, 16, 4)
    get_input("image", {"crop": "pcavs224"}).derive(make_source(points, pictures=picture), tmp_path / "x.png")
    crop = cv2.imread(str(tmp_path / "x.png"))[..., 0].astype(float)
    assert crop.shape == (224, 224)
    rows, columns = np.mgrid[:224, :224]
    seen = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
    assert np.abs(seen - STANDARD[2]).max() < 0.2
    three = three_points(points)
    inside = moved(three, pcavs_matrices(three))[0]
    assert np.abs(inside[1] - inside[0] - [np.hypot(*(inside[1] - inside[0])), 0]).max() < 1.5  # eyes level


@given(st.integers(0, 10_000))
def test_a_clips_crop_turns_and_scales_alike_and_only_follows_the_mouth(seed: int):
    rng = np.random.default_rng(seed)
    turn, scale = rng.uniform(-0.5, 0.5), rng.uniform(0.3, 2.0)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shifts = rng.normal(0, 8, (6, 1, 2))
    three = np.array(STANDARD) @ linear.T + 40 + shifts
    matrices = pcavs_matrices(three)
    assert np.allclose(matrices[:, :, :2], np.linalg.inv(linear), atol=1e-9)
    missed = moved(three, matrices)[:, 2] - STANDARD[2]
    own = -np.linalg.inv(linear) @ (three[:, 2] - three[:1, 2])[..., None]
    behind = np.zeros(2)
    for frame, shift in enumerate(own[..., 0]):
        behind = 0.2 * behind + 0.8 * shift
        assert np.allclose(missed[frame], behind - shift, atol=1e-9)


def test_a_frame_without_a_face_is_cropped_between_its_neighbours_and_a_clip_without_is_told(
    faces: Make, make_source: Make, tmp_path: Path
):
    points = faces(np.zeros((3, 3)))
    points[2] += 4
    points[1] = np.nan
    three = three_points(points)
    assert np.allclose(three[1], (three[0] + three[2]) / 2)
    assert np.allclose(filled(np.array([[np.nan], [3.0], [np.nan]])), 3)
    kind = get_input("frame_folder", {"crop": "pcavs224"})
    kind.derive(make_source(points), tmp_path / "folder")
    assert len(list((tmp_path / "folder").iterdir())) == 3
    points[0] = np.nan
    with pytest.raises(Unavailable, match="no_face: the first frame"):
        get_input("image", {"crop": "pcavs224"}).derive(make_source(points), tmp_path / "x.png")
    points[2] = np.nan
    with pytest.raises(Unavailable, match="no_face: none of 3 frames"):
        kind.derive(make_source(points), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_folder_at_30_fps_shows_the_frame_nearest_in_time_and_holds_nothing_else(
    faces: Make, make_source: Make, tmp_path: Path
):
    source = make_source(faces(np.zeros((10, 3))))
    get_input("frame_folder", {"fps": 30, "suffix": ".png"}).derive(source, tmp_path / "folder")
    names = sorted(path.name for path in (tmp_path / "folder").iterdir())
    assert names == [f"{number:06d}.png" for number in range(1, 13)]
    levels = [int(cv2.imread(str(tmp_path / "folder" / name))[0, 0, 0]) // 10 for name in names]
    assert levels == [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 8, 9]


@given(st.integers(1, 900), st.sampled_from([25, 29.97, 30, 62.5]))
def test_no_frame_is_further_in_time_than_half_a_frame_but_at_the_end(num_frames: int, fps: float):
    numbers = frame_numbers(num_frames, 25, fps)
    late_s = np.arange(len(numbers)) / fps - numbers / 25
    assert np.all(np.diff(numbers) >= 0)
    assert np.abs(late_s[numbers < num_frames - 1]).max(initial=0) <= 0.02 + 1e-9


def test_a_video_as_it_is_is_the_datasets_own_and_at_30_fps_one_of_30(faces: Make, make_source: Make, tmp_path: Path):
    source = make_source(faces(np.zeros((10, 3))))
    get_input("video", {}).derive(source, tmp_path / "own.mp4")
    assert (tmp_path / "own.mp4").read_bytes() == b"the dataset's own bytes"
    get_input("video", {"fps": 30, "crop": "pcavs224"}).derive(source, tmp_path / "x.mp4")
    assert probe(tmp_path / "x.mp4").fps == pytest.approx(30)
    frames = read_frames(tmp_path / "x.mp4", 30)
    assert frames.shape == (12, 224, 224, 3)
    assert np.abs(frames[:, 112, 112, 0] - 10.0 * np.array([0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 8, 9])).max() <= 3


def test_sound_is_16_bit_mono_at_16_khz_sample_by_sample(faces: Make, make_source: Make, tmp_path: Path):
    source = make_source(faces(np.zeros((2, 3))))
    get_input("audio", {}).derive(source, tmp_path / "x.wav")
    rate, samples = wavfile.read(tmp_path / "x.wav")
    assert (rate, samples.dtype, samples.shape) == (16000, np.int16, (1280,))
    assert np.array_equal(samples, np.round(source.waveform * 32768))
