"""An eye: the eyeball stays with the head, the lids move over it."""

import cv2
import numpy as np

from chdtf.warp.layers import Box, Plate, blend, places, smooth_curve, soft_line, soft_polygon
from chdtf.warp.mesh import Motion, halves, smoothstep


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
        up = face[self._upper[1:-1], :2] - face[self._lower[1:-1], :2]
        self._up = up / np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-6)
        curves = smooth_curve(face[self._upper, :2]), smooth_curve(face[self._lower, :2])
        self._plate = Plate(image, *curves, reach_px=0.35 * self._width_px + 2)
        self._lids = _bare_lids(image, *curves, self._width_px)
        skin = self._lids[0].reshape(-1, 3).astype(np.float32).mean(0)
        luma = 0.36 * _dark_luma(self._plate, *curves) + 0.22 * float(skin.mean())
        self._lash_colour = luma * (skin / max(float(skin.mean()), 1.0)) ** 1.6

    def closure(self, target: np.ndarray) -> np.ndarray:
        """Share of the source's opening that the lids have closed, in [0, 1], at each pair of contour vertices."""
        gap = np.linalg.norm(target[self._upper, :2] - target[self._lower, :2], axis=1)
        wide = np.maximum(self._gap_px, 0.05 * self._width_px)
        shut: np.ndarray = np.maximum((wide - gap) / wide, 0)
        shut[[0, -1]] = shut[[1, -2]]
        return shut

    def lift(self, source: np.ndarray, closure: np.ndarray) -> None:
        """Move the lids' texture borders (in mesh points `source`) off the eyeball, as far as the eye closes."""
        shut = smoothstep(closure * 1.5)[1:-1, None]
        upper, lower = self._upper[1:-1], self._lower[1:-1]
        up = self._up
        source[upper, :2] = self._source[upper, :2] + up * shut * (0.025 * self._width_px + 0.5)
        first, last = self._upper[[0, -1]]
        out = (self._source[last, :2] - self._source[first, :2]) / self._width_px * shut[[0, -1]]
        source[first, :2], source[last, :2] = self._source[first, :2] - out[0], self._source[last, :2] + out[1]
        source[lower, :2] = self._source[lower, :2] - up * shut * (0.02 * self._width_px + 0.5)

    def cover(self, frame: np.ndarray, maps: np.ndarray, at: Box, target: np.ndarray, closure: np.ndarray) -> None:
        """Turn what the closing lids carry along into bare skin, in place.

        `maps`: where the pixels of the box `at` of the frame come from in the source, x + iy, complex64 (h, w).
        """
        amount = float(smoothstep(1.6 * float(closure.mean())))
        box = Box.around(target[self._upper, :2], 0.6 * self._width_px, *frame.shape[:2]).within(at)
        if amount < 0.01 or box.empty:
            return
        patch, mask, corner = self._lids
        wanted = places(box.of(maps, at) - np.complex64(complex(*corner)))
        bare = cv2.remap(patch, wanted, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        share = cv2.remap(mask, wanted, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        blend(frame, bare.astype(np.float32), share * amount, box)

    def draw(self, frame: np.ndarray, target: np.ndarray, motion: Motion, closure: np.ndarray) -> None:
        """Blend eyeball and lash line into a warped frame, uint8 (H, W, 3), in place."""
        upper, lower = smooth_curve(target[self._upper, :2]), smooth_curve(target[self._lower, :2])
        box = Box.around(np.vstack([upper, lower]), 0.12 * self._width_px + 2, *frame.shape[:2])
        affine = motion.plane(self._depth)
        ends = [self._upper[0], self._upper[-1]]
        affine[:, 2] += (target[ends, :2] - (self._source[ends, :2] @ affine[:, :2].T + affine[:, 2])).mean(0)
        cover = soft_polygon(upper, lower, box)
        eyeball = self._plate.sample(box, affine)
        if closure.max() > 0.02:  # the lid's shadow falls on the eyeball
            shade = cv2.GaussianBlur(cover, (0, 0), max(0.5, 0.04 * self._width_px))
            eyeball *= (1 - 0.45 * float(closure.max()) * (1 - shade))[..., None]
        blend(frame, eyeball, cover, box)
        self._draw_lashes(frame, upper, closure, box)

    def _draw_lashes(self, frame: np.ndarray, upper: np.ndarray, shut: np.ndarray, box: Box) -> None:
        if shut.max() < 0.08:  # smoothstep(0.08) < 0.02
            return
        strength = np.interp(np.linspace(0, 1, len(upper)), np.linspace(0, 1, len(shut)), smoothstep(shut))
        taper = np.sin(np.pi * np.linspace(0.03, 0.97, len(upper))) ** 0.7
        line = soft_line(upper, np.minimum(1.06 * strength * taper, 1), max(0.7, 0.074 * self._width_px), box)
        blend(frame, np.broadcast_to(self._lash_colour, (*line.shape, 3)), line, box)


def _dark_luma(plate: Plate, upper: np.ndarray, lower: np.ndarray) -> float:
    """Mean brightness of the darkest tenth of the opening: lashes and pupil."""
    luma = plate.texture.mean(2)
    inside = soft_polygon(upper, lower, plate.box) > 0.5
    luma = luma[inside] if inside.any() else luma.ravel()
    return float(luma[luma <= np.quantile(luma, 0.1)].mean())


def _bare_lids(
    image: np.ndarray, upper: np.ndarray, lower: np.ndarray, width_px: float
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """The skin that an eye without lashes and eyeball would show, uint8 (h, w, 3), where to use it, and its corner."""
    box = Box.around(np.vstack([upper, lower]), 0.5 * width_px + 2, *image.shape[:2])
    crop = np.ascontiguousarray(box.of(image))
    # widest in the middle: at the corners the patch ends in points
    bulge = np.sin(np.pi * np.linspace(0, 1, len(upper))) ** 0.4
    up = np.column_stack([np.zeros(len(upper)), -0.2 * width_px * bulge])
    wide = soft_polygon(upper + up, lower - 1.4 * up, box)
    ring = cv2.dilate(wide, np.ones((3, 3)), iterations=max(1, round(0.08 * width_px))) - wide > 0.5
    around = (crop[ring] if ring.any() else crop.reshape(-1, 3)).astype(np.float32)
    luma = around.mean(1)
    skin = around[luma >= np.quantile(luma, 0.4)].mean(0)
    filled = cv2.inpaint(crop, (wide > 0.35).astype(np.uint8), 3, cv2.INPAINT_TELEA).astype(np.float32)
    filled = cv2.GaussianBlur(filled, (0, 0), max(0.8, 0.05 * width_px))
    # frames of glasses and brows must not run into the lids
    dark = smoothstep((0.95 - filled.mean(2, keepdims=True) / max(float(skin.mean()), 1.0)) / 0.2)
    filled = filled + (skin * 0.96 - filled) * (0.4 + 0.5 * dark)
    filled = cv2.GaussianBlur(filled, (0, 0), max(0.6, 0.03 * width_px))
    # lids that look like skin already keep their own texture; eyeball and lashes do not
    strange = np.abs(crop.mean(2) / np.maximum(filled.mean(2), 1.0) - 1)
    odd = cv2.GaussianBlur(smoothstep((strange - 0.08) / 0.15), (0, 0), max(0.5, 0.03 * width_px))
    inside = soft_polygon(upper + 0.2 * up, lower - 0.2 * up, box)
    share = np.maximum(inside, wide * np.minimum(3 * odd + 0.2, 1)).astype(np.float32)
    # the lash line goes down with the lid
    lashes = soft_line(upper + 0.3 * up, np.full(len(upper), 1.0), 0.05 * width_px, box)
    share = cv2.GaussianBlur(share, (0, 0), max(0.5, 0.05 * width_px))
    share = np.maximum(share, inside)
    share = cv2.GaussianBlur(share * (1 - 0.25 * np.minimum(1.2 * lashes, 1)), (0, 0), max(0.4, 0.02 * width_px))
    return np.clip(filled, 0, 255).astype(np.uint8), share, (box.x0, box.y0)
