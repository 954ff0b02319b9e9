"""What lies behind the openings of the face: soft-edged openings, and the source's own texture behind them."""

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np

_OVERSAMPLING = 4
_BITS = 4


@dataclass(frozen=True)
class Box:
    """Pixels x0 <= x < x1, y0 <= y < y1 of an image."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def around(cls, points: np.ndarray, margin_px: float, height: int, width: int) -> "Box":
        """The box of (N, 2) points with a margin, cut to the image: at least one pixel of it, wherever they are."""
        left, top = points.min(0).tolist()
        right, bottom = points.max(0).tolist()
        x0 = min(max(math.floor(left - margin_px), 0), width - 1)
        y0 = min(max(math.floor(top - margin_px), 0), height - 1)
        x1, y1 = math.ceil(right + margin_px) + 1, math.ceil(bottom + margin_px) + 1
        return cls(x0, y0, max(x0 + 1, min(x1, width)), max(y0 + 1, min(y1, height)))

    @property
    def empty(self) -> bool:
        """Whether no pixel is inside."""
        return self.x1 <= self.x0 or self.y1 <= self.y0

    def of(self, image: np.ndarray, at: "Box | None" = None) -> np.ndarray:
        """View of the box in an image (H, W, ...), or in an array that covers the box `at` only."""
        x0, y0 = (0, 0) if at is None else (at.x0, at.y0)
        return image[self.y0 - y0 : self.y1 - y0, self.x0 - x0 : self.x1 - x0]

    def within(self, other: "Box") -> "Box":
        """The part of this box that lies in another."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        return Box(x0, y0, max(x0, min(self.x1, other.x1)), max(y0, min(self.y1, other.y1)))

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixel centres x, y: float32 (h, w) each."""
        x, y = np.meshgrid(np.arange(self.x0, self.x1, dtype=np.float32), np.arange(self.y0, self.y1, dtype=np.float32))
        return x, y


def places(maps: np.ndarray) -> np.ndarray:
    """Places x + iy, complex64 (h, w), as `cv2.remap` takes them: float32 (h, w, 2)."""
    return maps.view(np.float32).reshape(*maps.shape, 2)


def smooth_curve(points: np.ndarray, steps: int = 4) -> np.ndarray:
    """A Catmull-Rom curve through (N, 2) points, `steps` pieces between neighbours: ((N - 1) * steps + 1, 2)."""
    curve: np.ndarray = _catmull_rom(len(points), steps) @ points
    return curve


@functools.lru_cache(maxsize=8)
def _catmull_rom(count: int, steps: int) -> np.ndarray:
    """The curve as a linear map of its points, ((count - 1) * steps + 1, count)."""
    points = np.eye(count)
    padded = np.vstack([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    p0, p1, p2, p3 = (padded[k : len(padded) - 3 + k, None] for k in range(4))
    t = (np.arange(steps) / steps)[None, :, None]
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return np.vstack([curve.reshape(-1, count), points[-1:]])


def soft_polygon(upper: np.ndarray, lower: np.ndarray, box: Box) -> np.ndarray:
    """Coverage in [0, 1], float32 (h, w), of the opening between two curves (N, 2) that share their ends."""
    k = _OVERSAMPLING
    canvas = np.zeros(((box.y1 - box.y0) * k, (box.x1 - box.x0) * k), np.uint8)
    outline = np.vstack([upper, lower[::-1]])
    scaled = ((outline - (box.x0, box.y0) + 0.5) * k - 0.5) * (1 << _BITS)
    cv2.fillPoly(canvas, [np.round(scaled).astype(np.int32)], 255, shift=_BITS)
    small: np.ndarray = cv2.resize(canvas, None, fx=1 / k, fy=1 / k, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / np.float32(255)


def soft_line(curve: np.ndarray, strength: np.ndarray, width_px: float, box: Box) -> np.ndarray:
    """A soft line of given strength in [0, 1] along a curve (N, 2): float32 (h, w)."""
    k = _OVERSAMPLING
    canvas = np.zeros(((box.y1 - box.y0) * k, (box.x1 - box.x0) * k), np.uint8)
    scaled = np.round(((curve - (box.x0, box.y0) + 0.5) * k - 0.5) * (1 << _BITS)).astype(np.int32)
    thick = max(1, round(width_px * k))
    for start, end, value in zip(scaled[:-1], scaled[1:], strength[:-1], strict=True):
        cv2.line(canvas, start.tolist(), end.tolist(), float(round(255 * float(value))), thick, cv2.LINE_8, _BITS)
    small = cv2.resize(canvas, None, fx=1 / k, fy=1 / k, interpolation=cv2.INTER_AREA)
    soft: np.ndarray = cv2.GaussianBlur(small, (0, 0), max(0.5, 0.4 * width_px)).astype(np.float32) / 255
    return soft


def blend(image: np.ndarray, layer: np.ndarray, alpha: np.ndarray, box: Box) -> None:
    """Lay float32 (h, w, 3) over the box of a uint8 image, in place."""
    view = box.of(image)
    change = (layer - view) * alpha[..., None].astype(np.float32, copy=False)
    view[:] = cv2.add(view, change, dtype=cv2.CV_8U)  # rounds to the nearest, cuts at 0 and 255


class Plate:
    """The source's texture inside an opening, carried on beyond it, to be seen through another opening."""

    def __init__(
        self, image: np.ndarray, upper: np.ndarray, lower: np.ndarray, reach_px: float, rim_px: int = 1
    ) -> None:
        """`image` uint8 (H, W, 3); the opening lies between two curves (N, 2).

        `reach_px`: how far to carry it on; `rim_px`: how far lips or lids may reach into it by the tracker's error.
        """
        height, width = image.shape[:2]
        self.box = Box.around(np.vstack([upper, lower]), reach_px, height, width)
        cover = soft_polygon(upper, lower, self.box)
        crop = self.box.of(image)
        # beyond half a pixel outside, lids or lips begin: fill from inside
        fill = (cv2.GaussianBlur(cover, (0, 0), 0.6) < 0.12).astype(np.uint8)
        if fill.all():
            fill[:] = 0
        self.texture: np.ndarray = cv2.inpaint(np.ascontiguousarray(crop), fill, 3, cv2.INPAINT_TELEA)
        wider = cv2.dilate(fill, np.ones((3, 3), np.uint8), iterations=rim_px)
        self._rimless = self.texture if wider.all() else cv2.inpaint(self.texture, wider, 3, cv2.INPAINT_TELEA)

    def sample(self, box: Box, affine: np.ndarray, rimless: float = 0.0) -> np.ndarray:
        """The plate under an affine motion source -> target (2, 3), seen in a target box: float32 (h, w, 3).

        `rimless`, 0 to 1: replace the rim by what lies further in, for an opening that shows more than the rim.
        """
        texture = cv2.addWeighted(self.texture, 1 - rimless, self._rimless, rimless, 0) if rimless else self.texture
        inverse = cv2.invertAffineTransform(affine)
        inverse[:, 2] += inverse[:, :2] @ (box.x0, box.y0) - (self.box.x0, self.box.y0)
        warped: np.ndarray = cv2.warpAffine(
            texture,
            inverse,
            (box.x1 - box.x0, box.y1 - box.y0),
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return warped.astype(np.float32)
