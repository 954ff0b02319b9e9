"""Publish: every row is in one of the tables, with its contents, and the same rows give the same bytes."""

import csv
import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chdtf.columns import table_from_rows
from chdtf.engine.shards import write_shard
from chdtf.errors import DiskFullError, UserError
from chdtf.files import sha256_file
from chdtf.tombstones import Tombstone, Tombstones
from pipelines.judging.thresholds import Thresholds
from pipelines.publication import publish as publish_module
from pipelines.publication import tables
from pipelines.publication.lock import read_lock
from pipelines.publication.publish import is_published, publication_fingerprint, publish


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "work" not in path.relative_to(root).parts
    }


def test_the_tables_hold_the_same_clips_in_the_same_order(dataset: Path) -> None:
    wanted = {"train": ["v0_000", "v1_000", "v3_000"], "test": ["v2_000"]}
    for config in ("meta", "coeffs", "video"):
        found = {path.name: pq.read_table(path) for path in (dataset / config).iterdir()}
        assert set(found) == {"train-00000.parquet", "test-00000.parquet"}
        for split, names in wanted.items():
            assert found[f"{split}-00000.parquet"].column("clip_id").to_pylist() == names


def test_every_refused_row_is_kept_with_reason_and_scores(dataset: Path) -> None:
    rows = pq.read_table(dataset / "rejected.parquet").to_pylist()
    assert [(row["clip_id"], row["kind"], row["reason"], row["detail"]) for row in rows] == [
        ("v8", "rejected", "no_face", "in 96% of frames"),
        ("v9", "failed", "TimeoutError", "silent"),
    ]
    assert {row["face_share"] for row in rows} == {0.04}


def test_blobs_are_the_files_and_meta_names_their_hash(dataset: Path) -> None:
    blobs = pq.read_table(dataset / "video" / "train-00000.parquet").to_pylist()
    meta = pq.read_table(dataset / "meta" / "train-00000.parquet").to_pylist()
    for blob, row in zip(blobs, meta, strict=True):
        for kind, suffix in (("video", "mp4"), ("audio", "flac")):
            file = dataset / "work" / "media" / f"{row['clip_id']}.{suffix}"
            assert blob[kind] == {"bytes": file.read_bytes(), "path": file.name}
            assert row[f"{kind}_sha256"] == sha256_file(file)
        assert row["num_samples"] == row["num_frames"] * 640
        assert (row["speech_share"], row["box"], row["fps"]) == (0.75, [0.1, 0.2, 0.3, 0.4], 25)
        assert not {"video", "audio", "source", "landmarks", "error"} & set(row)


def test_the_video_table_is_laid_out_for_the_hub(dataset: Path) -> None:
    path = dataset / "video" / "train-00000.parquet"
    file = pq.ParquetFile(path)
    features = json.loads(file.schema_arrow.metadata[b"huggingface"])["info"]["features"]
    assert features["video"] == {"_type": "Video"}
    assert features["audio"] == {"sampling_rate": 16000, "_type": "Audio"}
    for group in range(file.num_row_groups):
        row_group = file.metadata.row_group(group)
        assert row_group.total_byte_size < 100 << 20
        for number in range(row_group.num_columns):
            column = row_group.column(number)
            assert column.has_offset_index
            if column.path_in_schema.endswith(".bytes"):
                assert (set(column.encodings), column.compression) == ({"PLAIN", "RLE"}, "UNCOMPRESSED")


def test_row_groups_and_files_are_bounded(hand: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CLIPS_PER_FILE", 2)
    monkeypatch.setattr(tables, "ROW_GROUP_BYTES", 1000)
    hand.publish_small(tmp_path)
    names = sorted(path.name for path in (tmp_path / "video").iterdir())
    assert names == ["test-00000.parquet", "train-00000.parquet", "train-00001.parquet"]
    assert pq.ParquetFile(tmp_path / "video" / "train-00000.parquet").num_row_groups == 2


def test_two_folders_get_the_same_bytes(hand: Any, dataset: Path, tmp_path: Path) -> None:
    hand.publish_small(tmp_path)
    assert contents(tmp_path) == contents(dataset)


def test_the_description_counts_every_row(dataset: Path) -> None:
    described = json.loads((dataset / "dataset.json").read_text())
    counts = described["counts"]
    assert counts["rows_in"] == 6 == counts["accepted"] + counts["rejected"] + counts["failed"]
    assert (counts["reasons"], counts["failures"]) == ({"no_face": 1}, {"TimeoutError": 1})
    assert described["clips"] == {"train": 3, "val": 0, "test": 1}


def test_the_card_says_what_is_in_the_tables(dataset: Path) -> None:
    card = (dataset / "README.md").read_text()
    _, header, body = card.split("---\n", 2)
    for line in ("- config_name: video", "  - split: test", "    path: coeffs/train-*.parquet", '- "cmn"', '- "en"'):
        assert line in header.splitlines()
    assert "split: val" not in header
    assert "4 clips" in body
    assert "Of 6 videos 4 gave clips, 1 were rejected and 1 failed" in body
    for part in ("| no_face | 1 |", "| CC-BY-4.0 | 4 | 4 |", "| videos.example | 4 | 4 |", "max_clip_s=30.0"):
        assert part in body
    for config in ("meta", "coeffs", "video"):
        for name in pq.read_schema(dataset / config / "train-00000.parquet").names:
            assert f"| `{name}` |" in body


def test_publishing_again_replaces_everything(hand: Any, tmp_path: Path) -> None:
    shards = hand.make_shards(tmp_path)
    publish(tmp_path, shards, [], hand.SCHEMA, hand.SETTINGS)
    publish(tmp_path, shards[:1], [], hand.SCHEMA, hand.SETTINGS)
    assert not (tmp_path / "video" / "test-00000.parquet").exists()
    found = json.loads((tmp_path / "dataset.json").read_text())
    assert is_published(tmp_path, found, publication_fingerprint(shards[:1], []))
    assert not is_published(tmp_path, found, publication_fingerprint(shards, []))
    (tmp_path / "coeffs" / "train-00000.parquet").write_bytes(b"")
    assert not is_published(tmp_path, found, publication_fingerprint(shards[:1], []))


def test_a_failing_publication_leaves_the_last_one(hand: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hand.publish_small(tmp_path)
    before = contents(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(publish_module, "write_rejected", full)
        with pytest.raises(DiskFullError, match="free some"):
            hand.publish_small(tmp_path)
    assert contents(tmp_path) == before
    assert not (tmp_path / "work" / "publishing").exists()


def test_a_missing_media_file_is_named(hand: Any, tmp_path: Path) -> None:
    shards = hand.make_shards(tmp_path)
    (tmp_path / "work" / "media" / "v2_000.flac").unlink()
    with pytest.raises(UserError, match=r"v2_000.flac: this clip's file is gone; rm -r "):
        publish(tmp_path, shards, [], hand.SCHEMA, hand.SETTINGS)


def test_nothing_accepted_is_a_dataset_too(hand: Any, tmp_path: Path) -> None:
    shard = hand.write_rows(tmp_path, 0, [hand.refused_row(1, reject="dark: 3")])
    counts = publish(tmp_path, [shard], [], hand.SCHEMA, hand.SETTINGS)
    assert (counts.rows_in, counts.rejected, counts.clips_accepted) == (1, 1, 0)
    assert "configs:" not in (tmp_path / "README.md").read_text()


def test_coefficients_keep_missing_frames_as_nan(hand: Any, dataset: Path) -> None:
    row = pq.read_table(dataset / "coeffs" / "test-00000.parquet").to_pylist()[0]
    assert np.array_equal(np.array(row["landmarks"], np.float32), hand.landmarks(2, 12).reshape(12, -1), equal_nan=True)


def test_thresholds_refuse_finished_rows_with_all_their_scores(hand: Any, tmp_path: Path) -> None:
    good, bad = hand.finished_row(tmp_path, 0, "train"), hand.finished_row(tmp_path, 1, "train", loudness_dbfs=-70.0)
    shard = hand.write_rows(tmp_path, 0, [good, bad])
    counts = publish(tmp_path, [shard], [], hand.SCHEMA, hand.SETTINGS, Thresholds())
    assert (counts.clips_accepted, counts.reasons) == (1, {"silence": 1})
    row = pq.read_table(tmp_path / "rejected.parquet").to_pylist()[0]
    assert (row["kind"], row["reason"], row["clip_id"]) == ("rejected", "silence", "v1_000")
    assert row["detail"] == "-70 dBFS, at least -60 dBFS"
    assert (row["speech_share"], row["num_frames"], row["loudness_dbfs"]) == (0.75, 12, -70.0)
    assert (row["video_path"], row["audio_path"]) == (bad["video"], bad["audio"])
    described = json.loads((tmp_path / "dataset.json").read_text())
    assert described["thresholds"]["min_loudness_dbfs"] == -60
    assert "| min_loudness_dbfs | -60 |" in (tmp_path / "README.md").read_text()


def test_the_fingerprint_says_how_rows_were_judged(hand: Any, tmp_path: Path) -> None:
    shards = hand.make_shards(tmp_path)
    stones = Tombstones((Tombstone("youtube:abc"),))
    judged: list[tuple[Any, ...]] = [(None,), (Thresholds(),), (Thresholds(min_speech_share=0.3),), (None, stones)]
    assert len({publication_fingerprint(shards, [], *how) for how in judged}) == 4
    assert publication_fingerprint(shards, [], None, Tombstones()) == publication_fingerprint(shards, [])


def test_nothing_derived_of_a_withdrawn_source_is_published(hand: Any, tmp_path: Path) -> None:
    shards = hand.make_shards(tmp_path)
    stones = Tombstones(
        (Tombstone("https://videos.example/3", date="2026-01-31", reason="asked by X"), Tombstone("v8"))
    )
    counts = publish(tmp_path, shards, [], hand.SCHEMA, hand.SETTINGS, Thresholds(), stones)
    assert counts.reasons == {"tombstoned": 2}
    rows = {row["clip_id"]: row for row in pq.read_table(tmp_path / "rejected.parquet").to_pylist()}
    assert rows["v3_000"]["detail"] == "https://videos.example/3 (2026-01-31, asked by X)"
    for name in ("v3_000", "v8"):
        kept = {key for key, value in rows[name].items() if value is not None}
        assert kept == {"kind", "reason", "detail", "clip_id", "video_id", "split"}, "not even its scores"
    for path in tmp_path.glob("*/train-*.parquet"):
        assert "v3_000" not in pq.read_table(path).column("clip_id").to_pylist()


def test_rows_of_a_lost_shard_are_among_the_refused(hand: Any, tmp_path: Path) -> None:
    shards = hand.make_shards(tmp_path)
    counts = publish(
        tmp_path, shards[:1], [hand.refused_row(7, error="worker_died: twice")], hand.SCHEMA, hand.SETTINGS
    )
    assert counts.failures == {"worker_died": 1}
    rows = pq.read_table(tmp_path / "rejected.parquet").to_pylist()
    assert [(row["clip_id"], row["kind"]) for row in rows] == [("v7", "failed"), ("v8", "rejected")]


def test_of_equal_clips_one_stays_that_is_good_enough(hand: Any, tmp_path: Path) -> None:
    schema = hand.SCHEMA
    for name in ("identity_embedding", "sound_envelope"):
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.list_(pa.float32())))
    random = np.random.default_rng(3)
    sounds = [random.uniform(-40, 0, 100).astype(np.float32) for _ in range(2)]
    face = np.eye(1, 128, dtype=np.float32)[0]
    rows = [hand.finished_row(tmp_path, n, "train", identity_embedding=face) for n in range(4)]
    for row, sound in zip(rows, [sounds[0], sounds[0], sounds[0], sounds[1]], strict=True):
        row |= {"sound_envelope": sound, "speaker_id": "s"}
    rows[0]["loudness_dbfs"] = -90.0  # refused by itself: its copy may stay
    write_shard(table_from_rows(rows, schema), tmp_path / "work" / "a.parquet", "by hand")
    lost = [hand.refused_row(9, error="worker_died: twice")]
    publish(tmp_path, [tmp_path / "work" / "a.parquet"], lost, schema, hand.SETTINGS, Thresholds())
    rejected = {row["clip_id"]: row["reason"] for row in pq.read_table(tmp_path / "rejected.parquet").to_pylist()}
    assert rejected == {"v9": "worker_died", "v0_000": "silence", "v2_000": "duplicate"}
    meta = {row["clip_id"]: row for row in pq.read_table(tmp_path / "meta").to_pylist()}
    assert list(meta) == ["v1_000", "v3_000"]
    assert meta["v1_000"]["speaker_similarity"] == pytest.approx(1.0)
    assert "identity_embedding" not in meta["v1_000"], "biometric, and of no use without its network"


def test_what_became_of_every_source_is_listed(dataset: Path) -> None:
    with (dataset / "availability.csv").open(newline="") as stream:
        found = {row["video_id"]: row["state"] for row in csv.DictReader(stream)}
    assert set(found) == {"v0", "v1", "v2", "v3", "v8", "v9"}


def test_the_lock_holds_every_clip_with_its_hashes(dataset: Path) -> None:
    lock = read_lock(dataset / "lock.csv")
    assert [row.clip_id for row in lock.rows] == ["v0_000", "v1_000", "v3_000", "v2_000", "v8", "v9"]
    assert lock.rows[0].video_sha256 == sha256_file(dataset / "work" / "media" / "v0_000.mp4")
    assert [row.outcome for row in lock.rows[-2:]] == ["rejected", "failed"]


@pytest.mark.parametrize("column", ["video_sha256", "audio_sha256"])
def test_a_clip_is_withdrawn_by_the_hash_of_its_own_file(hand: Any, tmp_path: Path, column: str) -> None:
    shards = hand.make_shards(tmp_path)
    publish(tmp_path, shards, [], hand.SCHEMA, hand.SETTINGS)
    meta = {row["clip_id"]: row for row in pq.read_table(tmp_path / "meta" / "train-00000.parquet").to_pylist()}
    withdrawn = Tombstones.of(meta["v1_000"][column])
    counts = publish(tmp_path, shards, [], hand.SCHEMA, hand.SETTINGS, tombstones=withdrawn)
    assert (counts.clips_accepted, counts.reasons["tombstoned"]) == (3, 1)
    for config in ("meta", "coeffs", "video"):
        names = pq.read_table(tmp_path / config / "train-00000.parquet").column("clip_id").to_pylist()
        assert names == ["v0_000", "v3_000"]
