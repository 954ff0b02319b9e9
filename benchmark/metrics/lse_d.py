"""LSE-D: SyncNet's distance between lips and sound."""

import dataclasses
from typing import ClassVar

import numpy as np

from benchmark.lip_sync import LipSync
from chdtf.syncnet import SyncScore


@dataclasses.dataclass(frozen=True)
class Metric(LipSync):
    """LSE-D = minimum over +-15 frames of the mean distance between lip and sound features.

    From the same pass of the network as LSE-C. About 6-8.5 for real speech in sync, 11-14 out of sync.
    """

    name: ClassVar[str] = "lse_d"
    label: ClassVar[str] = "LSE-D"
    higher_is_better: ClassVar[bool | None] = False

    def details(self, values: np.ndarray) -> dict[str, float]:
        """LSE-C and the offset (positive: the sound is early)."""
        return {"lse_c": float(values[0, 1]), "offset_frames": float(values[0, 2])}

    def _ordered(self, found: SyncScore) -> tuple[float, float, float]:
        return found.distance, found.confidence, found.offset_frames
