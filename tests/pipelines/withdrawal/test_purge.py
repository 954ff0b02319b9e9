"""After a purge nothing of the source is left anywhere, everything else is as it was, and nobody brings it back."""

import dataclasses
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.cli import main
from chdtf import tombstones
from chdtf.clip import read_clips
from chdtf.columns import Row
from chdtf.engine.shards import Workspace, iter_rows, read_shard, shard_metadata
from chdtf.errors import UserError
from chdtf.files import sha256_file
from chdtf.manifest import ManifestRow, file_url, write_manifest
from pipelines.build import build
from pipelines.publication.lock import read_lock
from pipelines.stages import download
from pipelines.withdrawal.purge import purge


@dataclasses.dataclass(frozen=True)
class Make:
    """Stands for all stages after the download: two finished clips of every video, the second one is refused."""

    name: ClassVar[str] = "resample"
    version: ClassVar[int] = 1
    adds: ClassVar[pa.Schema] = pa.schema([])  # filled in by the fixture, from the hand-made rows
    worked: ClassVar[list[str]] = []
    hand: ClassVar[Any]

    def load(self) -> None: ...

    def apply(self, row: Row, model: None, workspace: Workspace) -> Iterable[Row]:
        self.worked.append(row["video_id"])
        number = int(row["video_id"][-1])
        for index in range(2):
            made = self.hand.finished_row(workspace.root, number, row["split"], speaker_id=row["speaker_id"])
            clip_id = f"{row['video_id']}_{index:03d}"
            for kind, suffix in (("video", ".mp4"), ("audio", ".flac")):
                path = workspace.file(clip_id, suffix)
                (workspace.root / made[kind]).replace(path)
                made[kind] = workspace.relative(path)
            refused = {"reject": "no_face: in 96% of frames"} if index else {}
            given = {name: row[name] for name in row if name not in ("error", "reject")}
            yield {
                **made,
                **given,
                "clip_id": clip_id,
                "clip_start_s": 1.0 * index,
                "clip_end_s": 0.48 + index,
                **refused,
            }


@pytest.fixture(scope="module")
def built(hand: Any, video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of four manifest rows; v1 and also1 are of one file, made by the real engine and publisher."""
    Make.hand = hand
    root = tmp_path_factory.mktemp("purge")
    given = {field.name for field in download.Stage.adds} | {"video_id", "speaker_id", "split", "url"}
    Make.adds = pa.schema([field for field in hand.SCHEMA if field.name not in given])
    files = root / "mine"
    files.mkdir()
    for name in ("0", "1", "2"):
        (files / f"{name}.mp4").write_bytes(video.read_bytes() + name.encode())
    rows = [
        ManifestRow(name, file_url(files / f"{name[-1]}.mp4", root), speaker_id=f"s{name[-1]}", split=split)
        for name, split in (("v0", "train"), ("v1", "train"), ("also1", "train"), ("v2", "test"))
    ]
    write_manifest(rows, root / "list.csv")
    run(root)
    assert len(read_clips(root / "out")) == 4
    return root


def run(root: Path) -> Any:
    stages = (download.Stage(manifest_folder=str(root), allow_local=True), Make())
    return build(root / "list.csv", root / "out", workers=0, allow_local=True, videos_per_shard=2, stages=stages)


@pytest.fixture
def place(built: Path, tmp_path: Path) -> Path:
    """A copy of the dataset to purge from."""
    shutil.copytree(built, tmp_path / "p")
    return tmp_path / "p"


def everything(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): sha256_file(path)
        for path in root.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def ids(root: Path) -> set[str]:
    """Every video id that any table below a folder holds."""
    found = set()
    for path in root.rglob("*.parquet"):
        table = pq.read_table(path)
        for name in ("video_id", "clip_id"):
            found |= set(table.column(name).to_pylist()) if name in table.column_names else set()
    return {name.partition("_")[0] for name in found}


def test_a_dry_run_changes_nothing_and_says_what_would_go(place: Path, capsys: pytest.CaptureFixture[str]):
    before = everything(place)
    assert main(["purge", str(place / "out"), "v1"]) == 0
    assert everything(place) == before
    said = capsys.readouterr().out
    assert "2 videos, 4 clips" in said  # the other row of the same file too
    assert "would be removed: 10 files" in said
    assert "nothing was changed; do it with --apply" in said


def test_everything_of_the_source_goes_and_all_else_stays(place: Path):
    out, before = place / "out", everything(place)
    digest = before["mine/1.mp4"]
    kept = {clip.clip_id: (clip.video_bytes(), clip.coefficients().expression.tobytes()) for clip in read_clips(out)}
    heard = out / "features" / "logmel-12345678"  # what `disentbench features` keeps of the sound
    heard.mkdir(parents=True)
    for name, clip_id in (("train-00000", "v0_000"), ("test-00000", "v1_000")):
        pq.write_table(pa.table({"clip_id": [clip_id]}), heard / f"{name}.parquet")
    done = purge(out, digest, apply=True, reason="asked by the speaker")
    assert done.doomed.video_ids == {"v1", "also1"}
    assert [path.stem for path in heard.iterdir()] == ["train-00000"]
    # nowhere: not in a shard, a table, a lock, a file name
    assert ids(out) == {"v0", "v2"}
    assert not [path for path in out.rglob("*") if path.name.startswith(("v1", "also1"))]
    texts = [
        path for path in out.rglob("*") if path.suffix in (".csv", ".md", ".html") and path.name != "tombstones.csv"
    ]
    assert not [path for path in texts if "also1" in path.read_text(encoding="utf-8")]
    # all else: the same clips, byte for byte, and the user's own files
    assert {clip.clip_id for clip in read_clips(out)} == {"v0_000", "v2_000"}
    for clip in read_clips(out):
        assert (clip.video_bytes(), clip.coefficients().expression.tobytes()) == kept[clip.clip_id]
    after = everything(place)
    assert {name: h for name, h in after.items() if name.startswith("mine/")} == {
        name: h for name, h in before.items() if name.startswith("mine/")
    }
    assert [row.clip_id for row in read_lock(out / "lock.csv").accepted()] == ["v0_000", "v2_000"]


def test_the_record_proves_what_was_removed(place: Path):
    out, before = place / "out", everything(place / "out")
    fingerprint = json.loads((out / "dataset.json").read_text())["fingerprint"]
    done = purge(out, "v1", apply=True, reason="why")
    assert done.record is not None
    record = json.loads(done.record.read_text(encoding="utf-8"))
    assert record["asked_for"] == "v1"
    assert record["videos"] == ["also1", "v1"]
    assert {(file["path"], file["sha256"]) for file in record["files"]} <= set(before.items())
    assert len(record["files"]) == 10  # two sources, four clips of picture and sound
    assert record["rows"]["work/plan.parquet"] == 2
    for config in ("meta", "coeffs", "video"):
        assert record["rows"][f"{config}/train-00000.parquet"] == 2
    assert record["rows"]["rejected.parquet"] == 2
    assert record["fingerprint_before"] == fingerprint
    assert record["fingerprint_after"] == json.loads((out / "dataset.json").read_text())["fingerprint"] != fingerprint
    entries = tombstones.read(out / "tombstones.csv")
    assert {entry.source_id for entry in entries} == {"v1", "also1", ""}
    assert {entry.sha256 for entry in entries} == {"", before["work/media/download/" + name_of(before, "v1")]}
    assert {entry.reason for entry in entries} == {"why"}


def name_of(files: dict[str, str], video_id: str) -> str:
    return next(Path(name).name for name in files if name.startswith(f"work/media/download/{video_id}."))


def test_the_next_build_does_not_bring_it_back_and_works_on_nothing_else(place: Path):
    out = place / "out"
    purge(out, "v1", apply=True)
    clips = {clip.clip_id: clip.video_bytes() for clip in read_clips(out)}
    Make.worked.clear()
    (place / "mine" / "1.mp4").unlink()  # not even looked at
    summary = run(place)
    assert Make.worked == []
    assert summary.account.reasons["tombstoned"] == 2
    assert {clip.clip_id: clip.video_bytes() for clip in read_clips(out)} == clips
    assert [path for path in out.rglob("*") if path.name.startswith(("v1", "also1"))] == []
    # a row of a withdrawn source says so, and holds nothing else of it
    refused = pq.read_table(out / "rejected.parquet").to_pylist()
    withdrawn = [row for row in refused if row["video_id"] in ("v1", "also1")]
    assert [row["reason"] for row in withdrawn] == ["tombstoned"] * 2
    assert {row["url"] for row in withdrawn} == {None}


def test_when_it_leaves_the_manifest_as_well_nothing_is_made_again(place: Path):
    purge(place / "out", "v1", apply=True)
    text = (place / "list.csv").read_text(encoding="utf-8").splitlines()
    (place / "list.csv").write_text("\n".join(line for line in text if "1.mp4" not in line) + "\n", encoding="utf-8")
    Make.worked.clear()
    assert run(place).rows_in == 2
    assert Make.worked == []


def test_rows_that_stay_keep_their_hashes_in_rewritten_shards(place: Path):
    purge(place / "out", "v1", apply=True)
    for path in (place / "out" / "work").rglob("shard-*.parquet"):
        metadata = shard_metadata(path)
        if "inputs" in metadata:
            assert len(json.loads(metadata["rows"])) == read_shard(path).num_rows
            assert sum(size for _, size, _ in json.loads(metadata["inputs"])) == read_shard(path).num_rows


def test_unfinished_work_goes_too(place: Path):
    out = place / "out"
    media = out / "work" / "media"
    shards = (out / "work" / "01_download").glob("*.parquet")
    (row,) = [row for path in shards for row in iter_rows(path) if row["video_id"] == "v1"]
    left = [
        media / "download" / f"{download.source_name(row)}.deadbeef.partial" / "media.mp4.part",
        media / "download" / f"{download.source_name(row)}.deadbeef.site.json",
        media / "resample" / "v1_007.deadbeef.mp4",  # of an earlier setting: no row names it
        media / "resample" / ".tmp-abc.mp4",
        *((out / "work" / folder / f"shard-{index:05d}.deadbeef.journal") for folder, index in (("01_download", 0),)),
    ]
    stays = [
        media / "resample" / "v0_007.deadbeef.mp4",
        media / "resample" / "v10_000.deadbeef.mp4",
        media / "download" / "v1_000.deadbeef.mp4",  # a video of that name, not a clip of v1
    ]
    for path in (*left, *stays):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    purge(out, "v1", apply=True)
    assert [path for path in left if path.exists()] == []
    assert [path for path in stays if not path.exists()] == []


def test_a_folder_without_working_files_is_purged_in_place(place: Path, capsys: pytest.CaptureFixture[str]):
    out = place / "out"
    kept = {clip.clip_id: (clip.video_bytes(), clip.landmarks().tobytes()) for clip in read_clips(out)}
    shutil.rmtree(out / "work")
    assert main(["purge", str(out), "v2", "--apply"]) == 0
    assert ids(out) == {"v0", "v1", "also1"}
    assert {clip.clip_id for clip in read_clips(out)} == {"v0_000", "v1_000", "also1_000"}
    assert read_clips(out, "test") == []
    for clip in read_clips(out):
        assert (clip.video_bytes(), clip.landmarks().tobytes()) == kept[clip.clip_id]
    description = json.loads((out / "dataset.json").read_text())
    assert description["clips"] == {"train": 3, "val": 0, "test": 0}
    assert description["counts"]["clips_accepted"] == 3
    assert all((out / name).stat().st_size == size for name, size in description["bytes"].items())
    assert all(sha256_file(out / name) == digest for name, digest in description["sha256"].items())
    assert "3 clips" in (out / "README.md").read_text(encoding="utf-8")
    assert not (out / "report.html").exists()
    assert "v2" not in (out / "lock.csv").read_text(encoding="utf-8")


def test_results_lose_the_clips_and_what_was_made_of_all(place: Path, hand: Any, tmp_path: Path):
    from benchmark.clip_score import ITEMS, SCORES
    from chdtf.columns import table_from_rows
    from chdtf.engine.shards import write_shard
    from chdtf.schema import OUTCOME

    results = tmp_path / "results"
    names = [
        *(f"inputs/{clip}{suffix}" for clip in ("v0_000", "v1_000") for suffix in (".png", ".wav", ".mp4")),
        *(f"generated/still/{clip}{suffix}" for clip in ("v0_000", "v1_000") for suffix in (".mp4", ".json")),
        "generated/still/job.json",
        "scores/reference_landmarks/abc-1.npy",
        "leaderboard.csv",
        "mine.txt",
    ]
    for name in names:
        (results / name).parent.mkdir(parents=True, exist_ok=True)
        (results / name).write_text(name)
    rows = [
        {"clip_id": clip, "video_id": clip, "method": "still", "metric": "cpbd", "value": 0.5}
        for clip in ("v0_000", "v1_000", "also1_000")
    ]
    schema = pa.schema([*(field for field in ITEMS if field.name not in OUTCOME.names), *SCORES, *OUTCOME])
    write_shard(table_from_rows(rows, schema), results / "scores" / "still.parquet", "x")
    done = purge(place / "out", "v1", apply=True, results=[results])
    left = sorted(path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file())
    assert left == sorted([name for name in names if "v0" in name or name == "mine.txt"] + ["scores/still.parquet"])
    assert read_shard(results / "scores" / "still.parquet").column("clip_id").to_pylist() == ["v0_000"]
    assert done.rows[str(results / "scores" / "still.parquet")] == 2


def test_what_is_not_there_is_said_and_kept_out(place: Path, capsys: pytest.CaptureFixture[str]):
    out = place / "out"
    assert main(["purge", str(out), "youtube:abcdefghijk", "--apply"]) == 1
    assert "holds nothing of youtube:abcdefghijk;" in capsys.readouterr().out
    assert [entry.source_id for entry in tombstones.read(out / "tombstones.csv")] == ["youtube:abcdefghijk"]
    assert list(out.glob("purge-*.json")) == []
    with pytest.raises(UserError, match="holds no dataset"):
        purge(place / "mine", "v1")
    with pytest.raises(UserError, match="no such folder of results"):
        purge(out, "v1", results=[place / "none"])
