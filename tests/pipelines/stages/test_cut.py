"""Cut: what is planted in a source is where its clips begin and end, and what they hold in memory is what they show."""

import fractions
import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from chdtf.engine.shards import Workspace, stage_fingerprint
from chdtf.errors import Reject, UserError
from chdtf.region import Footage, read_footage
from chdtf.schema import SAMPLE_RATE_HZ
from pipelines.stages.cut import Stage

Row = dict[str, Any]
WIDTH, HEIGHT = 160, 120


def picture(seed: int, i: int = 0) -> np.ndarray:
    """Soft shapes, and a bright block that moves: uint8 (120, 160, 3) RGB."""
    coarse = np.random.default_rng(seed).uniform(0, 200, (5, 6, 3)).astype(np.float32)
    image = np.clip(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
    x = 60 + round(8 * np.sin(i / 4))
    image[40:70, x : x + 30] = 230
    return image


def voice(seconds: float) -> np.ndarray:
    """What the voice activity detector takes for speech."""
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * t)) / SAMPLE_RATE_HZ
    buzz = sum(np.sin(k * phase) * np.exp(-(((k * 120 - 700) / 600) ** 2)) for k in range(1, 25))
    return (0.15 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * t))).astype(np.float32)


def film(path: Path, shots: list[float], fps: float = 25.0, sound: np.ndarray | None = None) -> list[int]:
    """Write shots of so many seconds, with speech throughout unless told; returns the frames at which they begin."""
    counts = [round(seconds * fps) for seconds in shots]
    images = [picture(seed, i) for seed, count in enumerate(counts) for i in range(count)]
    wave = voice(len(images) / fps) if sound is None else sound
    encode_rgb(path, images, wave, fps)
    return list(itertools.accumulate(counts))[:-1]


def encode_rgb(path: Path, images: list[np.ndarray], wave: np.ndarray, fps: float) -> None:
    """As a camera would: H.264 with B-frames, AAC."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fractions.Fraction(fps).limit_denominator(1001))
        video.height, video.width, video.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        video.options = {"preset": "veryfast", "crf": "20", "g": "50", "threads": "1"}
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        for image in images:
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        for begin in range(0, len(wave), 1024):
            frame = av.AudioFrame.from_ndarray(wave[None, begin : begin + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, begin
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


class OneFace:
    """A detector that sees a face where the block is, when the picture is not black."""

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, image: np.ndarray) -> np.ndarray:
        self.calls += 1
        if image.max() < 128:
            return np.zeros((0, 5), np.float32)
        return np.array([[0.375, 1 / 3, 0.5625, 7 / 12, 0.9]], np.float32)


def source_row(path: Path, duration_s: float | None, **more: Any) -> Row:
    row = {"video_id": "v", "clip_id": "v", "source": path.name, "source_duration_s": duration_s, "start_s": None}
    return {**row, "end_s": None, "crop": None, "source_audio_codec": "aac", "error": None, "reject": None, **more}


def cut(
    path: Path, duration_s: float | None, stage: Stage | None = None, model: Any = None, **more: Any
) -> Iterator[tuple[Row, Footage | None]]:
    """The rows of a source with what lies in memory while each is worked on."""
    workspace = Workspace(path.parent, "cut", "0" * 8)
    for row in (stage or Stage()).apply(source_row(path, duration_s, **more), model or OneFace(), workspace):
        clip_id, footage = workspace.scratch.get("footage", (None, None))
        assert clip_id in (None, row["clip_id"])
        yield row, footage
    assert "footage" not in workspace.scratch


def same(one: Footage, other: Footage) -> bool:
    planes = zip(one.frames, other.frames, strict=True)
    return all(np.array_equal(a, b) for x, y in planes for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("fps", [22.13, 25.0, 30000 / 1001, 50.0])
def test_no_clip_contains_a_border_and_none_of_it_is_lost(tmp_path: Path, fps: float) -> None:
    path = tmp_path / "a.mp4"
    at = film(path, [1.6, 1.2, 2.0], fps)
    total_s = round(4.8 * fps) / fps
    found = list(cut(path, total_s))
    borders = [0.0, *(frame / fps for frame in at), total_s]
    assert [row["clip_id"] for row, _ in found] == ["v_000", "v_001", "v_002"]
    assert [row["shot"] for row, _ in found] == [0, 1, 2]
    assert [row["clip_start_s"] for row, _ in found] == pytest.approx(borders[:-1], abs=2e-3)
    assert [row["clip_end_s"] for row, _ in found] == pytest.approx(borders[1:], abs=2e-3 + 0.5 / fps)
    for row, footage in found:
        assert footage is not None
        again = read_footage(path, row["clip_start_s"], row["clip_end_s"], row["roi"].tolist())
        assert same(footage, again), "decoded in passing and decoded again are the same"
        assert footage.num_frames == pytest.approx((row["clip_end_s"] - row["clip_start_s"]) * 25, abs=1.01)


def test_the_row_says_what_was_seen(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [2.0])
    ((row, footage),) = cut(tmp_path / "a.mp4", 2.0)
    assert (row["shown_width"], row["shown_height"], row["sampled_frames"]) == (WIDTH, HEIGHT, 10)
    assert row["detections"].shape == (10, 6)
    assert row["detections"][:, 0] == pytest.approx(np.arange(10) / 5, abs=1e-6)
    assert row["detections"][0, 1:] == pytest.approx([0.375, 1 / 3, 0.5625, 7 / 12, 0.9])
    assert footage is not None
    assert footage.shown == (WIDTH, HEIGHT)
    size = row["roi"] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    assert size == pytest.approx(np.round(size / 2) * 2), "even pixels"
    assert size[0] < 50, "room around the face"
    assert size[2] > 100


def test_without_a_face_in_the_first_frame_nothing_is_kept(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [2.0])

    class Late(OneFace):
        def detect(self, image: np.ndarray) -> np.ndarray:
            return super().detect(image)[: self.calls > 1]

    ((row, footage),) = cut(tmp_path / "a.mp4", 2.0, model=Late())
    assert row["roi"] is None
    assert footage is None
    assert len(row["detections"]) == row["sampled_frames"] - 1


def test_a_crop_of_the_manifest_is_the_region_and_nobody_looks(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [2.0])
    model = OneFace()
    ((row, footage),) = cut(tmp_path / "a.mp4", 2.0, model=model, crop=(0.25, 0.0, 0.75, 0.5))
    assert model.calls == 0
    assert row["detections"] is None
    assert row["roi"] == pytest.approx([0.25, 0.0, 0.75, 2 / 3])  # a square of 80 px
    assert footage is not None


def test_long_shots_are_cut_into_equal_clips(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [6.0])
    rows = [row for row, _ in cut(tmp_path / "a.mp4", 6.0, Stage(max_clip_s=2.5))]
    assert [row["clip_start_s"] for row in rows] == pytest.approx([0.0, 2.0, 4.0])
    assert {row["shot"] for row in rows} == {0}


def test_where_nobody_speaks_for_long_the_clip_ends(tmp_path: Path) -> None:
    sound = np.concatenate([voice(2.0), np.zeros(5 * SAMPLE_RATE_HZ, np.float32), voice(2.0)])
    film(tmp_path / "a.mp4", [9.0], sound=sound)
    rows = [row for row, _ in cut(tmp_path / "a.mp4", 9.0)]
    assert [row["reject"] and row["reject"].split(":")[0] for row in rows] == [None, "pause", None]
    assert [row["clip_end_s"] for row in rows] == pytest.approx([2.5, 6.5, 9.0], abs=0.35)


def test_a_shot_in_which_nobody_speaks_stays_whole(tmp_path: Path) -> None:
    sound = np.concatenate([voice(1.6), np.zeros(5 * SAMPLE_RATE_HZ, np.float32)])
    film(tmp_path / "a.mp4", [1.6, 5.0], sound=sound)
    rows = [row for row, _ in cut(tmp_path / "a.mp4", 6.6)]
    assert [(row["clip_start_s"], row["clip_end_s"], row["reject"]) for row in rows] == [
        (0.0, 1.6, None),
        (1.6, 6.6, None),
    ]


def test_a_montage_is_one_row(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [1.2, *[0.4] * 12, 1.6])
    first, montage, last = (row for row, _ in cut(tmp_path / "a.mp4", 7.6))
    assert first["reject"] is last["reject"] is None
    assert montage["reject"] == "too_short: 12 shots in 4.80 s, the longest 0.40 s, at least 1 s"
    assert (montage["clip_start_s"], montage["clip_end_s"]) == pytest.approx((1.2, 6.0))
    assert montage["clip_id"] == "v_001"


def test_the_interval_of_the_manifest_is_kept(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [2.0, 4.0])
    rows = [row for row, _ in cut(tmp_path / "a.mp4", 6.0, start_s=1.9, end_s=4.3)]
    assert [(row["clip_start_s"], row["clip_end_s"]) for row in rows] == [(2.0, 4.3)], "0.1 s of the shot before: gone"
    path = tmp_path / "a.mp4"
    ((row, footage),) = cut(path, 6.0, start_s=3.013, end_s=4.3)
    assert (row["clip_start_s"], row["clip_end_s"]) == (3.013, 4.3)
    assert footage is not None
    assert same(footage, read_footage(path, 3.013, 4.3, row["roi"].tolist()))


def test_a_source_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    film(tmp_path / "whole.mp4", [2.0, 2.0, 4.0])
    content = bytearray((tmp_path / "whole.mp4").read_bytes())
    with av.open(str(tmp_path / "whole.mp4")) as container:
        packets = [(p.pos, p.size) for p in container.demux(container.streams.video[0]) if p.dts is not None]
    for pos, size in packets[130:]:
        content[pos : pos + size] = b"\xff" * size
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    rows = list(cut(path, 8.0))
    assert [row["reject"] and row["reject"].split(":")[0] for row, _ in rows][-1] == "unreadable"
    assert [row["clip_end_s"] for row, _ in rows[:2]] == pytest.approx([2.0, 4.0])
    for row, footage in rows[:2]:
        assert row["reject"] is None
        assert footage is not None
        assert same(footage, read_footage(path, row["clip_start_s"], row["clip_end_s"], row["roi"].tolist()))
    assert rows[-1][0]["clip_end_s"] == 8.0


def test_sound_that_outlasts_the_picture_is_no_fault(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [3.0], sound=voice(5.0))
    ((row, _),) = cut(tmp_path / "a.mp4", 5.0)
    assert (row["clip_start_s"], row["clip_end_s"], row["reject"]) == (0.0, 3.0, None)


def test_a_truncated_source_says_where_it_ends(tmp_path: Path) -> None:
    film(tmp_path / "whole.mp4", [8.0])
    with (
        av.open(str(tmp_path / "whole.mp4")) as whole,
        av.open(str(tmp_path / "a.mp4"), "w", options={"movflags": "+faststart"}) as target,
    ):
        streams = {s.index: target.add_stream_from_template(s) for s in whole.streams}
        for packet in whole.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: round(len(content) * 0.6)])
    (clip, _), (rest, _) = cut(tmp_path / "a.mp4", 8.0)
    assert clip["reject"] is None
    assert 3 < clip["clip_end_s"] < 6.5
    assert rest["reject"].startswith("unreadable: ")
    assert (rest["clip_start_s"], rest["clip_end_s"]) == (clip["clip_end_s"], 8.0)


@pytest.mark.parametrize(
    ("duration_s", "more", "reason"),
    [
        (10.0, {"start_s": 9.5}, "too_short"),
        (0.5, {}, "too_short"),
        (10.0, {"start_s": 12.0}, "outside_source"),
        (10.0, {"start_s": 10.0}, "outside_source"),
        (10.0, {"start_s": 2.0, "end_s": 12.0}, "outside_source"),
        (0.0, {}, "unknown_duration"),
        (None, {}, "unknown_duration"),
        (10.0, {"source_audio_codec": None}, "no_audio"),
    ],
)
def test_what_cannot_be_cut_is_refused_unopened(
    tmp_path: Path, duration_s: float | None, more: Row, reason: str
) -> None:
    with pytest.raises(Reject) as caught:
        next(cut(tmp_path / "absent.mp4", duration_s, **more))
    assert caught.value.reason == reason


def test_an_unknown_or_missing_detector_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'retina'.*mediapipe, scrfd"):
        Stage(detector="retina")
    with pytest.raises(UserError, match=r"'no\.onnx': no such file"):
        Stage(detector="scrfd", detector_model="no.onnx")


def test_a_model_file_counts_by_its_content(tmp_path: Path) -> None:
    one, copy, other = (tmp_path / name for name in ("a.onnx", "b.onnx", "c.onnx"))
    for path, content in ((one, b"1"), (copy, b"1"), (other, b"2")):
        path.write_bytes(content)
    prints = [stage_fingerprint(Stage(detector="scrfd", detector_model=str(path)), "") for path in (one, copy, other)]
    assert prints[0] == prints[1] != prints[2]


def test_stage_is_found_by_its_name() -> None:
    assert importlib.import_module("pipelines.stages.cut").Stage().name == "cut"
