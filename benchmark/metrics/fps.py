"""FPS: frames generated per second of the method's own time."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from benchmark.metric import Footage, MetricBase, Unscored


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """Frames at 25 per second of what the method made, over the seconds that it took; a set's is all over all.

    The seconds are those that the run recorded for the clip; what they include (loading, face detection, encoding) and
    the machine are in the run record. Frames are counted after normalisation, so 25 is real time for every method,
    whatever frame rate it writes. Rows of different machines do not compare.
    """

    name: ClassVar[str] = "fps"
    label: ClassVar[str] = "FPS"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = True
    source: ClassVar[str] = "frames written / wall time of the generation, as the paper's comparison of speed"
    packages: ClassVar[tuple[str, ...]] = ()
    digits: ClassVar[int] = 2

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """Float64 (1, 3): frames per second, frames, seconds."""
        seconds = generated.generation_s
        if seconds is None:
            raise Unscored("not_generated_here: no record of how long it took")
        if not seconds > 0:
            raise Unscored(f"not_generated_here: {seconds} s recorded")
        return np.array([[generated.num_frames / seconds, generated.num_frames, seconds]])

    def reduce(self, arrays: Sequence[np.ndarray]) -> float:
        """All frames over all seconds."""
        frames, seconds = self.terms(arrays).sum(axis=0)
        return float(frames / seconds)

    def terms(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Frames and seconds of each clip: float64 (clips, 2)."""
        return np.array([values[0, 1:] for values in arrays])

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Frames and seconds."""
        return {"frames": float(values[0, 1]), "generation_s": float(values[0, 2])}
