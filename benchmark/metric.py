"""What a metric is: name, unit, direction and source as attributes; load, measure, reduce. The folder is the registry.

`benchmark/metrics/cpbd.py` holds the metric `cpbd` as a frozen dataclass `Metric(MetricBase)`; its fields are its
options and enter the fingerprint of every score. See docs/metrics.md for how to add one.
"""

import dataclasses
import difflib
import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from benchmark.footage import Footage, Unscored
from chdtf.errors import UserError

__all__ = ["Footage", "MetricBase", "Unscored", "get_metric", "metric_names"]

# How a generated frame lies against the reference's: the same picture, the face pasted back into it, a crop of the
# method's own choosing, or that crop undone by a declared re-alignment (metrics on it have names of their own).
GEOMETRIES = frozenset({"same_frame", "pasted_back", "method_crop", "recrop"})


@dataclasses.dataclass(frozen=True)
class MetricBase:
    """Base of every metric. Subclasses state the class variables and `measure`; the rest has defaults."""

    name: ClassVar[str]
    label: ClassVar[str]  # as printed in tables
    unit: ClassVar[str]  # "" for a pure number
    higher_is_better: ClassVar[bool | None]  # None: closest to the ground truth's value is best
    source: ClassVar[str]  # paper, and the implementation whose definition is followed
    version: ClassVar[int] = 1  # raised whenever the same input would give another value
    needs: ClassVar[frozenset[str]] = frozenset()  # of "reference", "audio", "landmarks"
    weights: ClassVar[tuple[str, ...]] = ()  # names in chdtf.weights
    packages: ClassVar[tuple[str, ...]] = ("av", "opencv-contrib-python")  # distributions that the value depends on
    all_or_none: ClassVar[bool] = False  # True: a set in which any clip is null has no value
    digits: ClassVar[int] = 3  # after the point, in tables
    variant_of: ClassVar[str] = (
        ""  # the metric whose paper-compatible reading this is; tables mark it, and rank it never
    )
    geometries: ClassVar[frozenset[str]] = GEOMETRIES  # of the generated video, in which the metric means something
    has_clip_value: ClassVar[bool] = True  # False: only a set has a value (FID); `measure` gives what `reduce` takes
    num_resamples: ClassVar[int] = 200  # of sets whose value is no ratio of sums (`terms`); 0: too costly to resample
    truth_floor: ClassVar[float | None] = None  # a ground truth below it says that something is broken

    def load(self) -> Any:
        """Load the network, once per process. Raises `Unscored` when it cannot be had (weights absent)."""
        return None

    def measure(self, generated: Footage, reference: Footage | None, model: Any) -> np.ndarray:
        """One clip: float64 values per frame, (T,) or (T, C) with the value itself in column 0.

        NaN marks a frame that cannot be measured. A metric of whole clips returns whatever its `reduce` understands.
        Raises `Unscored`.
        """
        raise NotImplementedError

    def clip_value(self, values: np.ndarray) -> float:
        """Value of one clip: mean over its measured frames; infinite only when all of them are."""
        column = values.reshape(len(values), -1)[:, 0]
        column = column[~np.isnan(column)]
        finite = column[np.isfinite(column)]
        if len(finite):
            return float(finite.mean())
        return float(column[0]) if len(column) else float("nan")

    def reduce(self, arrays: Sequence[np.ndarray]) -> float:
        """Value of a set: the mean of its clips' values. Infinite clips are left out of it, unless all are infinite."""
        return self.clip_value(np.array([self.clip_value(values) for values in arrays]))

    def terms(self, arrays: Sequence[np.ndarray]) -> np.ndarray | None:
        """Numerator and denominator of each clip, float64 (clips, 2): the set's value is the ratio of their sums.

        The bootstrap resamples these sums. A clip with denominator 0 is left out, as infinite ones are. None where
        `reduce` is no such ratio: it is then called for every resample.
        """
        if type(self).reduce is not MetricBase.reduce:
            return None
        return mean_terms(np.array([self.clip_value(array) for array in arrays], np.float64))

    def interval(self, arrays: Sequence[np.ndarray]) -> tuple[float, float] | None:
        """Exact 95 % interval of the set's value where theory gives one; None: bootstrapped (`benchmark.bootstrap`)."""
        return None

    def note(self, arrays: Sequence[np.ndarray]) -> str:
        """What a table must say beside the set's value; empty when there is nothing to say."""
        return ""

    def details(self, values: np.ndarray) -> dict[str, float]:
        """Further numbers of one clip that are stored beside its value."""
        return {}

    @property
    def arrow(self) -> str:
        """Direction as printed in tables."""
        return {True: "↑", False: "↓", None: "→GT"}[self.higher_is_better]

    @property
    def heading(self) -> str:
        """Label, unit and direction as printed in tables."""
        return f"{self.label} [{self.unit}] {self.arrow}" if self.unit else f"{self.label} {self.arrow}"


def mean_terms(values: np.ndarray) -> np.ndarray:
    """`MetricBase.terms` of a mean over the finite ones of clips' values (clips,)."""
    finite = np.isfinite(values)
    terms: np.ndarray = np.stack([np.where(finite, values, 0.0), finite.astype(np.float64)], axis=1)
    return terms


def metric_names() -> list[str]:
    """Names of all metrics: the modules of benchmark/metrics, sorted."""
    from benchmark import metrics

    return sorted(module.name for module in pkgutil.iter_modules(metrics.__path__) if not module.name.startswith("_"))


def get_metric(name: str) -> MetricBase:
    """The metric of that name with its default options; `psnr@recrop`: on re-aligned frames (`benchmark.geometry`).

    Raises `UserError` with the nearest names.
    """
    names = metric_names()
    plain, is_realigned = name.removesuffix("@recrop"), name.endswith("@recrop")
    if plain not in names:
        near = difflib.get_close_matches(plain, names, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UserError(f"unknown metric {name!r}; {hint}all: {', '.join(names)}")
    metric: MetricBase = importlib.import_module(f"benchmark.metrics.{plain}").Metric()
    if not is_realigned:
        return metric
    from benchmark.geometry import realigned, takes_realignment

    if not takes_realignment(metric):
        raise UserError(f"unknown metric {name!r}; re-aligning frames changes nothing for {plain}")
    return realigned(metric)
