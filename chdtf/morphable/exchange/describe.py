"""What a clip of coefficients is, for people: who reads its file as it is, and the ranges of its parts."""

import dataclasses

import numpy as np

from chdtf.morphable.exchange.clips import AnyClip, FittedClip
from chdtf.morphable.exchange.layouts import ANGLE, CROP, FRAME_LAYOUTS, PARTS, TRANSFORM, Part
from chdtf.morphable.exchange.mat import PIRENDERER, SADTALKER
from chdtf.morphable.exchange.rotation import euler_deg

_DEVIATIONS = "standard deviations"
_NUMPY_READERS = {
    "73-d .npy": ("StyleTalk (renderer)", "DreamTalk (renderer)"),
    "257-d .npy": ("DreamTalk (renderer, head held still)",),
}
# of a fit's identity and expression; those of a model of the user's own are not known
_UNITS = {
    "mp468": ("outer eye corner distances", _DEVIATIONS),
    "bfm": (_DEVIATIONS, _DEVIATIONS),
    "ict": (_DEVIATIONS, "weights"),
}


@dataclasses.dataclass
class Range:
    """One part or column over some clips: smallest, mean and largest value, of valid frames."""

    name: str
    size: int
    unit: str
    smallest: float = np.inf
    largest: float = -np.inf
    total: float = 0.0
    count: int = 0

    def add(self, values: np.ndarray) -> None:
        """Count more values."""
        if values.size:
            self.smallest = min(self.smallest, float(values.min()))
            self.largest = max(self.largest, float(values.max()))
            self.total += float(values.sum(dtype=np.float64))
            self.count += values.size

    @property
    def mean(self) -> float:
        """NaN when no frame was valid."""
        return self.total / self.count if self.count else float("nan")


class Ranges:
    """Ranges of all parts over clips that are added one at a time; angles in degrees."""

    def __init__(self) -> None:
        self._found: dict[str, Range] = {}

    def add(self, clip: AnyClip) -> None:
        """Count a clip: of a fit the raw values."""
        if isinstance(clip, FittedClip):
            self._add_fit(clip)
            return
        held = clip.coefficients.parts
        for part in PARTS:
            if part.name in held and not (part == CROP and TRANSFORM.name in held):
                self._add(part, held[part.name][clip.coefficients.valid])

    def rows(self) -> list[Range]:
        """What was found, in the order of the table of parts."""
        order = [name for part in PARTS for name in _names(part)]
        if not set(self._found) <= set(order):  # of fits, in the order in which they were counted
            return list(self._found.values())
        return [self._found[name] for name in order if name in self._found]

    def _add_fit(self, clip: FittedClip) -> None:
        fit, valid = clip.coefficients, clip.coefficients.valid
        identity, expression = _UNITS.get(clip.face_model, ("the model's", "the model's"))
        turns = euler_deg(fit.rotation[valid]) if valid.any() else np.zeros((0, 3))
        columns = {f"head {name}": ("deg", turns[:, k]) for k, name in enumerate(ANGLE.columns)}
        columns |= {f"translation {name}": ("px", fit.translation[valid, k]) for k, name in enumerate("xyz")}
        columns["scale"] = ("px per model unit", fit.scale[valid])
        if clip.fit_error_px is not None:
            columns["fit error"] = ("px, mean of a clip", np.array([clip.fit_error_px]))
        self._range("identity", fit.identity.size, identity).add(fit.identity)
        self._range("expression", fit.expression.shape[1], expression).add(fit.expression[valid])
        for name, (unit, values) in columns.items():
            self._range(name, 1, unit).add(values)

    def _range(self, name: str, size: int, unit: str) -> Range:
        return self._found.setdefault(name, Range(name, size, unit))

    def _add(self, part: Part, values: np.ndarray) -> None:
        is_angle = part == ANGLE
        names = _names(part)
        columns = [values] if len(names) == 1 else np.hsplit(np.degrees(values) if is_angle else values, part.size)
        units = part.unit.split(", ")
        for number, (name, column) in enumerate(zip(names, columns, strict=True)):
            unit = "deg" if is_angle else units[number % len(units)]
            self._range(name, part.size // len(names), unit).add(column)


def _names(part: Part) -> list[str]:
    return [f"{part.name} {column}" for column in part.columns] or [part.name]


def readers(clip: AnyClip) -> tuple[str, ...]:
    """Methods that read the clip's file as it is, with what for. None reads Parquet."""
    if isinstance(clip, FittedClip):
        return ()
    if clip.kind == PIRENDERER:
        if clip.coefficients.transform_params is None:
            return ("StyleTalk (style)", "DreamTalk (style)")
        return ("PIRenderer (training data)", "StyleTalk (style, pose)", "DreamTalk (style, pose)")
    if clip.kind == SADTALKER:
        wide = clip.coefficients.crop is not None
        source = ("SadTalker (source image)",) if wide else ()
        return (*source, "SadTalker (driving, reference of blinks and poses)")
    return _NUMPY_READERS.get(clip.kind, ())


def layouts_of(clip: AnyClip) -> tuple[str, ...]:
    """Layouts that the clip has all parts of; a fit has to be converted first."""
    if isinstance(clip, FittedClip):
        return ()
    parts = set(clip.coefficients.parts)
    return tuple(layout.name for layout in FRAME_LAYOUTS if set(layout.slices) <= parts)
