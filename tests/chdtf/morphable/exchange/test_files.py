"""Coefficient files: exact there and back, the same bytes every time, and every other file refused."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chdtf.errors import UserError
from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.exchange.clips import BfmClip
from chdtf.morphable.exchange.files import read_bfm, read_clips, write_bfm
from chdtf.morphable.exchange.mat import write_mat
from chdtf.morphable.exchange.table import write_table

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def planted(frames: int = 6, width: int = 257, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, width)).astype(np.float32)


def clip(frames: int = 6) -> BfmCoefficients:
    return BfmCoefficients.from_array(planted(frames), transform_params=planted(frames, 5, 1))


def same(first: BfmCoefficients, second: BfmCoefficients) -> bool:
    if first.parts.keys() != second.parts.keys() or not np.array_equal(first.valid, second.valid):
        return False
    return all(first.parts[name].tobytes() == second.parts[name].tobytes() for name in first.parts)


@given(data=st.data(), frames=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_mat_to_parquet_to_mat_is_the_same_file(
    data: st.DataObject, frames: int, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.mktemp("trip")
    coeff, transform = (data.draw(hnp.arrays(np.float32, (frames, width), elements=FLOATS)) for width in (257, 5))
    scipy.io.savemat(folder / "in.mat", {"coeff": coeff, "transform_params": transform})
    found = read_bfm(folder / "in.mat")
    for name in ("a.mat", "a.parquet", "a.npy"):
        write_bfm(folder / name, found)
    again = read_bfm(folder / "a.parquet")
    assert same(again, found)
    write_bfm(folder / "b.mat", again)
    assert (folder / "a.mat").read_bytes() == (folder / "b.mat").read_bytes()
    back = scipy.io.loadmat(folder / "b.mat")
    assert back["coeff"].tobytes("C") == coeff.tobytes()
    assert back["transform_params"].tobytes("C") == transform.tobytes()
    motion = read_bfm(folder / "a.npy")
    assert motion.to_array("73").tobytes() == found.to_array("73").tobytes()


def test_the_loaders_of_the_methods_find_what_they_slice(tmp_path: Path):
    coeff, transform = planted(), planted(6, 5, 1)
    write_bfm(tmp_path / "a.mat", BfmCoefficients.from_array(coeff, transform_params=transform))
    found = scipy.io.loadmat(tmp_path / "a.mat")
    # styletalk and dreamtalk core/utils.py: get_video_style_clip, get_pose_params
    assert np.array_equal(found["coeff"][:, 80:144], coeff[:, 80:144])
    pose = np.concatenate(
        (found["coeff"][:, 224:227], found["coeff"][:, 254:257], found["transform_params"][:, -3:]), 1
    )
    # PIRender scripts/prepare_vox_lmdb.py: convert_3dmm
    _, _, ratio, t0, t1 = np.hsplit(found["transform_params"].astype(np.float32), 5)
    stored = np.concatenate([found["coeff"], np.concatenate([ratio, t0, t1], 1)], 1)
    assert np.array_equal(
        np.frombuffer(stored.tobytes(), np.float32).reshape(6, -1), read_bfm(tmp_path / "a.mat").to_array("260")
    )
    # dreamtalk generators/utils.py: render_video
    write_bfm(tmp_path / "a.npy", read_bfm(tmp_path / "a.mat"))
    rendered = np.load(tmp_path / "a.npy")
    assert np.array_equal(rendered, np.concatenate([coeff[:, 80:144], pose], 1))
    # SadTalker src/generate_facerender_batch.py
    for layout in ("73", "70"):
        write_bfm(tmp_path / "s.mat", read_bfm(tmp_path / "a.mat"), layout)
        assert np.array_equal(scipy.io.loadmat(tmp_path / "s.mat")["coeff_3dmm"][:, :70], rendered[:, :70])


@pytest.mark.parametrize("name", ["a.mat", "a.npy", "a.parquet"])
def test_the_same_clip_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    write_bfm(tmp_path / name, clip())
    first = (tmp_path / name).read_bytes()
    monkeypatch.setattr("time.asctime", lambda *_: "another day")
    write_bfm(tmp_path / name, clip())
    assert (tmp_path / name).read_bytes() == first


def test_every_real_file_is_read_and_written_back_bit_by_bit(shared: Path, tmp_path: Path):
    files = sorted((shared / "data/coeffs").glob("*.mat"))
    assert len(files) == 18
    for path in files:
        held = scipy.io.loadmat(path)
        found = read_bfm(path)
        write_bfm(tmp_path / "a.parquet", found)
        write_bfm(tmp_path / "a.mat", read_bfm(tmp_path / "a.parquet"))
        again = scipy.io.loadmat(tmp_path / "a.mat")
        assert all(again[name].tobytes() == held[name].tobytes() for name in ("coeff", "transform_params"))


def test_gaps_go_through_files(tmp_path: Path):
    found = clip().replace(valid=np.array([True, False, True, True, False, True]))
    write_bfm(tmp_path / "a.parquet", found)
    assert same(read_bfm(tmp_path / "a.parquet"), found)
    with pytest.raises(UserError, match="2 of 6 frames are not valid"):
        write_bfm(tmp_path / "a.mat", found)
    assert not (tmp_path / "a.mat").exists()
    write_bfm(tmp_path / "a.mat", found, gaps="nan")
    assert same(read_bfm(tmp_path / "a.mat"), found)


def test_full_3dmm_is_used_when_it_has_all_frames(tmp_path: Path):
    path, coeff = tmp_path / "s.mat", planted()
    motion = np.hstack([coeff[:, 80:144], coeff[:, 224:227], coeff[:, 254:], planted(6, 3, 2)])
    scipy.io.savemat(path, {"coeff_3dmm": motion, "full_3dmm": coeff})
    assert np.array_equal(read_bfm(path).to_array("260"), np.hstack([coeff, motion[:, 70:]]))
    write_mat(tmp_path / "t.mat", read_bfm(path), "73")
    assert same(read_bfm(tmp_path / "t.mat"), read_bfm(path))
    scipy.io.savemat(path, {"coeff_3dmm": motion, "full_3dmm": coeff[:1]})  # as SadTalker writes it
    assert read_bfm(path).identity is None
    assert np.array_equal(read_bfm(path).to_array("73"), motion)
    scipy.io.savemat(path, {"coeff_3dmm": motion, "full_3dmm": coeff + 1})
    with pytest.raises(UserError, match="expression in full_3dmm is not what coeff_3dmm says"):
        read_bfm(path)


WRONG_MATS = [
    ({"coeff": planted(6, 256)}, r"\(6, 256\), expected \(T, 257\)"),
    ({"coeff": planted(), "transform_params": planted(6, 4)}, r"\(6, 4\), expected \(T, 5\)"),
    ({"coeff": planted(), "transform_params": planted(5, 5)}, r"6 frames of coefficients, but .* \(5, 5\)"),
    ({"coeff": planted() + 1j}, "complex"),
    ({"coeff": planted().astype(np.int32)}, r"int32; expected coeff \(T, 257\)"),
    ({"coeff": np.array(["a", "b"])}, "char"),
    ({"coeff": np.zeros((0, 257), np.float32)}, r"\(0, 257\)"),
    ({"transform_params": planted(6, 5)}, r"holds transform_params \(6, 5\) single; expected coeff"),
    ({"id": planted(1, 80), "exp": planted(1, 64)}, "holds id"),
    ({"coeff": planted(), "coeff_3dmm": planted(6, 73)}, "holds coeff"),
    ({"coeff_3dmm": planted(6, 76)}, r"\(6, 76\), expected \(T, 73\)"),
    ({"coeff_3dmm": planted(6, 73), "full_3dmm": planted(2)}, r"full_3dmm is \(2, 257\)"),
    ({"coeff": {"a": 1.0}}, "struct"),
]


@pytest.mark.parametrize(("arrays", "message"), WRONG_MATS)
def test_any_other_mat_is_refused_with_what_it_holds(tmp_path: Path, arrays: dict, message: str):
    scipy.io.savemat(tmp_path / "x.mat", arrays)
    with pytest.raises(UserError, match=message) as refused:
        read_bfm(tmp_path / "x.mat")
    assert "x.mat" in str(refused.value)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_files_are_refused_or_read_and_never_crash(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    path = folder / data.draw(st.sampled_from(["x.mat", "x.npy", "x.parquet"]))
    write_bfm(path, clip(2))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    for place in data.draw(st.lists(st.integers(0, max(0, len(content) - 1)), max_size=4)) if content else []:
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        frames = read_bfm(path).num_frames
    except UserError:
        frames = 1
    assert frames >= 1


def test_a_pickle_is_never_loaded(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.array([[print]], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"holds object \(1, 1\)"):
        read_bfm(tmp_path / "x.npy")


def test_a_npy_that_claims_more_than_it_holds_is_refused_before_memory_is_taken(tmp_path: Path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 73)})
    (tmp_path / "x.npy").write_bytes(stream.getvalue() + bytes(73 * 4))
    with pytest.raises(UserError, match="expected float32"):
        read_bfm(tmp_path / "x.npy")


@pytest.mark.parametrize(
    "array", [planted(6, 76), planted(6, 73).astype(int), planted(0, 73), np.zeros(73, np.float32)]
)
def test_any_other_npy_is_refused_with_its_shape(tmp_path: Path, array: np.ndarray):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(UserError) as refused:
        read_bfm(tmp_path / "x.npy")
    assert str(array.shape) in str(refused.value)


def test_big_endian_and_fortran_arrays_are_the_same_values(tmp_path: Path):
    array = planted(6, 73)
    np.save(tmp_path / "x.npy", np.asfortranarray(array.astype(">f4")))
    assert np.array_equal(read_bfm(tmp_path / "x.npy").to_array("73"), array)


def test_files_that_are_not_there_or_of_another_kind(tmp_path: Path):
    for name in ("a.mat", "a.npy", "a.parquet", "a.txt"):
        with pytest.raises(UserError, match="no such file"):
            read_bfm(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "a.npz", "w"):
        pass
    with pytest.raises(UserError, match=r"suffix '\.npz' is not one of"):
        read_bfm(tmp_path / "a.npz")
    with pytest.raises(UserError, match="no coefficient files"):
        list(read_clips(tmp_path))
    (tmp_path / "a.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(64))
    with pytest.raises(UserError, match="-v7"):
        read_bfm(tmp_path / "a.mat")


def test_crop_is_not_dropped_on_the_way_to_mat(tmp_path: Path):
    found = BfmCoefficients.from_array(planted(6, 260))
    with pytest.raises(UserError, match="--frame-size"):
        write_bfm(tmp_path / "a.mat", found)
    with pytest.raises(UserError, match=r"no method reads a \.mat of layout 260"):
        write_bfm(tmp_path / "a.mat", found, "260")
    with pytest.raises(UserError, match="leave --layout 73 out"):
        write_bfm(tmp_path / "a.parquet", found, "73")


def test_a_table_holds_many_clips_with_what_is_known_of_them(tmp_path: Path):
    known = BfmClip("a", clip(), fps=25.0, face_model_hash="0" * 64, fitter="f", fitter_version=3)
    plain = BfmClip("b", BfmCoefficients.from_array(planted(3, 64)))
    assert write_table(tmp_path / "t.parquet", [known, plain]) == 2
    first, second = read_clips(tmp_path / "t.parquet")
    assert (first.clip_id, first.fps, first.fitter, first.fitter_version) == ("a", 25.0, "f", 3)
    assert first.face_model_hash == "0" * 64
    assert same(first.coefficients, known.coefficients)
    assert (second.fps, second.fitter, second.face_model_hash) == (None, None, None)
    assert same(second.coefficients, plain.coefficients)
    with pytest.raises(UserError, match="holds 2 clips"):
        read_bfm(tmp_path / "t.parquet")
    with pytest.raises(UserError, match="two clips are called 'a'"):
        write_table(tmp_path / "u.parquet", [known, known])
    assert not (tmp_path / "u.parquet").exists()


def _changed(path: Path, **columns: pa.Array) -> None:
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, values)
    pq.write_table(table, path)


def test_another_table_is_refused_with_the_column_that_differs(tmp_path: Path):
    path = tmp_path / "t.parquet"
    cases = [
        ({"face_model": pa.array(["mp468"])}, "face model mp468.*fit it again with face_model=bfm"),
        ({"num_frames": pa.array([5], pa.int32())}, "has 6 frames, num_frames 5"),
        ({"expression": pa.array([[[0.0]]])}, "column expression is list.*expected"),
        ({"valid": pa.array([[True] * 5])}, r"5 frames: .*\(6, "),
    ]
    for columns, message in cases:
        write_bfm(path, clip())
        _changed(path, **columns)
        with pytest.raises(UserError, match=message):
            read_bfm(path)
    write_bfm(path, clip())
    pq.write_table(pq.read_table(path).replace_schema_metadata({"bfm_table_version": "9"}), path)
    with pytest.raises(UserError, match="table version 9"):
        read_bfm(path)
    pq.write_table(pa.table({"clip_id": ["a"], "angle": [1.0]}), path)
    with pytest.raises(UserError, match="columns clip_id, angle are not those of coefficients"):
        read_bfm(path)
