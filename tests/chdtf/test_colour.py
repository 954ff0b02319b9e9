"""Colours of a clip are the source's, for whoever reads it: OpenCV, PyAV, a player."""

import subprocess
from pathlib import Path
from typing import Any

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from chdtf import media
from chdtf.colour import STANDARD, Colour, mean_level, rgb_of, to_standard
from chdtf.encode import write_video
from chdtf.region import read_footage

PATCHES = np.array(  # colours of skin, lips, sky, leaves; primaries at three quarters; greys
    [
        [[115, 82, 68], [194, 150, 130], [98, 122, 157], [87, 108, 67]],
        [[191, 0, 0], [0, 191, 0], [0, 0, 191], [191, 191, 0]],
        [[191, 0, 191], [0, 191, 191], [150, 60, 70], [235, 190, 170]],
        [[16, 16, 16], [90, 90, 90], [160, 160, 160], [240, 240, 240]],
    ],
    np.uint8,
)
FFMPEG = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
SIDE = 512


def card(folder: Path, matrix: str, full_range: bool, pix_fmt: str = "yuv420p") -> Path:
    """A test card of 4 x 4 patches as a video that declares its colours, made by FFmpeg alone."""
    image = np.kron(PATCHES, np.ones((SIDE // 4, SIDE // 4, 1), np.uint8))
    cv2.imwrite(str(folder / "card.png"), image[..., ::-1])
    level = "full" if full_range else "limited"
    how = f"scale=out_color_matrix={matrix}:out_range={level}:flags=accurate_rnd,format={pix_fmt},"
    how += f"setparams=colorspace={matrix}:range={level}"
    coding = ["-c:v", "libx264", "-crf", "1", "-preset", "ultrafast"]
    loop = ["-loop", "1", "-framerate", "25", "-t", "0.4", "-i", str(folder / "card.png")]
    subprocess.run([*FFMPEG, *loop, "-vf", how, *coding, str(folder / "card.mp4")], check=True)
    return folder / "card.mp4"


def patches(image: np.ndarray) -> np.ndarray:
    """Mean colours in the middle of the 4 x 4 patches, float (4, 4, 3)."""
    side = image.shape[0] // 4
    tiles = image.reshape(4, side, 4, side, 3)[:, side // 4 : -side // 4, :, side // 4 : -side // 4]
    return tiles.mean((1, 3))


@pytest.mark.parametrize(
    ("matrix", "full_range", "pix_fmt"),
    [
        ("bt709", False, "yuv420p"),
        ("bt709", True, "yuv420p"),
        ("smpte170m", False, "yuv420p"),
        ("smpte170m", True, "yuv420p"),
        ("bt709", False, "yuv444p"),
        ("bt709", False, "yuv422p10le"),
        ("bt709", True, "yuv420p10le"),
    ],
)
def test_a_clip_shows_the_colours_of_its_source(tmp_path: Path, matrix: str, full_range: bool, pix_fmt: str) -> None:
    """Within 4 of 255, and 1.5 on average, for every reader; as near as FFmpeg's own scaling to RGB."""
    source = card(tmp_path, matrix, full_range, pix_fmt)
    footage = read_footage(source, 0, 0.4, None)
    clip = tmp_path / "clip.mp4"
    write_video(clip, footage.crop((0, 0, 1, 1), 256), crf=1)
    with av.open(str(clip)) as container:
        frame = next(container.decode(video=0))
        assert (int(frame.colorspace), int(frame.color_range)) == (6, 1)
        pyav = frame.to_ndarray(format="rgb24")
    capture = cv2.VideoCapture(str(clip))
    opencv = capture.read()[1][..., ::-1]
    capture.release()
    raw = ["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    player = subprocess.run([*FFMPEG, "-i", str(clip), *raw], check=True, capture_output=True).stdout
    for shown in (pyav, opencv, np.frombuffer(player, np.uint8).reshape(256, 256, 3)):
        assert np.abs(patches(shown) - PATCHES).max() < 4.5
        assert np.abs(patches(shown) - PATCHES).mean() < 1.5
    scaled = subprocess.run([*FFMPEG, "-i", str(source), "-vf", "scale=256:256", *raw], check=True, capture_output=True)
    direct = np.frombuffer(scaled.stdout, np.uint8).reshape(256, 256, 3)
    ours, theirs = (np.abs(patches(image) - PATCHES).mean() for image in (pyav, direct))
    assert ours < theirs + 1


def test_undeclared_colours_are_taken_as_players_take_them(tmp_path: Path) -> None:
    for width, height, matrix in ((1280, 720, "bt709"), (640, 480, "bt601")):
        with av.open(str(tmp_path / "a.mkv"), "w") as container:
            stream: Any = container.add_stream("libx264", rate=25)
            stream.width, stream.height = width, height
            container.mux(stream.encode(av.VideoFrame(width, height, "yuv420p")))
            container.mux(stream.encode(None))
        assert read_footage(tmp_path / "a.mkv", 0, 1, None).colour == Colour(matrix)


@pytest.mark.parametrize("codec", ["rawvideo", "ffv1"])
def test_rgb_video_keeps_its_colours(tmp_path: Path, codec: str) -> None:
    image = np.kron(PATCHES, np.ones((32, 32, 1), np.uint8))
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width = stream.height = 128
        stream.pix_fmt = "bgr24" if codec == "rawvideo" else "bgr0"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
    footage = read_footage(tmp_path / "a.avi", 0, 1, None)
    assert footage.colour == STANDARD
    assert np.abs(patches(rgb_of(next(iter(footage.crop((0, 0, 1, 1), 128))))) - PATCHES).max() < 4


def encoded(light_nits: np.ndarray, transfer: str) -> np.ndarray:
    """Signal of light (nits, BT.709 primaries), in HDR: SMPTE ST 2084, or BT.2100's HLG for a display of 1000 nits."""
    light = (
        light_nits
        @ np.linalg.inv([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]).T
    )
    if transfer == "pq":
        power = (light.clip(0) / 10000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    luma = light @ [0.2627, 0.678, 0.0593]
    scene = light / 1000 * np.maximum(luma / 1000, 1e-9)[..., None] ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene.clip(0)), high)


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_hdr_comes_out_as_ordinary_video(transfer: str) -> None:
    """Light below the knee as it was, white white, highlights above it not clipped but in order, hue kept."""
    nits = 203 * (PATCHES / 255.0) ** 2.4
    signal = encoded(nits, transfer)
    red, blue = 0.2627, 0.0593
    luma = signal @ [red, 1 - red - blue, blue]
    chroma = [(signal[..., i] - luma) / (2 * (1 - weight)) for i, weight in ((2, blue), (0, red))]
    planes = [np.kron(np.round(16 + 219 * luma), np.ones((32, 32)))]
    planes += [np.kron(np.round(128 + 224 * part), np.ones((16, 16))) for part in chroma]
    y, u, v = (plane.astype(np.uint8) for plane in planes)
    shown = patches(rgb_of(to_standard((y, u, v), Colour("bt2020", False, transfer, True))))
    dark = (PATCHES.max(-1) / 255.0) ** 2.4 < 0.6
    dark[1, :], dark[2, :2] = False, False  # one channel near 0: 8 bits of an HDR signal are too coarse for that
    assert dark.sum() >= 6
    assert np.abs(shown - PATCHES)[dark].max() < 6
    assert np.abs(shown - PATCHES).mean() < 6
    ramp = encoded(np.linspace(150, 900, 16)[:, None] * np.ones(3), transfer)[:, 1]
    y = np.kron(np.round(16 + 219 * ramp)[None].astype(np.uint8), np.ones((2, 2), np.uint8))
    grey = np.full((1, 16), 128, np.uint8)
    levels = rgb_of(to_standard((y, grey, grey), Colour("bt2020", False, transfer, True))).mean(-1)[0, ::2]
    assert (np.diff(levels) >= 0).all()
    assert (np.diff(levels[::4]) > 0).all()
    assert 215 < levels[0] < 235
    assert levels[-1] > 248


def test_mean_level_is_the_mean_of_the_picture() -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(60, 190, (64, 64, 3)).astype(np.uint8), (0, 0), 2)
    i420 = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
    assert mean_level(i420) == pytest.approx(image.mean(), abs=0.5)
    assert mean_level(i420) == pytest.approx(rgb_of(i420).mean(), abs=0.5)


def test_media_frames_show_the_colours_too(tmp_path: Path) -> None:
    for image in media.frames(card(tmp_path, "bt709", False)):
        assert np.abs(patches(image) - PATCHES).max() < 4
