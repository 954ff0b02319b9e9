"""What is put into the sample is found again in its files; and drawing is deterministic, resumable and incremental."""

import dataclasses
import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from chdtf.faces import FaceDetector, eye_aspect_ratio, mouth_opening, track_landmarks
from chdtf.files import sha256_file
from chdtf.manifest import local_path, read_manifest
from chdtf.media import frames, probe, read_waveform
from chdtf.sample import VideoTruth, curves, draw, draw_sample, manifest_rows, read_truth
from chdtf.sample.plan import ACCEPTED, PLAN, REFUSED, SampleVideo

REPOSITORY = Path(__file__).resolve().parents[2]
BY_ID = {video.video_id: video for video in PLAN}
MEASURED = ("collins_en_garden", "collins_cmn_market", "hopper_de_bakery")  # 29.97 fps; sound 3 frames late; glasses


@pytest.fixture(scope="module")
def drawn(sample_dataset: Path) -> dict[str, VideoTruth]:
    """The truth about some videos of the sample, drawn by several processes."""
    rows = read_manifest(sample_dataset / "manifest.csv")
    assert [row.video_id for row in rows] == [video.video_id for video in PLAN]
    assert [row.sha256 for row in rows] == [sha256_file(local_path(row.url, sample_dataset)) for row in rows]
    return {name: truth for name, truth in read_truth(sample_dataset).items() if name in (*MEASURED, "silence")}


def head_crops(path: Path) -> list[np.ndarray]:
    """The video at 25 fps, cut to 256 px squares around the head of its first frame."""
    images = list(frames(path))
    height, width = images[0].shape[:2]
    box = FaceDetector().detect(images[0])[0, :4] * np.array([width, height, width, height])
    side = min(round((box[3] - box[1]) / 0.55), width, height)
    left = int(np.clip((box[0] + box[2] - side) / 2, 0, width - side))
    top = int(np.clip((box[1] + box[3] - side) / 2, 0, height - side))
    return [
        cv2.resize(image[top : top + side, left : left + side], (256, 256), interpolation=cv2.INTER_AREA)
        for image in images
    ]


def count_blinks(ear: np.ndarray) -> int:
    """Runs of 2 to 15 frames below 0.7 of the median that end by re-opening."""
    runs = [(low, len(list(run))) for low, run in itertools.groupby(ear < 0.7 * np.median(ear))]
    return sum(low and 2 <= length <= 15 for low, length in runs[:-1])


@pytest.mark.parametrize("name", MEASURED)
def test_mouth_and_blinks_are_measured_back(drawn: dict[str, VideoTruth], name: str):
    truth = drawn[name]
    landmarks = track_landmarks(head_crops(truth.path))
    times = np.arange(len(landmarks)) / 25
    assert np.corrcoef(mouth_opening(landmarks), truth.opening_at(25))[0, 1] > 0.96
    ear = eye_aspect_ratio(landmarks)
    assert count_blinks(ear) == len(truth.blinks) == BY_ID[name].num_blinks > 0
    for blink in truth.blinks:
        shut = (times >= blink["shut_s"]) & (times <= blink["reopen_s"])
        assert ear[shut].max() < 0.7 * np.median(ear)


@pytest.mark.parametrize("name", MEASURED)
def test_sound_comes_after_the_lips_by_the_planted_offset(drawn: dict[str, VideoTruth], name: str):
    video, truth = BY_ID[name], drawn[name]
    sound = read_waveform(truth.path)
    speech = read_waveform(draw.load_speech(video.speeches[0]).path)
    assert sound is not None
    assert speech is not None
    lag = np.argmax(np.correlate(sound[:64_000], speech[:32_000], mode="valid")) / 16_000
    assert lag == pytest.approx(video.lead_s + truth.audio_offset_frames / truth.fps, abs=1e-3)


def test_truth_fits_the_files(drawn: dict[str, VideoTruth]):
    for name, truth in drawn.items():
        info = probe(truth.path)
        assert (info.video_codec, info.audio_codec) == ("h264", "aac")
        assert info.fps == pytest.approx(BY_ID[name].fps, rel=1e-4)
        assert min(info.width, info.height) >= 480
        assert sum(1 for _ in frames(truth.path, truth.fps)) == truth.num_frames == len(truth.mouth_opening)
        assert all(blink["start_s"] > 0 and blink["end_s"] < truth.num_frames / truth.fps for blink in truth.blinks)
    silence = read_waveform(drawn["silence"].path)
    assert silence is not None
    assert not silence.any()


def test_drawing_is_deterministic_incremental_and_resumed(tmp_path: Path):
    plan = [
        dataclasses.replace(BY_ID[name], longest_s=0.4, num_blinks=0, lead_s=0.0)
        for name in ("collins_en_weather", "hopper_es_bread", "no_face")
    ]
    first, second = (draw_sample(tmp_path / name, processes=1, plan=plan).parent for name in "ab")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert all((first / path).read_bytes() == (second / path).read_bytes() for path in files)

    def stamps() -> dict[str, int]:
        return {path.stem: path.stat().st_mtime_ns for path in (first / "sources").iterdir()}

    before = stamps()
    draw_sample(first, processes=1, plan=plan)
    assert stamps() == before
    (first / "sources" / "no_face.mp4").write_bytes(b"cut off")
    plan[0] = dataclasses.replace(plan[0], seed=999)
    draw_sample(first, processes=1, plan=plan)
    changed = {name for name, stamp in stamps().items() if stamp != before[name]}
    assert changed == {"collins_en_weather", "no_face"}
    assert (first / "sources" / "no_face.mp4").read_bytes() == (second / "sources" / "no_face.mp4").read_bytes()


def test_stale_videos_are_removed(tmp_path: Path):
    plan = [dataclasses.replace(BY_ID["no_face"], video_id=name, longest_s=0.2) for name in ("one", "two")]
    draw_sample(tmp_path, plan=plan, processes=1)
    draw_sample(tmp_path, plan=plan[:1], processes=1)
    assert [path.name for path in (tmp_path / "sources").iterdir()] == ["one.mp4"]


def test_the_plan_is_what_the_sample_promises():
    accepted, refused = ACCEPTED, REFUSED
    seconds = sum(draw.num_frames(video) / video.fps for video in accepted)
    assert 60 <= seconds <= 120
    assert len({video.video_id for video in PLAN}) == len(PLAN)
    languages = [video.language for video in accepted]
    assert len(set(languages)) >= 4
    assert languages.count("cmn") >= 3
    assert {video.expected for video in accepted} == {"accepted"}
    assert {video.expected for video in refused} == {"several_faces", "no_face", "silence"}
    speakers = {(video.speaker_id, video.split) for video in PLAN}
    assert len(speakers) == len({speaker for speaker, _ in speakers})
    assert all(video.audio_offset_frames == 0 for video in PLAN if video.split == "test")


def test_the_committed_manifest_is_the_drawn_one_seen_from_its_folder():
    committed = REPOSITORY / "manifests" / "sample.csv"
    rows = read_manifest(committed)
    assert rows == manifest_rows("../data/sample/sources")
    folder = REPOSITORY / "data" / "sample"
    for row, own in zip(rows, manifest_rows("sources"), strict=True):
        assert local_path(row.url, committed.parent).resolve() == local_path(own.url, folder)
        assert dataclasses.replace(row, url="") == dataclasses.replace(own, url="")


def test_every_recording_has_its_phonemes_and_all_are_small():
    table = json.loads((draw.SPEECH / "phonemes.json").read_text("utf-8"))
    recordings = sorted(draw.SPEECH.glob("*.ogg"))
    assert [path.stem for path in recordings] == sorted(table)
    assert sum(path.stat().st_size for path in recordings) < 600_000
    for path in recordings:
        waveform = read_waveform(path)
        assert waveform is not None
        assert len(waveform) / 16_000 == pytest.approx(table[path.stem]["duration_s"], abs=2e-3)


def test_mouth_and_sound_agree_best_without_a_shift():
    lags = np.arange(-8, 9)
    for name in json.loads((draw.SPEECH / "phonemes.json").read_text("utf-8")):
        speech = draw.load_speech(name)
        waveform = read_waveform(speech.path)
        assert waveform is not None
        count = len(waveform) // 640
        loudness = np.sqrt(np.mean(waveform[: count * 640].reshape(count, 640) ** 2, axis=1))
        middles = (np.arange(count) + 0.5) / 25
        agreement = [
            np.corrcoef(curves.mouth_curve(speech.phonemes, speech.duration_s, middles + lag / 25), loudness)[0, 1]
            for lag in lags
        ]
        assert abs(lags[np.argmax(agreement)]) <= 1
        assert max(agreement) > 0.4


def test_lips_meet_in_bilabials_open_in_vowels_and_rest_shut():
    sounds = [(0.0, "a"), (0.2, "m"), (0.3, "a"), (0.5, ""), (0.54, "p"), (0.58, "iː"), (0.7, "b"), (0.76, "ɑː")]
    times = np.array([-0.5, 0.1, 0.25, 0.4, 0.52, 0.9, 2.0])
    curve = curves.mouth_curve(sounds, 1.1, times)
    assert curve[[0, 2, 4, 6]] == pytest.approx(0.0, abs=1e-9)
    assert (curve[[1, 3, 5]] > 0.18).all()
    for phase in np.linspace(0, 0.04, 9):  # wherever the frames fall, one shows the lips together
        sampled = curves.mouth_curve(sounds, 1.1, np.arange(0.14, 0.36, 0.04) + phase)
        assert sampled.min() < 1e-9


@pytest.mark.parametrize("video", PLAN, ids=lambda video: str(video.video_id))
def test_blinks_are_apart_and_shut_for_two_frames(video: SampleVideo):
    times = draw.frame_times(video)
    for act in draw.perform(video):
        assert len(act.blinks) == video.num_blinks
        assert all(after.start_s - before.end_s > 0.2 for before, after in itertools.pairwise(act.blinks))
        assert all(0.25 <= blink.end_s - blink.start_s <= 0.32 for blink in act.blinks)
        runs = [sum(1 for _ in run) for shut, run in itertools.groupby(act.lids > 0.999) if shut]
        assert len(runs) == video.num_blinks
        assert all(2 <= run <= 4 for run in runs)
        assert len(act.lids) == len(times) == len(act.opening)


@pytest.mark.parametrize(("name", "count"), [("two_faces", 2), ("no_face", 0), ("hopper_cmn_river", 1)])
def test_the_detector_finds_as_many_faces_as_were_drawn(name: str, count: int):
    image = next(iter(draw.images(BY_ID[name])))
    assert len(FaceDetector().detect(image)) == count == len(BY_ID[name].faces)
