"""The stage that scores: one row per clip in, one row per clip and metric out, each value or the reason for none."""

import dataclasses
import functools
import importlib.metadata
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from benchmark.clip_score import SCORES
from benchmark.footage import Footage, Unscored
from benchmark.geometry import is_realigned, realign
from benchmark.known import Known, known_values
from benchmark.metric import MetricBase
from benchmark.normalise import AS_IS, Normalise
from chdtf import weights
from chdtf.columns import Row
from chdtf.engine.shards import Workspace
from chdtf.errors import UserError, is_disk_full

log = logging.getLogger(__name__)

MIN_LENGTH_SHARE = 0.9  # of the longer of output and reference; with less in common a clip is not scored


@dataclasses.dataclass(frozen=True)
class Score:
    """The stage. `metrics` are those of the method's geometry (`benchmark.geometry.metrics_of`)."""

    name: ClassVar[str] = "score"
    version: ClassVar[int] = 3
    adds: ClassVar[pa.Schema] = SCORES

    metrics: tuple[MetricBase, ...]
    identities: tuple[str, ...]  # see `identity`; with it, what a value depends on is in the fingerprint
    normalise: Normalise = AS_IS
    earlier: Path | None = dataclasses.field(default=None, metadata={"fingerprint": False})  # results to take over

    def load(self) -> dict[str, Callable[[], Any]]:
        """Loaders of all metrics' models; for a model that cannot be had they give the `Unscored` that says why."""
        return {metric.name: functools.cache(functools.partial(_load, metric)) for metric in self.metrics}

    def apply(self, row: Row, model: dict[str, Callable[[], Any]], workspace: Workspace) -> Iterator[Row]:
        """Normalise the clip's videos once, when a metric asks, and measure them with every metric."""
        known = known_values(self.earlier, self.version) if self.earlier else Known({})
        normalise = json.dumps(dataclasses.asdict(self.normalise))
        as_is = functools.cache(lambda: self._view(row, workspace.root))
        realigned = functools.cache(lambda: as_is().realigned())
        for metric, named in zip(self.metrics, self.identities, strict=True):
            if earlier := known.find(row, normalise, named):
                yield {**row, **earlier}
                continue
            view = realigned() if is_realigned(metric) and self.normalise.geometry == "recrop" else as_is()
            started = time.perf_counter()
            measured = _measure(metric, view, model[metric.name])
            seconds = round(time.perf_counter() - started, 6)
            about = {"metric": metric.name, "metric_config": named, "normalise": normalise, "seconds": seconds}
            yield {**row, **about, **view.columns(), **measured}

    def _view(self, row: Row, root: Path) -> "_View":
        if row["problem"]:
            return _View(problem=Unscored(row["problem"]))
        audio = root / row["audio"] if row["audio"] else None
        try:
            generated = self.normalise.footage(root / row["generated"], audio)
        except Unscored as problem:
            return _View(problem=problem)
        generated = dataclasses.replace(generated, generation_s=row["generation_s"])
        if not row["reference"]:
            return _View(generated)
        try:
            reference = self._with_kept_landmarks(AS_IS.footage(root / row["reference"]), root)
        except Unscored as problem:
            return _View(generated, problem=Unscored(f"reference: {problem.reason}"))
        if generated.frames_sha256 == reference.frames_sha256:
            generated = dataclasses.replace(generated, landmarks_file=reference.landmarks_file)
        return _View(*_lengths_compared(generated, reference))

    @staticmethod
    def _with_kept_landmarks(reference: Footage, root: Path) -> Footage:
        """Landmarks of a reference are kept beside the scores: every method is compared with the same ones."""
        tracker = importlib.metadata.version("mediapipe")
        file = root.parent / "reference_landmarks" / f"{reference.frames_sha256[:32]}-{tracker}.npy"
        return dataclasses.replace(reference, landmarks_file=file)


@dataclasses.dataclass(frozen=True)
class _View:
    """What metrics are shown of a clip: its videos, or the problem that no metric gets past."""

    generated: Footage | None = None
    reference: Footage | None = None
    problem: Unscored | None = None

    def realigned(self) -> "_View":
        if self.problem or self.generated is None or self.reference is None:
            return self
        try:
            return _View(*realign(self.generated, self.reference))
        except Unscored as problem:
            return dataclasses.replace(self, problem=problem)

    def columns(self) -> Row:
        if self.generated is None:
            return {}
        return {
            "num_frames": self.generated.num_frames,
            "normalised_sha256": self.generated.normalised_sha256,
            "reference_normalised_sha256": self.reference.normalised_sha256 if self.reference else None,
            "geometry": self.generated.geometry,
            "notes": "; ".join(self.generated.notes),
        }


def _lengths_compared(generated: Footage, reference: Footage) -> tuple[Footage, Footage, Unscored | None]:
    expected = reference.num_frames - generated.start_frame
    if generated.num_frames == expected:
        return generated, reference, None
    if expected <= 0:
        said = f"the reference has {reference.num_frames} frames, the offset is {generated.start_frame}"
        return generated, reference, Unscored(f"no_common_frames: {said}")
    if generated.num_frames < MIN_LENGTH_SHARE * expected:
        return generated, reference, Unscored(f"too_short: {generated.num_frames} of {expected} frames")
    # the reference may have lost a black end that the output does not show as black
    if MIN_LENGTH_SHARE * generated.num_frames > expected + reference.black_frames:
        return generated, reference, Unscored(f"too_long: {generated.num_frames} frames where {expected} are expected")
    note = f"{generated.num_frames} frames where {expected} are expected"
    return dataclasses.replace(generated, notes=(*generated.notes, note)), reference, None


def _load(metric: MetricBase) -> Any:
    try:
        return metric.load()
    except Unscored as problem:
        return problem


def _measure(metric: MetricBase, view: _View, model: Callable[[], Any]) -> Row:
    """The columns of one metric on one clip."""
    try:
        values = _values(metric, view, model)
        value = metric.clip_value(values) if metric.has_clip_value else None
        if value is not None and np.isnan(value):
            raise Unscored("not_a_number")
    except Unscored as unscored:
        return {"reason": unscored.reason}
    except Exception as error:
        if isinstance(error, UserError) or is_disk_full(error):
            raise
        # `error` makes the next run try this clip again
        said = f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        log.error("metric %s %s", metric.name, said, exc_info=log.isEnabledFor(logging.INFO))
        return {"reason": said, "error": f"{metric.name}: {said}"}
    width = values.shape[1] if values.ndim == 2 else 0
    return {"value": value, "values": values, "values_width": width, "details": json.dumps(metric.details(values))}


def _values(metric: MetricBase, view: _View, model: Callable[[], Any]) -> np.ndarray:
    generated, reference = view.generated, view.reference
    if view.problem or generated is None:
        raise view.problem or Unscored("missing_video")
    loaded = model()
    if isinstance(loaded, Unscored):
        raise loaded
    if "reference" in metric.needs and reference is None:
        raise Unscored("no_reference")
    if generated.geometry not in metric.geometries:
        raise Unscored(f"geometry: {metric.label} means nothing on {generated.geometry}")
    if "audio" in metric.needs and generated.waveform is None:
        raise Unscored(f"no_audio: {generated.no_sound}" if generated.no_sound else "no_audio")
    return np.asarray(metric.measure(generated, reference, loaded), np.float64)


def identity(metric: MetricBase) -> str:
    """JSON of all that a metric's values depend on besides the videos."""
    packages = {}
    for package in metric.packages:
        try:
            packages[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            packages[package] = "absent"
    files = {name: weights.check(name) for name in metric.weights}
    hashes = {name: found.weights.sha256 if found.state == "ok" else found.state for name, found in files.items()}
    options = {field.name: getattr(metric, field.name) for field in dataclasses.fields(metric)}
    found = {
        "name": metric.name,
        "version": metric.version,
        "options": options,
        "weights": hashes,
        "packages": packages,
    }
    return json.dumps(found, default=str)
