"""LPIPS: learned perceptual distance to the reference."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from benchmark import perceptual
from benchmark.footage import paired
from benchmark.metric import Footage, MetricBase, Unscored


@dataclasses.dataclass(frozen=True)
class Metric(MetricBase):
    """Distance of AlexNet's features, weighted as people judge, between each frame and the reference's; mean of frames.

    0 for equal frames; about 0.06-0.1 for methods that edit the given video, 0.2-0.4 for those that choose the pose
    (page of the paper). Net alex, version 0.1: vgg gives other numbers. Frames are paired by index.
    """

    name: ClassVar[str] = "lpips"
    label: ClassVar[str] = "LPIPS"
    unit: ClassVar[str] = ""
    higher_is_better: ClassVar[bool | None] = False
    source: ClassVar[str] = (
        "Zhang et al., CVPR 2018; package lpips, net alex, v0.1, RGB in [-1, 1], no scaling of the 256x256 frame"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    weights: ClassVar[tuple[str, ...]] = ("alexnet",)
    packages: ClassVar[tuple[str, ...]] = (*MetricBase.packages, "lpips", "torch")
    geometries: ClassVar[frozenset[str]] = frozenset({"same_frame", "pasted_back", "recrop"})

    def load(self) -> Any:
        """The network. Raises `Unscored` when its weights are absent or another file."""
        return perceptual.load_lpips()

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """LPIPS of every common frame, float64 (T,)."""
        if reference is None:
            raise Unscored("no_reference")
        ours, _ = paired(generated, reference)
        return perceptual.curves(generated, reference, model).to_reference[ours]
