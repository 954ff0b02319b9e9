"""Clip: what was published is what is read, no more than asked for, and damage is named."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chdtf import clip as clip_module
from chdtf.clip import face_model_of, read_clips
from chdtf.dataset import MotionDataset
from chdtf.errors import UserError
from chdtf.media import read_waveform
from chdtf.morphable.model import load_model
from chdtf.schema import SCHEMA_VERSION


def test_splits_in_order(dataset: Path) -> None:
    assert [clip.clip_id for clip in read_clips(dataset)] == ["v0_000", "v1_000", "v3_000", "v2_000"]
    assert [clip.clip_id for clip in read_clips(dataset, "test")] == ["v2_000"]
    assert read_clips(dataset, "val") == []
    clip = read_clips(dataset)[1]
    assert (clip.video_id, clip.speaker_id, clip.language, clip.split) == ("v1", "s1", "cmn-Hans-CN", "train")
    assert (clip.fps, clip.sample_rate_hz, clip.num_frames) == (25, 16000, 12)
    assert clip.scores()["speech_share"] == 0.75


def test_contents_are_those_put_in(hand: Any, dataset: Path) -> None:
    for clip in read_clips(dataset):
        seed, count = int(clip.video_id[1:]), clip.num_frames
        frames = clip.frames()
        assert frames.shape == (count, 256, 256, 3)
        assert np.abs(frames.astype(float) - hand.pictures(seed, count)).mean() < 1.5
        assert np.array_equal(clip.waveform(), hand.waveform(seed, count)), "FLAC loses nothing"
        assert np.array_equal(clip.landmarks(), hand.landmarks(seed, count), equal_nan=True)
        found, wanted = clip.coefficients(), hand.coefficients(seed, count)
        for name in ("identity", "expression", "rotation", "translation", "scale", "valid"):
            assert np.array_equal(getattr(found, name), getattr(wanted, name)), name


def test_files_are_written_as_asked(hand: Any, dataset: Path, tmp_path: Path) -> None:
    clip = read_clips(dataset, "test")[0]
    clip.write_video(tmp_path / "deep" / "a.mp4")
    clip.write_audio(tmp_path / "a.wav")
    assert (tmp_path / "deep" / "a.mp4").read_bytes() == clip.video_bytes()
    wave = read_waveform(tmp_path / "a.wav")
    assert wave is not None
    assert np.array_equal(wave, hand.waveform(2, 12))
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RIFF"


def test_listing_reads_neither_coefficients_nor_video(hand: Any, tmp_path: Path) -> None:
    hand.publish_small(tmp_path)
    for config in ("coeffs", "video"):
        for path in (tmp_path / config).iterdir():
            path.unlink()
    clip = read_clips(tmp_path)[0]
    with pytest.raises(UserError, match=r"video/train-00000.parquet: not readable .*; rebuild it with: rm -r "):
        clip.frames()
    with pytest.raises(UserError, match=r"coeffs/train-00000.parquet: not readable"):
        clip.coefficients()


@pytest.mark.parametrize("config", ["meta", "coeffs", "video"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_truncated_file_is_named(hand: Any, tmp_path: Path, config: str, share: float) -> None:
    hand.publish_small(tmp_path)
    path = tmp_path / config / "train-00000.parquet"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UserError, match=rf"{config}/train-00000.parquet: not readable"):
        [(clip.waveform(), clip.landmarks()) for clip in read_clips(tmp_path)]


def test_damage_within_a_blob_is_found(hand: Any, tmp_path: Path) -> None:
    hand.publish_small(tmp_path)
    clip = read_clips(tmp_path)[0]
    path = tmp_path / "video" / "train-00000.parquet"
    data = bytearray(path.read_bytes())
    place = data.find(clip.audio_bytes()[100:160])
    data[place + 10] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="not readable"):
        clip.audio_bytes()


def test_files_of_another_order_are_not_mixed_up(hand: Any, tmp_path: Path) -> None:
    hand.publish_small(tmp_path)
    (tmp_path / "video" / "train-00000.parquet").write_bytes((tmp_path / "video" / "test-00000.parquet").read_bytes())
    with pytest.raises(UserError, match="holds clip v2_000, not v0_000"):
        read_clips(tmp_path)[0].video_bytes()
    with pytest.raises(UserError, match="row 1 is missing"):
        read_clips(tmp_path)[1].video_bytes()


def test_another_schema_version_no_dataset_and_unknown_split(hand: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no dataset; build one with: make chdtf OUT="):
        read_clips(tmp_path / "nowhere")
    hand.publish_small(tmp_path)
    with pytest.raises(UserError, match="split 'dev' is not known; choose one of train, val, test"):
        read_clips(tmp_path, "dev")
    path = tmp_path / clip_module.DESCRIPTION
    described = json.loads(path.read_text())
    path.write_text(json.dumps({**described, "schema_version": 0}))
    with pytest.raises(UserError, match=f"version 0, this version reads {SCHEMA_VERSION}; rebuild it with: rm -r "):
        read_clips(tmp_path)
    for broken in ("", "[1]", "{}", "{"):
        path.write_text(broken)
        with pytest.raises(UserError, match="not the description of a dataset"):
            read_clips(tmp_path)


def test_a_rebuilt_dataset_is_read_anew(hand: Any, tmp_path: Path) -> None:
    hand.publish_small(tmp_path)
    assert len(read_clips(tmp_path)) == 4
    hand.publish(tmp_path, hand.make_shards(tmp_path)[:1], [], hand.SCHEMA, hand.SETTINGS)
    assert len(read_clips(tmp_path)) == 2


def test_two_face_models_in_one_input_are_refused_and_both_named(hand: Any, tmp_path: Path) -> None:
    roots = [tmp_path / name for name in ("one", "two")]
    for root in roots:
        hand.publish_small(root)
    assert face_model_of(read_clips(roots[0])) == ("mp468", load_model().hash)
    path = roots[1] / "coeffs" / "train-00000.parquet"
    table = pq.read_table(path)
    for name, value in (("face_model", "ict"), ("face_model_hash", "f" * 64)):
        column = pa.array([value] * len(table), pa.string())
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, path)
    kept = load_model().hash[:12]
    both = f"two face models are mixed: mp468 {kept} (v2_000 of one) and ict ffffffffffff (v0_000 of two)"
    with pytest.raises(UserError, match=re.escape(both)):
        face_model_of([clip for root in roots for clip in read_clips(root)])
    with pytest.raises(UserError, match="two face models are mixed"):
        MotionDataset(roots)
    with pytest.raises(UserError, match="no clips, so no face model"):
        face_model_of([])
