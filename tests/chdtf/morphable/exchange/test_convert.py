"""Conversions as users do them: by the verbs, from files, folders and datasets."""

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.spatial.transform import Rotation

from benchmark.cli import main
from chdtf.columns import table_from_rows
from chdtf.errors import UserError
from chdtf.media import write_video
from chdtf.morphable.coefficients import Coefficients, to_row
from chdtf.morphable.exchange import fitted
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.camera import bfm_from_fit
from chdtf.morphable.exchange.clips import BfmClip, FittedClip
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
        (["in/a.mat", "in/notes.txt/x.npy"], "cannot be written"),
        (["in", "in/notes.txt/x.parquet"], "cannot be written"),
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
        found = [fitted.to_bfm(one) for one in read_clips(source) if isinstance(one, FittedClip)]
        assert [one.clip_id for one in found] == ["clip0", "clip1"]
        assert (found[0].fps, found[0].face_model_hash) == (25.0, bfm.hash)
        for name, array in bfm_from_fit(fit, bfm).parts.items():
            assert np.array_equal(found[0].coefficients.parts[name], array)
    arguments = ["convert", shard.parent.parent, tmp_path / "out", "--format", "mat"]
    assert run(*arguments) == 2  # without texture and gamma, and with a gap
    assert run(*arguments, "--zero-appearance", "--gaps", "hold") == 0
    assert not read_bfm(tmp_path / "out/clip0.mat").to_array("257")[:, 144:224].any()


def test_frames_of_another_size_are_said(shard: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    """In frames where the face would lie outside it is refused; a size moves the crop, not the face in it."""
    one = ["convert", shard, tmp_path / "a.npy", "--clip", "clip0", "--gaps", "hold"]
    assert run(*one, "--frame-size", "90x40") == 2
    assert "outside frames of 90 x 40 px; say how large they are: --frame-size" in capsys.readouterr().err
    for wrong in ("0", "a", "1x2x3", "-5"):
        assert run(*one, f"--frame-size={wrong}") == 2
        assert f"--frame-size {wrong}: must be a number of px" in capsys.readouterr().err
    assert run(*one, "--layout", "262") == 2  # texture and gamma are not in a fit
    assert run(*one, "--layout", "262", "--zero-appearance", "--frame-size", "400x300") == 0
    found = read_bfm(tmp_path / "a.npy")
    assert found.transform_params is not None
    assert np.array_equal(found.transform_params[0, :2], [400, 300])


@pytest.mark.parametrize("smoothed", [False, True])
def test_fits_of_any_model_are_copied_value_for_value(dataset: Path, tmp_path: Path, smoothed: bool):
    source = dataset
    if smoothed:
        source = tmp_path / "smooth.parquet"
        clips = [one for one in read_clips(dataset) if isinstance(one, FittedClip)]
        calm = [one.coefficients.replace(expression=one.coefficients.expression / 2) for one in clips]
        found = [dataclasses.replace(one, smooth=mild) for one, mild in zip(clips, calm, strict=True)]
        assert fitted.write_fitted(source, found) == len(clips)
    assert run("convert", source, tmp_path / "a.parquet") == 0
    assert run("convert", tmp_path / "a.parquet", tmp_path / "b.parquet") == 0
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    before = pa.concat_tables(
        [pq.read_table(path) for path in ([source] if smoothed else sorted((dataset / "coeffs").glob("*.parquet")))]
    )
    after = pq.read_table(tmp_path / "a.parquet")
    copied = [name for name in after.column_names if name in before.column_names]
    assert set(COEFFS.names) <= set(copied)
    assert ("smooth_expression" in copied) == smoothed
    for name in copied:
        assert after[name].combine_chunks().equals(before[name].combine_chunks().cast(after.schema.field(name).type))


def test_a_fit_at_another_rate_is_resampled_alike(tmp_path: Path, planted_fit: Callable[..., Coefficients]):
    """Rotations are those of the same motion at the new rate; gaps stay zero; the error is not known."""
    fit = planted_fit(50)
    turns = np.radians(170) + np.arange(50)[:, None] / 25 * np.radians([[0.0, 60.0, 0.0]])
    fit = fit.replace(
        rotation=Rotation.from_euler("xyz", turns * [0, 1, 0]).as_rotvec().astype(np.float32),
        expression=np.full((50, 64), 0.25, np.float32),
        valid=np.arange(50) != 40,
    )
    one = FittedClip("a", fit, 25.0, "own", "f" * 64, "hand", 1, 0.5, smooth=fit)
    fitted.write_fitted(tmp_path / "a.parquet", [one])
    assert run("convert", tmp_path / "a.parquet", tmp_path / "b.parquet", "--fps-to", 30) == 0
    (found,) = read_clips(tmp_path / "b.parquet")
    assert isinstance(found, FittedClip)
    assert (found.fps, found.fit_error_px, found.coefficients.num_frames) == (30.0, None, 60)
    valid = found.coefficients.valid
    assert 2 <= (~valid).sum() <= 4
    wanted = Rotation.from_euler("y", (np.radians(170) + np.arange(60) / 30 * np.radians(60.0))[valid][:, None])
    got = Rotation.from_rotvec(found.coefficients.rotation[valid])
    away_deg = np.degrees((wanted.inv() * got).magnitude())  # of a head that turns by 2 degrees a frame
    assert away_deg[8:36].max() < 0.05
    assert away_deg.max() < 0.5  # at ends and gaps
    assert (found.coefficients.expression[valid] == 0.25).all()
    assert found.smooth is not None
    for name in ("expression", "rotation", "translation", "scale"):
        assert not getattr(found.coefficients, name)[~valid].any()
        assert np.array_equal(getattr(found.smooth, name), getattr(found.coefficients, name))


def test_what_does_not_belong_together_is_refused(
    shard: Path, dataset: Path, folder: Path, tmp_path: Path, bfm: FaceModel, capsys: pytest.CaptureFixture
):
    def refused(*arguments: object) -> str:
        assert run("convert", *arguments) == 2
        assert not (tmp_path / "x.parquet").exists()
        error: str = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    target = tmp_path / "x.parquet"
    clip_id = next(read_clips(dataset)).clip_id
    said = refused(dataset, tmp_path / "x.npy", "--clip", clip_id)
    assert f"clip {clip_id} is fitted with face model mp468" in said
    assert "fit it again with bfm" in said
    assert "--frame-size is for .mat and .npy" in refused(dataset, target, "--frame-size", 256)
    assert "--zero-appearance is for" in refused(dataset, target, "--zero-appearance")
    assert run("convert", dataset, folder / "fits.parquet") == 0
    capsys.readouterr()
    assert "not both: a (PIRenderer .mat)" in refused(folder, target)
    table = pq.read_table(shard).to_pylist()
    table[1]["face_model_hash"] = "f" * 64
    pq.write_table(pa.Table.from_pylist(table, schema=pq.read_schema(shard)), shard)
    both = rf"bfm {bfm.hash[:12]} \(clip clip0\) and bfm ffffffffffff \(clip clip1\)"
    with pytest.raises(UserError, match=both):
        list(read_clips(shard))
    (tmp_path / "two").mkdir()
    for name, number in (("a", 0), ("b", 1)):
        rows = pa.Table.from_pylist([table[number]], schema=pq.read_schema(shard))
        pq.write_table(rows, tmp_path / f"two/{name}.parquet")
    assert re.search(both, refused(tmp_path / "two", target))


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("expression", np.nan, "expression of frame 3, which is valid, is nan; fit it again"),
        ("scale", np.inf, "scale of frame 3, which is valid, is inf"),
        ("identity", np.nan, "identity has values that are not finite"),
        ("rotation", None, "rotation is (11, 3), not (12, 3)"),
        ("num_frames", 7, "holds coefficients of 12 frames, num_frames 7"),
        ("valid", None, "not"),
    ],
)
def test_broken_fits_are_refused(
    tmp_path: Path, planted_fit: Callable[..., Coefficients], column: str, value: float | None, said: str
):
    path = tmp_path / "a.parquet"
    fitted.write_fitted(path, [FittedClip("a", planted_fit(), 25.0, "own", "f" * 64)])
    (row,) = pq.read_table(path).to_pylist()
    if column == "num_frames":
        row[column] = value
    elif value is None:
        row[column] = row[column][:-1]
    elif column == "expression":
        row[column][3][5] = value
    else:
        row[column][3] = value
    pq.write_table(pa.Table.from_pylist([row], schema=pq.read_schema(path)), path)
    with pytest.raises(UserError, match=re.escape(said)):
        list(read_clips(path))


def test_info_says_what_fits_hold(dataset: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    """Of a model whose fits no method reads, by folder, by shard and by table."""
    model = load_model("mp468")
    assert run("convert", dataset, tmp_path / "all.parquet") == 0
    for source in (dataset, tmp_path / "all.parquet"):
        capsys.readouterr()
        assert run("info", source) == 0
        said = capsys.readouterr().out
        assert f"mp468 {model.hash[:12]} fitted by" in said
        assert "fit of mp468" in said
        assert "fit error" in said
        assert "no method: the field's files hold the face model bfm" in said
    assert run("info", dataset, folder / "a.mat") == 0
    said = capsys.readouterr().out
    assert f"fits of mp468 {model.hash[:12]}:" in said
    assert "files of the field (bfm):" in said


def test_info_tells_of_videos_with_other_frames(folder: Path, capsys: pytest.CaptureFixture):
    write_video(folder / "a.mp4", [np.zeros((16, 16, 3), np.uint8)] * 32)
    (folder / "below/b.mp4").write_bytes(b"no video")
    assert run("info", folder) == 0
    assert "videos      2 frames more than the file beside them" in capsys.readouterr().out


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
    assert "StyleTalk (renderer), DreamTalk (renderer) (1 of 3 clips each)" in capsys.readouterr().out
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
