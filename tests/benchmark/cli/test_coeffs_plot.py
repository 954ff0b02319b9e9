import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.cli import main
from chdtf.clip import read_clips


def size(path: Path) -> str:
    image = cv2.imread(str(path))
    assert image is not None
    return f"{image.shape[1]} x {image.shape[0]} px"


def test_a_model_is_drawn_and_its_size_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for arguments in (["--dimensions", "0", "5"], ["--regions"]):
        out = tmp_path / "a.png"
        assert main(["coeffs", "plot", *arguments, "--out", str(out)]) == 0
        assert f"{out}: {size(out)}" in capsys.readouterr().out


def test_subspaces_are_named_where_they_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A file of subspaces changes the titles, hence the picture; one of another size is refused."""
    from disenttalk_ref.subspaces import load_subspaces

    bundled = json.loads(load_subspaces().to_json())
    bundled["lip"], bundled["eye"] = bundled["eye"], bundled["lip"]
    (tmp_path / "swapped.json").write_text(json.dumps(bundled))
    pictures = []
    for more in ([], ["--subspaces", str(tmp_path / "swapped.json")]):
        out = tmp_path / f"{len(more)}.png"
        assert main(["coeffs", "plot", "--dimensions", "0", "--out", str(out), *more]) == 0
        pictures.append(out.read_bytes())
    assert pictures[0] != pictures[1]
    (tmp_path / "broken.json").write_text("{}")
    assert main(["coeffs", "plot", "--subspaces", str(tmp_path / "broken.json"), "--out", str(out)]) == 2
    assert "broken.json" in capsys.readouterr().err


def test_a_clip_of_a_dataset_is_drawn_by_folder_or_by_shard(dataset: Path, tmp_path: Path):
    clip = read_clips(dataset)[0].clip_id
    shard = next((dataset / "coeffs").glob("*.parquet"))
    written = []
    for source in (dataset, shard):
        out = tmp_path / "clip.png"
        assert main(["coeffs", "plot", str(source), "--clip", clip, "--out", str(out)]) == 0
        written.append(out.read_bytes())
    assert written[0] == written[1]


def test_a_coefficient_file_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(30, 73)).astype(np.float32))
    out = tmp_path / "a.png"
    assert main(["coeffs", "plot", str(tmp_path / "a.npy"), "--out", str(out)]) == 0
    assert size(out) in capsys.readouterr().out


def test_a_table_of_fits_is_drawn_with_its_models_subspaces(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """As high as the picture of the dataset's clip: the same panels, though without the tracked landmarks."""
    clip, table = read_clips(dataset)[0].clip_id, tmp_path / "fits.parquet"
    assert main(["coeffs", "convert", str(dataset), str(table)]) == 0
    for source, out in ((dataset, "a.png"), (table, "b.png")):
        assert main(["coeffs", "plot", str(source), "--clip", clip, "--out", str(tmp_path / out)]) == 0
    assert size(tmp_path / "a.png") == size(tmp_path / "b.png")
    rows = pq.read_table(table).to_pylist()
    for row in rows:
        row["face_model_hash"] = "f" * 64
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(table)), table)
    capsys.readouterr()
    assert main(["coeffs", "plot", str(table), "--clip", clip, "--out", str(tmp_path / "c.png")]) == 2
    assert f"clip {clip} was fitted with face model mp468 ffffffffffff, this one is" in capsys.readouterr().err


def test_a_folder_of_coefficient_files_holds_clips_by_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files" / "deep").mkdir(parents=True)
    for name in ("a.npy", "deep/b.npy"):
        np.save(tmp_path / "files" / name, np.random.default_rng(0).normal(size=(30, 73)).astype(np.float32))
    assert main(["coeffs", "plot", "files", "--clip", "deep/b"]) == 0
    assert (tmp_path / "deep_b_curves.png").is_file()
    assert main(["coeffs", "plot", "files"]) == 2
    assert "deep/b" in capsys.readouterr().err


def test_mistakes_are_said_in_one_line(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "talk.mp4").touch()
    (tmp_path / "empty").mkdir()
    np.save(tmp_path / "one.npy", np.zeros((1, 73), np.float32))
    clip = read_clips(dataset)[0].clip_id
    for arguments, said in (
        (["--dimensions", "64"], "0 to 63"),
        (["--model", "nobody"], "no face model 'nobody'"),
        (["--clip", "a"], "--clip a: name its dataset"),
        ([str(dataset), "--regions"], "--regions"),
        ([str(dataset)], "choose one with --clip"),
        ([str(dataset), "--clip", clip[:-1] + "9"], f"did you mean {clip}"),
        ([str(tmp_path / "none.mat")], "none.mat: no such file"),
        ([str(tmp_path / "talk.mp4")], "coeffs overlay"),
        ([str(tmp_path / "empty")], "empty"),
        ([str(tmp_path / "one.npy"), "--fps", "nan"], "--fps nan"),
        ([str(tmp_path / "one.npy"), "--fps", "0"], "--fps 0.0"),
        (["--out", str(tmp_path / "a.gif")], ".png or .svg or .jpg"),
        (["--out", str(tmp_path / "b" / "a.png")], "no folder"),
    ):
        assert main(["coeffs", "plot", *arguments]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_a_clip_whose_coefficients_are_missing_is_named(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    clip = read_clips(copy, "test")[0].clip_id
    for shard in (copy / "coeffs").glob("test-*.parquet"):
        shard.unlink()
    for verb, out in (("plot", "a.png"), ("overlay", "a.mp4")):
        assert main(["coeffs", verb, str(copy), "--clip", clip, "--out", str(tmp_path / out)]) == 2
        error = capsys.readouterr().err
        assert "coeffs" in error
        assert "test-" in error
        assert not (tmp_path / out).exists()
