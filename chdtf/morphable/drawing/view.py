"""Faces of a model as pictures: the window onto them, and their colours."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from chdtf.faces import OUTER_EYE_CORNERS
from chdtf.morphable.drawing.render import SKIN, render
from chdtf.morphable.model import FaceModel

# Okabe and Ito's colours, told apart by colour-blind readers too: https://jfly.uni-koeln.de/color/
BLACK, ORANGE, SKY_BLUE, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73"),
    *("#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
)
REGION_COLOURS = {"lip": VERMILLION, "eye": BLUE, "global": "#595959"}
_BLEND = {"lip": (213, 94, 0), "eye": (0, 114, 178)}
# What a picture shows around the middle of the eyes, in outer eye corner distances; necks and ears end there
_REACH, _UP, _DOWN = 1.0, 1.0, 1.6
_MARGIN = 0.05


@dataclasses.dataclass(frozen=True)
class Window:
    """The part of the model's x-y plane that a picture shows: its upper left corner and size, model units."""

    left: float
    top: float
    width: float
    height: float

    @classmethod
    def onto(cls, vertices: np.ndarray, middle: np.ndarray, reach: float = _REACH) -> "Window":
        """The window onto vertices (V, 3), model units, so far as they lie around the middle of the eyes (2,).

        To the sides it ends `reach` from there.
        """
        low = np.maximum(vertices[:, :2].min(0) - _MARGIN, middle - np.array([reach, _UP]))
        high = np.minimum(vertices[:, :2].max(0) + _MARGIN, middle + np.array([reach, _DOWN]))
        return cls(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))

    def size_px(self, height_px: int) -> tuple[int, int]:
        """(height, width) in px of a picture of that height."""
        return height_px, max(1, round(height_px * self.width / self.height))

    def to_px(self, vertices: np.ndarray, height_px: int) -> np.ndarray:
        """Vertices (V, 3) in model units -> px."""
        moved: np.ndarray = (vertices - [self.left, self.top, 0.0]) * (height_px / self.height)
        return moved


def eyes_middle(model: FaceModel) -> np.ndarray:
    """The point between the outer eye corners of the mean face, float64 (3,); the origin where they are not mapped."""
    places = model.landmark_map.landmarks.tolist()
    corners = [model.landmark_mean[places.index(corner)] for corner in OUTER_EYE_CORNERS if corner in places]
    middle: np.ndarray = np.mean(corners, axis=0) if corners else np.zeros(3)
    return middle


def turned(vertices: np.ndarray, yaw_deg: float) -> np.ndarray:
    """Vertices (V, 3) turned about the vertical; a positive angle turns the nose to the left of the picture."""
    cos, sin = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    moved: np.ndarray = vertices @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T
    return moved


def picture(
    vertices: np.ndarray, triangles: np.ndarray, window: Window, height_px: int, colours: np.ndarray | None = None
) -> np.ndarray:
    """A face (V, 3) in model units on white: uint8 (height_px, W, 3) RGB; `colours` as for `render`."""
    size = window.size_px(height_px)
    layer = render(window.to_px(vertices, height_px), triangles, size, colours)
    return layer.over(np.full((*size, 3), 255, np.uint8))


def region_colours(lip: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Colours of vertices with the weights (V,) of the lip and of the eye region: (V, 3) RGB, skin elsewhere."""
    rest = np.clip(1.0 - lip - eye, 0.0, 1.0)[:, None]
    mixed: np.ndarray = (
        rest * np.array(SKIN) + lip[:, None] * np.array(_BLEND["lip"]) + eye[:, None] * np.array(_BLEND["eye"])
    )
    return mixed


def displacement_colours(lengths: np.ndarray, largest: float) -> np.ndarray:
    """Colours of vertices displaced by lengths (V,): (V, 3) RGB, from pale at 0 to dark at `largest` and beyond."""
    share = np.clip(lengths / largest, 0.0, 1.0) if largest > 0 else np.zeros(len(lengths))
    scale = displacement_scale()
    found: np.ndarray = scale[np.round(share * (len(scale) - 1)).astype(int)]
    return found


def displacement_scale() -> np.ndarray:
    """The colour scale of displacements, (256, 3) RGB of 0 to 255: light grey, then inferno from yellow to purple.

    Brightness falls all the way, so that it reads in grey and to the colour-blind as well.
    """
    from matplotlib import colormaps

    inferno = 255 * colormaps["inferno"](np.linspace(0.88, 0.30, 216))[:, :3]
    grey = np.array([214.0, 214.0, 214.0])
    ramp = np.linspace(0, 1, 40)[:, None]
    return np.concatenate([grey + ramp * (inferno[0] - grey), inferno])


def group_of(dimension: int, groups: Mapping[str, Sequence[int]]) -> str | None:
    """The name of the subspace that holds the dimension, or None."""
    return next((name for name, members in groups.items() if dimension in members), None)
