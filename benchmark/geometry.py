"""A method's own crop undone: similarity by landmarks, one for the whole clip, and the names of metrics measured so.

A method of geometry `recrop` shows the face in a crop of its own. What means something on such a crop (geometry
`method_crop`: sound, blinks, sharpness, ...) is measured on the output as it is. What compares with the reference and
does not is measured on the re-aligned frames under a name of its own, `psnr@recrop` for `psnr`, so that the two never
stand in one column. The plain name is null there, with the reason.

The re-alignment takes, for both videos, the median over the common frames of all mesh vertices but the lips, and fits
one rotation, scale and translation between the two medians: it is constant over the clip, so what moves still moves.
Frames are then cut to the part of the reference frame that the output shows. A planted crop is undone to a few tenths
of a pixel (1.1 px at worst), which with the resampling costs up to 3 dB of PSNR on sharp pictures, and up to 6 dB where
the output shows more than the reference: compare re-aligned numbers with re-aligned numbers only.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from benchmark.footage import Footage, Unscored, paired
from benchmark.metric import MetricBase
from chdtf.faces import INNER_LIPS, OUTER_LIPS
from chdtf.morphable.similarity import Similarity, fit_similarity
from chdtf.schema import FRAME_SIZE_PX, NUM_VERTICES

SUFFIX = "@recrop"
MIN_SIDE_PX = 64  # of what both videos show; less is no base for a number of the whole picture
MIN_FACE_SHARE = 0.5
# all but the lips: with 24 rigid vertices a planted crop is undone half as well
_POINTS = tuple(sorted(set(range(NUM_VERTICES)) - {*INNER_LIPS, *OUTER_LIPS}))
_MIN_SCALE, _MAX_SCALE = 0.25, 4.0


def is_realigned(metric: MetricBase) -> bool:
    """Whether the metric is measured on re-aligned frames."""
    return metric.name.endswith(SUFFIX)


def takes_realignment(metric: MetricBase) -> bool:
    """Whether the metric compares with the reference, clip by clip, and means nothing until a crop is undone."""
    makes_sense = metric.has_clip_value and "reference" in metric.needs and "method_crop" not in metric.geometries
    return makes_sense and not is_realigned(metric)


def metrics_of(metrics: Sequence[MetricBase], geometry: str) -> list[MetricBase]:
    """The metrics that are measured on a method of that geometry: for `recrop` also those of re-aligned frames."""
    if geometry != "recrop":
        return list(metrics)
    pairs = ((metric, realigned(metric)) if takes_realignment(metric) else (metric,) for metric in metrics)
    return list({metric.name: metric for pair in pairs for metric in pair}.values())


def realigned(metric: MetricBase) -> MetricBase:
    """The same metric, options included, measured on re-aligned frames: `psnr` -> `psnr@recrop`.

    Raises `ValueError` for a metric that re-alignment changes nothing for.
    """
    if not takes_realignment(metric):
        raise ValueError(f"metric {metric.name} is not measured on re-aligned frames")
    options = {field.name: getattr(metric, field.name) for field in dataclasses.fields(metric)}
    return _realigned_kind(type(metric))(**options)  # type: ignore[arg-type]


@functools.cache
def _realigned_kind(kind: type[MetricBase]) -> type[MetricBase]:
    def reduce(self: MetricBase) -> tuple[Any, ...]:  # made anew where it is unpickled: the class has no module
        return _unpickled, (kind, {field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    attributes = {
        "__doc__": kind.__doc__,
        "__reduce__": reduce,
        "name": kind.name + SUFFIX,
        "label": kind.label + SUFFIX,
        "source": f"{kind.source}; on frames re-aligned to the reference by landmarks",
        "variant_of": kind.variant_of and kind.variant_of + SUFFIX,
        "geometries": frozenset({"recrop"}),
        "packages": tuple(dict.fromkeys((*kind.packages, "mediapipe"))),
    }
    return cast("type[MetricBase]", type(kind.__name__, (kind,), attributes))


def _unpickled(kind: type[MetricBase], options: dict[str, Any]) -> MetricBase:
    return _realigned_kind(kind)(**options)  # type: ignore[arg-type]


def realign(generated: Footage, reference: Footage) -> tuple[Footage, Footage]:
    """Both videos in the reference's coordinates, cut to the rectangle that both show: (T, h, w, 3), geometry `recrop`.

    Landmarks are moved along, not tracked again. Raises `Unscored`: `no_face`, or `no_alignment` when what both show is
    too small or the similarity is no crop.
    """
    move = similarity(generated, reference)
    scale = float(move.scale[0])
    if not _MIN_SCALE <= scale <= _MAX_SCALE:
        raise Unscored(f"no_alignment: the face is {1 / scale:.2f} times as large as in the reference")
    matrix = _matrix(move)
    left, top, right, bottom = _inscribed(_shown(matrix))
    width, height = right - left, bottom - top
    if min(width, height) < MIN_SIDE_PX:
        raise Unscored(f"no_alignment: both show {width}x{height} px, {MIN_SIDE_PX} a side needed")
    matrix[:, 2] -= left, top
    corner = np.array([left, top, 0], np.float32)
    note = f"re-aligned: scale {scale:.4f}, {width}x{height} px at {left},{top} of the reference"
    ours = _changed(
        generated,
        np.stack([_warped(frame, matrix, scale, (width, height)) for frame in generated.frames]),
        move.apply(generated.landmarks.astype(np.float64)).astype(np.float32) - corner,
        note,
    )
    theirs = _changed(
        reference, np.ascontiguousarray(reference.frames[:, top:bottom, left:right]), reference.landmarks - corner
    )
    return ours, theirs


def similarity(generated: Footage, reference: Footage) -> Similarity:
    """What takes the generated video's pixels to the reference's, in x and y, the same for all frames: (1, ...).

    Raises `Unscored` where fewer than half of either video's frames show a face.
    """
    ours, theirs = paired(generated, reference)
    p = generated.face_landmarks(MIN_FACE_SHARE)[ours][:, _POINTS]
    q = reference.face_landmarks(MIN_FACE_SHARE)[theirs][:, _POINTS]
    both = np.isfinite(p[:, 0, 0]) & np.isfinite(q[:, 0, 0])
    if not both.any():
        raise Unscored("no_face: no frame in which both videos show one")
    source, target = (np.median(points[both].astype(np.float64), axis=0) for points in (p, q))
    source[:, 2] = target[:, 2] = 0  # in the plane of the picture
    return fit_similarity(source, target[None], np.ones(len(_POINTS)))


def _matrix(move: Similarity) -> np.ndarray:
    """(2, 3) for OpenCV, which counts pixels from the centre of the first; landmarks count from its corner."""
    turn = move.scale[0] * move.rotation[0, :2, :2]
    shift = move.translation[0, :2] + turn @ [0.5, 0.5] - 0.5
    return np.hstack([turn, shift[:, None]])


def _shown(matrix: np.ndarray) -> np.ndarray:
    """Which pixels of the reference's frame the moved frame covers: bool (256, 256)."""
    y, x = np.mgrid[:FRAME_SIZE_PX, :FRAME_SIZE_PX]
    back = np.linalg.inv(matrix[:, :2]) @ (np.stack([x.ravel(), y.ravel()]) - matrix[:, 2:])
    inside: np.ndarray = ((back > -0.5) & (back < FRAME_SIZE_PX - 0.5)).all(axis=0).reshape(FRAME_SIZE_PX, -1)
    return inside


def _inscribed(shown: np.ndarray) -> tuple[int, int, int, int]:
    """A rectangle of shown pixels (left, top, right, bottom): all, less the side that lacks most, until none does."""
    left, top, bottom, right = 0, 0, *shown.shape
    while left < right and top < bottom:
        part = shown[top:bottom, left:right]
        lacks = 1 - np.array([part[:, 0].mean(), part[0].mean(), part[:, -1].mean(), part[-1].mean()])
        worst = int(lacks.argmax())
        if lacks[worst] == 0:
            break
        left, top, right, bottom = left + (worst == 0), top + (worst == 1), right - (worst == 2), bottom - (worst == 3)
    return left, top, max(left, right), max(top, bottom)


def _warped(frame: np.ndarray, matrix: np.ndarray, scale: float, size: tuple[int, int]) -> np.ndarray:
    import cv2

    if scale < 1:  # what the smaller picture cannot hold would fold back into it
        frame = cv2.GaussianBlur(frame, (0, 0), 0.5 * np.sqrt(1 / scale**2 - 1))
    moved: np.ndarray = cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return moved


def _changed(footage: Footage, frames: np.ndarray, landmarks: np.ndarray, *notes: str) -> Footage:
    """The footage with other frames and landmarks, and nothing kept of what was computed of the former."""
    changed = dataclasses.replace(
        footage, frames=frames, notes=(*footage.notes, *notes), geometry="recrop", landmarks_file=None, _kept={}
    )
    changed.__dict__["landmarks"] = landmarks
    return changed
