import dataclasses
from pathlib import Path

import numpy as np
import pytest

from chdtf import dataset
from chdtf.dataset import MotionClip, MotionDataset
from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients


@dataclasses.dataclass(frozen=True)
class _Clip:
    clip_id: str
    split: str
    frames: int = 7
    speaker_id: str = "anna"
    language: str = "de"

    def waveform(self) -> np.ndarray:
        return np.full(self.frames * 640, 0.25, np.float32)

    def coefficients(self) -> Coefficients:
        turning = np.zeros((self.frames, 3))
        turning[:, 1] = np.linspace(-0.1, 0.1, self.frames)
        return Coefficients(
            identity=np.zeros((468, 3)),
            expression=np.full((self.frames, 64), 0.5),
            rotation=turning,
            translation=np.full((self.frames, 3), 128.0),
            scale=np.full(self.frames, 90.0),
            valid=np.arange(self.frames) > 0,
        )


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch):
    """Two datasets with clips of every split, in place of files."""
    found = {
        name: [_Clip(f"{name}_{split}_{i}", split) for split in ("train", "val", "test") for i in range(2)]
        for name in ("first", "second")
    }
    monkeypatch.setattr(
        dataset, "read_clips", lambda root, split=None: [c for c in found[root.name] if split in (None, c.split)]
    )
    monkeypatch.setattr(dataset, "face_model_of", lambda clips: ("mp468", "0" * 64))
    return found


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_only_the_split_of_every_root_is_read(published: dict[str, list[_Clip]], tmp_path: Path, split: str):
    clips = MotionDataset([tmp_path / "first", tmp_path / "second"], split=split)
    names = [clips[i].clip_id for i in range(len(clips))]
    assert names == [f"{root}_{split}_{i}" for root in ("first", "second") for i in range(2)]


def test_a_clip_is_speech_and_motion(published: dict[str, list[_Clip]], tmp_path: Path):
    clip = MotionDataset([tmp_path / "first"])[0]
    assert clip.waveform.shape == (7 * 640,)
    assert clip.expression.shape == (7, 64)
    assert clip.expression.dtype == np.float32
    assert clip.pose[0].tolist() == [0] * 6  # not valid
    np.testing.assert_allclose(np.diff(clip.pose[1:, 1]), 0.2 / 6, rtol=1e-3)
    assert float(abs(clip.pose[1:].mean())) < 1e-5
    assert clip.valid.tolist() == [False] + [True] * 6
    assert (clip.speaker_id, clip.language, clip.seconds) == ("anna", "de", 7 / 25)


def test_an_empty_split_and_an_unknown_one_are_refused(published: dict[str, list[_Clip]], tmp_path: Path):
    published["first"] = []
    with pytest.raises(UserError, match=r"first: no clips in split 'train'"):
        MotionDataset([tmp_path / "first"])
    with pytest.raises(UserError, match=r"'tests'.*train, val, test"):
        MotionDataset([tmp_path / "first"], split="tests")


def test_audio_and_frames_must_belong_together():
    with pytest.raises(ValueError, match=r"7 valid flags.*4481 samples"):
        MotionClip("c", "s", "en", np.zeros(4481, np.float32), np.zeros((7, 64)), np.zeros((7, 6)), np.ones(7, bool))
