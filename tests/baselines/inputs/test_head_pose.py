"""Head poses: planted rotations come back, in OpenFace's and in Deep3DFaceRecon's convention."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat
from scipy.spatial.transform import Rotation

from baselines.inputs import Unavailable, bfm_pose, get_input
from baselines.inputs.head_pose import EYE_CORNERS_MM, _stand_in, bfm_poses, openface_camera, openface_poses
from chdtf.errors import UserError
from chdtf.faces import track_landmarks
from chdtf.media import read_frames
from chdtf.morphable.coefficients import Coefficients
from chdtf.morphable.exchange.camera import Crop, bfm_from_fit, pinhole
from chdtf.morphable.exchange.mat import read_mat
from chdtf.morphable.ibug import IBUG_68
from chdtf.morphable.model import load_model

Make = Callable[..., object]


def seen_by_openface(pose: np.ndarray) -> np.ndarray:
    """The mean face in mm at a pose (6,), as OpenFace's camera sees it in 256 px: float32 (1, 478, 3)."""
    face = load_model("mp468").landmark_mean * EYE_CORNERS_MM
    turned = (face - face[list(IBUG_68)].mean(0)) @ Rotation.from_euler("XYZ", pose[3:]).as_matrix().T + pose[:3]
    flat = turned @ openface_camera(256, 256).T
    points = np.zeros((1, 478, 3), np.float32)
    points[0, :468, :2] = flat[:, :2] / flat[:, 2:]
    points[0, :468, 2] = (turned[:, 2] - pose[2]) * openface_camera(256, 256)[0, 0] / pose[2]
    return points


@settings(max_examples=25)
@given(
    st.tuples(*[st.floats(-0.6, 0.6)] * 3),
    st.tuples(st.floats(-40, 40), st.floats(-40, 40), st.floats(250, 600)),
)
def test_a_pose_planted_in_openfaces_camera_comes_back(angles: tuple[float, ...], place: tuple[float, ...]):
    pose = np.array([*place, *angles])
    found = openface_poses(seen_by_openface(pose))[0]
    assert np.abs(found[3:] - pose[3:]).max() < 1e-3
    assert np.abs(found[:3] - pose[:3]).max() < 0.5


def test_openfaces_axes_bow_turn_and_tilt_as_told():
    found = openface_poses(
        np.concatenate([seen_by_openface(np.array([0, 0, 300, *angles])) for angles in np.eye(3) / 4])
    )
    assert np.allclose(found[:, 3:], np.eye(3) / 4, atol=1e-3)
    bowed, turned, tilted = (seen_by_openface(np.array([0, 0, 300, *angles]))[0] for angles in np.eye(3) / 4)
    straight = seen_by_openface(np.array([0, 0, 300, 0, 0, 0]))[0]
    nose, chin, brow = 1, 152, 10
    assert bowed[chin, 2] > straight[chin, 2]  # the chin goes away
    assert turned[nose, 0] < straight[nose, 0]  # the nose goes to the left of the picture
    assert tilted[brow, 0] > straight[brow, 0]  # the brow goes to the right: clockwise
    right = openface_poses(straight[None] + np.float32([10, 0, 0]))[0]
    assert right[0] > 5  # x to the right


def test_the_camera_is_the_one_that_avct_draws_with():
    assert np.allclose(openface_camera(256, 256), [[233.333, 0, 128], [0, 233.333, 128], [0, 0, 1]], atol=1e-3)


def test_the_table_has_openfaces_names_a_row_a_frame_and_the_nearest_pose_in_gaps(
    faces: Make, make_source: Make, tmp_path: Path
):
    points = faces(np.array([[0, 0.1 * k, 0] for k in range(5)]), 80.0, (100.0, 128.0))
    points[[0, 3]] = np.nan
    get_input("openface_csv", {}).derive(make_source(points), tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = (
        "face_id",
        "timestamp",
        "confidence",
        "success",
        *(f"pose_{x}" for x in ("Tx", "Ty", "Tz", "Rx", "Ry", "Rz")),
    )
    assert list(rows[0]) == ["frame", *(f" {name}" for name in names)]
    assert [row[" success"].strip() for row in rows] == ["0", "1", "1", "0", "1"]
    assert [row["frame"] for row in rows] == list("12345")
    yaw = [float(row[" pose_Ry"]) for row in rows]
    assert yaw[0] == yaw[1]
    assert yaw[3] == yaw[2]
    assert yaw[4] - yaw[2] == pytest.approx(0.2, abs=0.03)
    with pytest.raises(Unavailable, match="no_face: "):
        get_input("openface_csv", {}).derive(make_source(np.full_like(points, np.nan)), tmp_path / "y.csv")


@settings(max_examples=20)
@given(st.tuples(*[st.floats(-0.5, 0.5)] * 3), st.floats(50, 110), st.floats(100, 156), st.floats(100, 156))
def test_deep3dfacerecons_camera_sees_the_face_where_it_was(
    faces: Make, angles: tuple[float, ...], scale: float, x: float, y: float
):
    points = faces(np.array([angles]), scale, (x, y))
    found = bfm_poses(points)
    # mp468's face in Deep3DFaceRecon's own coordinates, through its pinhole and its crop
    pitch = Rotation.from_euler("x", 0.0478).as_matrix()
    face = (load_model("mp468").landmark_mean * [1, -1, -1] * 0.832) @ pitch.T + [0, -0.024, 0.382]
    inside = pinhole(face[None], found.angle, found.translation)
    back = Crop.of(found.transform_params).to_frame(inside)[0]
    assert np.abs(back.mean(0) - [x, y]).max() < 1.5
    assert np.abs(back - points[0, :468, :2]).max() < 0.09 * scale  # what a pinhole draws larger
    assert np.linalg.norm(np.ptp(back, axis=0)) == pytest.approx(
        np.linalg.norm(np.ptp(points[0, :468, :2], axis=0)), rel=0.06
    )


def test_turning_the_head_turns_the_angles_of_deep3dfacerecon_the_way_its_axes_say(faces: Make):
    straight = bfm_poses(faces(np.zeros((1, 3)))).angle[0]
    assert np.abs(straight[1:]).max() < 1e-4
    turned = bfm_poses(faces(0.2 * np.eye(3))).angle - straight
    # x right, y up, z to the viewer: x is ours, y and z point the other way
    assert np.allclose(turned, 0.2 * np.diag([1, -1, -1]), atol=0.02)


def test_the_file_has_what_styletalk_reads_at_both_rates(
    faces: Make, make_source: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bfm_pose, "face_model_of", lambda _clips: ("mp468", "x"))
    points = faces(np.array([[0, 0.02 * k, 0] for k in range(50)]))
    points[[0, 20]] = np.nan
    source = make_source(points)
    for fps, rows in ((25, 50), (30, 60)):
        path = tmp_path / f"{fps}.mat"
        get_input("bfm_pose", {"fps": fps}).derive(source, path)
        held = loadmat(path)
        assert held["coeff"].shape == (rows, 257)
        assert held["transform_params"].shape == (rows, 5)
        assert np.isfinite(held["coeff"]).all()
        assert np.count_nonzero(np.delete(held["coeff"], [*range(224, 227), *range(254, 257)], axis=1)) == 0
        assert np.allclose(held["transform_params"][:, :2], 256)
        times_s = np.arange(rows) / fps
        middle = (times_s > 1) & (times_s < 1.8)  # away from gaps and ends
        assert np.allclose(held["coeff"][middle, 225], -0.02 * 25 * times_s[middle], atol=2e-3)
    with pytest.raises(Unavailable, match="no_face: "):
        get_input("bfm_pose", {}).derive(make_source(np.full_like(points, np.nan)), tmp_path / "x.mat")


def test_a_dataset_fitted_with_the_basel_face_model_gives_its_own_coefficients(
    faces: Make, make_source: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = _stand_in()
    rng = np.random.default_rng(3)
    fit = Coefficients(
        identity=rng.normal(size=80),
        expression=rng.normal(size=(4, 64)),
        rotation=rng.normal(size=(4, 3)) / 10,
        translation=np.tile([120.0, 130.0, 0.0], (4, 1)),
        scale=np.full(4, 85.0),
        valid=np.ones(4, bool),
    )
    source = make_source(faces(np.zeros((4, 3))))
    monkeypatch.setattr(bfm_pose, "face_model_of", lambda _clips: ("bfm", "x"))
    monkeypatch.setattr(bfm_pose, "load_model", lambda _name: model)
    monkeypatch.setattr(type(source.clip), "coefficients", lambda _self: fit, raising=False)
    get_input("bfm_pose", {}).derive(source, tmp_path / "x.mat")
    found, _ = read_mat(tmp_path / "x.mat")
    wanted = bfm_from_fit(fit, model, transform_params=found.transform_params)
    for name in ("expression", "identity", "angle", "translation"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name

    def absent(_name: str) -> None:
        raise UserError("the Basel Face Model is not there")

    monkeypatch.setattr(bfm_pose, "load_model", absent)
    with pytest.raises(Unavailable, match="no_face_model: the Basel Face Model is not there"):
        get_input("bfm_pose", {}).derive(source, tmp_path / "y.mat")


def test_poses_of_a_real_clip_are_near_the_published_ones(shared: Path):
    folder = shared / "data" / "coeffs"
    frames = read_frames(folder / "feifeili_clip3.mp4", 30)[:72]
    found = bfm_poses(track_landmarks(frames))
    real, _ = read_mat(folder / "feifeili_clip3.mat", rounded=True)
    ours, theirs = slice(2, 72), slice(0, 70)  # this pair's video begins with two frames more
    wrong = np.degrees(found.angle[ours] - real.angle[theirs])
    assert np.abs(wrong.mean(0)).max() < 5
    assert wrong.std(0).max() < 2
    for axis in range(3):
        assert np.corrcoef(found.angle[ours, axis], real.angle[theirs, axis])[0, 1] > 0.8
    assert np.abs((found.translation[ours] - real.translation[theirs]).mean(0)).max() < 0.3
    assert np.abs((found.transform_params[ours] - real.transform_params[theirs]).mean(0)).max() < 3
