import time

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from chdtf.faces import INNER_LIPS, LEFT_EYE, RIGHT_EYE
from chdtf.morphable.drawing.render import normals, render, shade
from chdtf.morphable.model import FaceModel, load_model

WHITE = np.full((64, 64, 3), 255, np.uint8)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_model("mp468")


def square(x0: float, y0: float, x1: float, y1: float, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Two triangles that face the viewer."""
    corners = np.array([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)])
    return corners, np.array([(0, 2, 1), (0, 3, 2)])


def sphere(centre: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A sphere of longitudes and latitudes, wound outwards."""
    lat, lon = np.linspace(0, np.pi, 41), np.linspace(0, 2 * np.pi, 81)[:-1]
    points = np.stack(
        [np.outer(np.sin(lat), np.cos(lon)), np.outer(np.cos(lat), np.ones(80)), np.outer(np.sin(lat), np.sin(lon))], -1
    )
    row, column = np.meshgrid(np.arange(40), np.arange(80), indexing="ij")
    a, b = (row * 80 + column).ravel(), (row * 80 + (column + 1) % 80).ravel()
    faces = np.concatenate([np.stack([a, b, a + 80], 1), np.stack([b, b + 80, a + 80], 1)])
    outward = (
        np.cross(
            points.reshape(-1, 3)[faces[3000, 1]] - points.reshape(-1, 3)[faces[3000, 0]],
            points.reshape(-1, 3)[faces[3000, 2]] - points.reshape(-1, 3)[faces[3000, 0]],
        )
        @ points.reshape(-1, 3)[faces[3000, 0]]
    )
    faces = faces if outward > 0 else faces[:, ::-1]
    return points.reshape(-1, 3) * radius + centre, faces


def test_a_square_covers_its_pixels_and_no_others():
    vertices, triangles = square(10, 20, 40, 50, 0)
    layer = render(vertices, triangles, (64, 64), supersample=4)
    covered = np.zeros((64, 64))
    covered[layer.y0 : layer.y0 + layer.coverage.shape[0], layer.x0 : layer.x0 + layer.coverage.shape[1]] = (
        layer.coverage
    )
    assert (covered[20:50, 10:40] == 255).all()
    outside = covered.copy()
    outside[19:51, 9:41] = 0
    assert not outside.any()
    assert covered.sum() / 255 == pytest.approx(30 * 30, rel=0.04)  # rims grow by less than a sample


def test_the_nearer_surface_hides_the_farther_whatever_their_order():
    far, near = square(0, 0, 64, 64, 10), square(16, 16, 48, 48, -10)
    red, blue = np.tile([255.0, 0, 0], (4, 1)), np.tile([0, 0, 255.0], (4, 1))
    for first, second in (((*far, red), (*near, blue)), ((*near, blue), (*far, red))):
        vertices = np.concatenate([first[0], second[0]])
        triangles = np.concatenate([first[1], second[1] + 4])
        image = render(vertices, triangles, (64, 64), np.concatenate([first[2], second[2]])).over(WHITE)
        assert image[32, 32, 2] > 100 > image[32, 32, 0]
        assert image[4, 4, 0] > 100 > image[4, 4, 2]


def test_what_faces_away_is_not_drawn():
    vertices, triangles = square(8, 8, 56, 56, 0)
    assert render(vertices, triangles, (64, 64)).coverage.any()
    assert not render(vertices, triangles[:, ::-1], (64, 64)).coverage.any()


def test_a_sphere_is_a_disc_with_outward_normals_and_is_lit_from_the_front():
    vertices, triangles = sphere(64.0, 50.0)
    unit = (vertices - 64) / 50
    assert (np.einsum("vx,vx->v", normals(vertices, triangles), unit)[100:-100] > 0.99).all()
    layer = render(vertices, triangles, (128, 128))
    assert layer.coverage.sum() / 255 == pytest.approx(np.pi * 50**2, rel=0.02)
    brightness = shade(vertices, triangles)
    assert brightness[unit[:, 2] < -0.95].min() > 1.5 * brightness[np.abs(unit[:, 2]) < 0.05].mean()


def test_colours_run_evenly_between_vertices():
    vertices, triangles = square(0, 0, 64, 64, 0)
    grey = np.array([0.0, 200.0, 200.0, 0.0])
    image = render(vertices, triangles, (64, 64), np.repeat(grey[:, None], 3, 1)).over(WHITE)
    row = image[32, 2:-2, 0].astype(float)
    slopes = np.diff(row)
    assert slopes.min() >= 0
    assert row[-1] - row[0] > 100
    assert np.abs(row - np.linspace(row[0], row[-1], len(row))).max() <= 1.5


def test_one_colour_for_all_is_the_same_as_one_for_each(model: FaceModel):
    vertices = model.mean * 100 + [128, 128, 0]
    colour = np.array([120.0, 190.0, 235.0])
    one = render(vertices, model.triangles, (256, 256), colour)
    each = render(vertices, model.triangles, (256, 256), np.tile(colour, (468, 1)))
    assert np.abs(one.colour.astype(int) - each.colour).max() <= 1
    assert (one.coverage == each.coverage).all()
    with pytest.raises(ValueError, match="colours"):
        render(vertices, model.triangles, (256, 256), np.zeros((7, 3)))


def test_a_layer_mixes_by_its_opacity_and_leaves_the_picture_as_it_was():
    vertices, triangles = square(0, 0, 64, 64, 0)
    layer = render(vertices, triangles, (64, 64), np.zeros((4, 3)))
    half = layer.over(WHITE, 0.5)
    assert abs(int(half[32, 32, 0]) - 128) <= 1
    assert (WHITE == 255).all()


def test_eyes_and_mouth_stay_open(model: FaceModel):
    vertices = model.mean * 100 + [128, 128, 0]
    layer = render(vertices, model.triangles, (256, 256))
    image = layer.over(np.full((256, 256, 3), 255, np.uint8))
    for contour in (INNER_LIPS, LEFT_EYE, RIGHT_EYE):
        ring = vertices[list(contour), :2].astype(np.float32)
        low, high = ring.min(0).astype(int), ring.max(0).astype(int) + 1
        depth = {
            (y, x): cv2.pointPolygonTest(ring, (x + 0.5, y + 0.5), True)
            for y in range(low[1], high[1])
            for x in range(low[0], high[0])
        }
        inside = [place for place, px in depth.items() if px > 1.0]
        assert len(inside) > 80
        assert all((image[place] == 255).all() for place in inside)
    nose = vertices[1, :2].round().astype(int)
    assert (image[nose[1], nose[0]] < 250).all()


def test_a_mesh_outside_the_frame_or_cut_by_it_is_drawn_as_far_as_it_is_seen(model: FaceModel):
    vertices = model.mean * 100
    gone = render(vertices + np.array([900, 0, 0]), model.triangles, (64, 64))
    assert gone.coverage.size == 0
    assert (gone.over(WHITE) == WHITE).all()
    whole = render(vertices + np.array([200, 200, 0]), model.triangles, (400, 400)).over(
        np.zeros((400, 400, 3), np.uint8)
    )
    part = render(vertices, model.triangles, (100, 100)).over(np.zeros((100, 100, 3), np.uint8))
    apart = np.abs(whole[200:300, 200:300].astype(int) - part).max(2)
    assert (apart > 2).mean() < 0.01  # cv2 rounds lines that it cuts at the border
    assert (part > 0).mean() > 0.1


def test_vertices_that_are_not_finite_are_refused(model: FaceModel):
    with pytest.raises(ValueError, match="finite"):
        render(np.full_like(model.mean, np.nan), model.triangles, (64, 64))


def test_mp468_is_drawn_twenty_times_a_second(model: FaceModel):
    turned = model.mean @ Rotation.from_euler("Y", 30, degrees=True).as_matrix().T * 120 + [128, 128, 0]
    render(turned, model.triangles, (256, 256))
    started = time.process_time()
    for _ in range(5):
        render(turned, model.triangles, (256, 256))
    assert (time.process_time() - started) / 5 < 1 / 20
