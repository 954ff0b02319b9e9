"""A manifest read as a table is what reading it row by row gives, for good lists and bad ones, and far sooner."""

import csv
import io
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chdtf import manifest, manifest_csv, manifest_parquet
from chdtf.errors import UserError
from chdtf.manifest import (
    ManifestRow,
    manifest_rows,
    manifest_table,
    read_manifest,
    read_manifest_table,
    write_manifest,
)
from chdtf.manifest_row import FIELDS
from chdtf.schema import MANIFEST

POOLS = {
    "video_id": ["a", "b", "c0", "_x", "-a", "a b", "", "a\n", "é", "x" * 128, "x" * 129],
    "url": [
        *(
            "https://x.org/a",
            "http://x.org:80?q=1",
            "HTTPS://X.org/",
            "https://[::1]/a",
            "https://x.org:0/",
            "https:/x",
        ),
        *(
            "https://x.org/a b",
            "https://x.org:99999/",
            "file:a.mp4",
            "file:///a",
            "file:/a",
            "file://host/a",
            "file:///",
        ),
        *("file:", "file:a%00", "FILE:a", "file:////a", "ftp://x", "", "https://ex_ample.org/", "https://münchen.de/"),
    ],
    "start_s": ["", "0", "1.5", "2", "-1", " 3 ", "+4", "1e3", ".5", "5.", "nan", "1e999", "x", "1_0", "\u00a01"],
    "end_s": ["", "2.5", "9", "1", "0", "1e-3", "inf"],
    "speaker_id": ["s", "t", "张三", "😀", " ", "\u3000", "\u0301", "s\x07", "a\u2028b", "\x85", ""],
    "language": ["en", "zh-Hans-CN", "und", "x-a", "x", "zh_CN", "e", "english", "en-", "EN\n", ""],
    "license": ["CC0", 'with "quotes", and commas', "two\nlines", "unknown", "\u00a0", ""],
    "split": ["", "", "train", "val", "test", "dev", "Train"],
    "crop": [
        "",
        "0 0 1 1",
        "0.1 0 0.6 0.9",
        "1e-3 0 1 1",
        "0  0 1 1",
        "0 0 1",
        "0 0 2 1",
        "1 0 0 1",
        "0 0 0 1",
        "a b c d",
    ],
    "sha256": ["", "a" * 64, "AB" * 32, "a" * 63, "g" * 64],
}


@st.composite
def lists_of_cells(draw: st.DrawFn) -> list[dict[str, str]]:
    """Rows that are mostly in order: every cell is its pool's first with a probability that the example draws."""
    odd = draw(st.sampled_from([0, 0, 1, 1, 4]))
    distinct = draw(st.sampled_from([9, 9, 4]))  # with 4, ids repeat
    rows = []
    for number in range(draw(st.integers(1, 6))):
        row = {name: pool[0] for name, pool in POOLS.items()} | {"video_id": f"v{number % distinct}"}
        row["speaker_id"] = draw(st.sampled_from(["s", "t"]))
        row["split"] = draw(st.sampled_from(["", "", "", "train", "test"]))
        for name in draw(st.lists(st.sampled_from(list(POOLS)), max_size=odd)):
            row[name] = draw(st.sampled_from(POOLS[name]))
        rows.append(row)
    return rows


def outcome(path: Path, slowly: bool) -> list[ManifestRow] | str:
    """Rows of the table, or the message; `slowly` goes row by row from the start."""
    with pytest.MonkeyPatch.context() as patch:
        if slowly:
            patch.setattr(manifest, "_plain_table", lambda source: None)
        try:
            table = read_manifest_table(path)
        except UserError as error:
            return str(error)
    assert table.schema.equals(MANIFEST)
    return list(manifest_rows(table))


@settings(deadline=None, max_examples=80)
@given(
    rows=lists_of_cells(), names=st.permutations(FIELDS), quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
)
def test_a_csv_as_a_table_gives_the_rows_and_the_mistake_of_the_reading_row_by_row(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]], names: list[str], quoting: int
) -> None:
    path = tmp_path_factory.mktemp("m") / "m.csv"
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode())
    found = outcome(path, slowly=False)
    assert found == outcome(path, slowly=True)
    assert isinstance(found, str) or read_manifest(path) == found


def typed(cells: dict[str, str]) -> dict[str, object]:
    """Cells as Parquet holds them; what is no number becomes null."""

    def number(text: str) -> float | None:
        try:
            return float(text)
        except ValueError:
            return None

    row: dict[str, object] = {name: cells[name] or None for name in FIELDS}
    row |= {name: number(cells[name]) for name in ("start_s", "end_s")}
    row["crop"] = [number(part) for part in cells["crop"].split()] or None
    return row


@settings(deadline=None, max_examples=50)
@given(rows=lists_of_cells())
@example(rows=[{name: pool[0] for name, pool in POOLS.items()} | {"crop": "a b c d"}])
def test_a_parquet_file_as_a_table_gives_the_rows_and_the_mistake_of_the_reading_row_by_row(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("m") / "m.parquet"
    nullable = pa.schema([field.with_nullable(True) for field in MANIFEST])
    pq.write_table(pa.Table.from_pylist([typed(row) for row in rows], nullable), path)
    assert outcome(path, slowly=False) == outcome(path, slowly=True)


@pytest.mark.parametrize("name", POOLS)
def test_every_odd_value_alone_is_judged_as_row_by_row(tmp_path: Path, name: str) -> None:
    for number, value in enumerate(POOLS[name]):
        row = {column: pool[0] for column, pool in POOLS.items()} | {name: value}
        path = tmp_path / f"{number}.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([FIELDS, [row[column] for column in FIELDS]])
        assert outcome(path, slowly=False) == outcome(path, slowly=True), value
        nullable = pa.schema([field.with_nullable(True) for field in MANIFEST])
        pq.write_table(pa.Table.from_pylist([typed(row)], nullable), tmp_path / f"{number}.parquet")
        path = path.with_suffix(".parquet")
        assert outcome(path, slowly=False) == outcome(path, slowly=True), value


@pytest.mark.parametrize(
    "text",
    [
        'video_id,url,speaker_id,language,license\n"a"b,https://x.org,s,en,CC0\n',
        'video_id,url,speaker_id,language,license\na,https://x.org,s,en,CC0\n"b,https://x.org,s,en,CC0\n',
        "video_id,url,speaker_id,language,license\na,https://x.org,s,en\n",
        "\n\nvideo_id,url,speaker_id,language,licence\n",
        "video_id,url,speaker_id,language,license\n",
        "video_id,url,speaker_id,language,license\n\na,https://x.org,s,en,CC0\n\n",
    ],
)
def test_what_is_no_csv_is_told_alike(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text, encoding="utf-8")
    assert outcome(path, slowly=False) == outcome(path, slowly=True)


def many(count: int) -> list[ManifestRow]:
    return [
        ManifestRow(
            f"id{i % 60:05d}_{i}",
            f"https://www.youtube.com/watch?v={i:011d}" if i % 3 else f"file:d/{i}%20x.mp4",
            i / 25,
            i / 25 + 1.04,
            f"说话人 {i % 60}",
            ("en", "cmn-Hans-CN")[i % 2],
            "CC-BY-4.0, as stated",
            (None, "test")[i % 60 == 7],
            None if i % 2 else (0.1, 0.05, 1 / 3, 1.0),
            None if i % 5 else f"{i:064x}",
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_list_without_mistakes_is_never_read_row_by_row(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = many(500)
    assert write_manifest(iter(rows), tmp_path / f"m{suffix}") == 500
    monkeypatch.setattr(manifest, "_checked", lambda *given: pytest.fail("went row by row"))
    monkeypatch.setattr(manifest_csv, "BATCH_ROWS", 64)  # several batches, with crops and without at their edges
    table = read_manifest_table(tmp_path / f"m{suffix}")
    assert table.equals(manifest_table(rows))
    assert write_manifest(table, tmp_path / f"again{suffix}") == 500
    assert (tmp_path / f"again{suffix}").read_bytes() == (tmp_path / f"m{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_one_repeated_id_far_down_names_both_places(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_csv, "BATCH_ROWS", 1_000)
    path = tmp_path / f"m{suffix}"
    table = manifest_table(many(5_000))
    ids = table.column("video_id").to_pylist()
    ids[4_998] = ids[3]
    write = manifest_csv.write_csv if suffix == ".csv" else manifest_parquet.write_parquet
    write(table.set_column(0, MANIFEST.field("video_id"), pa.array(ids)), path)
    with pytest.raises(UserError) as caught:
        read_manifest_table(path)
    unit, shift = ("line", 2) if suffix == ".csv" else ("row", 1)
    said = f"{path}, {unit} {4_998 + shift}, column video_id: {ids[3]!r} stands already in {unit} {3 + shift}; "
    assert str(caught.value) == said + "ids are unique"


def test_a_table_that_reading_would_refuse_is_not_written(tmp_path: Path) -> None:
    table = manifest_table(many(3))
    bad = table.set_column(0, MANIFEST.field("video_id"), pa.array(["a", "a", "b"]))
    with pytest.raises(UserError, match="row 2, column video_id: 'a' stands already in row 1"):
        write_manifest(bad, tmp_path / "m.csv")
    assert not list(tmp_path.iterdir())


def test_a_parquet_file_with_text_that_is_not_utf8_or_numbers_that_are_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    table = manifest_table(many(1))
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(bytes([0, 0, 0, 0, 2, 0, 0, 0])), pa.py_buffer(b"\xff\xfe"))
    pq.write_table(table.set_column(4, "speaker_id", broken), path)
    with pytest.raises(UserError, match="not a readable Parquet file"):
        read_manifest_table(path)
    pq.write_table(table.set_column(2, "start_s", pa.array([2**62 + 1], pa.int64())), path)
    with pytest.raises(UserError, match="column start_s: type int64 cannot be read as double"):
        read_manifest_table(path)


def test_tables_are_read_several_times_faster_than_row_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.csv"
    write_manifest(many(10_000), path)

    def cpu_s() -> float:
        started = time.process_time()
        read_manifest_table(path)
        return time.process_time() - started

    fast = min(cpu_s() for _ in range(3))
    monkeypatch.setattr(manifest, "_plain_table", lambda source: None)
    assert cpu_s() > 1.5 * fast
