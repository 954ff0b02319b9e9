import json
import pickle
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from chdtf.clip import read_clips
from chdtf.errors import UserError
from disenttalk_ref.audio import key
from disenttalk_ref.audio.cache import cached, write
from disenttalk_ref.audio.extractors.hubert import Features as Hubert


@dataclass(frozen=True)
class Level:
    """An extractor that is cheap: the level of each frame, times a factor. It counts the clips it was given."""

    on_the_fly: ClassVar[bool] = False
    quick: ClassVar[bool] = False
    free: ClassVar[frozenset[str]] = frozenset({"heard", "fails_at"})

    factor: float = 1.0
    fails_at: int = -1
    kind: str = "level"
    parts: int = 1
    name: str = "level"
    heard: list[int] = field(default_factory=list)

    @property
    def width(self) -> int:
        return 2

    def extract(self, waveform: np.ndarray, device: str = "cpu") -> np.ndarray:
        if len(self.heard) == self.fails_at:
            raise KeyboardInterrupt
        self.heard.append(len(waveform))
        frames = np.abs(waveform.reshape(-1, 640))
        return (np.stack([frames.mean(1), frames.max(1)], 1) * self.factor).astype(np.float32)


@pytest.fixture
def root(dataset: Path, tmp_path: Path) -> Path:
    """A copy of a small dataset: four clips in three files (train, val or test)."""
    return Path(shutil.copytree(dataset, tmp_path / "dataset"))


def test_what_is_read_is_what_was_computed_to_half_precision(root: Path):
    features = Level()
    clips = read_clips(root)
    written = write(root, features)
    assert (written.computed, written.kept) == (len(clips), 0)
    assert written.folder == root / "features" / key(features)
    assert {path.name for path in written.folder.glob("*.parquet")} == {p.name for p in (root / "meta").glob("*")}
    found = cached(root, features)
    assert set(found) == {clip.clip_id for clip in clips}
    for clip in clips:
        expected = Level().extract(clip.waveform())
        assert found[clip.clip_id].dtype == np.float32
        assert found[clip.clip_id].shape == (clip.num_frames, 2)
        np.testing.assert_allclose(found[clip.clip_id], expected, rtol=1e-3)


def test_a_killed_run_goes_on_with_the_file_that_it_was_at(root: Path):
    with pytest.raises(KeyboardInterrupt):
        write(root, Level(fails_at=2))
    with pytest.raises(UserError, match="not computed"):
        cached(root, Level())
    again = Level()
    written = write(root, again)
    assert 0 < written.kept < len(read_clips(root))
    assert len(again.heard) == written.computed
    once = {path.name: path.read_bytes() for path in written.folder.glob("*.parquet")}
    assert not list(written.folder.glob(".tmp-*"))
    shutil.rmtree(root / "features")
    write(root, Level())
    assert {path.name: path.read_bytes() for path in written.folder.glob("*.parquet")} == once


def test_nothing_is_computed_twice_and_other_settings_lie_elsewhere(root: Path):
    write(root, Level())
    again = Level()
    assert write(root, again).computed == 0
    assert again.heard == []
    assert write(root, Level(factor=2.0)).computed == len(read_clips(root))
    assert len(list((root / "features").iterdir())) == 2


def test_changed_sound_is_stale_and_only_that_is_computed_again(root: Path):
    write(root, Level())
    meta = sorted((root / "meta").glob("train-*"))[0]
    table = pq.read_table(meta)
    sounds = table.column("audio_sha256").to_pylist()
    changed = table.set_column(table.column_names.index("audio_sha256"), "audio_sha256", [["0" * 64, *sounds[1:]]])
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), meta)
    with pytest.raises(UserError, match=r"other clips or other sound.*disentbench features --data .*dataset"):
        cached(root, Level())
    assert write(root, Level()).computed == 1
    assert len(cached(root, Level())) == len(read_clips(root))


def test_files_of_clips_that_are_gone_are_deleted(root: Path):
    folder = write(root, Level()).folder
    description = json.loads((root / "dataset.json").read_text())
    gone = sorted(name for name in description["rows"] if name.startswith("meta/test"))[0]
    del description["rows"][gone]
    (root / "dataset.json").write_text(json.dumps(description))
    write(root, Level())
    assert not (folder / Path(gone).name).exists()


def test_the_cache_goes_to_other_processes_and_names_a_corrupt_file(root: Path):
    write(root, Level())
    found = cached(root, Level())
    name = next(iter(found))
    sent = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(sent[name], found[name])
    with pytest.raises(KeyError):
        found["nobody"]
    for path in found.folder.glob("*.parquet"):
        data = bytearray(path.read_bytes())
        data[8:60] = bytes(52)
        path.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"not readable.*rm it and run: disentbench features"):
        cached(root, Level())[name]


def test_features_beyond_half_precision_are_refused_with_the_clip(root: Path):
    with pytest.raises(UserError, match=r"clip \w+: features beyond 65504"):
        write(root, Level(factor=1e9))


def test_no_dataset_and_no_cache_are_refused_with_the_command(root: Path, tmp_path: Path):
    with pytest.raises(UserError, match="holds no dataset"):
        cached(tmp_path, Level())
    with pytest.raises(UserError, match=r"not computed.*--audio hubert:facebook/hubert-base-ls960@9"):
        cached(root, Hubert("facebook/hubert-base-ls960", 9, hidden=768))
