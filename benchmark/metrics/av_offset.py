"""AV offset: by how many frames the sound is early."""

import dataclasses
from typing import ClassVar

import numpy as np

from benchmark.lip_sync import LipSync
from chdtf.syncnet import SyncScore


@dataclasses.dataclass(frozen=True)
class Metric(LipSync):
    """Frames (at 25 fps) by which the sound must be delayed to fit the lips best: 15 - argmin, by SyncNet.

    Positive: the sound is early, as in joonson/syncnet_python. Best is the ground truth's own offset, which is not
    always 0: recordings have their delay. Where LSE-C is low there is nothing to find, the offset is any number from
    -15 to 15, and the mean over such clips tends to 0: read it beside LSE-C.
    """

    name: ClassVar[str] = "av_offset"
    label: ClassVar[str] = "AV offset"
    unit: ClassVar[str] = "frames"
    digits: ClassVar[int] = 2

    def details(self, values: np.ndarray) -> dict[str, float]:
        """LSE-C and LSE-D at this offset."""
        return {"lse_c": float(values[0, 1]), "lse_d": float(values[0, 2])}

    def _ordered(self, found: SyncScore) -> tuple[float, float, float]:
        return found.offset_frames, found.confidence, found.distance
