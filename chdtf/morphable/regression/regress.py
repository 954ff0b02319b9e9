"""Coefficients of a clip's frames by the network: crops in batches, a mask where there is no face."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from chdtf.morphable.exchange.bfm_coefficients import BfmCoefficients
from chdtf.morphable.regression.align import align, crop, five_points

Network = Callable[[Any], Any]  # (N, 3, 224, 224) float32 tensor in [0, 1] -> (N, 257) tensor
BATCH = 16


def regress(
    frames: Iterable[np.ndarray],
    landmarks: np.ndarray,
    network: Network,
    device: str = "cpu",
    batch: int = BATCH,
    standard: np.ndarray | None = None,
) -> BfmCoefficients:
    """Coefficients of one clip. Frames are taken one after another; at most `batch` crops are in memory.

    Args:
        frames: T frames, uint8 (H, W, 3) RGB, all of one size.
        landmarks: (T, L, 3) px of those frames, L >= 468; NaN where there is no face.
        network: `network.load_network`, or anything that maps a batch likewise.
        device: where the network is.
        batch: crops at a time.
        standard: the five standard points (5, 3); the built-in ones when None.

    Returns:
        257 coefficients and `transform_params` of every frame; frames without a face are not valid and hold zeros.

    Raises:
        ValueError: if there are not as many frames as landmarks, or batch is not positive.

    """
    if batch < 1:
        raise ValueError(f"batch is 1 or more, not {batch}")
    out = np.full((len(landmarks), 257), np.nan, np.float32)
    params = np.full((len(landmarks), 5), np.nan, np.float32)
    for numbers, crops in _batches(_crops(frames, landmarks, params, standard), batch):
        out[numbers] = predict(network, crops, device)
    found = ~np.isnan(out).any(axis=1)
    params[~found] = np.nan
    out[~found] = np.nan
    return BfmCoefficients.from_array(out, "257", params)


def predict(network: Network, crops: np.ndarray, device: str = "cpu") -> np.ndarray:
    """The network on crops, uint8 (N, 224, 224, 3) RGB -> float32 (N, 257)."""
    import torch

    with torch.inference_mode():
        images = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2).to(torch.float32) / 255
        found: np.ndarray = network(images).to("cpu", torch.float32).numpy()
    return found


def _crops(
    frames: Iterable[np.ndarray], landmarks: np.ndarray, params: np.ndarray, standard: np.ndarray | None
) -> Iterator[tuple[int, np.ndarray]]:
    """Number and crop of every frame with a face; fills in `params` on the way, from the first frame's size."""
    number = -1
    for number, frame in enumerate(frames):
        if number >= len(landmarks):
            raise ValueError(f"more frames than landmarks, which are {len(landmarks)}")
        if number == 0:
            height, width = frame.shape[:2]
            params[:] = align(five_points(landmarks, height), width, height, standard)
        if np.isfinite(params[number]).all():
            yield number, crop(frame, params[number])
    if number + 1 != len(landmarks):
        raise ValueError(f"{number + 1} frames, but landmarks of {len(landmarks)}")


def _batches(crops: Iterator[tuple[int, np.ndarray]], size: int) -> Iterator[tuple[list[int], np.ndarray]]:
    while chunk := list(itertools.islice(crops, size)):
        numbers, images = zip(*chunk, strict=True)
        yield list(numbers), np.stack(images)
