"""Published tables: laid out as the Hub's viewer and `datasets` ask, and read alike by everybody's libraries."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chdtf.clip import CONFIGS
from pipelines.publication import tables
from pipelines.publication.tables import TableFile, features, schemas


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The library `datasets`, offline and with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield pytest.importorskip("datasets", reason="needs the library datasets")


def table(dataset: Path, config: str, split: str = "train") -> pq.ParquetFile:
    return pq.ParquetFile(dataset / config / f"{split}-00000.parquet")


@pytest.mark.parametrize("config", [*CONFIGS, "rejected"])
def test_the_described_features_are_those_that_datasets_infers(hub: Any, hand: Any, config: str) -> None:
    schema = schemas(hand.SCHEMA)[config]
    described = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    plain = pa.schema([field for field in schema if field.type != tables.BLOB])
    inferred = hub.Features.from_arrow_schema(plain)
    assert {name: described[name] for name in plain.names} == inferred.to_dict() == features(plain)
    assert hub.Features.from_dict(described).arrow_schema.remove_metadata() == schema.remove_metadata()


@pytest.mark.parametrize("config", CONFIGS)
def test_datasets_loads_every_config_by_the_card(hub: Any, dataset: Path, tmp_path: Path, config: str) -> None:
    found = hub.load_dataset(str(dataset), config, cache_dir=str(tmp_path))
    assert {split: found[split].num_rows for split in found} == {"train": 3, "test": 1}
    assert found["train"]["clip_id"][:] == ["v0_000", "v1_000", "v3_000"]


def test_datasets_hands_out_arrays_and_files(hub: Any, hand: Any, dataset: Path, tmp_path: Path) -> None:
    coeffs = hub.load_dataset(str(dataset), "coeffs", split="test", cache_dir=str(tmp_path)).with_format("numpy")[0]
    wanted = hand.coefficients(2, 12)
    assert np.array_equal(coeffs["expression"], wanted.expression)
    assert np.array_equal(coeffs["identity"], wanted.identity.reshape(-1))
    assert np.array_equal(coeffs["landmarks"], hand.landmarks(2, 12).reshape(12, -1), equal_nan=True)
    assert coeffs["landmarks"].dtype == np.float32
    video = hub.load_dataset(str(dataset), "video", split="test", cache_dir=str(tmp_path))
    assert isinstance(video.features["video"], hub.Video)
    assert video.features["audio"].sampling_rate == 16000
    plain = video.cast_column("video", hub.Video(decode=False)).cast_column("audio", hub.Audio(decode=False))[0]
    assert (plain["video"]["bytes"], plain["audio"]["bytes"]) == hand.encoded(2, 12)


def test_pandas_and_duckdb_read_the_same(dataset: Path, hand: Any) -> None:
    pandas = pytest.importorskip("pandas")
    duckdb = pytest.importorskip("duckdb")
    frame = pandas.read_parquet(dataset / "coeffs").set_index("clip_id")
    assert np.array_equal(np.stack(frame.loc["v3_000", "expression"]), hand.coefficients(3, 20).expression)
    meta = pandas.read_parquet(dataset / "meta")
    assert meta.set_index("clip_id").loc["v1_000", "speech_share"] == 0.75
    with duckdb.connect() as database:
        query = f"SELECT clip_id, len(landmarks), identity[1], num_frames FROM '{dataset}/coeffs/*.parquet' ORDER BY 1"
        rows = database.execute(query).fetchall()
        joined = f"SELECT count(*) FROM '{dataset}/meta/*.parquet' JOIN '{dataset}/video/*.parquet' USING (clip_id)"
        assert database.execute(joined).fetchone() == (4,)
    assert [row[0] for row in rows] == ["v0_000", "v1_000", "v2_000", "v3_000"]
    assert [(row[1], row[3]) for row in rows] == [(12, 12), (12, 12), (12, 12), (20, 20)]
    assert rows[1][2] == hand.coefficients(1, 12).identity[0, 0]


@pytest.mark.parametrize("config", CONFIGS)
def test_viewer_limits(dataset: Path, config: str) -> None:
    file = table(dataset, config)
    metadata = file.schema_arrow.metadata
    assert json.loads(metadata[b"huggingface"])["info"]["features"] == features(file.schema_arrow)
    assert json.loads(file.metadata.metadata[b"content_defined_chunking"]) == tables.CHUNKING
    for group in range(file.num_row_groups):
        row_group = file.metadata.row_group(group)
        assert row_group.total_byte_size < 100 << 20
        for number in range(row_group.num_columns):
            column = row_group.column(number)
            assert column.has_offset_index, "the page index"
            is_blob = column.path_in_schema.endswith(".bytes")
            assert not is_blob or (set(column.encodings), column.compression) == ({"PLAIN", "RLE"}, "UNCOMPRESSED")


def test_the_same_options_as_datasets_own_writer(hub: Any) -> None:
    from datasets import config

    assert config.DEFAULT_CDC_OPTIONS == tables.CHUNKING
    assert config.MAX_ROW_GROUP_SIZE == "100MB"


def test_row_groups_stay_small_whatever_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP_BYTES", 1 << 20)
    schema = pa.schema([("clip_id", pa.string()), ("video", tables.BLOB)])
    file = TableFile(tmp_path / "a.parquet", schema)
    blob = bytes(400_000)
    for number in range(9):
        file.add([{"clip_id": str(number), "video": {"bytes": blob, "path": ""}}])
    file.close()
    metadata = pq.read_metadata(tmp_path / "a.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [2, 2, 2, 2, 1]


def test_the_hash_of_a_file_is_taken_as_it_is_written(dataset: Path) -> None:
    described = json.loads((dataset / "dataset.json").read_text())
    assert set(described["sha256"]) == set(described["bytes"])
    for name, digest in described["sha256"].items():
        assert hashlib.sha256((dataset / name).read_bytes()).hexdigest() == digest, name


def test_no_clip_is_accepted_without_coefficients(hand: Any, tmp_path: Path) -> None:
    row = {**hand.finished_row(tmp_path, 0, "train"), "identity": None}
    with pytest.raises(ValueError, match="v0_000: accepted without identity"):
        hand.publish(tmp_path, [hand.write_rows(tmp_path, 0, [row])], [], hand.SCHEMA, hand.SETTINGS)
