"""SyncNet's scoring of one crop video: crops, windows, features, shifted distances, offset and confidence.

Follows joonson/syncnet_python, SyncNetInstance.evaluate (Chung and Zisserman, ACCV 2016 workshops), with the frames and
the sound in memory instead of JPEG and WAV files.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from chdtf.schema import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from chdtf.threads import one_thread

WINDOW_FRAMES = 5
MFCC_PER_FRAME = 4  # 100 Hz against 25 fps
WINDOW_MFCC = WINDOW_FRAMES * MFCC_PER_FRAME
CROP_PX = 224
PAD_GREY = 110
BATCH = 16


class Encoder(Protocol):
    """SyncNet's two streams over a whole clip (`chdtf.syncnet_network.FastSyncNet`); tests put another in its place."""

    def lips(self, crops: np.ndarray) -> np.ndarray:
        """uint8 (T, 224, 224, 3) RGB -> float32 (T - 4, D): features of all windows of five frames."""
        ...

    def sounds(self, cepstra: np.ndarray) -> np.ndarray:
        """float32 (N, 13, 20) MFCC -> float32 (N, D)."""
        ...


class WindowEncoder:
    """A network with `forward_lip` and `forward_aud`, as syncnet-python has it, window by window.

    They take (N, 3, 5, 224, 224) float32 BGR 0-255 and (N, 1, 13, 20) float32 MFCC, and give (N, D), not normalised.
    """

    def __init__(self, network: Any) -> None:
        self.network = network

    def lips(self, crops: np.ndarray) -> np.ndarray:
        """See `Encoder`."""
        count = len(crops) - WINDOW_FRAMES + 1
        bgr = crops[..., ::-1].transpose(0, 3, 1, 2)
        batches = [range(i, min(count, i + BATCH)) for i in range(0, count, BATCH)]
        clips = (np.stack([bgr[i : i + WINDOW_FRAMES].swapaxes(0, 1) for i in batch]) for batch in batches)
        return self._forward(self.network.forward_lip, (clip.astype(np.float32) for clip in clips))

    def sounds(self, cepstra: np.ndarray) -> np.ndarray:
        """See `Encoder`."""
        batches = (cepstra[i : i + BATCH, None] for i in range(0, len(cepstra), BATCH))
        return self._forward(self.network.forward_aud, batches)

    @staticmethod
    def _forward(stream: Any, batches: Iterator[np.ndarray]) -> np.ndarray:
        import torch

        with torch.inference_mode():
            features: np.ndarray = torch.cat([stream(torch.tensor(batch)) for batch in batches]).numpy()
        return features


def load_syncnet(path: Path) -> Encoder:
    """The network of syncnet-python with a state dict from `path`, in evaluation mode on the CPU, made fast."""
    import torch
    from syncnet_python import SyncNetModel

    from chdtf.syncnet_network import FastSyncNet

    network = SyncNetModel()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return FastSyncNet(network.eval())


@dataclasses.dataclass(frozen=True)
class SyncScore:
    """`confidence` is LSE-C, `distance` LSE-D; a positive `offset_frames` says that the sound is early."""

    confidence: float
    distance: float
    offset_frames: int


def num_windows(num_frames: int, num_samples: int) -> int:
    """Windows that the original scores: it leaves out the last one that would fit."""
    return min(num_frames, num_samples // SAMPLES_PER_FRAME) - WINDOW_FRAMES


def mfcc(waveform: np.ndarray) -> np.ndarray:
    """float32 (S,) in [-1, 1] -> (13, M) cepstra at 100 Hz, float32, of the 16-bit samples.

    The scale matters: on [-1, 1] the energy coefficient would be 20.8 lower, and the score silently ruined.
    """
    import python_speech_features

    pcm = np.clip(np.round(waveform.astype(np.float64) * 32768), -32768, 32767).astype(np.int16)
    return np.asarray(python_speech_features.mfcc(pcm, SAMPLE_RATE_HZ).T, dtype=np.float32)


def embed(encoder: Any, crops: np.ndarray, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features of all windows, float32 (N, D) each: uint8 (T, 224, 224, 3) RGB crops, and float32 (S,) sound.

    `encoder` is an `Encoder`, or a network that `WindowEncoder` takes. Raises `ValueError` when not one window fits.
    """
    count = num_windows(len(crops), len(waveform))
    if count < 1:
        raise ValueError(f"too_short: {len(crops)} frames and {len(waveform)} samples give no window")
    streams: Encoder = encoder if hasattr(encoder, "lips") else WindowEncoder(encoder)
    cepstra = mfcc(waveform)
    speech = np.stack([cepstra[:, MFCC_PER_FRAME * i : MFCC_PER_FRAME * i + WINDOW_MFCC] for i in range(count)])
    with one_thread():
        return streams.lips(crops[: count + WINDOW_FRAMES - 1]), streams.sounds(speech)


def shifted_distances(lips: np.ndarray, sounds: np.ndarray, vshift: int) -> np.ndarray:
    """Euclidean distances (N, 2 vshift + 1): entry [i, j] compares lips i with sound i + j - vshift, zeros outside.

    The zeros make the mean at shift k depend on the length N: methods compare at equal length only.
    """
    padded = np.pad(sounds, ((vshift, vshift), (0, 0)))
    count = len(lips)
    # 1e-6 inside the norm, as torch's pairwise_distance has it
    columns = [np.linalg.norm(lips - padded[j : j + count] + 1e-6, axis=1) for j in range(2 * vshift + 1)]
    return np.stack(columns, axis=1)


def score(distances: np.ndarray) -> SyncScore:
    """LSE-C = median - minimum of the mean distances over shifts, LSE-D = their minimum, at the offset."""
    mean = distances.mean(axis=0)
    best = int(mean.argmin())
    return SyncScore(float(np.median(mean) - mean[best]), float(mean[best]), len(mean) // 2 - best)


def without_gaps(landmarks: np.ndarray, max_gap_frames: int) -> np.ndarray:
    """Fill frames without a face (NaN) linearly in time, (T, L, 3) -> (T, L, 3).

    Raises `ValueError` with the reason when there is no face at all, or none for more than `max_gap_frames` in a row.
    """
    found = np.flatnonzero(np.isfinite(landmarks[:, 0, 0]))
    if not len(found):
        raise ValueError(f"no_face: found in 0 of {len(landmarks)} frames")
    gap = int(np.diff(np.concatenate([[-1], found, [len(landmarks)]])).max()) - 1
    if gap > max_gap_frames:
        raise ValueError(f"no_face: missing in {gap} frames in a row, at most {max_gap_frames} allowed")
    if len(found) == len(landmarks):
        return landmarks
    times = np.arange(len(landmarks))
    columns = landmarks.reshape(len(landmarks), -1).T
    return np.stack([np.interp(times, found, column[found]) for column in columns], axis=1).reshape(landmarks.shape)


def face_crops(frames: np.ndarray, landmarks: np.ndarray, crop_scale: float = 0.4) -> np.ndarray:
    """`box_crops` with the bounding boxes of landmarks, float (T, L, 3) px without NaN, in place of a detector's."""
    points = landmarks[..., :2].astype(np.float64)
    return box_crops(frames, np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1), crop_scale)


def box_crops(frames: np.ndarray, boxes: np.ndarray, crop_scale: float = 0.4) -> np.ndarray:
    """Crop faces as SyncNet's run_pipeline.py does, without its lossy encodings.

    uint8 (T, H, W, 3) and float64 (T, 4) px (left, top, right, bottom) -> uint8 (T, 224, 224, 3). With s = half the
    larger side of the box and (x, y) its centre, each median-filtered over 13 frames: rows y - s to y + s (1 + 2 c),
    columns x +- s (1 + c), on frames padded with grey 110.
    """
    import cv2
    from scipy.ndimage import median_filter

    low, high = boxes[:, :2], boxes[:, 2:]
    half = (high - low).max(axis=1) / 2
    # zeros beyond the ends, as scipy.signal.medfilt has them
    half, x, y = (median_filter(v, 13, mode="constant") for v in (half, *((low + high) / 2).T))
    crops = []
    for frame, s, centre_x, centre_y in zip(frames, half, x, y, strict=True):
        pad = int(s * (1 + 2 * crop_scale))
        wide = cv2.copyMakeBorder(frame, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(PAD_GREY,) * 3)
        top, bottom = int(centre_y + pad - s), int(centre_y + pad + s * (1 + 2 * crop_scale))
        left, right = int(centre_x + pad - s * (1 + crop_scale)), int(centre_x + pad + s * (1 + crop_scale))
        crops.append(cv2.resize(wide[max(0, top) : bottom, max(0, left) : right], (CROP_PX, CROP_PX)))
    return np.stack(crops)
