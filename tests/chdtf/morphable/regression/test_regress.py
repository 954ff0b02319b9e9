import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from chdtf.morphable.regression.align import align, crop, five_points
from chdtf.morphable.regression.regress import predict, regress


def _faces(count: int, missing: tuple[int, ...] = ()) -> np.ndarray:
    """Landmarks (T, 478, 3) of mp468's mean face walking over a 96 x 80 picture."""
    from chdtf.morphable.models import mp468

    mean = mp468.load(None).mean
    landmarks = np.zeros((count, 478, 3), np.float32)
    for t in range(count):
        landmarks[t, :468] = mean * 20 + (40 + t % 7, 45 - t % 5, 0)
    landmarks[list(missing)] = np.nan
    return landmarks


def _frames(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 80, 96, 3), np.uint8)


def _network(images: torch.Tensor) -> torch.Tensor:
    """Mean colours of the crop in the first columns: tells which crop it was."""
    out = torch.zeros(len(images), 257)
    out[:, :3] = images.mean((2, 3))
    out[:, 3:6] = images[:, :, 112, 112]
    return out


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_every_frame_gets_the_coefficients_of_its_own_crop(batch: int):
    frames, landmarks = _frames(7), _faces(7, missing=(0, 4))
    found = regress(iter(frames), landmarks, _network, batch=batch)
    np.testing.assert_array_equal(found.valid, [False, True, True, True, False, True, True])
    params = align(five_points(landmarks, 80), 96, 80)
    for t in np.flatnonzero(found.valid):
        wanted = crop(frames[t], params[t]) / 255
        np.testing.assert_allclose(found.identity[t, :3], wanted.mean((0, 1)), rtol=1e-5)
        np.testing.assert_allclose(found.identity[t, 3:6], wanted[112, 112], rtol=1e-5)
        np.testing.assert_array_equal(found.transform_params[t], params[t])
    assert found.transform_params[1, :2].tolist() == [96, 80]


def test_frames_without_a_face_are_masked_and_never_repeated():
    found = regress(_frames(4), _faces(4, missing=(2,)), _network)
    assert not found.valid[2]
    assert not any(part[2].any() for part in found.parts.values())
    assert np.isnan(found.to_array("257", "nan")[2]).all()


def test_no_face_at_all_and_one_frame():
    assert not regress(_frames(3), _faces(3, missing=(0, 1, 2)), _network).valid.any()
    assert regress(_frames(1), _faces(1), _network).valid.tolist() == [True]


def test_frames_and_landmarks_must_be_as_many():
    with pytest.raises(ValueError, match="2 frames, but landmarks of 3"):
        regress(_frames(2), _faces(3), _network)
    with pytest.raises(ValueError, match="more frames than landmarks, which are 2"):
        regress(_frames(3), _faces(2), _network)
    with pytest.raises(ValueError, match="batch is 1 or more"):
        regress(_frames(1), _faces(1), _network, batch=0)


def test_the_network_sees_rgb_in_zero_to_one():
    crops = np.zeros((1, 224, 224, 3), np.uint8)
    crops[..., 0] = 255
    seen: list[torch.Tensor] = []

    def spy(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return torch.zeros(1, 257)

    assert predict(spy, crops).shape == (1, 257)
    assert seen[0].shape == (1, 3, 224, 224)
    assert seen[0].dtype == torch.float32
    assert seen[0].amax((0, 2, 3)).tolist() == [1, 0, 0]


def test_memory_does_not_grow_with_the_length():
    frame = _frames(1)[0]

    def peak(count: int) -> int:
        def shown() -> Iterator[np.ndarray]:
            for _ in range(count):
                yield frame.copy()

        landmarks = _faces(count)
        tracemalloc.start()
        regress(shown(), landmarks, _network, batch=4)
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    short, long = peak(8), peak(80)
    assert long - short < 4_000_000  # one more crop in memory a frame would be 11 MB
