"""The mouth behind the lips: the source's own interior where it shows one, else teeth, tongue and dark cavity."""

from dataclasses import dataclass

import cv2
import numpy as np

from chdtf.faces import INNER_LIPS, OUTER_EYE_CORNERS, OUTER_LIPS
from chdtf.warp.layers import Box, Plate, blend, smooth_curve, soft_line, soft_polygon
from chdtf.warp.mesh import Motion, halves, smoothstep

# Sizes as shares of the distance between the outer eye corners (about 90 mm): widths of half an arch of teeth as
# seen from the front (central incisor outwards), and how far below the closed lip line the upper teeth end.
_UPPER_TEETH = (0.088, 0.066, 0.06, 0.046, 0.036, 0.028)
_LOWER_TEETH = (0.056, 0.06, 0.058, 0.046, 0.036, 0.03)
_TEETH_SHOW = 0.042
# The rings of either lip from the inner to the outer contour, columns from the subject's right corner to the left one,
# the corners left out: (2, 4, 9).
LIP_RINGS = np.array(
    [
        [
            halves(INNER_LIPS)[0][1:-1],
            (183, 42, 41, 38, 12, 268, 271, 272, 407),
            (184, 74, 73, 72, 11, 302, 303, 304, 408),
            halves(OUTER_LIPS)[0][1:-1],
        ],
        [
            halves(INNER_LIPS)[1][1:-1],
            (96, 89, 179, 86, 15, 316, 403, 319, 325),
            (77, 90, 180, 85, 16, 315, 404, 320, 307),
            halves(OUTER_LIPS)[1][1:-1],
        ],
    ]
)
CORNER_RINGS = ((78, 62, 76, 61), (308, 292, 306, 291))  # the columns between the lips, likewise
_OWN_INTERIOR = (0.035, 0.055)  # gap over eye distance up to which a mouth shows nothing of its interior, and all from


@dataclass(frozen=True)
class Palette:
    """Colours of the drawn interior, float32 (3,) in 0..255, in the light of the image."""

    teeth: np.ndarray
    tongue: np.ndarray
    cavity: np.ndarray
    lip_line: np.ndarray


def palette(image: np.ndarray, face: np.ndarray) -> Palette:
    """Interior colours from the light on the skin around the mouth and the colour of the lips."""
    luma_weights = np.array([0.299, 0.587, 0.114], np.float32)
    skin = _pixels(image, face[[50, 280, 2, 200], :2])
    lips = np.median(_pixels(image, face[[84, 314, 17], :2]), axis=0)
    luma = skin @ luma_weights
    light = float(np.clip(0.6 * np.quantile(luma, 0.9) + 62, 50, 205))
    tone = np.median(skin, axis=0)
    tone = tone / max(float(tone @ luma_weights), 1.0)
    flesh = 0.5 * tone + 0.5 * lips / max(float(lips @ luma_weights), 1.0)
    colourful = float(np.clip((tone.max() - tone.min()) / 0.25, 0, 1))  # grey images get grey interiors
    red = 1 + np.array([0.18, -0.12, -0.1], np.float32) * colourful
    teeth = light * (0.72 + 0.28 * tone) * (1 + np.array([0.0, 0.0, -0.03], np.float32) * colourful)
    return Palette(teeth, 0.33 * light * flesh * red, 0.11 * light * flesh * red, 0.5 * lips * red)


def _pixels(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The pixels of the box of some points, float32 (N, 3)."""
    box = Box.around(points, 0, *image.shape[:2])
    return box.of(image).reshape(-1, 3).astype(np.float32)


def shows_interior(opening: float) -> float:
    """Share, 0 to 1, to which lips that are so far apart (gap over eye distance) show what lies behind them."""
    least, most = _OWN_INTERIOR
    return float(smoothstep((opening - least) / (most - least)))


def order_lips(face: np.ndarray) -> None:
    """Bring the rings of each lip into order from the inner to the outer contour, (468, 3) in place.

    MediaPipe puts the middle rings of smiling lips inside the mouth, where they would draw teeth over lips.
    """
    for rings in LIP_RINGS:
        inner, outer = face[rings[0], :2], face[rings[3], :2]
        span = np.maximum(((outer - inner) ** 2).sum(1), 1e-9)
        low = 0.0
        for ring, least, most in ((rings[1], 0.2, 0.6), (rings[2], 0.45, 0.9)):
            place = ((face[ring, :2] - inner) * (outer - inner)).sum(1) / span
            low = np.clip(np.maximum(place, low + 0.1), least, most)
            face[ring, :2] += (low - place)[:, None] * (outer - inner)


class Mouth:
    """The mouth of a source image; `draw` puts it behind the lips of a warped frame."""

    def __init__(self, image: np.ndarray, face: np.ndarray) -> None:
        """`image` uint8 (H, W, 3), `face` (468, 3) in pixel-centre coordinates."""
        self._upper, self._lower = halves(INNER_LIPS)
        self._source = face
        right, left = face[list(OUTER_EYE_CORNERS), :2]
        self._unit_px = float(np.linalg.norm(left - right))
        self._palette = palette(image, face)
        self._gap_px = np.linalg.norm(face[self._upper, :2] - face[self._lower, :2], axis=1)
        self._depth = float(face[[self._upper[5], self._lower[5]], 2].mean()) + 0.06 * self._unit_px
        opening = float(self._gap_px.max()) / self._unit_px
        self._own = shows_interior(opening)
        self._curves = smooth_curve(face[self._upper, :2]), smooth_curve(face[self._lower, :2])
        reach, rim = 0.2 * self._unit_px + 2, round(0.5 + 0.01 * self._unit_px)
        self._plate = Plate(image, *self._curves, reach, rim) if self._own > 0 else None
        self._split = _split_of_jaws(image, *self._curves, float(self._palette.teeth.mean())) if self._own > 0 else 1.0

    def lift(self, source: np.ndarray, target: np.ndarray) -> None:
        """Move the lips' texture borders (in mesh points `source`) off the teeth, as far as an open mouth closes."""
        shut = smoothstep(self._closure(target) * 1.3) * self._own * (0.011 * self._unit_px + 0.9)
        corners = np.array(CORNER_RINGS).T
        for rings, wanted in ((LIP_RINGS[0], shut[1:-1]), (LIP_RINGS[1], shut[1:-1]), (corners, shut[[0, -1]])):
            points = self._source[rings, :2]  # (4, n, 2)
            lip = points[3] - points[0]
            thickness = np.maximum(np.linalg.norm(lip, axis=1), 1e-6)
            margin = np.minimum(wanted / thickness, 0.8)[:, None] * lip  # (n, 2)
            place = np.linalg.norm(points - points[0], axis=2) / thickness  # 0 at the inner, 1 at the outer contour
            source[rings, :2] = points + np.clip(1 - place, 0, 1)[..., None] * margin

    def _closure(self, target: np.ndarray) -> np.ndarray:
        gap = np.linalg.norm(target[self._upper, :2] - target[self._lower, :2], axis=1)
        shut: np.ndarray = np.clip(1 - gap / np.maximum(self._gap_px, 1e-6), 0, 1)
        shut[[0, -1]] = shut[[1, -2]]
        return shut

    def draw(self, frame: np.ndarray, target: np.ndarray, motion: Motion) -> None:
        """Blend the interior into a warped frame, uint8 (H, W, 3), in place."""
        upper, lower = smooth_curve(target[self._upper, :2]), smooth_curve(target[self._lower, :2])
        box = Box.around(np.vstack([upper, lower]), 3, *frame.shape[:2])
        gap = float(np.linalg.norm(upper - lower, axis=1).max())
        grown = gap - float(self._gap_px.max())
        visible = self._own + (1 - self._own) * float(np.clip(grown / max(1.0, 0.012 * self._unit_px), 0, 1))
        if visible > 0:
            cover = soft_polygon(upper, lower, box)
            layer = self._interior(target, motion, box, gap / self._unit_px, cover)
            blend(frame, layer, cover * visible, box)
        if self._own > 0:
            self._draw_lip_line(frame, (upper + lower) / 2, target, box)

    def _draw_lip_line(self, frame: np.ndarray, middle: np.ndarray, target: np.ndarray, box: Box) -> None:
        shut = smoothstep((self._closure(target) - 0.75) * 4) * self._own
        strength = np.interp(np.linspace(0, 1, len(middle)), np.linspace(0, 1, len(shut)), shut)
        if strength.max() < 0.02:
            return
        line = soft_line(middle, 0.35 * strength, max(0.7, 0.012 * self._unit_px), box)
        blend(frame, np.broadcast_to(self._palette.lip_line, (*line.shape, 3)), line, box)

    def _interior(self, target: np.ndarray, motion: Motion, box: Box, opening: float, cover: np.ndarray) -> np.ndarray:
        """What the open lips show: float32 (h, w, 3)."""
        upper_jaw = motion.plane(self._depth)  # moves with the head
        lower_jaw = upper_jaw.copy()  # moves with the lower lip
        lip = list(self._lower[4:7])
        lower_jaw[:, 2] += (target[lip, :2] - _move(upper_jaw, self._source[lip, :2])).mean(0)
        layer = self._drawn(upper_jaw, smooth_curve(target[self._lower, :2]), box, opening)
        layer *= _shade(cover, self._unit_px)
        if self._plate is None:
            return layer
        upper, lower = self._curves
        split = upper + (lower - upper) * self._split
        rimless = float(smoothstep((opening - float(self._gap_px.max()) / self._unit_px) / 0.03))
        below = np.array([0.0, 1.0])
        if self._split < 1:
            own = self._plate.sample(box, lower_jaw, rimless)
            where = soft_polygon(_move(lower_jaw, split - 2.2 * below), _move(lower_jaw, lower + 40 * below), box)
            layer += (own - layer) * cv2.GaussianBlur(where, (0, 0), 0.8)[..., None]
        own = self._plate.sample(box, upper_jaw, rimless)
        end = split if self._split < 1 else lower + 1.2 * below
        where = soft_polygon(_move(upper_jaw, upper - 40 * below), _move(upper_jaw, end), box)
        layer += (own - layer) * cv2.GaussianBlur(where, (0, 0), 0.6)[..., None]
        return layer

    def _drawn(self, upper_jaw: np.ndarray, lip: np.ndarray, box: Box, opening: float) -> np.ndarray:
        """Cavity, tongue and two rows of teeth in even light, over the lower lip (N, 2): float32 (h, w, 3)."""
        x, y = box.grid()
        unit = self._unit_px * float(np.sqrt(abs(np.linalg.det(upper_jaw[:, :2]))))
        right = upper_jaw[:, 0] / max(float(np.linalg.norm(upper_jaw[:, 0])), 1e-6)
        down = np.array([-right[1], right[0]])

        def frame_of(origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            dx, dy = x - origin[0], y - origin[1]
            return (dx * right[0] + dy * right[1]) / unit, (dx * down[0] + dy * down[1]) / unit

        pixel = 1.0 / unit
        layer = np.broadcast_to(self._palette.cavity, (*x.shape, 3)).copy()
        u, v = frame_of(lip[len(lip) // 2])
        along = (lip - lip[len(lip) // 2]) @ np.column_stack([right, down]) / unit
        above = v - np.interp(u, np.maximum.accumulate(along[:, 0]), along[:, 1])  # 0 at the lower lip, negative above
        wide = float(smoothstep((opening - 0.05) / 0.2))
        tongue = smoothstep((0.25 * v + 0.75 * above + 0.02 + 0.10 * wide) / 0.07) * (0.55 + 0.35 * wide)
        layer += (self._palette.tongue - layer) * tongue[..., None]
        layer += (self._palette.lip_line - layer) * (0.6 * np.exp(-((above / 0.016) ** 2)))[..., None]  # its inner side
        rise = -0.004 + 0.055 * float(smoothstep((opening - 0.08) / 0.2))
        lower_teeth = _teeth(u, -v, _LOWER_TEETH, rise, 0.05, pixel) * float(smoothstep((opening - 0.08) / 0.12))
        shaded = 0.5 * self._palette.teeth + 0.4 * self._palette.tongue  # what light they get comes from lip and tongue
        layer += (shaded - layer) * (0.9 * lower_teeth)[..., None]
        u, v = frame_of(_move(upper_jaw, self._source[self._upper[5], :2]))
        upper_teeth = _teeth(u, v, _UPPER_TEETH, _TEETH_SHOW, 0.05, pixel)
        layer += (self._palette.teeth - layer) * upper_teeth[..., None]
        return layer


def _move(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """An affine map (2, 3) of points (..., 2)."""
    moved: np.ndarray = points @ affine[:, :2].T + affine[:, 2]
    return moved


def _split_of_jaws(image: np.ndarray, upper: np.ndarray, lower: np.ndarray, teeth: float) -> float:
    """Where, from the upper (0) to the lower lip (1), the source's interior passes from the upper to the lower jaw.

    That is the darkest place beyond the brightest, teeth being bright; 1 where no lower teeth show
    (half as bright as `teeth`).
    """
    steps = np.linspace(0.16, 0.84, 15)
    middle = slice(len(upper) // 3, -(len(upper) // 3))
    places = upper[middle] + (lower[middle] - upper[middle]) * steps[:, None, None]  # (15, n, 2)
    x, y = np.moveaxis(places, 2, 0).astype(np.float32)
    luma: np.ndarray = cv2.remap(image, x, y, cv2.INTER_LINEAR).mean((1, 2))
    brightest, darkest = int(luma.argmax()), len(steps)
    if brightest <= 0.6 * len(steps):
        darkest = brightest + int(luma[brightest:].argmin())
    elif brightest >= 3:
        darkest = 2 + int(luma[2 : brightest + 1].argmin())
    if darkest == len(steps) or luma[darkest] > 0.65 * luma[brightest]:
        return 1.0
    return float(steps[darkest]) if luma[darkest:].max() > 0.5 * teeth else 1.0


def _teeth(
    u: np.ndarray, v: np.ndarray, widths: tuple[float, ...], edge: float, curve: float, pixel: float
) -> np.ndarray:
    """Coverage and shading of a row of teeth that ends at v = edge in the middle: (h, w) in [0, 1]."""
    ends = np.cumsum(widths)
    across = np.abs(u)
    tooth = np.minimum(np.searchsorted(ends, across), len(widths) - 1)
    width = np.array(widths)[tooth]
    place = np.clip((across - (ends[tooth] - width)) / width * 2 - 1, -1, 1)  # -1..1 across the tooth
    arch = (across / ends[-1]) ** 2
    low = edge - curve * arch - 0.008 * np.abs(place) ** 3
    solid = np.clip((low - v) / (1.5 * pixel) + 0.5, 0, 1)
    ridge = 1 - 0.16 * smoothstep((np.abs(place) - 0.7) / 0.3)
    fade = 1 - 0.8 * smoothstep((across - 0.08) / (ends[-1] - 0.1))
    shade: np.ndarray = solid * ridge * fade * (across < ends[-1])
    return shade


def _shade(cover: np.ndarray, unit: float) -> np.ndarray:
    """Shadow of the lips, the upper one above all, warmer where it is darker: float32 (h, w, 3) in [0, 1]."""
    soft = cv2.GaussianBlur(cover, (0, 0), max(0.8, 0.022 * unit))
    lowered = cv2.warpAffine(
        soft, np.array([[1, 0, 0], [0, 1, 0.022 * unit]]), soft.shape[::-1], borderMode=cv2.BORDER_REPLICATE
    )
    light = 0.55 + 0.45 * smoothstep((lowered - 0.2) / 0.75)
    shade: np.ndarray = light[..., None] ** np.array([0.85, 1.08, 1.12], np.float32)
    return shade
