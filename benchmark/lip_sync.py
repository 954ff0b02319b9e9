"""What LSE-C, LSE-D and the offset share: one pass of SyncNet over each video, one loaded network per process."""

import dataclasses
import functools
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmark.footage import Footage, Unscored
from benchmark.metric import MetricBase
from chdtf import syncnet, weights
from chdtf.schema import SAMPLES_PER_FRAME

CROPS = ("landmarks", "none", "s3fd")


@dataclasses.dataclass(frozen=True)
class Networks:
    """What is loaded: the encoder, and the face detector where crops are to be cut by it."""

    encoder: Any
    detector: Any = None


@dataclasses.dataclass(frozen=True)
class LipSync(MetricBase):
    """Options of SyncNet's metrics, and its scoring of one video.

    `crop`: "landmarks", the box of MediaPipe's landmarks; "none", the whole frame, as Wav2Lip does for LRS; "s3fd", the
    original pipeline's detector and tracker (needs sfd_face.pth), of whose tracks the longest is scored.
    """

    higher_is_better: ClassVar[bool | None] = None
    unit: ClassVar[str] = ""
    source: ClassVar[str] = (
        "Prajwal et al. 2020, SyncNet of Chung and Zisserman 2016; joonson/syncnet_python SyncNetInstance.evaluate, "
        "crop geometry of its run_pipeline.py on MediaPipe landmarks, without its three lossy encodings"
    )
    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset({"audio", "landmarks"})
    weights: ClassVar[tuple[str, ...]] = ("syncnet_v2",)
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, "mediapipe", "syncnet-python", "torch")
    all_or_none: ClassVar[bool] = True

    crop: str = "landmarks"
    vshift: int = 15  # frames to either side that are searched
    max_gap_frames: int = 25  # with a face missed for longer the clip is not scored; run_pipeline.py ends the track
    min_track_frames: int = 50  # "s3fd": a face must be detected in more; run_pipeline.py has 100
    min_face_px: int = 100  # "s3fd": mean side of the face's box must be longer

    def __post_init__(self) -> None:
        """Refuse options that mean nothing, and name the weights that these need. Raises `ValueError`."""
        if self.crop not in CROPS:
            raise ValueError(f"crop is {self.crop!r}; one of {', '.join(CROPS)}")
        if self.vshift < 1:
            raise ValueError(f"vshift is {self.vshift}; at least 1")
        if self.crop == "s3fd":  # the hash of both files belongs to the identity of a score
            object.__setattr__(self, "weights", ("syncnet_v2", "sfd_face"))
            object.__setattr__(self, "packages", (*self.packages, "scenedetect"))

    def load(self) -> Networks:
        """Verified weights, on the CPU, once per process. Raises `Unscored` when they are absent or another file."""
        from benchmark.face_tracks import load_s3fd

        loaders = (syncnet.load_syncnet, load_s3fd)
        return Networks(*(_loaded(loader, _file(name)) for loader, name in zip(loaders, self.weights, strict=False)))

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """One clip: float64 (1, 3), the metric's own value first; `model` is `Networks`, or an encoder alone."""
        networks = model if isinstance(model, Networks) else Networks(model)
        options = [self.crop, self.vshift, self.max_gap_frames, self.min_track_frames, self.min_face_px]
        found = generated.once(f"syncnet {options}", lambda: self._score_or_reason(generated, networks))
        if isinstance(found, Unscored):
            raise Unscored(found.reason)
        return np.array([self._ordered(found)], np.float64)

    def _ordered(self, found: syncnet.SyncScore) -> tuple[float, float, float]:
        """The numbers of one clip, the metric's own value first."""
        raise NotImplementedError

    def _score_or_reason(self, footage: Footage, networks: Networks) -> syncnet.SyncScore | Unscored:
        """A failure is kept like a score: the next metric need not look for faces again."""
        try:
            return self._score(footage, networks)
        except Unscored as reason:
            return reason

    def _score(self, footage: Footage, networks: Networks) -> syncnet.SyncScore:
        if footage.waveform is None:
            raise Unscored("no_audio")
        self._refuse_short(footage.num_frames, len(footage.waveform))
        crops, waveform = self._crops(footage, networks.detector)
        self._refuse_short(len(crops), len(waveform))
        lips, sounds = syncnet.embed(networks.encoder, crops, waveform)
        return syncnet.score(syncnet.shifted_distances(lips, sounds, self.vshift))

    def _refuse_short(self, num_frames: int, num_samples: int) -> None:
        windows = syncnet.num_windows(num_frames, num_samples)
        if windows <= self.vshift:
            raise Unscored(
                f"too_short: {num_frames} frames and {num_samples} samples give {windows} windows, "
                f"more than {self.vshift} needed"
            )

    def _crops(self, footage: Footage, detector: Any) -> tuple[np.ndarray, np.ndarray]:
        """Crops uint8 (T, 224, 224, 3) RGB, and the sound that belongs to them."""
        if footage.waveform is None:
            raise Unscored("no_audio")
        if self.crop == "none":
            import cv2

            size = syncnet.CROP_PX, syncnet.CROP_PX
            return np.stack([cv2.resize(frame, size) for frame in footage.frames]), footage.waveform
        if self.crop == "s3fd":
            return self._tracked_crops(footage.frames, footage.waveform, detector)
        try:
            landmarks = syncnet.without_gaps(footage.landmarks, self.max_gap_frames)
        except ValueError as error:
            raise Unscored(str(error)) from error
        return syncnet.face_crops(footage.frames, landmarks), footage.waveform

    def _tracked_crops(self, frames: np.ndarray, waveform: np.ndarray, detector: Any) -> tuple[np.ndarray, np.ndarray]:
        from benchmark.face_tracks import face_tracks

        tracks = face_tracks(detector, frames, self.min_track_frames, self.min_face_px)
        if not tracks:
            raise Unscored(
                f"no_face: no track of more than {self.min_track_frames} frames and {self.min_face_px} px by S3FD"
            )
        longest = max(tracks, key=lambda track: len(track.boxes))
        begin, end = longest.begin, longest.begin + len(longest.boxes)
        sound = waveform[begin * SAMPLES_PER_FRAME : end * SAMPLES_PER_FRAME]
        return syncnet.box_crops(frames[begin:end], longest.boxes), sound


def _file(name: str) -> tuple[Path, int]:
    """A verified file and its time of change. Raises `Unscored`."""
    found = weights.check(name)
    if found.state == "missing":
        raise Unscored(f"weights_missing: {found.weights.filename}; {found.detail}")
    if found.state != "ok":
        raise Unscored(f"weights_mismatch: {found.weights.filename}: {found.detail}")
    return found.path, found.path.stat().st_mtime_ns


@functools.lru_cache(maxsize=2)
def _loaded(loader: Any, file: tuple[Path, int]) -> Any:
    return loader(file[0])
