import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from chdtf.errors import UserError
from chdtf.morphable.model import FaceModel, load_model
from disenttalk_ref.disentangle.changes import changes_of, impossible
from disenttalk_ref.disentangle.material import Material
from disenttalk_ref.disentangle.measure import Measured, find, measure
from disenttalk_ref.disentangle.report import FILES, write_report
from disenttalk_ref.subspaces import Subspaces


@pytest.fixture(scope="module")
def measured(plant: Any, material: Material) -> Measured:
    return measure(material, plant.CHOICE, seeds=4, draws=10)


@pytest.mark.parametrize("way", ["edited", "animated", "natural"])
def test_each_way_finds_the_planted_dimensions(plant: Any, measured: Measured, way: str) -> None:
    assert measured.ways[way].chosen == plant.PLANTED
    assert measured.ways[way].contested == ()
    assert set(measured.ways[way].subspaces.global_) == set(range(plant.NUM)) - {*plant.LIP, *plant.EYE}


@pytest.mark.parametrize("way", ["edited", "natural"])
def test_a_model_that_maps_only_some_landmarks_does_as_well(plant: Any, model: FaceModel, way: Any) -> None:
    material = plant.make_material(plant.partly_mapped(model))
    assert find(material, way, plant.CHOICE).chosen == plant.PLANTED
    assert impossible("animated", material.points) == "needs all 468 vertices; planted maps 316"


def test_natural_frames_need_no_face_model(plant: Any, material: Material) -> None:
    bare = dataclasses.replace(
        material, points=None, clips=tuple(dataclasses.replace(clip, neutral=None) for clip in material.clips)
    )
    found = measure(bare, plant.CHOICE, seeds=2, draws=5)
    assert found.ways["natural"].chosen == plant.PLANTED
    assert set(found.missing) == {"edited", "animated", "pairs"}
    assert all(row.inside is None and "needs the planted model" in (row.reason or "") for row in found.claim)
    assert all(row.explained is not None for row in found.claim)


def test_edits_of_a_region_leave_the_dimensions_of_the_other_alone(plant: Any, material: Material) -> None:
    for way in ("edited", "animated"):
        lip, eye = changes_of(way, material.clips[0], material.points)  # type: ignore[arg-type]
        assert lip is not None
        assert eye is not None
        sizes = [np.sqrt(np.square(change).mean(0)) for change in (lip, eye)]
        assert sizes[0][list(plant.LIP)].min() > 5 * sizes[0][list(plant.EYE)].max()
        assert sizes[1][list(plant.EYE)].min() > 5 * sizes[1][list(plant.LIP)].max()


def test_a_dimension_that_moves_no_landmark_is_never_chosen(plant: Any, model: FaceModel) -> None:
    basis = model.expression_basis.copy()
    basis[0] *= 1e-6
    still = plant.make_material(dataclasses.replace(model, expression_basis=basis))
    for way in ("edited", "natural"):
        found = find(still, way, plant.CHOICE).subspaces
        assert found.lip_ratios[0] == found.eye_ratios[0] == 0
        assert 0 in found.global_


def test_the_claim_holds_for_planted_dimensions_and_not_for_random_ones(measured: Measured) -> None:
    rows = {(row.region, row.dimensions): row for row in measured.claim}
    for region in ("lip", "eye"):
        own, rest = rows[region, "edited"], rows[region, "all but edited"]
        chance = rows[region, "random, mean of 10"]
        assert own.inside == pytest.approx(1)
        assert own.other == pytest.approx(0)
        assert (own.slope, own.correlation) == (pytest.approx(1, abs=0.01), pytest.approx(1, abs=0.01))
        assert own.slope_other == pytest.approx(0, abs=0.01)
        assert own.explained is not None
        assert own.explained > 0.95
        assert own.explained_other is not None
        assert own.explained_other < 0.05
        assert (rest.inside, rest.slope) == (pytest.approx(0), pytest.approx(0, abs=0.01))
        assert chance.inside is not None
        assert chance.inside < 0.8
        assert rows[region, "all"].slope == pytest.approx(1)


def test_a_single_speaker_leaves_nobody_out(plant: Any, model: FaceModel) -> None:
    found = measure(plant.make_material(model, clips=2), plant.CHOICE, seeds=2, draws=2)
    assert all(row.explained is None and "two speakers" in (row.reason or "") for row in found.claim)
    across = [row for row in found.stability if row.comparison == "two speakers"]
    assert all(row.overlap is None and row.comparisons == 0 and row.reason for row in across)


def test_what_is_saved_says_the_model_the_way_and_the_data(plant: Any, measured: Measured, model: FaceModel) -> None:
    found = measured.ways["natural"].subspaces
    assert Subspaces.from_json(found.to_json()) == found
    raw = json.loads(found.to_json())
    assert (raw["face_model"], raw["face_model_hash"], raw["way"]) == ("planted", model.hash, "natural")
    assert len(raw["lip_ratios"]) == len(raw["eye_ratios"]) == plant.NUM
    (data,) = raw["data"]
    assert (data["name"], data["fingerprint"], data["clips"], data["frames"]) == ("planted", "f" * 64, 8, 960)
    assert "/" not in found.to_json()


def test_the_report_holds_every_row(measured: Measured, tmp_path: Any) -> None:
    assert [path.name for path in write_report(measured, tmp_path)] == list(FILES)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| lip    | edited" in text
    assert "- null, pairs needs pairs of videos (--pairs)" in text
    lines = [len((tmp_path / name).read_text(encoding="utf-8").splitlines()) - 1 for name in FILES[1:]]
    assert lines == [len(measured.claim), len(measured.stability), 3 * measured.material.num_expression]
    for name in FILES[1:]:
        columns = (tmp_path / name).read_text(encoding="utf-8").splitlines()[0].split(",")
        assert [column for column in columns if f"`{column}`" not in text] == []


def test_faces_that_never_move_are_refused(plant: Any, model: FaceModel) -> None:
    still = plant.make_material(model, clips=2)
    frozen = [
        dataclasses.replace(clip, expression=0 * clip.expression, opening=0 * clip.opening) for clip in still.clips
    ]
    with pytest.raises(UserError, match=r"0 dimensions change when the lip region closes, K_lip = 3 are wanted"):
        find(dataclasses.replace(still, clips=tuple(frozen)), "natural", plant.CHOICE)
    with pytest.raises(UserError, match=r"edited: 0 dimensions change .*; natural: 0 dimensions"):
        measure(dataclasses.replace(still, clips=tuple(frozen)), plant.CHOICE)
    one = dataclasses.replace(still, clips=(*plant.make_material(model).clips, frozen[0]))
    found = measure(one, plant.CHOICE, seeds=2, draws=2)  # one frozen clip among others is no obstacle
    assert found.ways["natural"].chosen == plant.PLANTED


def test_a_way_that_is_impossible_is_a_mistake_of_the_caller(material: Material) -> None:
    with pytest.raises(ValueError, match="is measured on pairs of videos"):
        changes_of("pairs", material.clips[0], material.points)


def test_the_bundled_model_moves_one_region_at_a_time() -> None:
    """The claim for mp468 with its bundled dimensions, by its own basis (facts of chdtf/assets/mp468.md)."""
    from disenttalk_ref.disentangle.points import Points
    from disenttalk_ref.subspaces import load_subspaces

    model = load_model("mp468")
    points, bundled = Points(model), load_subspaces(model)
    for region, dims in enumerate((bundled.lip, bundled.eye)):
        motion = np.square(model.landmark_expression[list(dims)]).sum((0, 2))
        assert motion[points.weights[region] > 0].sum() / motion.sum() > 0.99
