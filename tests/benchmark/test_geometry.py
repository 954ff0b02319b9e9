import dataclasses
import pickle
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from benchmark.footage import Footage, Unscored
from benchmark.geometry import metrics_of, realign, realigned, similarity
from benchmark.metric import get_metric, metric_names
from benchmark.normalise import Normalise, footage_of_arrays
from chdtf.errors import UserError


def crop_of(x: float, y: float, side: float, degrees: float = 0.0) -> np.ndarray:
    """(2, 3) in landmark coordinates: what shows the square at x, y of the reference as 256x256, turned a little."""
    turn = cv2.getRotationMatrix2D((128, 128), degrees, 1.0)
    zoom = np.array([[256 / side, 0, -x * 256 / side], [0, 256 / side, -y * 256 / side]])
    return zoom @ np.vstack([turn, [0, 0, 1]])


def applied(crop: np.ndarray, frames: np.ndarray) -> np.ndarray:
    matrix = crop.copy()
    matrix[:, 2] += crop[:, :2] @ [0.5, 0.5] - 0.5
    return np.stack([cv2.warpAffine(frame, matrix, (256, 256), flags=cv2.INTER_CUBIC) for frame in frames])


@pytest.fixture(scope="module")
def reference(photo: np.ndarray) -> Footage:
    """A face that moves by some pixels."""
    from skimage import data

    whole = data.astronaut()
    assert photo.shape == (256, 256, 3)
    made = footage_of_arrays(np.stack([whole[10 + k : 266 + k, 96 + k : 352 + k] for k in (0, 1, 2, 3, 2, 1)]))
    assert np.isfinite(made.landmarks).all()  # tracked once for all tests
    return made


@pytest.mark.parametrize("crop", [(30, 10, 200), (40, 15, 190, -5), (0, 0, 256), (-20, -20, 300)])
def test_a_planted_crop_is_undone_to_less_than_a_pixel(reference: Footage, crop: tuple[float, ...]):
    """Found by tracking the cropped pictures anew; checked on points all over the face."""
    planted = crop_of(*crop)
    made = footage_of_arrays(applied(planted, reference.frames))
    points = np.array([[60, 60], [200, 60], [60, 200], [200, 200], [128, 128]], np.float64)
    cropped = points @ planted[:, :2].T + planted[:, 2]
    back = similarity(made, reference).apply(np.hstack([cropped, np.zeros((5, 1))])[None])[0, :, :2]
    assert np.abs(back - points).max() < 1


def test_psnr_after_re_alignment_is_near_that_without_the_crop(reference: Footage):
    """A generated video that differs by 12 levels throughout, shown in a crop of 200 px."""
    brighter = np.clip(reference.frames.astype(int) + 12, 0, 255).astype(np.uint8)
    psnr = get_metric("psnr")
    plain = psnr.clip_value(psnr.measure(footage_of_arrays(brighter), reference, None))
    made = footage_of_arrays(applied(crop_of(30, 10, 200), brighter), how=Normalise(geometry="recrop"))
    assert made.geometry == "method_crop"
    cropped = psnr.clip_value(psnr.measure(made, reference, None))
    ours, theirs = realign(made, reference)
    undone = psnr.clip_value(realigned(psnr).measure(ours, theirs, None))
    assert abs(undone - plain) < 1
    assert cropped < plain - 8
    assert ours.frames.shape == theirs.frames.shape
    assert ours.frames.shape[1:3] == pytest.approx((200, 200), abs=3)
    assert (ours.geometry, theirs.geometry) == ("recrop", "recrop")
    assert ours.notes[-1].startswith("re-aligned: scale 0.78")


def test_landmarks_move_with_the_pixels(reference: Footage):
    made = footage_of_arrays(applied(crop_of(30, 10, 200), reference.frames))
    ours, theirs = realign(made, reference)
    assert np.linalg.norm(ours.landmarks - theirs.landmarks, axis=-1)[..., :2].mean() < 1
    left, top = (reference.landmarks - theirs.landmarks)[0, 0, :2]
    assert (left, top) == pytest.approx((30, 10), abs=2)
    np.testing.assert_array_equal(
        theirs.frames[0],
        reference.frames[0][round(top) :, round(left) :][:200, :200][
            : theirs.frames.shape[1], : theirs.frames.shape[2]
        ],
    )


def test_what_cannot_be_aligned_says_why(reference: Footage, footage: Callable[..., Footage]):
    tiny = crop_of(100, 100, 40)
    moved = reference.landmarks.copy()
    moved[..., :2] = moved[..., :2] @ tiny[:, :2].T.astype(np.float32) + tiny[:, 2].astype(np.float32)
    near = footage(np.zeros_like(reference.frames), landmarks=moved)
    with pytest.raises(Unscored, match=r"no_alignment: the face is 6\.40 times as large"):
        realign(near, reference)
    aside = reference.landmarks + np.array([230, 0, 0], np.float32)
    with pytest.raises(Unscored, match=r"no_alignment: both show \d+x256 px, 64 a side needed"):
        realign(footage(np.zeros_like(reference.frames), landmarks=aside), reference)
    with pytest.raises(Unscored, match="no_face"):
        realign(footage(np.zeros_like(reference.frames), landmarks=np.full_like(moved, np.nan)), reference)


def test_only_metrics_that_a_crop_breaks_get_a_column_of_their_own():
    metrics = [get_metric(name) for name in metric_names()]
    assert metrics_of(metrics, "method_crop") == metrics
    names = [metric.name for metric in metrics_of(metrics, "recrop")]
    added = [name for name in names if name not in metric_names()]
    assert {"psnr@recrop", "ssim@recrop", "lmd@recrop"} <= set(added)
    assert not {"cpbd@recrop", "blink@recrop", "lse_c@recrop", "fid@recrop"} & set(added)
    again = metrics_of(metrics_of(metrics, "recrop"), "recrop")
    assert [metric.name for metric in again] == names


def test_a_re_aligned_metric_is_the_same_metric_by_another_name():
    psnr, other = get_metric("psnr"), get_metric("psnr@recrop")
    assert (other.name, other.label, other.unit) == ("psnr@recrop", "PSNR@recrop", psnr.unit)
    assert other != psnr
    assert pickle.loads(pickle.dumps(other)) == other == realigned(psnr)
    assert hash(pickle.loads(pickle.dumps(other))) == hash(other)
    lmd = dataclasses.replace(get_metric("lmd"), min_face_share=0.8)
    assert realigned(lmd).min_face_share == 0.8
    with pytest.raises(ValueError, match="cpbd is not measured on re-aligned frames"):
        realigned(get_metric("cpbd"))
    with pytest.raises(UserError, match="'cpbd@recrop'; re-aligning frames changes nothing for cpbd"):
        get_metric("cpbd@recrop")
    with pytest.raises(UserError, match=r"unknown metric 'pnsr@recrop'; did you mean psnr"):
        get_metric("pnsr@recrop")
