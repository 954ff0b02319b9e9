"""A clip's region: the same bytes in passing as decoded again, in its place, its size and its colours."""

import fractions
import itertools
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest

from chdtf import media
from chdtf.colour import rgb_of, views_of
from chdtf.region import Footage, RegionTaker, contains, read_footage, region_px

ROI = (0.2, 0.15, 0.9, 0.85)
SECONDS = 4.0


def picture(time_s: float, width: int = 96, height: int = 64) -> np.ndarray:
    """Something that moves everywhere and does not compress away, so that no two frames are alike."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 5 + 7 * time_s * k) + np.cos(y / 4 - 3 * time_s * k) for k in (1, 2, 3)]
    return np.clip(128 + 50 * np.stack(waves, axis=-1), 0, 255).astype(np.uint8)


def write(path: Path, times: Sequence[float], codec: str = "libx264", pix_fmt: str = "yuv420p", **options: str) -> Path:
    """A video whose frames are shown at the given times, to a millisecond."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=1000, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pix_fmt
        stream.codec_context.time_base = fractions.Fraction(1, 1000)
        for time_s in times:
            frame = av.VideoFrame.from_ndarray(picture(time_s), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), fractions.Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def source(folder: Path, kind: str) -> Path:
    """One of the kinds of source that a clip may be cut from."""
    if kind == "variable":
        gaps = np.random.default_rng(0).choice([0.01, 0.033, 0.05, 0.4], 60, p=[0.2, 0.5, 0.2, 0.1])
        return write(folder / "a.mkv", np.cumsum(gaps).tolist(), g="20", bf="2")
    fps = {"ntsc": 30000 / 1001, "fifty": 50.0, "odd": 22.13}.get(kind, 25.0)
    times = (np.arange(SECONDS * fps) / fps).tolist()
    if kind == "mpeg4":
        return write(folder / "a.avi", times, "mpeg4", g="12", bf="2")
    if kind == "ten_bit":
        return write(folder / "a.mp4", times, pix_fmt="yuv420p10le", g="20")
    path = write(folder / "a.mp4", times, **{"g": "30", "bf": "3", "x264-params": "open-gop=1:b-adapt=0:scenecut=0"})
    if kind == "rotated":
        turned = folder / "turned.mp4"
        ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-display_rotation", "90", "-i", str(path)]
        subprocess.run([*ffmpeg, "-c", "copy", str(turned)], check=True)
        return turned
    return path


def same(one: Footage, two: Footage) -> bool:
    """Whether two pieces of footage agree in every byte."""
    alike = all(
        np.array_equal(a, b) for f, g in zip(one.frames, two.frames, strict=True) for a, b in zip(f, g, strict=True)
    )
    return alike and (one.shown, one.region, one.colour) == (two.shown, two.region, two.colour)


def in_passing(path: Path, cuts: Sequence[float], late: int = 0) -> list[Footage]:
    """Clips between successive cuts, taken in one pass; `late` frames of the next clip are seen before one ends."""
    decoded = list(media.decode(path))
    clips = []
    for start_s, end_s in itertools.pairwise(cuts):
        taker = RegionTaker(start_s, ROI)
        beyond = 0
        before = [i for i, (time_s, _) in enumerate(decoded) if time_s <= start_s]
        for time_s, frame in decoded[before[-1] if before else 0 :]:
            taker.add(time_s, frame)
            beyond += time_s >= end_s
            if beyond > late:
                break
        clips.append(taker.finish(end_s))
    return clips


@pytest.mark.parametrize("kind", ["open_gop", "variable", "ntsc", "fifty", "odd", "mpeg4", "ten_bit", "rotated"])
def test_in_passing_and_decoded_again_are_the_same_bytes(tmp_path: Path, kind: str) -> None:
    path = source(tmp_path, kind)
    cuts = [0.0, 0.52, 1.31, 2.04, 3.2, 10.0]
    again = [read_footage(path, a, b, ROI) for a, b in itertools.pairwise(cuts)]
    for late in (0, 3):
        assert all(same(one, two) for one, two in zip(in_passing(path, cuts, late), again, strict=True))
    lengths = [footage.num_frames for footage in again]
    assert lengths[:4] == pytest.approx([13, 20, 18, 29], abs=1)
    assert sum(lengths) == pytest.approx(sum(1 for _ in media.frames(path)), abs=1 if kind == "open_gop" else 4)
    whole = media.read_frames(path)[8]  # at 0.32 s
    x0, y0, x1, y1 = again[0].region
    assert whole.shape[:2] == again[0].shown[::-1]
    shown = next(iter(again[0].crop([0, 0, 1, 1], 64)))
    assert shown.shape == (96, 64)
    luma = whole @ np.array([0.257, 0.504, 0.098]) + 16
    off = again[0].frames[8][0].astype(float) - luma[y0:y1, x0:x1]
    assert np.abs(off).mean() < 2, "the region shows what the whole frame shows there"


def test_a_seek_that_lands_too_late_goes_farther_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = source(tmp_path, "open_gop")
    expected = [time_s for time_s, _ in media.decode(path) if time_s > 2.97]
    asked = []

    def late(*arguments: Any) -> Any:
        asked.append(arguments[3])
        found = decode_from(*arguments)
        return (pair for pair in found if pair[0] > 3.1) if arguments[3] in (0.5, 4.0) else found

    decode_from = media._decode_from
    monkeypatch.setattr(media, "_decode_from", late)
    assert [time_s for time_s, _ in media.decode(path, 3.0)] == expected
    assert asked == [0.5, None]


@pytest.mark.parametrize(
    ("roi", "size", "box", "kept"),
    [
        (None, (1920, 1080), (0, 0, 1920, 1080), (640, 360)),  # a third
        ((0.25, 0.1, 0.5, 0.5), (1920, 1080), (480, 108, 960, 540), (480, 432)),
        ((0.25, 0.0, 0.8, 1.0), (1920, 1080), (480, 0, 1536, 1080), (528, 540)),  # a half
        ((0.2, 0.0, 0.2 + 700 / 1920, 0.6), (1920, 1080), (384, 0, 1084, 648), (684, 634)),  # no whole fraction
        ((0.1, 0.0, 0.9, 1.0), (1920, 1080), (192, 0, 1728, 1080), (768, 540)),
        ((0.9, 0.9, 1.0, 1.0), (101, 75), (88, 64, 100, 74), (12, 10)),  # odd sizes end one pixel early
        ((0.0, 0.0, 1.0, 1.0), (2, 2), (0, 0, 2, 2), (2, 2)),
        ((-0.3, -0.3, 1.3, 1.3), (320, 240), (0, 0, 320, 240), (320, 240)),
    ],
)
def test_region_in_pixels(roi: Any, size: tuple[int, int], box: Any, kept: Any) -> None:
    assert region_px(roi, *size) == (box, kept)


def test_any_region_is_even_within_the_frame_and_small() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        width, height = (int(value) for value in rng.integers(2, 4000, 2))
        low, high = np.sort(rng.uniform(-0.1, 1.1, (2, 2)), axis=0)
        (x0, y0, x1, y1), kept = region_px((*low, *high), width, height)
        assert all(value % 2 == 0 for value in (x0, y0, x1, y1, *kept))
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert min(kept) >= 2
        assert kept[0] * kept[1] <= 440_000
        area = np.array([x1 - x0, y1 - y0])
        wanted = (np.minimum(high, 1) - np.maximum(low, 0)) * [width, height]
        assert (area >= wanted - 20).all()
        assert (area <= np.maximum(wanted, 0) + 60).all()


def test_contains() -> None:
    assert contains((0.2, 0.2, 0.8, 0.8), (0.2, 0.3, 0.8, 0.7))
    assert not contains((0.2, 0.2, 0.8, 0.8), (0.19, 0.3, 0.8, 0.7))
    assert contains((0.0, 0.0, 0.8, 1.0), (-0.2, -0.1, 0.8, 1.4)), "what lies outside the frame need not be held"
    assert not contains(None, (0.2, 0.3, 0.8, 0.7))


def test_a_crop_shows_its_box_and_repeats_the_border(tmp_path: Path) -> None:
    image = np.full((200, 300, 3), 90, np.uint8)
    image[60:100, 120:180] = 230
    image[:, :2], image[-2:] = 20, 150
    media.write_video(tmp_path / "a.mp4", [image] * 4, crf=1)
    footage = read_footage(tmp_path / "a.mp4", 0, 1, None)
    assert footage.num_frames == 4
    inner = rgb_of(next(iter(footage.crop((0.3, 0.2, 0.7, 0.8), 120)))).mean(-1)  # 120 px: 90..210, 40..160
    bright = np.argwhere(inner > 160)
    assert bright.min(0).tolist() == [20, 30]
    assert bright.max(0).tolist() == [59, 89]
    outer = rgb_of(next(iter(footage.crop((-0.1, 0.5, 0.5, 1.4), 180)))).mean(-1)
    assert outer[50, :30] == pytest.approx(20, abs=4)
    assert outer[110:, 60] == pytest.approx(150, abs=4)
    crops = list(footage.crop((0.3, 0.2, 0.7, 0.8), 120))
    assert crops[0].shape == (180, 120)
    repeated = Footage([footage.frames[0]] * 2, footage.shown, footage.region, footage.colour)
    first, second = repeated.crop((0, 0, 1, 1), 64)
    assert first is second
    assert list(Footage([], (2, 2), (0, 0, 2, 2), footage.colour).crop((0, 0, 1, 1), 64)) == []


def test_a_source_may_change_its_size_midway(tmp_path: Path) -> None:
    small, large = tmp_path / "small.ts", tmp_path / "large.ts"
    for path, size in ((small, 64), (large, 128)):
        media.write_video(path.with_suffix(".mp4"), [picture(k / 25, size, size) for k in range(10)])
        ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path.with_suffix(".mp4"))]
        subprocess.run([*ffmpeg, "-output_ts_offset", "0.4" if size > 64 else "0", "-c", "copy", str(path)], check=True)
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    footage = read_footage(both, 0, 9, None)
    assert footage.num_frames >= 18
    assert {planes[0].shape for planes in footage.frames} == {(64, 64)}


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_large_source_is_kept_smaller_whichever_way_it_is_turned(turns: int) -> None:
    image = np.kron(np.random.default_rng(0).integers(30, 220, (30, 50), np.uint8), np.ones((32, 32), np.uint8))
    frame = av.VideoFrame(1600, 960, "yuv420p")
    for view, value in zip(views_of(frame), (image, 90, 160), strict=True):
        view[:] = value

    class Turned:
        rotation = turns * 90

        def __getattr__(self, name: str) -> Any:
            return getattr(frame, name)

    taker = RegionTaker(0.0, (0.0, 0.0, 1.0, 1.0))
    taker.add(0.0, Turned())
    footage = taker.finish(0.04)
    assert footage.num_frames == 1
    y, u, v = footage.frames[0]
    shown = np.rot90(image, turns)
    factor = shown.shape[0] / y.shape[0]
    assert factor == 2
    assert np.array_equal(y, shown[::2, ::2])
    assert u.shape == (y.shape[0] // 2, y.shape[1] // 2)
    assert (u == 90).all()
    assert (v == 160).all()
