from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chdtf.errors import UserError
from chdtf.files import sha256_file
from chdtf.morphable.model import FaceModel
from chdtf.morphable.regression import probe
from chdtf.morphable.regression.probe import check_checkpoint, closure_ratio, eye_opening, probe_crops


@pytest.fixture(autouse=True, scope="module")
def crops() -> Any:
    """Tracking and drawing the portrait takes seconds, and the crops are the same every time."""
    drawn = probe_crops()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "probe_crops", lambda: drawn)
        yield drawn


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "epoch_20.pth"
    path.write_bytes(b"weights")
    return path


def test_the_pictures_differ_at_the_eyes_only(crops: np.ndarray):
    opened, shut, mirrored, mirrored_shut = crops.astype(np.int16)
    np.testing.assert_array_equal(mirrored, opened[:, ::-1])
    np.testing.assert_array_equal(mirrored_shut, shut[:, ::-1])
    changed = np.abs(opened - shut).max(-1) > 30
    rows, columns = np.nonzero(changed)
    assert changed.sum() > 150
    assert (rows.min(), rows.max()) == pytest.approx((88, 93), abs=15)
    assert 50 < columns.min() < columns.max() < 174


def test_eye_opening_follows_the_lids(handmade_model: FaceModel, closing: np.ndarray):
    coefficients = np.zeros((3, 257), np.float32)
    coefficients[1, 80:144], coefficients[2, 80:144] = closing / 2, closing
    opening = eye_opening(coefficients, handmade_model)
    assert opening[0] > 0.15
    assert opening[1] / opening[0] == pytest.approx(0.5, abs=0.1)
    assert opening[2] / opening[0] < 0.2


def test_the_ratio_is_measured_from_the_pictures(handmade_model: FaceModel, make_network: Callable[[float], Any]):
    assert closure_ratio(make_network(1.0), handmade_model) < 0.2
    assert closure_ratio(make_network(0.5), handmade_model) == pytest.approx(0.5, abs=0.1)
    assert closure_ratio(make_network(0.0), handmade_model) == pytest.approx(1.0, abs=1e-6)


def test_a_network_that_closes_the_eyes_passes(
    weights: Path, handmade_model: FaceModel, make_network: Callable[[float], Any]
):
    verdict = check_checkpoint(weights, make_network(1.0), handmade_model)
    assert verdict.closes_eyes is True
    assert "of their opening" in verdict.line


def test_one_that_does_not_is_refused_with_the_ratio(
    weights: Path, handmade_model: FaceModel, make_network: Callable[[float], Any]
):
    with pytest.raises(UserError, match=r"leaves 8\d% of their opening, less than 70% .*25 April 2023") as raised:
        check_checkpoint(weights, make_network(0.15), handmade_model)
    assert "\n" not in str(raised.value)
    verdict = check_checkpoint(weights, make_network(0.15), handmade_model, accept_older=True)
    assert verdict.closes_eyes is False


def test_a_network_that_gives_nonsense_is_refused(weights: Path, handmade_model: FaceModel):
    import torch

    with pytest.raises(UserError, match=r"leaves nan% of their opening"):
        check_checkpoint(weights, lambda images: torch.full((len(images), 257), float("nan")), handmade_model)


def test_without_the_face_model_it_is_said_that_it_cannot_be_tried(weights: Path, make_network: Callable[[float], Any]):
    verdict = check_checkpoint(weights, make_network(0.0), None)
    assert verdict.closes_eyes is None
    assert "before 25 April 2023" in verdict.line
    assert "\n" not in verdict.line


@pytest.mark.parametrize("with_model", [True, False])
def test_a_known_older_file_is_refused_by_its_hash(
    weights: Path,
    handmade_model: FaceModel,
    make_network: Callable[[float], Any],
    monkeypatch: pytest.MonkeyPatch,
    with_model: bool,
):
    monkeypatch.setattr(probe, "OLDER", {sha256_file(weights): "of March"})
    model = handmade_model if with_model else None
    with pytest.raises(UserError, match=r"epoch_20.pth: of March, cannot close the eyes; .*--accept-older"):
        check_checkpoint(weights, make_network(1.0), model)
    assert check_checkpoint(weights, make_network(1.0), model, accept_older=True).closes_eyes is False
