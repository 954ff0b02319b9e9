"""The bundled sample as an instrument: what was drawn is what the whole pipeline and the metrics measure."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark.metric import get_metric
from benchmark.normalise import AS_IS
from chdtf.clip import Clip, read_clips
from chdtf.faces import mouth_opening
from chdtf.morphable.coefficients import landmarks_of
from chdtf.morphable.model import load_model
from chdtf.sample import read_truth
from chdtf.schema import FPS, SAMPLES_PER_FRAME

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def clips(sample_dataset: Path) -> list[Clip]:
    """All accepted clips of the sample."""
    return read_clips(sample_dataset)


def test_every_video_ends_as_the_truth_expects(sample_dataset: Path, clips: list[Clip]) -> None:
    rejected = pq.read_table(sample_dataset / "rejected.parquet").to_pylist()
    outcome = {clip.video_id: "accepted" for clip in clips}
    outcome |= {row["video_id"]: row["reason"] for row in rejected}
    assert outcome == {name: truth.expected for name, truth in read_truth(sample_dataset).items()}
    assert sum(word == "accepted" for word in outcome.values()) == 12


def test_the_sample_is_what_the_readme_says(clips: list[Clip]) -> None:
    seconds = sum(clip.num_frames for clip in clips) / FPS
    assert 60 <= seconds <= 120
    languages = {clip.language for clip in clips}
    assert len(languages) >= 3
    assert languages & {"cmn", "zh"}
    by_split = {split: {c.speaker_id for c in clips if c.split == split} for split in ("train", "test")}
    assert not by_split["train"] & by_split["test"]


def test_published_clips_keep_the_contract(clips: list[Clip]) -> None:
    for clip in clips:
        frames = clip.frames()
        assert frames.shape == (clip.num_frames, 256, 256, 3)
        assert clip.waveform().shape == (clip.num_frames * SAMPLES_PER_FRAME,)
        assert clip.landmarks().shape == (clip.num_frames, 478, 3)


def test_blinks_are_counted_as_drawn(sample_dataset: Path, clips: list[Clip], tmp_path: Path) -> None:
    blink, truth = get_metric("blink"), read_truth(sample_dataset)
    counted, drawn = {}, {}
    for clip in clips:
        path = tmp_path / f"{clip.clip_id}.mp4"
        clip.write_video(path)
        counted[clip.clip_id] = int(blink.measure(AS_IS.footage(path), None, blink.load()).reshape(-1)[0])
        drawn[clip.clip_id] = len(truth[clip.video_id].blinks)
    assert counted == drawn
    assert sum(drawn.values()) >= 20


def test_mouth_opening_follows_the_drawn_curve(sample_dataset: Path, clips: list[Clip]) -> None:
    truth = read_truth(sample_dataset)
    for clip in clips:
        planted = truth[clip.video_id].opening_at(FPS)
        measured = mouth_opening(clip.landmarks())
        frames = min(len(planted), len(measured))
        assert abs(len(planted) - len(measured)) <= 1, clip.clip_id
        assert np.corrcoef(planted[:frames], measured[:frames])[0, 1] >= 0.9, clip.clip_id


def test_coefficients_reproduce_the_tracked_landmarks(clips: list[Clip]) -> None:
    face = load_model("mp468")
    for clip in clips:
        fitted = landmarks_of(clip.coefficients(), face)
        error_px = np.linalg.norm(fitted[..., :2] - clip.landmarks()[:, :468, :2], axis=-1)
        assert np.nanmean(error_px) < 0.5, clip.clip_id
