"""CSIM: cosines of the right frames; a person resembles herself more than another."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.footage import Footage, Unscored
from benchmark.metrics.csim import Metric
from chdtf.errors import UserError
from chdtf.faces import detect_landmarks
from chdtf.recogniser import IMAGENET, POINTS, TEMPLATE, Recogniser

CSIM = Metric()


class Means:
    """Stands for a session: the embedding is the mean of each channel of the scaled picture."""

    name, shape = "data", [1, 3, 112, 112]

    def get_inputs(self) -> list["Means"]:
        return [self]

    def run(self, outputs: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
        return [given["data"].mean(axis=(2, 3))]


MODEL = Recogniser(Means(), *IMAGENET)


def embedding(colour: tuple[int, int, int]) -> np.ndarray:
    """What `MODEL` makes of a picture of one colour."""
    scaled = (np.array(colour) - IMAGENET[0]) / IMAGENET[1]
    return scaled / np.linalg.norm(scaled)


def clip_of(footage: Callable[..., Footage], *colours: tuple[int, int, int] | None, start_frame: int = 0) -> Footage:
    """Frames of one colour with a face that fills them; None: black without a face."""
    frames = np.zeros((len(colours), 112, 112, 3), np.uint8)
    landmarks = np.zeros((len(colours), 478, 3))
    landmarks[:, POINTS, :2] = TEMPLATE
    for index, colour in enumerate(colours):
        if colour is None:
            landmarks[index] = np.nan
        else:
            frames[index] = colour
    return footage(frames, landmarks=landmarks, start_frame=start_frame)


RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 200, 200)


def test_every_frame_is_compared_with_the_references_first_face(footage: Callable[..., Footage]):
    ours = clip_of(footage, RED, GREEN, None, BLUE)
    values = CSIM.measure(ours, clip_of(footage, None, GREEN, RED, RED), MODEL)
    expected = [embedding(colour) @ embedding(GREEN) for colour in (RED, GREEN, BLUE)]
    np.testing.assert_allclose(values[[0, 1, 3], 0], expected, atol=1e-3)
    assert np.isnan(values[2, 0])
    assert CSIM.clip_value(values) == pytest.approx(np.mean(expected), abs=1e-3)
    details = CSIM.details(values)
    assert details["reference_frame"] == 1
    assert details["missing_frames"] == 1
    assert details["csim_min"] == pytest.approx(min(expected), abs=1e-3)


def test_or_with_its_frame_of_the_same_moment(footage: Callable[..., Footage]):
    by_frame = Metric(against="frame")
    truth = clip_of(footage, RED, GREEN, None, GREY)
    values = by_frame.measure(clip_of(footage, GREEN, RED, GREY, start_frame=1), truth, MODEL)
    expected = [1, np.nan, embedding(GREY) @ embedding(GREY)]
    np.testing.assert_allclose(values[:, 0], expected, atol=1e-3)
    np.testing.assert_array_equal(values[:, 1], [1, 2, 3])
    with pytest.raises(Unscored, match="no_face: found in both in 1 of 3"):
        by_frame.measure(clip_of(footage, None, RED, GREY, start_frame=1), truth, MODEL)


def test_a_copy_is_best_and_a_lost_face_is_not_scored(footage: Callable[..., Footage]):
    truth = clip_of(footage, RED, RED, GREEN, GREEN)
    for metric in (CSIM, Metric(against="frame")):
        copy = metric.clip_value(metric.measure(truth, truth, MODEL))
        worse = metric.clip_value(metric.measure(clip_of(footage, BLUE, BLUE, GREY, GREY), truth, MODEL))
        assert worse < copy
    with pytest.raises(Unscored, match="no_face: found in 1 of 4"):
        CSIM.measure(clip_of(footage, RED, None, None, None), truth, MODEL)
    with pytest.raises(Unscored, match="no_face"):
        CSIM.measure(truth, clip_of(footage, None, None), MODEL)
    with pytest.raises(Unscored, match="no_reference"):
        CSIM.measure(truth, None, MODEL)


def test_faces_are_embedded_once_for_all_metrics(footage: Callable[..., Footage]):
    truth = clip_of(footage, RED, GREEN)
    CSIM.measure(truth, truth, MODEL)
    found = truth.once("face embeddings mobilefacenet", pytest.fail)
    np.testing.assert_allclose(found, [embedding(RED), embedding(GREEN)], atol=1e-3)


def test_what_is_absent_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(Unscored, match=r"package_missing: onnxruntime; run: pip install 'disentbench\[onnx\]'"):
            CSIM.load()
    pytest.importorskip("onnxruntime")
    with pytest.raises(Unscored, match=r"weights_missing: mobilefacenet\.onnx; run: disentbench weights fetch"):
        CSIM.load()
    (tmp_path / "mobilefacenet.onnx").write_bytes(b"another file")
    with pytest.raises(Unscored, match=r"weights_mismatch: mobilefacenet\.onnx: sha256 is"):
        CSIM.load()


def test_the_users_own_network_is_named_and_part_of_the_metric(tmp_path: Path):
    one, other = tmp_path / "w600k_r50.onnx", tmp_path / "copy.onnx"
    one.write_bytes(b"a network")
    other.write_bytes(b"another network")
    metric = Metric(model_file=str(one))
    assert metric.label == "CSIM (w600k_r50)"
    assert metric.weights == ()
    assert metric.model_sha256 != Metric(model_file=str(other)).model_sha256
    assert CSIM.label == "CSIM (MobileFaceNet)"
    pytest.importorskip("onnxruntime")
    with pytest.raises(UserError, match="not a model that ONNX Runtime reads"):
        metric.load()
    with pytest.raises(UserError, match=r"csim model_file 'no\.onnx': no such file"):
        Metric(model_file="no.onnx")
    with pytest.raises(UserError, match="csim against 'mean': use 'source' or 'frame'"):
        Metric(against="mean")


def test_one_person_resembles_herself_more_than_another(
    footage: Callable[..., Footage], photo: np.ndarray, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Two portraits in the public domain: changed in light, turned and smaller, a face is still its own."""
    pytest.importorskip("onnxruntime")
    import cv2
    from matplotlib import cbook

    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    (tmp_path / "mobilefacenet.onnx").symlink_to(shared / "weights" / "mobilefacenet.onnx")
    with cbook.get_sample_data("grace_hopper.jpg") as stream:
        hopper = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    hopper = cv2.resize(np.ascontiguousarray(hopper[40:440, 60:460]), (256, 256), interpolation=cv2.INTER_AREA)
    turned = cv2.warpAffine(photo, cv2.getRotationMatrix2D((128, 128), 12, 0.8), (256, 256))

    def clip(image: np.ndarray) -> Footage:
        return footage(image[None], landmarks=detect_landmarks(image)[None])

    model = CSIM.load()
    cosines = [
        CSIM.clip_value(CSIM.measure(clip(image), clip(photo), model))
        for image in (photo, (photo * 0.6).astype(np.uint8), turned, hopper)
    ]
    assert cosines[0] == pytest.approx(1, abs=1e-5)
    assert min(cosines[:3]) > 0.6
    assert cosines[3] < 0.34
