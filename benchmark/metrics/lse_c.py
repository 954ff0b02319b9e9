"""LSE-C: SyncNet's confidence that lips and sound belong together."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from benchmark.metric import Footage, MetricBase, Unscored
from chdtf import syncnet, weights


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """LSE-C = median - minimum over +-15 frames of the mean distance between lip and sound features.

    Needs the file syncnet_v2.model; without it the value is null: no substitute that was tried agrees with it. The
    minimum is searched over shifts, so a constant delay costs nothing: read it together with `offset_frames`. About
    5.5-8.3 for real speech in sync, 0.3-2 out of sync; below 1 on ground truth something is broken.
    """

    name: ClassVar[str] = "lse_c"
    label: ClassVar[str] = "LSE-C"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = True
    source: ClassVar[str] = (
        "Prajwal et al. 2020, SyncNet of Chung and Zisserman 2016; joonson/syncnet_python SyncNetInstance.evaluate, "
        "crop geometry of its run_pipeline.py on MediaPipe landmarks, without its three lossy encodings"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"audio", "landmarks"})
    weights: ClassVar[tuple[str, ...]] = ("syncnet_v2",)
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, "mediapipe", "syncnet-python", "torch")
    all_or_none: ClassVar[bool] = True
    truth_floor: ClassVar[float | None] = 1.0

    crop: str = "landmarks"  # or "none": the whole frame, as Wav2Lip does for LRS
    vshift: int = 15
    max_gap_frames: int = 25  # faces missed for longer end a track in run_pipeline.py; here the clip is not scored

    def load(self) -> Any:
        """SyncNet with its verified weights, on the CPU. Raises `Unscored` when they are absent or another file."""
        found = weights.check("syncnet_v2")
        if found.state == "missing":
            raise Unscored(f"weights_missing: {found.weights.filename}; {found.detail}")
        if found.state != "ok":
            raise Unscored(f"weights_mismatch: {found.weights.filename}: {found.detail}")
        return syncnet.load_syncnet(found.path)

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """One clip: float64 (1, 3): LSE-C, LSE-D and the offset in frames."""
        if generated.waveform is None:
            raise Unscored("no_audio")
        windows = syncnet.num_windows(generated.num_frames, len(generated.waveform))
        if windows <= self.vshift:
            raise Unscored(
                f"too_short: {generated.num_frames} frames and {len(generated.waveform)} samples give {windows} "
                f"windows, more than {self.vshift} needed"
            )
        lips, sounds = syncnet.embed(model, self._crops(generated), generated.waveform)
        found = syncnet.score(syncnet.shifted_distances(lips, sounds, self.vshift))
        return np.array([[found.confidence, found.distance, found.offset_frames]])

    def details(self, values: np.ndarray) -> dict[str, float]:
        """LSE-D and the offset (positive: the sound is early)."""
        return {"lse_d": float(values[0, 1]), "offset_frames": float(values[0, 2])}

    def _crops(self, footage: Footage) -> np.ndarray:
        if self.crop == "none":
            import cv2

            return np.stack([cv2.resize(frame, (syncnet.CROP_PX, syncnet.CROP_PX)) for frame in footage.frames])
        try:
            landmarks = syncnet.without_gaps(footage.landmarks, self.max_gap_frames)
        except ValueError as error:
            raise Unscored(str(error)) from error
        return syncnet.face_crops(footage.frames, landmarks)
