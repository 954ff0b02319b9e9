from pathlib import Path

import cv2
import numpy as np
import pytest

from chdtf.errors import UserError
from chdtf.faces import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from chdtf.morphable.drawing.figure import Canvas, check_out
from chdtf.morphable.drawing.regions import vertex_regions
from chdtf.morphable.drawing.sheet import draw_dimensions, draw_regions, steps
from chdtf.morphable.drawing.view import Window, displacement_scale, eyes_middle, picture
from chdtf.morphable.model import FaceModel, LandmarkMap, load_model

GROUPS = {"lip": [0, 1], "eye": [5], "global": [6]}


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model("mp468")


@pytest.fixture(scope="module")
def named(model: FaceModel) -> FaceModel:
    """A model of another mesh: every second vertex of mp468 and no triangles but a few, with named shapes."""
    kept = np.arange(0, 468, 2)
    return FaceModel(
        name="named",
        mean=model.mean[kept],
        identity_basis=model.identity_basis[:2, kept],
        expression_basis=model.expression_basis[:3, kept],
        triangles=np.array([(0, 1, 2)]),
        landmark_map=LandmarkMap.of_vertices(kept, np.arange(len(kept))),
        alignment_weights=np.ones(len(kept)),
        fit_weights=np.ones(len(kept)),
        identity_noise=np.array(0.1),
        free_identity=False,
        licence="none",
        expression_names=("jawOpen", "blink", "smile"),
        expression_deviation=np.full(3, 0.25),
    )


def read(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    assert image is not None
    return image


def test_a_sheet_has_the_size_it_says_and_dimensions_differ_in_it(model: FaceModel, tmp_path: Path):
    width, height = draw_dimensions(model, tmp_path / "a.png", GROUPS, [0, 5], mesh_px=80, columns=1)
    image = read(tmp_path / "a.png")
    assert image.shape == (height, width, 3)
    first = draw_dimensions(model, tmp_path / "b.png", GROUPS, [0], mesh_px=80)
    second = draw_dimensions(model, tmp_path / "c.png", GROUPS, [5], mesh_px=80)
    assert first[1] == second[1]
    assert (tmp_path / "b.png").read_bytes() != (tmp_path / "c.png").read_bytes()


@pytest.mark.parametrize("suffix", ["png", "svg", "jpg"])
def test_the_same_sheet_has_the_same_bytes(model: FaceModel, tmp_path: Path, suffix: str):
    written = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        draw_dimensions(model, tmp_path / name / f"sheet.{suffix}", GROUPS, [1], mesh_px=40)
        written.append((tmp_path / name / f"sheet.{suffix}").read_bytes())
    assert written[0] == written[1]
    assert written[0][:5] in (b"\x89PNG\r", b"<?xml", b"\xff\xd8\xff\xe0\x00")


def test_the_steps_are_those_of_the_model(model: FaceModel, named: FaceModel):
    assert [float(step.values[0]) for step in steps(model)] == [-3, 0, 3]
    assert [float(step.values[0]) for step in steps(named)] == [0, 0.5, 1]


def test_a_dimension_that_is_not_there_is_refused(model: FaceModel, tmp_path: Path):
    with pytest.raises(ValueError, match="0 to 63"):
        draw_dimensions(model, tmp_path / "a.png", None, [64])


def test_regions_are_coloured_where_they_lie(model: FaceModel):
    window = Window.onto(model.mean, eyes_middle(model)[:2])
    lip, eye = vertex_regions(model)
    red = np.where(lip[:, None] > 0.5, [255.0, 0, 0], [0.0, 0, 255.0])
    image = picture(model.mean, model.triangles, window, 200, red).astype(int)
    places = window.to_px(model.mean, 200)[:, :2].astype(int)
    chin, forehead = places[17], places[151]
    assert image[chin[1] + 3, chin[0], 0] > image[chin[1] + 3, chin[0], 2]
    assert image[forehead[1], forehead[0], 2] > image[forehead[1], forehead[0], 0]
    assert eye[list(LEFT_EYE)].min() > 0.9


def test_regions_of_another_mesh_are_those_of_its_landmarks(named: FaceModel, model: FaceModel):
    lip, eye = vertex_regions(named)
    kept = named.landmark_map.landmarks
    expected_lip, expected_eye = vertex_regions(model)
    np.testing.assert_allclose(lip, expected_lip[kept], atol=1e-3)
    np.testing.assert_allclose(eye, expected_eye[kept], atol=1e-3)
    assert lip[np.isin(kept, INNER_LIPS)].min() > 0.9
    assert eye[np.isin(kept, RIGHT_EYE)].min() > 0.9


def test_the_region_picture_has_the_size_it_says(model: FaceModel, tmp_path: Path):
    width, height = draw_regions(model, *vertex_regions(model), tmp_path / "r.png", mesh_px=100)
    assert read(tmp_path / "r.png").shape == (height, width, 3)
    with pytest.raises(ValueError, match="468 vertices"):
        draw_regions(model, np.zeros(3), np.zeros(3), tmp_path / "r.png")


def test_displacement_colours_darken_all_the_way():
    luma = displacement_scale() @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luma) < 0.6).all()
    assert luma[0] - luma[-1] > 120


def test_a_page_puts_pixels_where_it_is_told(tmp_path: Path):
    canvas = Canvas(120, 80)
    canvas.box(10, 20, 30, 40, "#D55E00")
    canvas.save(tmp_path / "a.png")
    image = read(tmp_path / "a.png")[:, :, ::-1]
    assert image.shape == (80, 120, 3)
    assert (image[20:60, 10:40] == (0xD5, 0x5E, 0)).all()
    assert (image[:, :10] == 255).all()


@pytest.mark.parametrize(("name", "said"), [("a.gif", "png or .svg"), ("none/a.png", "no folder"), ("", "is a folder")])
def test_places_that_cannot_be_written_are_said(tmp_path: Path, name: str, said: str):
    target = tmp_path / name if name else tmp_path / "folder.png"
    if not name:
        target.mkdir()
    with pytest.raises(UserError, match=said):
        check_out(target)
