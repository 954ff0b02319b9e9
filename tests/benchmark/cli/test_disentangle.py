import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import main
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.mat import write_mat
from chdtf.morphable.model import load_model
from disenttalk_ref.disentangle import bfm
from disenttalk_ref.subspaces import read_subspaces


@pytest.fixture
def coefficients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two speakers' .mat files, in which dimensions 3 and 10 follow mouth and eyes; the videos are not looked at."""
    folder, seen = tmp_path / "coeffs", {}
    folder.mkdir()
    for number, name in enumerate(("li_1", "wu_1")):
        full = np.random.default_rng(number).normal(size=(300, 257)).astype(np.float32)
        write_mat(folder / f"{name}.mat", BfmCoefficients.from_array(full, "257"))
        (folder / f"{name}.mp4").touch()
        seen[name] = full[:, [83, 90]].astype(np.float64), 30.0
    monkeypatch.setattr(bfm, "track", lambda video: seen[video.stem])
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path / "none"))
    load_model.cache_clear()
    return folder


def test_subspaces_and_report_are_written(
    coefficients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, report = tmp_path / "own.json", tmp_path / "report"
    command = ["disentangle", str(coefficients), "--k-lip", "1", "--k-eye", "1", "--out", str(out)]
    assert main([*command, "--report", str(report)]) == 0
    said = capsys.readouterr().out
    assert f"{out}: bfm, way natural, lip [3], eye [10]" in said
    assert "needs the bfm model" in said
    found = read_subspaces(out)
    assert (found.lip, found.eye, found.way, found.face_model) == ((3,), (10,), "natural", "bfm")
    assert sorted(path.name for path in report.iterdir()) == ["claim.csv", "ratios.csv", "report.md", "stability.csv"]
    written = out.read_text(encoding="utf-8")
    assert main(command) == 0
    assert out.read_text(encoding="utf-8") == written  # the same data, the same file
    assert str(tmp_path) not in written + (report / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--way", "edited"],
            "--way edited: needs the face model, to edit the face; possible with these data: nat",
        ),
        (["--k-lip", "60"], "K_lip = 60 and K_eye = 8 of 64 dimensions"),
        (["--model", "mp468"], "--model mp468 cannot be fitted to them"),
        (["--pairs", "/nowhere"], "/nowhere: no such folder"),
        (["--way", "pairs"], "--way pairs: needs pairs of videos; name their folder with --pairs"),
        (["--seeds", "0"], "--seeds 0: 1 or more"),
        (["--out", "."], "--out .: is a folder; name a file, such as subspaces.json"),
        (["--report", __file__], "is a file, and a folder is to be written there"),
    ],
)
def test_mistakes_are_one_line(
    coefficients: Path,
    tmp_path: Path,
    options: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["disentangle", str(coefficients), "--out", str(tmp_path / "o.json"), *options]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in error
    assert not (tmp_path / "o.json").exists()


def test_json_holds_no_commit_and_no_path(coefficients: Path, tmp_path: Path) -> None:
    assert main(["disentangle", str(coefficients), "--out", str(tmp_path / "o.json")]) == 0
    raw = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))
    assert raw["data"][0]["name"] == "coeffs"
    assert raw["data"][0]["clip_ids"] == ["li_1", "wu_1"]
    assert "commit" not in raw
