import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.morphable.model import FaceModel, load_model
from disenttalk_ref.subspaces import K_EYE, K_LIP, Subspaces, load_subspaces, read_subspaces, save_subspaces, select


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model("mp468")


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_without_overlap_selection_is_the_top_k_of_equation_1(seed: int):
    rng = np.random.default_rng(seed)
    order = rng.permutation(64)
    lip, eye = rng.uniform(0, 1, 64), rng.uniform(0, 1, 64)
    lip[order[:13]] += 2
    eye[order[13:21]] += 2
    found = select(lip, eye, "h", "s")
    assert set(found.lip) == set(np.argsort(-lip)[:13])
    assert set(found.eye) == set(np.argsort(-eye)[:8])
    assert set(found.global_) == set(order[21:])


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 100_000), grain=st.sampled_from([1, 3, 1000]))
def test_overlaps_go_to_the_larger_ratio_and_each_region_keeps_its_count(seed: int, grain: int):
    rng = np.random.default_rng(seed)
    lip, eye = (np.round(rng.uniform(0, 1, 30) * grain) / grain for _ in range(2))  # coarse grains: many ties
    found = select(lip, eye, "h", "s")
    assert (len(found.lip), len(found.eye), len(found.global_)) == (K_LIP, K_EYE, 9)
    assert found == select(lip, eye, "h", "s")
    top_lip, top_eye = set(np.argsort(-lip)[:13]), set(np.argsort(-eye)[:8])
    for i in top_lip & top_eye:
        if lip[i] != eye[i] and grain == 1000:
            assert i in (found.lip if lip[i] > eye[i] else found.eye)


def test_a_region_that_was_not_measured_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        select(np.ones(64), np.full(64, np.nan), "h", "s")


def test_too_few_dimensions_are_refused():
    with pytest.raises(ValueError, match=r"ratios \(20,\) and \(20,\) cannot give 13 and 8"):
        select(np.ones(20), np.ones(20), "h", "s")


def test_json_keeps_everything_and_refuses_what_is_no_partition(model: FaceModel):
    bundled = load_subspaces(model)
    assert Subspaces.from_json(bundled.to_json()) == bundled
    assert sorted(bundled.order) == list(range(64))
    assert (len(bundled.lip), len(bundled.eye)) == (K_LIP, K_EYE)
    with pytest.raises(ValueError, match="each dimension once"):
        dataclasses.replace(bundled, lip=(*bundled.lip, bundled.eye[0]))
    with pytest.raises(ValueError, match="have the fields"):
        Subspaces.from_json('{"lip": [0]}')


def test_subspaces_of_another_model_are_refused(model: FaceModel):
    with pytest.raises(UserError, match="made for face model"):
        load_subspaces(dataclasses.replace(model, mean=model.mean * np.float32(1.5)))
    with pytest.raises(UserError, match="no subspaces bundled for face model 'bfm'"):
        load_subspaces(dataclasses.replace(model, name="bfm"))


def test_a_file_is_read_for_its_model_only(model: FaceModel, tmp_path: Path):
    made = dataclasses.replace(load_subspaces(model), face_model="mp468", way="edited", lip_ratios=(0.5,) * 64)
    save_subspaces(made, tmp_path / "own.json")
    assert load_subspaces(model, tmp_path / "own.json") == read_subspaces(tmp_path / "own.json") == made
    save_subspaces(dataclasses.replace(made, face_model="bfm", face_model_hash=None), tmp_path / "bfm.json")
    with pytest.raises(
        UserError, match=rf"made for face model bfm \(its file was not at hand\), this one is mp468 {model.hash[:12]}"
    ):
        load_subspaces(model, tmp_path / "bfm.json")
    smaller = dataclasses.replace(made, global_=made.global_[:-1], lip=made.lip, eye=made.eye)
    assert max(made.global_) == 63
    save_subspaces(smaller, tmp_path / "small.json")
    with pytest.raises(UserError, match="63 dimensions, mp468 has 64"):
        load_subspaces(model, tmp_path / "small.json")


def test_the_first_version_of_the_file_is_still_read(model: FaceModel):
    bundled = load_subspaces(model)
    first = {name: getattr(bundled, name) for name in ("lip", "eye", "global_", "face_model_hash", "source")}
    found = Subspaces.from_json(json.dumps(first))
    assert (found.lip, found.eye, found.order) == (bundled.lip, bundled.eye, bundled.order)
    assert (found.face_model, found.way, found.data) == ("", "", ())


_WORDS = {"lip": ["a"], "eye": [], "global_": [], "face_model_hash": "", "source": ""}


@pytest.mark.parametrize("text", ["", "[1]", '{"lip": 1}', "null", json.dumps(_WORDS)])
def test_other_files_are_refused_with_the_command_that_makes_one(text: str, tmp_path: Path):
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"x.json: not a file of subspaces .*disentbench disentangle"):
        read_subspaces(tmp_path / "x.json")
    with pytest.raises(UserError, match="not a file of subspaces"):
        read_subspaces(tmp_path / "absent.json")
