"""What the numbers of a decoded frame mean, and how they become the one form in which clips are stored.

Clips are stored as YUV 4:2:0, BT.601 matrix, limited range, BT.709 primaries, and say so: what readers that look at
the declaration see (players, PyAV) is then what those see that take all video for BT.601 (OpenCV).
"""

import dataclasses
import functools
from typing import Any

import cv2
import numpy as np

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]  # Y (H, W), U and V (H / 2, W / 2), uint8

_LUMA_WEIGHTS = {  # of red and blue: ITU-R BT.601-7, BT.709-6, BT.2020-2
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}
_BT2020_TO_BT709 = np.array(  # linear light, ITU-R BT.2087-0
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_WHITE_NITS = 203.0  # of diffuse white in HDR, ITU-R BT.2408
_PEAK_NITS = 1000.0
_KNEE = 0.6  # of diffuse white: darker light is left as it is
_SDR_GAMMA = 2.4  # ITU-R BT.1886

# FFmpeg's numbers (libavutil/pixfmt.h)
_MATRICES = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}
_UNSPECIFIED, _FULL_RANGE, _BT2020_PRIMARIES, _PQ, _HLG = 2, 2, 9, 16, 18


@dataclasses.dataclass(frozen=True)
class Colour:
    """`matrix`: bt601, bt709 or bt2020; `transfer`: sdr, pq or hlg; `wide`: primaries of BT.2020, not of BT.709."""

    matrix: str = "bt601"
    full_range: bool = False
    transfer: str = "sdr"
    wide: bool = False


STANDARD = Colour()


def colour_of(frame: Any) -> Colour | None:
    """What the values of a decoded YUV frame mean, as its stream declares; None for what is not YUV as known here.

    An undeclared matrix is taken as players do: BT.709 from 720 lines or 1280 columns on, else BT.601.
    """
    name = frame.format.name
    if not name.startswith(("yuv", "nv", "p0", "p4", "gray")):
        return None
    if int(frame.colorspace) == _UNSPECIFIED:
        matrix: str | None = "bt709" if frame.height >= 720 or frame.width >= 1280 else "bt601"
    else:
        matrix = _MATRICES.get(int(frame.colorspace))
    if matrix is None:
        return None
    transfer = {_PQ: "pq", _HLG: "hlg"}.get(int(frame.color_trc), "sdr")
    full = int(frame.color_range) == _FULL_RANGE or name.startswith("yuvj")
    return Colour(matrix, full, transfer, int(frame.color_primaries) == _BT2020_PRIMARIES)


def planes_of(frame: Any, reformatter: Any) -> tuple[Planes, Colour]:
    """Views of a frame's planes, converted to 8-bit 4:2:0 first where they are not; valid as long as the frame is.

    `reformatter` is an `av.video.reformatter.VideoReformatter`, kept from frame to frame.
    """
    if frame.width < 2 or frame.height < 2:
        frame = reformat(reformatter, frame, width=max(frame.width, 2), height=max(frame.height, 2))
    colour = colour_of(frame)
    if colour is None:  # RGB, or a matrix that FFmpeg had better undo
        frame = reformat(reformatter, frame, format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")
        colour = STANDARD
    elif frame.format.name not in ("yuv420p", "yuvj420p"):
        kept = "JPEG" if colour.full_range else "MPEG"
        frame = reformat(reformatter, frame, format="yuv420p", src_color_range=kept, dst_color_range=kept)
    return views_of(frame), colour


def views_of(frame: Any) -> Planes:
    """Views of the planes of a frame in 8-bit 4:2:0; they can be written to where the frame can."""
    y, u, v = (
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    )
    return y, u, v


def reformat(reformatter: Any, frame: Any, **how: Any) -> Any:
    """`av.video.reformatter.VideoReformatter.reformat`, in one thread where PyAV lets one choose (18 does, 15 not)."""
    try:
        return reformatter.reformat(frame, **how, threads=1)
    except TypeError:
        return reformatter.reformat(frame, **how)


def packed(planes: Planes) -> np.ndarray:
    """Planes Y (H, W), U and V (H / 2, W / 2) as one I420 array, uint8 (H * 3 / 2, W)."""
    height, width = planes[0].shape
    flat: np.ndarray = np.concatenate([plane.reshape(-1) for plane in planes])
    return flat.reshape(height * 3 // 2, width)


@functools.lru_cache(maxsize=16)
def _weights(colour: Colour) -> tuple[float, ...]:
    """y, yu, yv, uu, uv, vu, vv: how each output value depends on the source's, both centred, BT.601 limited range."""

    def to_rgb(matrix: str) -> np.ndarray:
        red, blue = _LUMA_WEIGHTS[matrix]
        green = 1 - red - blue
        return np.array(
            [
                [1, 0, 2 * (1 - red)],
                [1, -2 * (1 - blue) * blue / green, -2 * (1 - red) * red / green],
                [1, 2 * (1 - blue), 0],
            ]
        )

    both = np.linalg.inv(to_rgb("bt601")) @ to_rgb(colour.matrix)
    given = np.diag([1 / 255, 1 / 255, 1 / 255] if colour.full_range else [1 / 219, 1 / 224, 1 / 224])
    w = np.diag([219, 224, 224]) @ both @ given
    return tuple(float(w[i]) for i in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)))


def to_standard(planes: Planes, colour: Colour) -> np.ndarray:
    """Planes of an even size in any known colours as I420, uint8 (H * 3 / 2, W), in the standard ones."""
    if colour.transfer != "sdr" or colour.wide:
        return _from_wide(planes, colour)
    if colour == STANDARD:
        return packed(planes)
    y, u, v = planes
    black = 0 if colour.full_range else 16
    gain, yu, yv, uu, uv, vu, vv = _weights(colour)
    out_u = cv2.addWeighted(u, uu, v, uv, 128 * (1 - uu - uv))
    out_v = cv2.addWeighted(u, vu, v, vv, 128 * (1 - vu - vv))
    shift = cv2.addWeighted(u, yu, v, yv, 128 * (1 - yu - yv))  # what the chroma adds to the luma, about 128
    shift = cv2.resize(shift, (y.shape[1], y.shape[0]), interpolation=cv2.INTER_LINEAR)
    return packed((cv2.addWeighted(y, gain, shift, 1, 16 - 128 - gain * black), out_u, out_v))


def _from_wide(planes: Planes, colour: Colour) -> np.ndarray:
    """HDR or wide-gamut planes: to light, to BT.709's primaries, highlights compressed, to BT.601 limited range."""
    height, width = planes[0].shape
    chroma = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in planes[1:]]
    red, blue = _LUMA_WEIGHTS[colour.matrix]
    green = 1 - red - blue
    y = (planes[0].astype(np.float32) - (0 if colour.full_range else 16)) / (255 if colour.full_range else 219)
    u, v = ((plane.astype(np.float32) - 128) / (255 if colour.full_range else 224) for plane in chroma)
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    rgb = np.stack([r, (y - red * r - blue * b) / green, b], axis=-1).clip(0, 1)
    light = _light(rgb, colour.transfer)
    if colour.wide:
        light = cv2.transform(light, _BT2020_TO_BT709).clip(0)
    if colour.transfer != "sdr":
        light = _compressed(light)
    levels = np.round(255 * light.clip(0, 1) ** (1 / _SDR_GAMMA)).astype(np.uint8)
    out: np.ndarray = cv2.cvtColor(np.ascontiguousarray(levels), cv2.COLOR_RGB2YUV_I420)
    return out


def _light(rgb: np.ndarray, transfer: str) -> np.ndarray:
    """Displayed light of signals in [0, 1], diffuse white being 1 (SMPTE ST 2084; ITU-R BT.2100 for HLG)."""
    if transfer == "pq":
        root = rgb ** np.float32(1 / 78.84375)
        nits = 10000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** np.float32(1 / 0.1593017578)
        return np.asarray(nits / _WHITE_NITS, np.float32)
    if transfer == "hlg":
        scene = np.where(rgb <= 0.5, rgb**2 / 3, (np.exp((rgb - 0.55991073) / 0.17883277) + 0.28466892) / 12)
        luma = scene @ np.array([0.2627, 0.678, 0.0593], np.float32)
        return np.asarray(scene * luma[..., None] ** 0.2 * (_PEAK_NITS / _WHITE_NITS), np.float32)
    return np.asarray(rgb ** np.float32(_SDR_GAMMA), np.float32)


def _compressed(light: np.ndarray) -> np.ndarray:
    """Highlights up to the peak brought under 1 by a Moebius curve over the brightest channel, hue kept."""
    peak, knee = _PEAK_NITS / _WHITE_NITS, _KNEE
    a = -knee * knee * (peak - 1) / (knee * knee - 2 * knee + peak)
    b = (knee * knee - 2 * knee * peak + peak) / (peak - 1)
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    curved = (b * b + 2 * b * knee + knee * knee) / (b - a) * (brightest + a) / (brightest + b)
    out: np.ndarray = light * (np.where(brightest <= knee, brightest, curved) / brightest)
    return out


def rgb_of(i420: np.ndarray) -> np.ndarray:
    """I420 in the standard colours, uint8 (H * 3 / 2, W), as uint8 (H, W, 3) RGB."""
    rgb: np.ndarray = cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420)
    return rgb


def mean_level(i420: np.ndarray) -> float:
    """Mean of red, green and blue over all pixels, 0 to 255, of I420 in the standard colours (clipping left aside)."""
    luma = i420.shape[0] * 2 // 3
    chroma = i420[luma:].reshape(2, -1).mean(axis=1) - 128
    return float(1.164383 * (i420[:luma].mean() - 16) + (1.625034 * chroma[0] + 0.783060 * chroma[1]) / 3)
