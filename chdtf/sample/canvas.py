"""The sample's pictures: two public-domain portraits from installed packages, framed and lit as studio shots."""

import dataclasses
import functools

import cv2
import numpy as np

PORTRAITS = ("eileen_collins", "grace_hopper")


@dataclasses.dataclass(frozen=True)
class Framing:
    """Which part of a portrait fills the frame, and in what light.

    `centre_x`, `top` and `zoom` are in portrait pixels; with a negative `top` the backdrop is mirrored upwards (at
    most to the hair or the cap: 14 rows for eileen_collins, 20 for grace_hopper).
    """

    portrait: str
    width: int
    height: int
    centre_x: float
    top: float
    zoom: float
    mirror: bool = False
    gamma: float = 1.0
    warmth: float = 0.0  # -1 (blue) to 1 (amber)
    side_light: float = 0.0  # share by which the left edge is brighter than the right one


@functools.lru_cache(maxsize=4)
def portrait(name: str) -> np.ndarray:
    """A portrait as it ships: uint8 (H, W, 3) RGB.

    `eileen_collins`: scikit-image's `astronaut` (NASA, public domain); `grace_hopper`: matplotlib's `grace_hopper.jpg`
    (US Navy, public domain).
    """
    if name == "eileen_collins":
        import skimage.data

        image: np.ndarray = skimage.data.astronaut()
        return image
    if name == "grace_hopper":
        from matplotlib import cbook

        path = cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
        return np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[:, :, ::-1])
    raise ValueError(f"no portrait {name!r}; there are {', '.join(PORTRAITS)}")


def draw_canvas(framing: Framing) -> np.ndarray:
    """The frame before any animation: uint8 (height, width, 3) RGB."""
    zoom = framing.zoom
    left = framing.centre_x - framing.width / zoom / 2
    # OpenCV counts from pixel centres: frame x shows portrait x' = left + (x + 0.5) / zoom - 0.5
    shift = [0.5 * (zoom - 1) - zoom * left, 0.5 * (zoom - 1) - zoom * framing.top]
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]], np.float64)
    canvas = cv2.warpAffine(
        portrait(framing.portrait),
        matrix,
        (framing.width, framing.height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    if framing.mirror:
        canvas = canvas[:, ::-1]
    return _relight(canvas, framing)


def _relight(image: np.ndarray, framing: Framing) -> np.ndarray:
    """Gamma, white balance and a horizontal fall-off of the light."""
    light = (image.astype(np.float32) / 255) ** framing.gamma
    light *= np.array([1 + 0.06 * framing.warmth, 1, 1 - 0.08 * framing.warmth], np.float32)
    across = np.linspace(0.5, -0.5, image.shape[1], dtype=np.float32)[None, :, None]
    light *= 1 + framing.side_light * across
    return np.ascontiguousarray(np.clip(np.round(light * 255), 0, 255).astype(np.uint8))


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two pictures of one height side by side in one frame."""
    return np.ascontiguousarray(np.concatenate([left, right], axis=1))


def empty_scene(width: int, height: int) -> np.ndarray:
    """A landscape without anybody in it: sky, hills, a lake; uint8 (height, width, 3) RGB."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = x / width, y / height
    image = np.empty((height, width, 3), np.float32)
    image[:] = np.stack([110 + 90 * v, 160 + 60 * v, 225 + 10 * v], axis=-1)
    ridges = (
        (0.50 + 0.06 * np.sin(5 * u + 0.5) + 0.03 * np.sin(13 * u), (120, 140, 165)),
        (0.60 + 0.05 * np.sin(4 * u + 2.0) + 0.02 * np.sin(17 * u + 1), (88, 120, 96)),
        (0.74 + 0.02 * np.sin(6 * u + 4.0), (60, 92, 62)),
    )
    for ridge, colour in ridges:
        cover = np.clip((v - ridge) * height / 2 + 0.5, 0, 1)[..., None]
        image = image * (1 - cover) + np.array(colour, np.float32) * cover
    lake = np.clip((v - 0.86) * height / 2 + 0.5, 0, 1)[..., None]
    water = np.stack([80 + 20 * np.sin(180 * v), 120 + 20 * np.sin(180 * v), 160 + 20 * np.sin(180 * v)], axis=-1)
    image = image * (1 - lake) + water * lake
    scene: np.ndarray = np.clip(image, 0, 255).astype(np.uint8)
    return scene
