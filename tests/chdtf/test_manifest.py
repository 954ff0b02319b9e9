"""Manifests read back exactly, and every mistake is one line that names its place."""

import dataclasses
import os
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.manifest import (
    ManifestRow,
    file_url,
    from_folder,
    local_path,
    manifest_table,
    read_manifest,
    write_manifest,
)
from chdtf.manifest_row import FIELDS
from chdtf.schema import MANIFEST

HEADER = "video_id,url,start_s,end_s,speaker_id,language,license,split,crop,sha256"
GOOD = "a,https://x.org/a,1,2.5,s,en,CC0,train,0.1 0 0.6 0.9,"
AWKWARD = [
    "plain.mp4",
    "with space.mp4",
    "-dash.mp4",
    "quo'te\".mp4",
    "100% a#b?c&d;e.mp4",
    "张三.mp4",
    "😀.mp4",
    "$HOME.mp4",
]


def row(**changes: object) -> ManifestRow:
    return dataclasses.replace(ManifestRow("a", "https://x.org/a", speaker_id="s"), **changes)


def write(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    path = tmp_path / "m.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def mistake(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_manifest(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text.removeprefix(str(path))


def test_the_row_has_the_columns_of_the_schema_in_their_order():
    assert list(FIELDS) == MANIFEST.names
    assert manifest_table([row(crop=(0.0, 0.1, 0.5, 1.0))]).schema.equals(MANIFEST)


def test_a_csv_is_read_as_written(tmp_path: Path):
    path = write(tmp_path, GOOD, "", f'b_2,file:d/x%20y.mp4,,,王,cmn-Hans-CN,"a, b",,,{"aB" * 32}')
    assert read_manifest(path) == [
        ManifestRow("a", "https://x.org/a", 1.0, 2.5, "s", "en", "CC0", "train", (0.1, 0.0, 0.6, 0.9), None),
        ManifestRow("b_2", "file:d/x%20y.mp4", None, None, "王", "cmn-Hans-CN", "a, b", None, None, "aB" * 32),
    ]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_byte_order_mark_line_ends_column_order_and_absent_optional_columns_do_not_matter(tmp_path: Path, newline: str):
    path = tmp_path / "m.csv"
    lines = ["license,language,speaker_id,url,video_id", "CC0,en,s,https://x.org/a,a"]
    path.write_bytes(b"\xef\xbb\xbf" + newline.join(lines).encode())
    assert read_manifest(path) == [row(language="en", license="CC0")]


texts = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=20).filter(str.strip)
times = st.floats(0, 1e9, exclude_min=True)
fraction_pairs = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda p: p[0] != p[1]).map(sorted)
rows_strategy = st.lists(
    st.builds(
        lambda n, url, span, xs, ys, **rest: ManifestRow(
            url=url,
            start_s=span and min(span),
            end_s=span and (max(span) if max(span) > min(span) else None),
            crop=(xs[0], ys[0], xs[1], ys[1]) if n else None,
            **rest,
        ),
        n=st.booleans(),
        url=st.sampled_from(
            ["https://x.org/v?a=1,2", "http://[::1]:8080/x", "file:///a/%F0%9F%98%80.mp4", 'file:a"b c.mp4']
        ),
        span=st.none() | st.tuples(times, times),
        xs=fraction_pairs,
        ys=fraction_pairs,
        video_id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True),
        speaker_id=texts,
        language=st.sampled_from(["und", "zh", "en-US", "cmn-Hans-CN", "x-klingon"]),
        license=texts,
        split=st.none(),
        sha256=st.none() | st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda one: one.video_id,
)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@settings(deadline=None, max_examples=40)
@given(rows=rows_strategy)
def test_what_is_written_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[ManifestRow]
):
    path = tmp_path_factory.mktemp("m") / f"m{suffix}"
    write_manifest(rows, path)
    assert read_manifest(path) == rows
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208 - names are what is tested


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        (GOOD.replace("a,", "a b,", 1), "video_id", ["'a b'", "letters, digits"]),
        (GOOD.replace("a,", "-a,", 1), "video_id", ["'-a'"]),
        (GOOD.replace("a,", "a" * 129 + ",", 1), "video_id", ["128"]),
        (GOOD.replace("a,", "../a,", 1), "video_id", ["'../a'"]),
        (GOOD.replace("a,", ",", 1), "video_id", ["empty"]),
        (GOOD.replace(",1,", ",one,"), "start_s", ["'one'", "seconds"]),
        (GOOD.replace(",1,", ",0:01,"), "start_s", ["'0:01'"]),
        (GOOD.replace(",1,", ",nan,"), "start_s", ["'nan'"]),
        (GOOD.replace(",1,", ",1_0,"), "start_s", ["'1_0'"]),
        (GOOD.replace(",1,", ",-1,"), "start_s", ["-1.0", "0 or more"]),
        (GOOD.replace(",2.5,", ",1e999,"), "end_s", ["inf"]),
        (GOOD.replace(",2.5,", ",0.5,"), "end_s", ["0.5", "not after start_s 1.0"]),
        (GOOD.replace(",2.5,", ",1,"), "end_s", ["not after"]),
        (GOOD.replace(",train,", ",dev,"), "split", ["'dev'", "train, val, test"]),
        (GOOD.replace("0.6 0.9", "1.6 0.9"), "crop", ["0.1 0.0 1.6 0.9", "fractions"]),
        (GOOD.replace("0.1 0 0.6 0.9", "0.6 0 0.1 0.9"), "crop", ["x0 < x1"]),
        (GOOD.replace("0.1 0 0.6 0.9", "0.1 0 0.6"), "crop", ["four numbers"]),
        (GOOD.replace("0.1 0 0.6 0.9", "a b c d"), "crop", ["four numbers"]),
        (GOOD.replace(",en,", ",zh_CN,"), "language", ["'zh_CN'", "'zh-CN'"]),
        (GOOD.replace(",en,", ",Chinese,"), "language", ["BCP 47", "'und'"]),
        (GOOD.replace("https://x.org/a", "ftp://x.org/a"), "url", ["ftp:", "http, https, file"]),
        (GOOD.replace("https://x.org/a", "sources/a.mp4"), "url", ["sources/a.mp4", "file:"]),
        (GOOD.replace("https://x.org/a", "https:///a"), "url", ["https://host/path"]),
        (GOOD.replace("https://x.org/a", "https://x.org:99999/a"), "url", ["99999"]),
        (GOOD.replace("https://x.org/a", "file://sources/a.mp4"), "url", ["host"]),
        (GOOD.replace("https://x.org/a", "file:"), "url", ["no file"]),
        (GOOD + "abc", "sha256", ["'abc'", "64"]),
        (GOOD.replace(",s,", ",s\x07,"), "speaker_id", ["control"]),
        (GOOD.replace(",CC0,", ",,"), "license", ["empty"]),
    ],
)
def test_a_bad_value_is_named_with_its_line_and_column_and_what_is_allowed(
    tmp_path: Path, line: str, column: str, words: list[str]
):
    text = mistake(write(tmp_path, GOOD.replace("a,", "first,", 1), "", line))
    assert text.startswith(f", line 4, column {column}: ")
    for word in words:
        assert word in text


def test_lines_are_counted_as_an_editor_counts_them_even_after_a_cell_of_several_lines(tmp_path: Path):
    path = write(tmp_path, GOOD.replace("CC0", '"two\nlines"'))
    assert mistake(path).startswith(", line 2, column license: ")
    header = HEADER.replace("video_id", '"video_id"')
    path = write(tmp_path, GOOD, GOOD.replace(",en,", ",?,").replace("a,", "b,", 1), header=header)
    assert mistake(path).startswith(", line 3, column language: ")


def test_a_repeated_id_names_both_lines(tmp_path: Path):
    text = mistake(write(tmp_path, GOOD, GOOD.replace("a,", "b,", 1), GOOD))
    assert text.startswith(", line 4, column video_id: 'a' stands already in line 2")


def test_a_speaker_in_two_splits_names_both_lines(tmp_path: Path):
    text = mistake(write(tmp_path, GOOD, GOOD.replace("a,", "b,", 1).replace("train", "test")))
    assert text.startswith(", line 3, column split: 'test', but speaker 's' is in 'train' in line 2")


def test_an_unknown_column_comes_with_the_nearest_names(tmp_path: Path):
    assert "unknown column 'langauge'; did you mean language?" in mistake(
        write(tmp_path, header=HEADER.replace("language", "langauge"))
    )
    assert "did you mean speaker_id?" in mistake(write(tmp_path, header=HEADER.replace("speaker_id", "Speaker")))
    assert "allowed are video_id, url" in mistake(write(tmp_path, header=HEADER + ",zzz"))
    assert "unknown column" in mistake(write(tmp_path, header=HEADER.replace(",", ";")))


def test_a_missing_or_repeated_column_is_named(tmp_path: Path):
    text = mistake(write(tmp_path, header=HEADER.replace("speaker_id,", "").replace("url,", "")))
    assert text.startswith(", line 1: missing column url, speaker_id;")
    assert "column url stands there 2 times" in mistake(write(tmp_path, header=HEADER + ",url"))


def test_a_line_with_too_many_or_too_few_values_is_named(tmp_path: Path):
    assert mistake(write(tmp_path, GOOD, GOOD + ",x")).startswith(", line 3: 11 values for 10 columns")
    assert mistake(write(tmp_path, "a,b")).startswith(", line 2: 2 values for 10 columns")


def test_files_that_are_no_manifest_are_told_apart(tmp_path: Path):
    assert "no such manifest" in mistake(tmp_path / "none.csv")
    assert "no such manifest" in mistake(tmp_path / "none.parquet")
    assert "is a folder" in mistake(tmp_path)
    path = tmp_path / "m.csv"
    for content, words in {
        b"": "is empty",
        b"\n\n": "is empty",
        HEADER.encode(): "holds no rows",
        HEADER.encode() + b"\n\xff\xfe,": "not a CSV file in UTF-8 (byte 0xff in line 2)",
        b"PAR1....": "is a Parquet file",
        HEADER.encode() + b'\n"a"b,c': "not CSV",
        HEADER.encode() + b'\n"a,b': "not CSV",
        b"\x00\x00\x00 ftypisom": "not CSV" if sys.version_info < (3, 11) else "unknown column",
    }.items():
        path.write_bytes(content)
        assert words in mistake(path), content
    path = tmp_path / "m.parquet"
    path.write_bytes(b"PAR1 and then nothing of the kind")
    assert "not a readable Parquet file" in mistake(path)
    path.unlink()
    path.mkdir()
    assert "is a folder" in mistake(path)


def test_a_parquet_manifest_is_checked_like_a_csv(tmp_path: Path):
    path = tmp_path / "m.parquet"
    base = manifest_table([row(), row(video_id="b")])
    pq.write_table(base.set_column(0, "video_id", [["a", "a"]]), path)
    assert mistake(path).startswith(", row 2, column video_id: 'a' stands already in row 1")
    pq.write_table(base.set_column(2, "start_s", [["1", "2"]]), path)
    assert mistake(path).startswith(", schema, column start_s: type string cannot be read as double")
    pq.write_table(base.set_column(0, "video_id", [[1, 2]]), path)
    assert "column video_id: type int64" in mistake(path)
    pq.write_table(base.set_column(8, "crop", [[[0.0, 0.0, 1.0], None]]), path)
    assert mistake(path).startswith(", row 1, column crop: ")
    pq.write_table(base.append_column("clip_id", [["x", "y"]]), path)
    assert "unknown column 'clip_id'" in mistake(path)
    pq.write_table(base.replace_schema_metadata({"schema_version": "999"}), path)
    assert "schema version 999" in mistake(path)


def test_a_parquet_manifest_of_other_tools_is_read(tmp_path: Path):
    path = tmp_path / "m.parquet"
    columns = {name: [value] for name, value in row(start_s=3.0, crop=(0.0, 0.0, 1.0, 1.0)).as_row().items()}
    table = pa.table(columns).set_column(2, "start_s", pa.array([3], pa.int32()))
    table = table.set_column(5, "language", pa.array(["und"]).dictionary_encode())
    pq.write_table(table.set_column(4, "speaker_id", pa.array(["s"], pa.large_string())), path)
    assert read_manifest(path) == [row(start_s=3.0, crop=(0.0, 0.0, 1.0, 1.0))]


def test_what_reading_would_refuse_is_not_written_and_the_old_file_stays(tmp_path: Path):
    path = tmp_path / "m.csv"
    write_manifest([row()], path)
    for rows in ([row(video_id="a b")], [row(), row()], [], [row(split="train"), row(video_id="b", split="val")]):
        with pytest.raises(UserError):
            write_manifest(rows, path)
    with pytest.raises(UserError, match=r"name it \.csv or \.parquet"):
        write_manifest([row()], tmp_path / "m.txt")
    assert read_manifest(path) == [row()]
    assert [p.name for p in tmp_path.iterdir()] == ["m.csv"]


@pytest.mark.parametrize("name", [*AWKWARD, os.fsdecode(b"\xff\xfe.mp4")])
def test_file_urls_lead_back_to_the_file_whatever_its_name(tmp_path: Path, name: str):
    path = tmp_path / "sub dir%20" / name
    relative, absolute = file_url(path, tmp_path), file_url(path)
    assert relative.startswith("file:sub%20dir%2520/")
    assert absolute.startswith("file:///")
    assert local_path(relative, tmp_path) == local_path(absolute, Path("elsewhere")) == path
    write_manifest([row(url=relative)], tmp_path / "m.csv")
    assert read_manifest(tmp_path / "m.csv")[0].url == relative


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("file:a.mp4", "/m/a.mp4"),
        ("file:my videos/a.mp4", "/m/my videos/a.mp4"),
        ("file:a#1?.mp4", "/m/a#1?.mp4"),
        ("file:/x/a.mp4", "/x/a.mp4"),
        ("file:///x/a.mp4", "/x/a.mp4"),
        ("FILE://LocalHost/x/a.mp4", "/x/a.mp4"),
        ("file:~/a.mp4", "/m/~/a.mp4"),
    ],
)
def test_hand_written_file_urls(url: str, expected: str):
    assert local_path(url, Path("/m")) == Path(expected)


def test_web_addresses_are_no_local_paths():
    with pytest.raises(ValueError, match="not a file: URL"):
        local_path("https://x.org/a.mp4", Path("/m"))


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_a_folder_becomes_a_manifest_that_can_be_read(tmp_path: Path):
    folder = touch(
        tmp_path / "in", *AWKWARD, "zoe/1.MOV", "zoe/deep/2.webm", "yan/1.mkv", "notes.txt", ".x.mp4", ".d/y.mp4"
    )
    path = tmp_path / "m.csv"
    rows = from_folder(folder, language="en", license="CC0", manifest=path)
    write_manifest(rows, path)
    assert read_manifest(path) == rows
    found = sorted(str(local_path(one.url, tmp_path).relative_to(folder)) for one in rows)
    assert found == sorted([*AWKWARD, "zoe/1.MOV", "zoe/deep/2.webm", "yan/1.mkv"])
    assert all(one.url.startswith("file:in/") for one in rows)
    speakers = {one.url: one.speaker_id for one in rows}
    assert speakers["file:in/zoe/1.MOV"] == speakers["file:in/zoe/deep/2.webm"] == "zoe"
    by_url = {one.url: one for one in rows}
    assert by_url["file:in/plain.mp4"].video_id == by_url["file:in/plain.mp4"].speaker_id == "plain"
    assert {(one.language, one.license) for one in rows} == {("en", "CC0")}
    assert from_folder(folder, "en", "CC0", path) == rows


def test_urls_are_absolute_unless_the_manifest_lies_in_the_folder_or_above(tmp_path: Path):
    folder = touch(tmp_path / "in", "a.mp4")
    assert from_folder(folder)[0].url == f"file://{tmp_path}/in/a.mp4"
    assert from_folder(folder, manifest=folder / "m.csv")[0].url == "file:a.mp4"
    assert from_folder(folder, manifest=tmp_path / "m.csv")[0].url == "file:in/a.mp4"
    assert from_folder(folder, manifest=tmp_path / "out" / "m.csv")[0].url == f"file://{tmp_path}/in/a.mp4"


def test_a_new_file_does_not_rename_others_unless_their_names_collide(tmp_path: Path):
    folder = touch(tmp_path, "b.mp4", "x/1.mp4", "y/1.mp4", "李.mp4")
    before = {one.url: one.video_id for one in from_folder(folder)}
    touch(folder, "a.mp4", "z/1.mp4", "王.mp4")
    after = {one.url: one.video_id for one in from_folder(folder)}
    assert before.items() <= after.items()
    assert len(set(after.values())) == 7


names = st.text(st.sampled_from("aAbB1-_. é张%"), min_size=1, max_size=4).filter(lambda name: not name.startswith("."))


@settings(deadline=None, max_examples=60)
@given(stems=st.lists(names, min_size=1, max_size=12, unique=True))
def test_ids_are_valid_and_unique_without_regard_to_case(tmp_path_factory: pytest.TempPathFactory, stems: list[str]):
    folder = touch(tmp_path_factory.mktemp("f"), *(f"{stem}.mp4" for stem in stems), *(f"{stem}.MKV" for stem in stems))
    rows = from_folder(folder)
    assert len({one.video_id.lower() for one in rows}) == len(rows) == 2 * len(stems)
    write_manifest(rows, folder / "m.csv")


def test_a_folder_name_that_is_not_utf8_still_gives_a_readable_speaker(tmp_path: Path):
    folder = touch(tmp_path, os.fsdecode(b"caf\xe9\n/1.mp4"))
    rows = from_folder(folder)
    write_manifest(rows, tmp_path / "m.csv")
    assert local_path(read_manifest(tmp_path / "m.csv")[0].url, tmp_path).exists()
    assert rows[0].speaker_id == "caf\ufffd_"


def test_a_folder_without_videos_is_refused(tmp_path: Path):
    touch(tmp_path, "a.txt")
    for folder, words in {"none": "no such folder", "a.txt": "is a file", ".": "holds no videos"}.items():
        with pytest.raises(UserError, match=words):
            from_folder(tmp_path / folder)


@pytest.mark.slow
def test_validation_time_grows_with_the_rows_and_no_faster(tmp_path: Path):
    def seconds(count: int) -> float:
        path = write(tmp_path, *(f"v{i},https://x.org/{i},{i}.5,{i + 9},s{i % 997},en,CC0,,," for i in range(count)))
        started = time.process_time()
        assert len(read_manifest(path)) == count
        return time.process_time() - started

    assert seconds(100_000) < 5 * 3 * max(seconds(20_000), 0.05)
