import dataclasses
from pathlib import Path

import numpy as np
import pytest

from chdtf import weights
from chdtf.errors import UserError
from chdtf.faces import (
    FACE_OVAL,
    INNER_LIPS,
    LEFT_EYE,
    OUTER_EYE_CORNERS,
    OUTER_LIPS,
    RIGHT_EYE,
    eye_aspect_ratio,
    mouth_opening,
)
from chdtf.morphable.ibug import IBUG_68
from chdtf.morphable.model import FaceModel, LandmarkMap, load_model
from chdtf.morphable.models import ict
from chdtf.morphable.models.ict_arrays import EXPRESSION_NAMES, IctArrays, Sizes, read_arrays, write_arrays
from chdtf.morphable.models.ict_landmarks import compute_map, save_map
from chdtf.morphable.regions import mirror_map
from chdtf.morphable.register import closest_face
from chdtf.morphable.similarity import fit_similarity
from chdtf.morphable.surface import triangle_normals

SIZES = Sizes(vertices=5, identities=2, expressions=3, polygons=2, triangles=4)
# Upper and lower lid, upper and lower inner lip, one above the other.
LIDS = ((246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (386, 374), (385, 380))
INNER_PAIRS = ((13, 14), (82, 87), (81, 178), (312, 317), (311, 402))


@pytest.fixture(scope="module")
def model(shared: Path) -> FaceModel:
    return ict.load(shared / "weights" / "ict_face_light_9409.npz")


def landmarks(model: FaceModel, **expression: float) -> np.ndarray:
    """The mean face with an expression at all 468 landmarks, (468, 3); NaN where the map has none."""
    beta = np.zeros((1, model.num_expression))
    for name, value in expression.items():
        beta[0, model.expression_names.index(name)] = value
    found = np.full((468, 3), np.nan)
    found[model.landmark_map.landmarks] = model.landmark_map.at(model.mean + model.displacement(beta)[0])
    return found


def gaps(points: np.ndarray, pairs: tuple[tuple[int, int], ...]) -> np.ndarray:
    upper, lower = np.array(pairs).T
    return points[lower, 1] - points[upper, 1]


def test_the_model_has_its_documented_sizes_names_and_axes(model: FaceModel):
    assert (model.num_identity, model.num_expression, model.num_vertices) == (100, 57, 9409)
    assert len(set(model.expression_names)) == 57
    assert not model.free_identity
    assert "MIT" in model.licence
    right, left = (landmarks(model)[number] for number in OUTER_EYE_CORNERS)
    assert np.linalg.norm(left - right) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(model.mean.mean(0), 0, atol=1e-5)
    points = landmarks(model)
    assert points[10, 1] < points[4, 1] < points[152, 1]  # forehead, nose, chin: y down
    assert min(points[[1, 4], 2]) == points[:, 2].min()  # the tip of the nose: z away from the viewer
    assert points[33, 0] < 0 < points[263, 0]  # the subject's right is left in the picture
    blink = model.expression_basis[model.expression_names.index("eyeBlink_R")]
    assert model.mean[np.linalg.norm(blink, axis=1).argmax(), 0] < 0


def test_units_and_origin_lead_back_to_the_source(model: FaceModel, shared: Path):
    with np.load(shared / "weights" / "ict_face_light_9409.npz") as arrays:
        back = model.mean * (1, -1, -1) * model.unit + model.origin
        np.testing.assert_allclose(back, arrays["mean"], atol=1e-5)
        np.testing.assert_allclose(
            model.expression_basis[30] * (1, -1, -1) * model.unit, arrays["expression"][30], atol=1e-5
        )


def test_normals_of_the_front_point_to_the_viewer(model: FaceModel):
    front = ~np.isin(model.landmark_map.landmarks, FACE_OVAL) & (np.abs(model.landmark_mean[:, 0]) < 0.5)
    normals = triangle_normals(model.mean, model.landmark_map.corners[front])
    held = {tuple(corners) for corners in model.triangles.tolist()}
    own = [tuple(corners) in held for corners in model.landmark_map.corners[front].tolist()]
    assert (normals[own, 2] < 0).mean() > 0.95  # all but some in the nostrils


def test_every_landmark_is_mapped_onto_a_triangle(model: FaceModel):
    table = model.landmark_map
    assert len(table.landmarks) == 468
    assert table.shares.min() >= 0
    np.testing.assert_allclose(table.shares.sum(1), 1, atol=1e-6)
    triangles = {tuple(sorted(corners)) for corners in model.triangles.tolist()}
    held = [tuple(sorted(corners)) in triangles for corners in table.corners.tolist()]
    assert np.mean(held) > 0.95  # the mirror image of a quad's triangle may cross its diagonal


def test_the_map_is_mirror_symmetric(model: FaceModel):
    points = landmarks(model)
    partner = mirror_map(load_model("mp468").mean)
    error = np.linalg.norm(points[partner] * (-1, 1, 1) - points, axis=1)
    assert error.max() < 0.01
    assert np.median(error) < 0.0005


def test_lids_meet_in_a_blink_and_part_without(model: FaceModel):
    rest = landmarks(model)
    assert gaps(rest, LIDS).min() > 0.02
    assert eye_aspect_ratio(rest[None])[0] == pytest.approx(0.31, abs=0.03)  # people's open eyes
    shut = landmarks(model, eyeBlink_L=1, eyeBlink_R=1)
    assert np.abs(gaps(shut, LIDS)).max() < 0.015
    assert eye_aspect_ratio(shut[None])[0] < 0.1
    one = gaps(landmarks(model, eyeBlink_L=1), LIDS)
    np.testing.assert_allclose(one[:6], gaps(rest, LIDS)[:6], atol=2e-3)


def test_lips_touch_at_rest_and_part_when_the_jaw_opens(model: FaceModel):
    rest, wide = landmarks(model), landmarks(model, jawOpen=1)
    assert np.abs(gaps(rest, INNER_PAIRS)).max() < 0.015
    assert gaps(wide, INNER_PAIRS).min() > 0.25
    assert mouth_opening(wide[None])[0] > 0.3
    assert np.linalg.norm(landmarks(model, jawOpen=1, mouthClose=1)[13] - landmarks(model, jawOpen=1)[13]) > 0.02


def test_contours_keep_their_order(model: FaceModel):
    """Along each contour from the right to the left corner x grows; the outer lips enclose the inner ones."""
    points = landmarks(model)
    for contour in (INNER_LIPS, OUTER_LIPS, RIGHT_EYE, LEFT_EYE):
        half = len(contour) // 2
        assert np.all(np.diff(points[list(contour[: half + 1]), 0]) > 0)
        assert np.all(np.diff(points[[contour[0], *contour[: half - 1 : -1]], 0]) > 0)
    assert np.all(points[list(OUTER_LIPS[1:10]), 1] < points[list(INNER_LIPS[1:10]), 1])
    assert np.all(points[list(OUTER_LIPS[11:]), 1] > points[list(INNER_LIPS[11:]), 1])


def test_a_smile_draws_the_corners_of_the_mouth_out_and_up(model: FaceModel):
    moved = landmarks(model, mouthSmile_L=1, mouthSmile_R=1) - landmarks(model)
    assert moved[61, 0] < -0.02 < 0.02 < moved[291, 0]
    assert max(moved[61, 1], moved[291, 1]) < -0.02


def test_the_bundled_map_is_what_the_computation_gives(model: FaceModel, tmp_path: Path):
    again = compute_map(model)
    np.testing.assert_array_equal(again.landmarks, model.landmark_map.landmarks)
    np.testing.assert_allclose(again.at(model.mean), model.landmark_mean, atol=1e-3)  # threads of BLAS differ by 4e-4
    save_map(again, tmp_path / "map.npz")
    assert (tmp_path / "map.npz").stat().st_size < 20_000


def test_it_can_take_on_the_shape_of_mediapipes_mean(model: FaceModel):
    """In a 256 px frame, where the outer eye corners are about 85 px apart, the 68 points come within a pixel."""
    source = load_model("mp468").mean.astype(np.float64)
    bases = np.concatenate([model.identity_basis, model.expression_basis]).astype(np.float64)
    deviations = np.concatenate([np.ones(100), np.asarray(model.expression_deviation)])
    face = closest_face(source, model.landmark_map, model.mean.astype(np.float64), bases, deviations)
    points = model.landmark_map.at(face)
    back = fit_similarity(points, source[None], np.ones(468)).undo(source[None])[0]
    error_px = 85 * np.linalg.norm((back - points)[list(IBUG_68), :2], axis=1)
    assert error_px.mean() < 1


def test_an_absent_file_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(UserError, match="run: disentbench weights fetch ict"):
        ict.load(None)


@pytest.fixture
def small() -> IctArrays:
    rng = np.random.default_rng(0)
    return IctArrays(
        rng.normal(size=(5, 3)).astype(np.float32),
        rng.normal(size=(2, 5, 3)).astype(np.float32),
        rng.normal(size=(3, 5, 3)).astype(np.float32),
        np.array(["a", "b", "c"]),
        np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]], np.int32),
    )


def test_arrays_survive_their_file(small: IctArrays, tmp_path: Path):
    write_arrays(small, tmp_path / "m.npz")
    again = read_arrays(tmp_path / "m.npz", small.content_hash(), SIZES)
    for field in dataclasses.fields(small):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(small, field.name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.zeros((4, 3), np.float32)}, r"mean is \(4, 3\) float32, expected \(5, 3\) float32"),
        ({"triangles": np.zeros((4, 3), np.float32)}, r"triangles is \(4, 3\) float32, expected \(4, 3\) int32"),
        ({"mean": np.full((5, 3), np.nan, np.float32)}, "mean has 15 NaN or infinite values"),
        ({"mean": np.zeros((5, 3), np.float32)}, "the content's sha256 is [0-9a-f]{64}, expected [0-9a-f]{64}"),
    ],
)
def test_wrong_arrays_are_refused_with_what_was_expected(
    small: IctArrays, tmp_path: Path, change: dict[str, np.ndarray], message: str
):
    write_arrays(dataclasses.replace(small, **change), tmp_path / "m.npz")
    with pytest.raises(UserError, match=message) as caught:
        read_arrays(tmp_path / "m.npz", small.content_hash(), SIZES)
    assert "disentbench weights fetch ict" in str(caught.value)


def test_a_file_of_something_else_is_refused(tmp_path: Path):
    path = tmp_path / "m.npz"
    np.savez(path, other=np.zeros(3))
    with pytest.raises(UserError, match=r"no mean, identity, .* \(it holds other\)"):
        read_arrays(path, "", SIZES)
    for content in (b"", b"not a zip", path.read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"not an \.npz file"):
            read_arrays(path, "", SIZES)


def test_names_are_the_sources_and_the_registry_names_the_same_file():
    assert len(EXPRESSION_NAMES) == 57
    assert list(EXPRESSION_NAMES) == sorted(EXPRESSION_NAMES)
    assert weights.get_weights("ict").filename == "ict_face_light_9409.npz"
    assert isinstance(ict.read_map(), LandmarkMap)
