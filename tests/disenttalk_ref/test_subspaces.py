import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chdtf.errors import UserError
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.model import FaceModel, load_model
from disenttalk_ref.subspaces import (
    K_EYE,
    K_LIP,
    Subspaces,
    edited_changes,
    find_subspaces,
    load_subspaces,
    motion_share,
    natural_changes,
    opening_gain,
    select,
)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model("mp468")


@pytest.fixture(scope="module")
def clips(model: FaceModel) -> list[Coefficients]:
    """Faces with random expressions of unit deviation; the last clip misses frames."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(6):
        valid = np.ones(200, bool)
        expression = rng.normal(size=(200, 64))
        made.append(Coefficients(model.mean, expression, np.zeros((200, 3)), np.zeros((200, 3)), np.ones(200), valid))
    valid = np.arange(200) % 3 > 0
    made[-1] = made[-1].replace(valid=valid, expression=made[-1].expression * valid[:, None])
    return made


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


def test_too_few_dimensions_are_refused():
    with pytest.raises(ValueError, match=r"ratios \(20,\) and \(20,\) cannot give 13 and 8"):
        select(np.ones(20), np.ones(20), "h", "s")


def test_dimensions_found_on_other_expressions_agree_with_the_bundled_ones(model: FaceModel, clips: list[Coefficients]):
    found, bundled = find_subspaces(clips, model, "random"), load_subspaces(model)
    assert found.eye == bundled.eye
    assert len(set(found.lip) & set(bundled.lip)) >= 10


def test_bundled_dimensions_move_their_region_and_no_other(model: FaceModel, clips: list[Coefficients]):
    bundled = load_subspaces(model)
    assert motion_share(bundled.lip, model, "lip") > 0.99
    assert motion_share(bundled.eye, model, "eye") > 0.99
    for region, own, other in (("lip", bundled.lip, bundled.eye), ("eye", bundled.eye, bundled.lip)):
        slope, correlation = opening_gain(own, clips, model, region)
        assert slope > 0.9
        assert correlation > 0.95
        assert abs(opening_gain(other, clips, model, region)[0]) < 0.02
        rest = [i for i in range(64) if i not in own]
        assert opening_gain(rest, clips, model, region)[0] < 0.1


def test_a_dimension_that_does_not_move_has_ratio_zero(model: FaceModel, clips: list[Coefficients]):
    still = []
    for clip in clips:
        expression = clip.expression.copy()
        expression[:, 0] = 0
        still.append(clip.replace(expression=expression))
    assert edited_changes(still, model, "lip")[0] == 0
    assert edited_changes(clips, model, "lip")[0] > 1


def test_both_readings_of_equation_1_put_the_mouth_and_the_lids_first(model: FaceModel, clips: list[Coefficients]):
    bundled = load_subspaces(model)
    for region, own in (("lip", bundled.lip), ("eye", bundled.eye)):
        for reading in (edited_changes, natural_changes):
            assert int(np.argmax(reading(clips, model, region))) in own


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
