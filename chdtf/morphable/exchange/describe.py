"""What a clip of coefficients is, for people: who reads its file as it is, and the ranges of its parts."""

import dataclasses

import numpy as np

from chdtf.morphable.exchange.clips import BfmClip
from chdtf.morphable.exchange.layouts import ANGLE, CROP, FRAME_LAYOUTS, PARTS, TRANSFORM, Part
from chdtf.morphable.exchange.mat import PIRENDERER, SADTALKER

# frames per second at which the methods take every file to be: baselines' inference scripts
METHOD_FPS = {"StyleTalk": 30, "DreamTalk": 25, "SadTalker": 25}


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

    def add(self, clip: BfmClip) -> None:
        """Count a clip."""
        held = clip.coefficients.parts
        for part in PARTS:
            if part.name in held and not (part == CROP and TRANSFORM.name in held):
                self._add(part, held[part.name][clip.coefficients.valid])

    def rows(self) -> list[Range]:
        """What was found, in the order of the table of parts."""
        order = [name for part in PARTS for name in _names(part)]
        return [self._found[name] for name in order if name in self._found]

    def _add(self, part: Part, values: np.ndarray) -> None:
        is_angle = part == ANGLE
        names = _names(part)
        columns = [values] if len(names) == 1 else np.hsplit(np.degrees(values) if is_angle else values, part.size)
        units = part.unit.split(", ")
        for number, (name, column) in enumerate(zip(names, columns, strict=True)):
            unit = "deg" if is_angle else units[number % len(units)]
            self._found.setdefault(name, Range(name, part.size // len(names), unit)).add(column)


def _names(part: Part) -> list[str]:
    return [f"{part.name} {column}" for column in part.columns] or [part.name]


def readers(clip: BfmClip) -> tuple[str, ...]:
    """Methods that read the clip's file as it is, with what for. None reads Parquet."""
    has_crop = clip.coefficients.transform_params is not None
    if clip.kind == PIRENDERER and has_crop:
        return ("PIRenderer (training data)", "StyleTalk (style, pose)", "DreamTalk (style, pose)")
    if clip.kind == PIRENDERER:
        return ("StyleTalk (style)", "DreamTalk (style)")
    if clip.kind == SADTALKER:
        wide = clip.coefficients.crop is not None
        source = ("SadTalker (source image)",) if wide else ()
        return (*source, "SadTalker (driving, reference of blinks and poses)")
    if clip.kind == "73-d .npy":
        return ("StyleTalk (renderer)", "DreamTalk (renderer)")
    if clip.kind == "257-d .npy":
        return ("DreamTalk (renderer, head held still)",)
    return ()


def layouts_of(clip: BfmClip) -> tuple[str, ...]:
    """Layouts that the clip has all parts of."""
    parts = set(clip.coefficients.parts)
    return tuple(layout.name for layout in FRAME_LAYOUTS if set(layout.slices) <= parts)
