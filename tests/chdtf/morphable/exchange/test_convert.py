"""Conversions as users do them: by the verbs, from files, folders and datasets."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark.cli import main
from chdtf.columns import table_from_rows
from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients, to_row
from chdtf.morphable.exchange import fitted
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.camera import bfm_from_fit
from chdtf.morphable.exchange.clips import BfmClip
from chdtf.morphable.exchange.convert import Conversion, convert
from chdtf.morphable.exchange.describe import Ranges, layouts_of, readers
from chdtf.morphable.exchange.files import read_bfm, read_clips, write_bfm
from chdtf.morphable.exchange.table import write_table
from chdtf.morphable.model import FaceModel, load_model
from chdtf.schema import COEFFS, SCHEMA_VERSION


def clip(frames: int = 30, seed: int = 0) -> BfmCoefficients:
    rng = np.random.default_rng(seed)
    transform = np.column_stack([np.full((frames, 2), 256), rng.uniform(1, 2, (frames, 3))]).astype(np.float32)
    return BfmCoefficients.from_array(rng.normal(size=(frames, 257)).astype(np.float32), transform_params=transform)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(["a.mat", "below/b.mat", ".hidden/c.mat", "notes.txt"]):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".mat":
            write_bfm(path, clip(seed=number))
        else:
            path.write_text("")
    return tmp_path / "in"


@pytest.fixture
def shard(tmp_path: Path, bfm: FaceModel, fit: Coefficients, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published dataset of two clips that were fitted with `bfm`: its coeffs."""
    monkeypatch.setattr(fitted, "load_model", lambda name: bfm if name == "bfm" else load_model(name))
    rows = [{**to_row(fit, bfm), "fit_error_px": 0.0} for _ in range(2)]
    schema = COEFFS.insert(0, COEFFS.field("face_model").with_name("clip_id"))
    path = tmp_path / "set/coeffs/train-00000.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(table_from_rows([{**row, "clip_id": f"clip{n}"} for n, row in enumerate(rows)], schema), path)
    about = {"schema_version": SCHEMA_VERSION, "rows": {"coeffs/train-00000.parquet": 2}}
    (tmp_path / "set/dataset.json").write_text(json.dumps(about))
    return path


def run(*arguments: object) -> int:
    return main(["coeffs", *map(str, arguments)])


def test_a_folder_becomes_a_table_and_the_table_a_folder(folder: Path, tmp_path: Path):
    assert run("convert", folder, tmp_path / "t.parquet") == 0
    assert [one.clip_id for one in read_clips(tmp_path / "t.parquet")] == ["a", "below/b"]
    assert run("convert", tmp_path / "t.parquet", tmp_path / "out", "--format", "mat") == 0
    for name in ("a.mat", "below/b.mat"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_one_clip_at_another_rate_with_the_rate_remembered(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    target = tmp_path / "b.parquet"
    assert run("convert", folder, target, "--clip", "below/b", "--fps-from", 30, "--fps-to", 25) == 0
    assert "below/b, 30 -> 25 frames" in capsys.readouterr().out
    (found,) = read_clips(target)
    assert (found.fps, found.coefficients.num_frames) == (25.0, 25)
    assert run("convert", target, tmp_path / "c.parquet", "--fps-to", 30) == 0
    assert read_bfm(tmp_path / "c.parquet").num_frames == 30
    assert run("convert", target, tmp_path / "d.parquet", "--fps-from", 30, "--fps-to", 25) == 2
    assert "has 25 fps by its file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in", "x.npy"], "there are several (a, below/b"),
        (["in", "x.npy", "--clip", "c"], "has no clip 'c'"),
        (["in", "out"], "--format"),
        (["in/a.mat", "x.csv"], "ends in one of .mat, .npy, .parquet"),
        (["in/a.mat", "in/a.mat"], "is the source"),
        (["in", "in", "--format", "mat"], "is the source"),
        (["in/a.mat", "x.npy", "--fps-to", "30"], "give --fps-from"),
        (["in/a.mat", "x.parquet", "--layout", "73"], "leave --layout 73 out"),
        (["in/z.mat", "x.npy"], "no such file"),
        (["in/notes.txt", "x.npy"], "suffix '.txt'"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
):
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    source, target, *rest = arguments
    assert run("convert", tmp_path / source, tmp_path / target, *rest) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_refused_file_does_not_stop_a_folder_but_a_table(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    (folder / "bad.mat").write_bytes(b"nothing")
    assert run("convert", folder, tmp_path / "out", "--format", "npy") == 1
    said = capsys.readouterr().out
    assert "refused bad: " in said
    assert "2 clips converted, 1 refused" in said
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.npy")) == ["a.npy", "b.npy"]
    assert run("convert", folder, tmp_path / "t.parquet") == 2
    assert not (tmp_path / "t.parquet").exists()


@pytest.mark.parametrize("clip_id", ["../x", "/x", "a/../../x", "a\\b", ""])
def test_an_id_does_not_lead_out_of_the_folder(tmp_path: Path, clip_id: str):
    write_table(tmp_path / "t.parquet", [BfmClip(clip_id, clip())])
    (written,) = convert(tmp_path / "t.parquet", tmp_path / "in/out", Conversion(), ".npy")
    assert written.error is not None
    assert "no file name" in written.error
    assert not list(tmp_path.rglob("*.npy"))


def test_motion_files_become_pose_clips_with_what_is_said_explicitly(tmp_path: Path):
    write_bfm(tmp_path / "m.npy", clip())
    assert run("convert", tmp_path / "m.npy", tmp_path / "m.mat") == 2
    assert run("convert", tmp_path / "m.npy", tmp_path / "m.mat", "--zero-appearance", "--frame-size", 256) == 0
    found = read_bfm(tmp_path / "m.mat")
    assert np.array_equal(found.to_array("73"), clip().to_array("73"))
    assert np.array_equal(found.transform_params, clip().transform_params)


def test_a_dataset_and_its_shard_are_converted_through_the_camera(
    shard: Path, tmp_path: Path, bfm: FaceModel, fit: Coefficients
):
    for source in (shard, shard.parent.parent):
        found = list(read_clips(source))
        assert [one.clip_id for one in found] == ["clip0", "clip1"]
        assert (found[0].fps, found[0].face_model_hash) == (25.0, bfm.hash)
        for name, array in bfm_from_fit(fit, bfm).parts.items():
            assert np.array_equal(found[0].coefficients.parts[name], array)
    arguments = ["convert", shard.parent.parent, tmp_path / "out", "--format", "mat"]
    assert run(*arguments) == 2  # without texture and gamma, and with a gap
    assert run(*arguments, "--zero-appearance", "--gaps", "hold") == 0
    assert not read_bfm(tmp_path / "out/clip0.mat").to_array("257")[:, 144:224].any()


def test_datasets_of_other_models_are_refused_by_name(shard: Path, dataset: Path, fit: Coefficients, bfm: FaceModel):
    with pytest.raises(UserError, match=r"face model mp468.*fit it again with face_model=bfm"):
        list(read_clips(dataset))
    table = pq.read_table(shard).to_pylist()
    table[1]["face_model_hash"] = "f" * 64
    pq.write_table(type(pq.read_table(shard)).from_pylist(table, schema=pq.read_schema(shard)), shard)
    with pytest.raises(UserError, match=rf"bfm {bfm.hash[:12]} \(clip clip0\) and bfm ffffffffffff \(clip clip1\)"):
        list(read_clips(shard))


def test_info_says_what_files_hold(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    assert run("info", folder) == 0
    said = capsys.readouterr().out
    assert "2 clips, 60 frames, all valid" in said
    assert "2.40 at 25 fps (DreamTalk, SadTalker), 2.00 at 30 fps (StyleTalk)" in said
    assert "below/b  PIRenderer .mat      30     1.20   100%" in said
    assert "StyleTalk (style, pose), DreamTalk (style, pose)" in said
    assert "expression                64" in said
    write_bfm(folder / "n.npy", clip())
    assert run("info", folder) == 0
    assert "DreamTalk (renderer) (1 of 3 clips)" in capsys.readouterr().out
    (folder / "bad.npy").write_bytes(b"nothing")
    assert run("info", folder) == 2
    streams = capsys.readouterr()
    assert "below/b" in streams.out
    assert "bad.npy: not a NumPy array file" in streams.err


def test_info_of_nothing_is_a_mistake(capsys: pytest.CaptureFixture):
    assert run("info") == 2
    assert "no file given" in capsys.readouterr().err


def test_ranges_are_those_of_valid_frames():
    found = Ranges()
    coefficients = clip().replace(valid=np.arange(30) < 10)
    for _ in range(2):
        found.add(BfmClip("a", coefficients))
    rows = {row.name: row for row in found.rows()}
    assert rows["expression"].largest == coefficients.expression[:10].max()
    assert rows["expression"].mean == pytest.approx(coefficients.expression[:10].mean(dtype=float))
    assert coefficients.angle is not None
    assert rows["angle yaw"].smallest == pytest.approx(np.degrees(coefficients.angle[:10, 1].min()))
    assert (rows["transform_params w0"].smallest, rows["transform_params w0"].size) == (256.0, 1)
    assert "crop s" not in rows


def test_who_reads_a_file_follows_from_what_it_holds(tmp_path: Path):
    def of(name: str, layout: str | None = None, **arrays: np.ndarray | None) -> tuple[str, ...]:
        write_bfm(tmp_path / name, clip().replace(**arrays), layout)
        (found,) = read_clips(tmp_path / name)
        return readers(found)

    assert of("a.mat")[0].startswith("PIRenderer")
    assert of("a.mat", transform_params=None) == ("StyleTalk (style)", "DreamTalk (style)")
    assert [reader.split()[0] for reader in of("a.mat", "73")] == ["SadTalker", "SadTalker"]
    assert len(of("a.mat", "70", crop=None, transform_params=None)) == 1
    assert of("a.npy") == ("StyleTalk (renderer)", "DreamTalk (renderer)")
    assert of("a.parquet") == ()
    assert layouts_of(BfmClip("a", clip())) == ("257", "260", "262", "73", "70", "64")
    assert layouts_of(BfmClip("a", dataclasses.replace(clip(), identity=None))) == ("73", "70", "64")
