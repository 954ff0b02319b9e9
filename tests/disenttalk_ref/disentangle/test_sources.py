import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.mat import write_mat
from chdtf.morphable.model import load_model
from disenttalk_ref.disentangle.bfm import from_folder, shift_of, track
from disenttalk_ref.disentangle.datasets import from_dataset
from disenttalk_ref.disentangle.material import Material, merge
from disenttalk_ref.disentangle.measure import measure
from disenttalk_ref.disentangle.sources import material_of
from disenttalk_ref.disentangle.stability import Choice

LIP, EYE = (3, 4), (10,)


def talk(seed: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (T, 257) and the openings (T, 2) that dimensions 3 and 4, and 10, make."""
    full = np.random.default_rng(seed).normal(size=(frames, 257)).astype(np.float32)
    expression = full[:, 80:144].astype(np.float64)
    return full, np.stack([expression[:, list(LIP)].sum(1), -expression[:, list(EYE)].sum(1)], axis=1)


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Path, dict[str, tuple[np.ndarray, float]]]:
    """Four clips of two speakers, videos two frames ahead; one .mat has no video."""
    seen = {}
    for number, name in enumerate(("li_1", "li_2", "wu_1", "wu_2")):
        full, opening = talk(number, 150)
        write_mat(tmp_path / f"{name}.mat", BfmCoefficients.from_array(full, "257"))
        (tmp_path / f"{name}.mp4").touch()
        seen[f"{name}.mp4"] = np.concatenate([opening[:2], opening]), 30.0
    write_mat(tmp_path / "alone.mat", BfmCoefficients.from_array(talk(9, 50)[0], "257"))
    return tmp_path, seen


def told_by(seen: dict[str, tuple[np.ndarray, float]]) -> Callable[[Path], tuple[np.ndarray, float]]:
    return lambda path: seen[path.name]


@pytest.fixture(autouse=True)
def _no_weights(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bfm model is not at hand, whatever this machine has."""
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
    load_model.cache_clear()


def test_coefficient_files_with_videos_need_no_model(folder: Any) -> None:
    path, seen = folder
    material = from_folder(path, told_by(seen))
    assert (material.face_model, material.face_model_hash, material.points) == ("bfm", None, None)
    assert material.speakers == ("li", "wu")
    (source,) = material.sources
    assert source.left_out == (("alone", "alone.mp4 is missing, and with it the openings"),)
    assert source.notes[0] == "li_1: coefficient frame 0 is video frame 2"
    found = measure(material, Choice(2, 1), seeds=2, draws=5)
    assert found.ways["natural"].chosen == (LIP, EYE)
    assert found.ways["natural"].subspaces.face_model_hash is None
    own = next(row for row in found.claim if (row.region, row.dimensions) == ("lip", "natural"))
    assert own.inside is None
    assert own.reason == "motion and openings: needs the bfm model"
    assert own.explained == pytest.approx(1, abs=1e-3)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.integers(-5, 5))
def test_a_planted_shift_is_measured_back(seed: int, shift: int) -> None:
    full, opening = talk(seed, 250)
    video = np.random.default_rng(seed).normal(size=(250 + 5, 2))
    for frame in range(250):
        if 0 <= frame + shift < len(video):
            video[frame + shift] = opening[frame]
    video[seed % 200] = np.nan
    found, agreement = shift_of(video, full[:, 80:144])
    assert found == shift
    assert agreement > 0.8


def test_coefficients_at_25_of_a_video_at_30_frames_a_second(folder: Any) -> None:
    path, seen = folder
    full, opening = talk(4, 150)
    at = np.minimum(np.arange(180) * 25 / 30, 149)
    smooth = np.stack([np.interp(at, np.arange(150), column) for column in opening.T], axis=1)
    write_mat(path / "li_1.mat", BfmCoefficients.from_array(full, "257"))
    seen["li_1.mp4"] = smooth, 30.0
    material = from_folder(path, told_by(seen))
    assert material.sources[0].notes[0] == "li_1: coefficient frame 0 is video frame 0"


def test_videos_that_do_not_belong_are_left_out_with_the_reason(folder: Any) -> None:
    path, seen = folder
    seen["li_1.mp4"] = talk(77, 150)[1], 30.0  # another clip's openings
    seen["li_2.mp4"] = seen["li_2.mp4"][0][:90], 30.0
    seen["wu_1.mp4"] = np.full((152, 2), np.nan), 30.0
    left = dict(from_folder(path, told_by(seen)).sources[0].left_out)
    assert "li_1.mat does not follow li_1.mp4" in left["li_1"]
    assert "li_2.mat has 150 frames, li_2.mp4 90 at 30 frames/s" in left["li_2"]
    assert "wu_1" in left


def test_speakers_can_be_named(folder: Any) -> None:
    path, seen = folder
    (path / "speakers.csv").write_text("file,speaker\nli_1.mat,ann\nli_2.mat,bob\n", encoding="utf-8")
    assert from_folder(path, told_by(seen)).speakers == ("ann", "bob", "wu")
    (path / "speakers.csv").write_text("name\nx\n", encoding="utf-8")
    with pytest.raises(UserError, match="needs the columns file and speaker"):
        from_folder(path, told_by(seen))


def test_two_models_are_refused_and_both_named(folder: Any, material: Material) -> None:
    path, seen = folder
    bfm = from_folder(path, told_by(seen))
    with pytest.raises(
        UserError, match=rf"planted {material.face_model_hash[:12]}.* in bfm \(its file is not at hand\)"
    ):  # type: ignore[index]
        merge([material, bfm])
    other = dataclasses.replace(material, face_model_hash="0123456789abcdef")
    with pytest.raises(UserError, match=r"planted 0123456789ab: .*cannot be mixed"):
        merge([material, other])
    assert len(merge([material, material]).clips) == 2 * len(material.clips)


def published(hand: Any, root: Path, model_hash: str | None = None) -> Path:
    from pipelines.publication.publish import publish

    rows = [hand.finished_row(root, number, "train", 40) for number in range(3)]
    publish(root, [hand.write_rows(root, 0, rows)], [], hand.SCHEMA, hand.SETTINGS)
    if model_hash:
        (path,) = (root / "coeffs").glob("*.parquet")
        table = pq.read_table(path)
        hashes = table["face_model_hash"].to_pylist()
        column = table.schema.get_field_index("face_model_hash")
        changed = table.set_column(column, "face_model_hash", pa.array([model_hash, *hashes[1:]]))
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
    return root


def test_a_dataset_is_read_in_its_own_model(hand: Any, tmp_path: Path) -> None:
    root = published(hand, tmp_path / "data")
    material = material_of([root])
    model = load_model("mp468")
    assert (material.face_model, material.face_model_hash) == ("mp468", model.hash)
    assert (len(material.clips), material.frames) == (3, 3 * 39)  # frame 3 of each has no face
    assert material.sources[0].name == "data"
    assert len(material.sources[0].fingerprint) == 64
    with pytest.raises(UserError, match="no clips in split 'val'"):
        material_of([root], split="val")


def test_a_dataset_can_be_fitted_to_another_model(plant: Any, hand: Any, tmp_path: Path) -> None:
    from chdtf.morphable.model import save_model

    save_model(plant.planted_model(), tmp_path / "planted.npz")
    material = from_dataset(published(hand, tmp_path / "data"), str(tmp_path / "planted.npz"))
    assert (material.face_model, material.num_expression) == ("planted", plant.NUM)


def test_a_dataset_of_two_models_is_refused_and_both_are_named(hand: Any, tmp_path: Path) -> None:
    root = published(hand, tmp_path / "data", "feedc0de" * 8)
    own = load_model("mp468").hash[:12]
    with pytest.raises(UserError, match=rf"mp468 {own} and mp468 feedc0defeed; fit all to one"):
        material_of([root])
    assert len(material_of([root], "mp468").clips) == 3  # fitted anew


def test_what_is_no_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        material_of([tmp_path / "none"])
    with pytest.raises(UserError, match="neither a dataset nor"):
        material_of([tmp_path])
    with pytest.raises(UserError, match="no data"):
        material_of([])
    with pytest.raises(UserError, match="bfm coefficients, and --model mp468 cannot"):
        material_of([tmp_path], "mp468")


def test_the_real_files_begin_two_frames_after_their_videos(shared: Path) -> None:
    """StyleTalk's clips: 210 coefficient frames, 212 video frames, the first two of which have none."""
    from chdtf.morphable.exchange.mat import read_mat

    path = shared / "data" / "coeffs" / "feifeili_clip3.mat"
    seen, fps = track(path.with_suffix(".mp4"))
    assert (len(seen), fps) == (212, 30)
    shift, agreement = shift_of(seen, read_mat(path)[0].expression)
    assert shift == 2
    assert agreement > 0.9
