import importlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from chdtf.errors import UserError
from chdtf.morphable.ibug import IBUG_68
from chdtf.morphable.model import FaceModel
from chdtf.morphable.models import bfm, mp468
from chdtf.morphable.models.bfm_transfer import ORIGINAL_FILES


@pytest.fixture(scope="module")
def handmade() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield importlib.import_module("handmade_bfm")


@pytest.fixture(scope="module")
def source(handmade: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    path = tmp_path_factory.mktemp("bfm") / "BFM_model_front.mat"
    return path, handmade.write_front(path)


@pytest.fixture(scope="module")
def model(handmade: Any, source: tuple[Path, dict[str, np.ndarray]]) -> FaceModel:
    return bfm.load(source[0].parent, handmade.SMALL)


def test_coefficients_mean_what_they_mean_in_the_source(model: FaceModel, source: tuple[Path, dict[str, np.ndarray]]):
    """Deep3DFaceRecon's compute_shape, in its own units and axes, float32."""
    rng = np.random.default_rng(1)
    alpha, beta = rng.normal(size=80).astype(np.float32), rng.normal(size=64).astype(np.float32)
    arrays = source[1]
    mean = arrays["meanshape"].reshape(-1, 3)
    mean = (mean - mean.mean(axis=0, keepdims=True)).reshape(-1)
    wanted = (arrays["idBase"] @ alpha + arrays["exBase"] @ beta + mean).reshape(-1, 3)
    ours = bfm.to_source(model.face(alpha) + model.displacement(beta[None])[0], model)
    np.testing.assert_allclose(ours, wanted, atol=2e-6)  # decimetres: 0.2 micrometres


def test_the_model_is_in_model_units_and_looks_at_the_viewer(model: FaceModel, handmade: Any):
    right, left = model.landmark_mean[np.searchsorted(model.landmark_map.landmarks, [33, 263])]
    assert np.linalg.norm(left - right) == pytest.approx(1, abs=1e-6)
    assert left[0] > right[0]  # the subject's left eye is on the right of the picture
    np.testing.assert_allclose(model.mean.mean(0), 0, atol=1e-6)
    nose, chin = model.landmark_mean[np.searchsorted(model.landmark_map.landmarks, [1, 152])]
    assert nose[2] == pytest.approx(model.mean[:, 2].min(), abs=0.02)
    assert chin[1] > nose[1]
    assert model.unit == pytest.approx(handmade.UNIT, abs=1e-6)


def test_keypoints_are_mapped_to_the_ibug_vertices(model: FaceModel):
    """The handmade mean is mp468's, so that the landmarks lie where mp468 has them, but for the centroid."""
    assert sorted(IBUG_68) == model.landmark_map.landmarks.tolist()
    wanted = mp468.load(None).mean[model.landmark_map.landmarks]
    np.testing.assert_allclose(model.landmark_mean - model.landmark_mean.mean(0), wanted - wanted.mean(0), atol=1e-5)


@pytest.mark.parametrize("turned", [False, True])
def test_triangles_face_the_viewer_however_the_file_winds_them(
    handmade: Any, source: tuple[Path, dict[str, np.ndarray]], tmp_path: Path, turned: bool
):
    triangles = source[1]["tri"]
    path = tmp_path / "BFM_model_front.mat"
    scipy.io.savemat(path, source[1] | {"tri": triangles[:, ::-1] if turned else triangles})
    found = bfm.load(path, handmade.SMALL)
    a, b, c = (found.mean[found.triangles[:, corner]] for corner in range(3))
    assert np.all(np.cross(b - a, c - a)[:, 2] <= 1e-9)
    assert {*map(frozenset, found.triangles.tolist())} == {*map(frozenset, (triangles - 1).astype(int).tolist())}


def test_lids_and_lips_count_most_and_the_jaw_least(model: FaceModel):
    numbers = model.landmark_map.landmarks
    weight = dict(zip(numbers.tolist(), model.fit_weights.tolist(), strict=True))
    assert min(weight[158], weight[13]) > weight[1] == weight[152] > weight[105] > weight[234] > 0
    rigid = dict(zip(numbers.tolist(), model.alignment_weights.tolist(), strict=True))
    assert rigid[33] == rigid[1] == 1
    assert rigid[13] == rigid[152] == 0


def test_the_originals_are_combined_to_the_front_model(handmade: Any, tmp_path: Path):
    wanted = handmade.write_originals(tmp_path)
    scipy.io.savemat(tmp_path / "wanted.mat", wanted)
    made = bfm.load(tmp_path, handmade.SMALL)
    given = bfm.load(tmp_path / "wanted.mat", handmade.SMALL)
    for name in ("mean", "identity_basis", "expression_basis", "triangles"):
        np.testing.assert_allclose(getattr(made, name), getattr(given, name), atol=5e-7)
    np.testing.assert_array_equal(made.landmark_map.corners, given.landmark_map.corners)
    by_name = bfm.load(tmp_path / "01_MorphableModel.mat", handmade.SMALL)
    assert by_name.hash == made.hash


def test_absent_files_are_named_with_where_they_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(UserError, match=r"BFM_model_front.mat.*faces.dmi.unibas.ch.*CoarseData") as raised:
        bfm.load(None)
    message = str(raised.value)
    assert str(tmp_path / "bfm") in message
    assert all(name in message for name in ORIGINAL_FILES)
    assert "\n" not in message


@pytest.mark.parametrize("name", ORIGINAL_FILES[1:])
def test_a_missing_part_is_named(handmade: Any, tmp_path: Path, name: str):
    handmade.write_originals(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=rf"{name} missing"):
        bfm.load(tmp_path, handmade.SMALL)


_BAD: dict[str, tuple[dict[str, Any], str]] = {
    "2017": ({"meanshape": np.zeros((1, 3 * 53149))}, r"meanshape is 1 x 159447 .*1 x 2700 .*BFM 2017"),
    "2017 face": ({"meanshape": np.zeros((1, 3 * 28588))}, r"meanshape is 1 x 85764 .*BFM 2017, cropped"),
    "fewer expressions": ({"exBase": np.zeros((2700, 46))}, r"exBase is 2700 x 46 double, 2700 x 64 numbers expected"),
    "no keypoints": ({"keypoints": None}, r"no keypoints; it is a front model"),
    "words": ({"idBase": "none"}, r"idBase is 1 x? ?.*char"),
    "cell": ({"keypoints": np.array([[1, "a"]], object)}, r"keypoints is 1 x 2 cell"),
    "index 0": ({"keypoints": np.zeros((1, 68))}, r"keypoints ranges from 0.0 to 0.0; whole numbers 1 to 900"),
    "index beyond": ({"tri": np.full((5, 3), 901.0)}, r"tri ranges from 901.0 to 901.0"),
    "nan": ({"idBase": np.full((2700, 80), np.nan)}, r"identity basis has 216000 values that are not finite"),
    "one point": ({"keypoints": np.ones((1, 68))}, r"outer eye corners coincide"),
}


@pytest.mark.parametrize("what", _BAD)
def test_another_bfm_is_refused_and_named(
    handmade: Any, source: tuple[Path, dict[str, np.ndarray]], tmp_path: Path, what: str
):
    changed, message = _BAD[what]
    path = tmp_path / "BFM_model_front.mat"
    arrays = {name: value for name, value in (source[1] | changed).items() if value is not None}
    scipy.io.savemat(path, arrays)
    with pytest.raises(UserError, match=message) as raised:
        bfm.load(path, handmade.SMALL)
    assert "\n" not in str(raised.value)


def test_an_original_under_the_front_models_name_is_told(handmade: Any, tmp_path: Path):
    handmade.write_originals(tmp_path)
    (tmp_path / "01_MorphableModel.mat").rename(tmp_path / "BFM_model_front.mat")
    with pytest.raises(UserError, match=r"it is BFM 2009 itself: name it 01_MorphableModel.mat"):
        bfm.load(tmp_path, handmade.SMALL)


def test_a_bfm_2017_under_the_originals_name_is_told(handmade: Any, tmp_path: Path):
    handmade.write_originals(tmp_path)
    arrays = {"shapeMU": np.zeros((3 * 53149, 1)), "shapePC": np.zeros((4, 4)), "shapeEV": np.zeros((4, 1))}
    scipy.io.savemat(tmp_path / "01_MorphableModel.mat", arrays)
    with pytest.raises(UserError, match=r"shapeMU is 159447 x 1 double, 3300 x 1 numbers expected \(BFM 2017\)"):
        bfm.load(tmp_path, handmade.SMALL)


def test_another_expression_basis_is_told_by_its_size(handmade: Any, tmp_path: Path):
    handmade.write_originals(tmp_path)
    path = tmp_path / "Exp_Pca.bin"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"804000 bytes that begin with the number 66; .* has 804004 bytes"):
        bfm.load(tmp_path, handmade.SMALL)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(200), r"an HDF5 file \(MATLAB 7.3\), as BFM 2017 and 2019 are"),
        (pickle.dumps({"meanshape": 1}), "a pickle, which is not read"),
        (b"PK\x03\x04" + bytes(200), "a zip archive"),
        (b"", "not a readable MATLAB file"),
        (b"<html>" * 100, "not a readable MATLAB file"),
    ],
)
def test_a_file_of_another_kind_is_refused(handmade: Any, tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "BFM_model_front.mat"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        bfm.load(path, handmade.SMALL)


def test_a_truncated_file_is_refused(handmade: Any, source: tuple[Path, dict[str, np.ndarray]], tmp_path: Path):
    content = source[0].read_bytes()
    path = tmp_path / "BFM_model_front.mat"
    for share in (0.1, 0.5, 0.999):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(UserError, match=r"BFM_model_front.mat: "):
            bfm.load(path, handmade.SMALL)


@pytest.mark.slow
def test_a_front_model_of_full_size_is_read_by_name_from_the_users_folder(
    handmade: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    handmade.write_full(tmp_path)
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    found = bfm.load(None)
    assert (found.num_vertices, found.num_identity, found.num_expression) == (35709, 80, 64)
    assert not found.free_identity
