"""An eye: the eyeball stays with the head, the lids move over it."""

import cv2
import numpy as np

from chdtf.warp_layers import Box, Plate, blend, smooth_curve, soft_line, soft_polygon
from chdtf.warp_mesh import Similarity, halves, smoothstep


class Eye:
    """One eye of a source image; `draw` puts it behind the lids of a warped frame."""

    def __init__(self, image: np.ndarray, face: np.ndarray, contour: tuple[int, ...]) -> None:
        """`image` uint8 (H, W, 3), `face` (468, 3) in pixel-centre coordinates."""
        self._upper, self._lower = halves(contour)
        self._source = face
        corners = face[[self._upper[0], self._upper[-1]]]
        self._width_px = float(np.linalg.norm(corners[1, :2] - corners[0, :2]))
        self._depth = float(corners[:, 2].mean())
        self._gap_px = np.linalg.norm(face[self._upper, :2] - face[self._lower, :2], axis=1)
        curves = smooth_curve(face[self._upper, :2]), smooth_curve(face[self._lower, :2])
        self._plate = Plate(image, *curves, reach_px=0.35 * self._width_px + 2)
        self._lash_colour = _dark_colour(self._plate, *curves)

    def closure(self, target: np.ndarray) -> np.ndarray:
        """Share of the source's opening that the lids have closed, in [0, 1], at each pair of contour vertices."""
        gap = np.linalg.norm(target[self._upper, :2] - target[self._lower, :2], axis=1)
        wide = np.maximum(self._gap_px, 0.05 * self._width_px)
        shut = np.clip((wide - gap) / wide, 0, 1)
        shut[[0, -1]] = shut[[1, -2]]
        return shut

    def lift(self, source: np.ndarray, target: np.ndarray) -> None:
        """Move the lids' texture borders (in mesh points `source`) off the eyeball, as far as the eye closes."""
        shut = smoothstep(self.closure(target) * 1.5)[1:-1, None]
        upper, lower = self._upper[1:-1], self._lower[1:-1]
        up = self._source[upper, :2] - self._source[lower, :2]
        up /= np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-6)
        source[upper, :2] = self._source[upper, :2] + up * shut * 0.035 * self._width_px
        source[lower, :2] = self._source[lower, :2] - up * shut * 0.03 * self._width_px

    def draw(self, frame: np.ndarray, target: np.ndarray, motion: Similarity) -> None:
        """Blend eyeball and lash line into a warped frame, uint8 (H, W, 3), in place."""
        upper, lower = smooth_curve(target[self._upper, :2]), smooth_curve(target[self._lower, :2])
        box = Box.around(np.vstack([upper, lower]), 0.12 * self._width_px + 2, *frame.shape[:2])
        if box.empty:
            return
        affine = motion.plane(self._depth)
        ends = [self._upper[0], self._upper[-1]]
        affine[:, 2] += (target[ends, :2] - (self._source[ends, :2] @ affine[:, :2].T + affine[:, 2])).mean(0)
        cover = soft_polygon(upper, lower, box)
        eyeball = self._plate.sample(box, affine)
        shut = self.closure(target)
        if shut.max() > 0.02:  # the lid's shadow falls on the eyeball
            shade = cv2.GaussianBlur(cover, (0, 0), max(0.5, 0.04 * self._width_px))
            eyeball *= (1 - 0.45 * float(shut.max()) * (1 - shade))[..., None]
        blend(frame, eyeball, cover, box)
        self._draw_lashes(frame, upper, shut, box)

    def _draw_lashes(self, frame: np.ndarray, upper: np.ndarray, shut: np.ndarray, box: Box) -> None:
        strength = np.interp(np.linspace(0, 1, len(upper)), np.linspace(0, 1, len(shut)), smoothstep(shut))
        if strength.max() < 0.02:
            return
        taper = np.sin(np.pi * np.linspace(0.08, 0.92, len(upper))) ** 0.5
        line = soft_line(upper, 0.8 * strength * taper, max(0.7, 0.045 * self._width_px), box)
        blend(frame, np.broadcast_to(self._lash_colour, (*line.shape, 3)), line, box)


def _dark_colour(plate: Plate, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Mean colour of the darkest tenth of the opening: lashes and pupil, float32 (3,)."""
    inside = soft_polygon(upper, lower, plate.box) > 0.5
    pixels = plate.texture[inside] if inside.any() else plate.texture.reshape(-1, 3)
    luma = pixels.astype(np.float32).mean(1)
    dark: np.ndarray = pixels[luma <= np.quantile(luma, 0.1)].astype(np.float32).mean(0)
    return dark
