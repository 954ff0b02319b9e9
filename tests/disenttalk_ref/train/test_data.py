import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from safetensors.torch import load_file

from chdtf.dataset import MotionClip
from chdtf.errors import UserError
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.audio.cache import write
from disenttalk_ref.train import TrainConfig, fit
from disenttalk_ref.train.alignment import Offset
from disenttalk_ref.train.data import TrainingData, check_clips, fingerprint, read_data, without_mandarin


def test_the_fingerprint_is_of_the_content(clips: list[MotionClip]):
    whole = fingerprint(clips)
    assert fingerprint(clips[::-1]) == whole
    assert fingerprint(clips[:2]) != whole
    for name in ("waveform", "expression", "pose"):
        changed = getattr(clips[0], name).copy()
        changed[3] += 1e-3
        assert fingerprint([dataclasses.replace(clips[0], **{name: changed}), *clips[1:]]) != whole
    assert fingerprint([dataclasses.replace(clips[0], clip_id="other"), *clips[1:]]) != whole
    assert len(whole) == 64


def test_mandarin_is_left_out_by_its_codes(clips: list[MotionClip]):
    spoken = [dataclasses.replace(clips[0], language=code) for code in ("cmn", "zh-Hans-CN", "ZH", "yue", "en", "und")]
    assert [clip.language for clip in without_mandarin(spoken)] == ["yue", "en", "und"]
    with pytest.raises(UserError, match=r"no clip is Mandarin \(cmn or zh\); the languages here are en, und"):
        without_mandarin(spoken[4:])
    with pytest.raises(UserError, match="every clip is Mandarin"):
        without_mandarin(spoken[:2])


@pytest.mark.parametrize("name", ["waveform", "expression", "pose"])
def test_clips_with_nan_are_refused(clips: list[MotionClip], name: str):
    broken = getattr(clips[1], name).copy()
    broken[17] = np.nan
    with pytest.raises(UserError, match=rf"clip_1: {name}\[17\] is not finite"):
        check_clips([clips[0], dataclasses.replace(clips[1], **{name: broken})], 16)


def test_some_clip_must_be_as_long_as_a_window(clips: list[MotionClip]):
    check_clips(clips, 50)
    with pytest.raises(
        UserError, match=r"longest of 3 clips has 50 frames \(2.00 s\), a window has 51.*--window-frames"
    ):
        check_clips(clips, 51)


def test_held_out_clips_are_not_learned_from(sample_dataset: Path, tmp_path: Path):
    """The sample has no val split: clips of the train split are held out, and the account says so."""
    config = TrainConfig((sample_dataset,), tmp_path, validate_clips=8)
    data, face = read_data(config, AudioFeatures())
    learned, held = {clip.clip_id for clip in data.clips}, {clip.clip_id for clip in data.held}
    assert len(held) == 1
    assert not learned & held
    assert "held out because the val split is empty" in data.held_from
    assert face.name == "mp468"
    assert set(data.counts()["validation_clip_ids"]) == held
    without = read_data(dataclasses.replace(config, validate_every=0), AudioFeatures())[0]
    assert {clip.clip_id for clip in without.clips} == learned | held
    assert without.held == ()


def test_a_clip_that_comes_twice_is_refused(sample_dataset: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"8 clips come twice in sample, sample"):
        read_data(TrainConfig((sample_dataset, sample_dataset), tmp_path), AudioFeatures())


def test_without_chdtf_no_mandarin_is_learned_or_held_out(sample_dataset: Path, tmp_path: Path):
    config = TrainConfig((sample_dataset,), tmp_path)
    spoken = [read_data(dataclasses.replace(config, ablate=names), AudioFeatures())[0] for names in ((), ("chdtf",))]
    whole, without = ({clip.language for clip in (*data.clips, *data.held)} for data in spoken)
    assert "cmn" in whole
    assert without == whole - {"cmn"}


@dataclasses.dataclass(frozen=True)
class Loudness:
    """An extractor whose features have to be cached."""

    on_the_fly: ClassVar[bool] = False
    quick: ClassVar[bool] = False
    free: ClassVar[frozenset[str]] = frozenset()
    kind: str = "loudness"
    parts: int = 1
    name: str = "loudness"
    width: int = 1

    def extract(self, waveform: np.ndarray, device: str = "cpu") -> np.ndarray:
        frames = waveform[: len(waveform) // 640 * 640].reshape(-1, 640)
        return np.sqrt((frames**2).mean(1, keepdims=True)).astype(np.float32)


def test_training_reads_cached_features(sample_dataset: Path, tmp_path: Path):
    """They are refused with the command that makes them, then read for the clips that are learned from."""
    root = tmp_path / "sample"
    root.mkdir()
    for name in ("meta", "coeffs", "video", "dataset.json"):
        (root / name).symlink_to(sample_dataset / name)
    config = TrainConfig((root,), tmp_path / "out", steps=2, batch=2, window_frames=16, validate_every=0, cpu=True)
    with pytest.raises(UserError, match="features are not computed; make them: disentbench features"):
        read_data(config, Loudness())
    write(root, Loudness())
    data, face = read_data(config, Loudness())
    assert set(data.features) >= {clip.clip_id for clip in data.clips}
    assert all(data.features[clip.clip_id].shape == (len(clip.valid), 1) for clip in data.clips)
    regions = tuple(range(13, 21)), tuple(range(13)), tuple(range(21, 64))
    tensors = load_file(fit(config, data, face, regions, Loudness()))
    assert tensors["denoiser.audio.enter.weight"].shape[1] == 1


def test_counts_are_those_of_the_clips(clips: list[MotionClip]):
    spoken = (dataclasses.replace(clips[0], language="zh"), *clips[1:])
    counts = TrainingData(spoken, account={"datasets": ["a"]}).counts()
    assert counts["seconds_by_language"] == {"en": 4.0, "zh": 2.0}
    assert (counts["clips"], counts["speakers"], counts["seconds"], counts["datasets"]) == (3, 1, 6.0, ["a"])
    assert "offset_frames" not in counts


def test_offsets_and_what_was_left_out_are_accounted_for(clips: list[MotionClip]):
    found = {clip.clip_id: Offset(number - 1, 0.5) for number, clip in enumerate(clips)}
    counts = TrainingData((clips[2],), (clips[0],), "held", offsets=found).counts()
    assert counts["offset_frames"] == {"clip_0": -1, "clip_2": 1}
    assert counts["out_of_sync_clip_ids"] == ["clip_1"]
