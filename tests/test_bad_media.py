"""Media files as people have them: each ends as a clip or as a refusal with its reason, and none is touched."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pyarrow.parquet as pq
import pytest
from skimage.data import astronaut

from chdtf import media
from chdtf.clip import Clip, read_clips
from chdtf.files import sha256_file
from chdtf.manifest import ManifestRow, write_manifest
from chdtf.schema import SAMPLE_RATE_HZ
from pipelines.build import BuildSummary, build
from pipelines.judging.thresholds import Thresholds

SECONDS = 1.6
SIZE = (512, 448)  # width, height
FFMPEG = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]


def picture(number: int) -> np.ndarray:
    """A portrait that sways."""
    portrait = np.kron(astronaut()[20:244, 80:336], np.ones((2, 2, 1), np.uint8))
    return np.roll(portrait, round(6 * np.sin(number / 5)), axis=1)


def sound(seconds: float) -> np.ndarray:
    """A pulse train that a voice detector takes for speech."""
    time_s = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    wave = 0.2 * np.sign(np.sin(2 * np.pi * 130 * time_s)) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_s))
    return wave.astype(np.float32)


def hdr(path: Path, wave: np.ndarray) -> None:
    """The portrait as light of a 10-bit HDR10 picture: BT.2020, SMPTE ST 2084, white at 203 nits."""
    to_2020 = np.linalg.inv([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25, options={"crf": "10"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p10le"
        context = video.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = 9, 1, 9, 16
        audio: Any = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        for number in range(round(SECONDS * 25)):
            light = 203 * ((picture(number) / 255.0) ** 2.4 @ to_2020.T).clip(0)
            power = (light / 10000) ** 0.1593017578125
            rgb = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
            luma = rgb @ [0.2627, 0.678, 0.0593]
            blue, red = (rgb[..., 2] - luma) / 1.8814, (rgb[..., 0] - luma) / 1.4746
            frame = av.VideoFrame(*SIZE, "yuv420p10le")
            halves = (part.reshape(SIZE[1] // 2, 2, SIZE[0] // 2, 2).mean((1, 3)) for part in (blue, red))
            for plane, values in zip(
                frame.planes, (64 + 876 * luma, *(512 + 896 * half for half in halves)), strict=True
            ):
                rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                rows[:, : plane.width] = np.round(values)
                plane.update(rows.tobytes())
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def make(folder: Path) -> dict[str, Path]:
    """All sources by video id."""
    base = folder / "base.mp4"
    media.write_video(base, (picture(k) for k in range(round(SECONDS * 25))), sound(SECONDS))
    made: dict[str, Path] = {}

    def put(video_id: str, *arguments: str, suffix: str = "mp4", name: str | None = None, source: Path = base) -> None:
        before = arguments[: arguments.index("::")] if "::" in arguments else ()
        after = arguments[len(before) + 1 :] if before else arguments
        made[video_id] = folder / (name or f"{video_id}.{suffix}")
        subprocess.run([*FFMPEG, *before, "-i", str(source), *after, "file:" + str(made[video_id])], check=True)

    def write(video_id: str, content: bytes) -> None:
        made[video_id] = folder / f"{video_id}.mp4"
        made[video_id].write_bytes(content)

    copied = ("-c", "copy")
    content = base.read_bytes()
    write("no_bytes", b"")
    write("text", b"this is not a video\n" * 50)
    write("half", content[: len(content) // 2])
    put("no_index", *copied)  # the index comes last
    made["no_index"].write_bytes(made["no_index"].read_bytes()[: len(content) // 2])
    put("five_tracks", "-map", "0:v", *("-map", "0:a") * 5, *copied, suffix="mkv")
    put("sound_much_shorter", *copied, "-af", "atrim=0:0.7", "-c:a", "aac")
    put("sound_shorter", *copied, "-af", f"atrim=0:{SECONDS - 0.3}", "-c:a", "aac")
    put("sound_longer", *copied, "-af", f"aloop=-1:{round(SECONDS * SAMPLE_RATE_HZ)},atrim=0:4", "-c:a", "aac")
    put("lying", "-vf", "transpose=clock", "-crf", "12", suffix="tmp.mp4")
    lying = made.pop("lying")
    put("turned", "-display_rotation", "90", "::", *copied, source=lying)
    put("rate_8k", *copied, "-ar", "8000", "-c:a", "aac")
    put("rate_96k", *copied, "-ar", "96000", "-c:a", "flac", suffix="mkv")
    put("one_frame", "-frames:v", "1", "-c:v", "libx264", "-c:a", "copy")
    put("spaces", *copied, name="a b  c.mp4")
    put("quotes", *copied, name='it\'s "so" `said` $HOME;.mp4')
    put("emoji", *copied, name="😀 说话 %41.mp4")
    put("dash", *copied, name="-rf.mp4")
    hdr(folder / "hdr.mp4", sound(SECONDS))
    return {**made, "hdr": folder / "hdr.mp4", "base": base}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make(tmp_path_factory.mktemp("bad"))


@pytest.fixture(scope="module")
def built(sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[BuildSummary, dict[str, str]]:
    """The build of all of them together, and what became of each: `accepted` or the reason."""
    root = tmp_path_factory.mktemp("bad_built")
    rows = [
        ManifestRow(video_id, path.as_uri(), None, None, video_id, "en", "CC0") for video_id, path in sources.items()
    ]
    write_manifest(rows, root / "list.csv")
    before = {video_id: (sha256_file(path), path.stat().st_mtime_ns) for video_id, path in sources.items()}
    alike = Thresholds(drop_duplicates=False)  # all of them show the same
    summary = build(root / "list.csv", root / "out", workers=2, allow_local=True, thresholds=alike)
    after = {video_id: (sha256_file(path), path.stat().st_mtime_ns) for video_id, path in sources.items()}
    assert after == before, "inputs are never changed or deleted"
    outcome = {row["video_id"]: row["reason"] for row in pq.read_table(summary.out / "rejected.parquet").to_pylist()}
    return summary, outcome | {clip.video_id: "accepted" for clip in read_clips(summary.out)}


REFUSED = {
    "no_bytes": "empty",
    "text": "unreadable",
    "half": "unreadable",  # the index comes first, so that half of it could be read
    "no_index": "unreadable",
    "sound_much_shorter": "audio_short",
    "one_frame": "too_short",
}


@pytest.fixture(scope="module")
def clip(built: tuple[BuildSummary, dict[str, str]]) -> Callable[[str], Clip]:
    clips = {found.video_id: found for found in read_clips(built[0].out)}
    return clips.__getitem__


@pytest.mark.slow
def test_each_is_a_clip_or_a_refusal_with_its_reason(
    sources: dict[str, Path], built: tuple[BuildSummary, dict[str, str]]
) -> None:
    summary, outcome = built
    assert outcome == {video_id: REFUSED.get(video_id, "accepted") for video_id in sources}
    assert (summary.rows_in, summary.failed) == (len(sources), 0)


@pytest.mark.slow
def test_a_source_turned_by_its_metadata_comes_out_upright(clip: Callable[[str], Clip]) -> None:
    turned, base = (clip(name).frames()[10].astype(float) for name in ("turned", "base"))
    assert np.corrcoef(turned.ravel(), base.ravel())[0, 1] > 0.97
    nose, chin = clip("turned").landmarks()[10][[1, 152], :2]
    assert chin[1] - nose[1] > 20
    assert abs(chin[0] - nose[0]) < 15


@pytest.mark.slow
def test_hdr_has_the_colours_of_the_same_picture_without(clip: Callable[[str], Clip]) -> None:
    high, base = (clip(name).frames()[10].astype(float) for name in ("hdr", "base"))
    assert np.abs(high.mean((0, 1)) - base.mean((0, 1))).max() < 12
    spread = (np.quantile(image, [0.05, 0.25, 0.5, 0.75, 0.95], axis=(0, 1)) for image in (high, base))
    assert np.abs(np.subtract(*spread)).max() < 25  # the crop is not quite the same


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rate_8k", "rate_96k", "five_tracks", "sound_longer", "sound_shorter", "dash"])
def test_sound_is_that_of_the_source_whatever_its_container(clip: Callable[[str], Clip], name: str) -> None:
    one, base = clip(name), clip("base")
    count = one.num_frames
    assert count == pytest.approx(base.num_frames, abs=1 if name != "sound_shorter" else 9)
    wave, known = one.waveform(), base.waveform()
    assert len(wave) == 640 * count
    overlap = min(len(wave), len(known), round((SECONDS - 0.4) * SAMPLE_RATE_HZ))
    shifts = range(-320, 321, 4)
    part = known[2000 : overlap - 2000]
    likeness = [np.corrcoef(part, wave[2000 + k : overlap - 2000 + k])[0, 1] for k in shifts]
    assert max(likeness) > 0.85, "8 kHz lose the upper half of the spectrum"
    best = max(k for k, value in zip(shifts, likeness, strict=True) if value > max(likeness) - 1e-6)
    assert abs(best) % 123 <= 12 or abs(best) % 123 >= 111, "to a period of the pulses"
