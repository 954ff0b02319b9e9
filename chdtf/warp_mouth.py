"""The mouth behind the lips: the source's own interior where it shows one, else teeth, tongue and dark cavity."""

from dataclasses import dataclass

import cv2
import numpy as np

from chdtf.faces import INNER_LIPS, OUTER_EYE_CORNERS
from chdtf.warp_layers import Box, Plate, blend, smooth_curve, soft_line, soft_polygon
from chdtf.warp_mesh import Similarity, halves, smoothstep

# Sizes as shares of the distance between the outer eye corners (about 90 mm): widths of half an arch of teeth as
# seen from the front (central incisor outwards), and how far below the closed lip line the upper teeth end.
_UPPER_TEETH = (0.088, 0.066, 0.06, 0.046, 0.036, 0.028)
_LOWER_TEETH = (0.056, 0.06, 0.058, 0.046, 0.036, 0.03)
_TEETH_SHOW = 0.042
_OWN_INTERIOR = 0.035  # a source mouth open wider than this (gap over eye distance) has its own interior


@dataclass(frozen=True)
class Palette:
    """Colours of the drawn interior, float32 (3,) in 0..255, in the light of the image."""

    teeth: np.ndarray
    tongue: np.ndarray
    cavity: np.ndarray


def palette(image: np.ndarray, face: np.ndarray) -> Palette:
    """Interior colours from the brightness and the saturation of the skin around the mouth."""
    height, width = image.shape[:2]
    box = Box.around(face[[50, 280, 2, 200], :2], 0, height, width)
    skin = box.of(image).reshape(-1, 3).astype(np.float32)
    if not len(skin):
        skin = image.reshape(-1, 3).astype(np.float32)
    luma = skin @ np.array([0.299, 0.587, 0.114], np.float32)
    middle = np.median(skin, axis=0)
    light = float(np.clip(0.55 * np.quantile(luma, 0.9) + 70, 60, 215))
    colourful = float(np.clip((middle.max() - middle.min()) / 30, 0, 1))

    def tint(red: float, green: float, blue: float, level: float) -> np.ndarray:
        colour = np.array([red, green, blue], np.float32)
        grey = np.full(3, colour @ np.array([0.299, 0.587, 0.114]), np.float32)
        mixed: np.ndarray = (grey + (colour - grey) * colourful) * level * light
        return mixed.astype(np.float32)

    return Palette(tint(1.03, 0.98, 0.88, 1.0), tint(0.62, 0.33, 0.32, 0.9), tint(0.2, 0.08, 0.075, 0.8))


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
        self._own = float(smoothstep((opening - _OWN_INTERIOR) / 0.02))
        self._curves = smooth_curve(face[self._upper, :2]), smooth_curve(face[self._lower, :2])
        self._plate = Plate(image, *self._curves, reach_px=0.2 * self._unit_px + 2) if self._own > 0 else None

    def lift(self, source: np.ndarray, target: np.ndarray) -> None:
        """Move the lips' texture borders (in mesh points `source`) off the teeth, as far as an open mouth closes."""
        shut = smoothstep(self._closure(target) * 1.3)[1:-1, None] * self._own
        upper, lower = self._upper[1:-1], self._lower[1:-1]
        up = self._source[upper, :2] - self._source[lower, :2]
        up /= np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-6)
        source[upper, :2] = self._source[upper, :2] + up * shut * 0.012 * self._unit_px
        source[lower, :2] = self._source[lower, :2] - up * shut * 0.014 * self._unit_px

    def _closure(self, target: np.ndarray) -> np.ndarray:
        gap = np.linalg.norm(target[self._upper, :2] - target[self._lower, :2], axis=1)
        shut = np.clip(1 - gap / np.maximum(self._gap_px, 1e-6), 0, 1)
        shut[[0, -1]] = shut[[1, -2]]
        return shut

    def draw(self, frame: np.ndarray, target: np.ndarray, motion: Similarity) -> None:
        """Blend the interior into a warped frame, uint8 (H, W, 3), in place."""
        upper, lower = smooth_curve(target[self._upper, :2]), smooth_curve(target[self._lower, :2])
        box = Box.around(np.vstack([upper, lower]), 3, *frame.shape[:2])
        if box.empty:
            return
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
        blend(frame, np.broadcast_to(self._palette.cavity, (*line.shape, 3)), line, box)

    def _interior(
        self, target: np.ndarray, motion: Similarity, box: Box, opening: float, cover: np.ndarray
    ) -> np.ndarray:
        """What the open lips show: float32 (h, w, 3)."""
        x, y = box.grid()
        affine = motion.plane(self._depth)
        scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
        unit = self._unit_px * scale
        right = affine[:, 0] / max(float(np.linalg.norm(affine[:, 0])), 1e-6)
        down = np.array([-right[1], right[0]])
        jaw = affine[:, :2] @ self._source[self._upper[5], :2] + affine[:, 2]  # upper jaw: moves with the head
        lip = target[self._lower[5], :2]  # lower jaw: moves with the lower lip

        def frame_of(origin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            dx, dy = x - origin[0], y - origin[1]
            return (dx * right[0] + dy * right[1]) / unit, (dx * down[0] + dy * down[1]) / unit

        pixel = 1.0 / unit
        layer = np.broadcast_to(self._palette.cavity, (*x.shape, 3)).copy()
        u, v = frame_of(lip)
        wide = float(smoothstep((opening - 0.06) / 0.2))
        tongue = smoothstep((v + 0.02 + 0.11 * wide + 0.5 * u**2) / 0.06) * 0.75 * wide
        layer += (self._palette.tongue - layer) * tongue[..., None]
        rise = 0.005 + 0.035 * float(smoothstep((opening - 0.08) / 0.25))
        lower_teeth = _teeth(u, -v, _LOWER_TEETH, rise, 0.012, pixel)
        layer += (self._palette.teeth * 0.62 - layer) * (lower_teeth * float(smoothstep(opening / 0.15)))[..., None]
        u, v = frame_of(jaw)
        upper_teeth = _teeth(u, v, _UPPER_TEETH, _TEETH_SHOW, 0.03, pixel)
        layer += (self._palette.teeth * 0.92 - layer) * upper_teeth[..., None]
        layer *= _shade(cover, unit)[..., None]
        if self._plate is not None:
            own = self._plate.sample(box, affine)
            layer += (own - layer) * (self._own * self._own_cover(box, affine))[..., None]
        return layer

    def _own_cover(self, box: Box, affine: np.ndarray) -> np.ndarray:
        """Where the source's own interior goes: down to where its lower lip was, rounded off."""
        upper, lower = (curve @ affine[:, :2].T + affine[:, 2] for curve in self._curves)
        below = np.array([0.0, 1.0])
        return cv2.GaussianBlur(soft_polygon(upper - 40 * below, lower + 1.2 * below, box), (0, 0), 0.6)


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
    fade = 1 - 0.75 * smoothstep((across - 0.1) / (ends[-1] - 0.1))
    shade: np.ndarray = solid * ridge * fade * (across < ends[-1])
    return shade


def _shade(cover: np.ndarray, unit: float) -> np.ndarray:
    """Shadow of the lips on what is behind them: (h, w) in [0.45, 1]."""
    soft = cv2.GaussianBlur(cover, (0, 0), max(0.8, 0.022 * unit))
    return 0.5 + 0.5 * smoothstep((soft - 0.35) / 0.65)
