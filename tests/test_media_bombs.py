"""Files that lie about themselves, and things that are no files: each ends as a row, soon, in bounded memory."""

import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pyarrow.parquet as pq
import pytest

from chdtf.manifest import ManifestRow, write_manifest
from chdtf.media import write_video

FFMPEG = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
SECONDS = 1.6
MAX_MB = 2000  # some frames in flight when the machine is busy; a bomb unpacked would take tens of thousands
MAX_S = 120.0  # for all of them together; any one alone takes a second or two

BUILD = """
import resource, sys, time
import bomb_stages
from pathlib import Path
from pipelines.build import build
from pipelines.recipes import chdtf_recipe
folder = Path(sys.argv[1])
started = time.monotonic()
stages = (*chdtf_recipe(folder, allow_local=True)[:2], bomb_stages.End())
build(folder / "list.csv", folder / "out", workers=0, allow_local=True, stages=stages)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, time.monotonic() - started)
"""
END = """
import dataclasses
from typing import ClassVar
import pyarrow as pa
from chdtf.errors import Reject

@dataclasses.dataclass(frozen=True)
class End:
    "Refuses what has come so far: there is nothing to publish."
    name: ClassVar[str] = "end"
    version: ClassVar[int] = 1
    adds: ClassVar[pa.Schema] = pa.schema([])
    def load(self):
        pass
    def apply(self, row, model, workspace):
        raise Reject("clip", "as others")
"""


def patched(content: bytes, atom: bytes, offset: int, *numbers: int) -> bytes:
    """The file with 32-bit numbers of all its atoms of one kind overwritten, from `offset` after the name."""
    data = bytearray(content)
    place = data.find(atom)
    assert place > 0
    while place > 0:
        struct.pack_into(f">{len(numbers)}I", data, place + 4 + offset, *numbers)
        place = data.find(atom, place + 4)
    return bytes(data)


def with_length(content: bytes, seconds: float) -> bytes:
    """A Matroska file that says it is so long, in milliseconds."""
    place = content.index(b"\x44\x89\x88") + 3
    return content[:place] + struct.pack(">d", seconds * 1e3) + content[place + 8 :]


def moved(base: Path, target: Path, time_of: Callable[[str, float], float]) -> None:
    """The same packets at other times."""
    with av.open(str(base)) as given, av.open(str(target), "w") as made:
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is None or packet.pts is None:
                continue
            base_s: Any = packet.time_base
            shift = round(time_of(packet.stream.type, float(packet.dts * base_s)) / base_s) - packet.dts
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = streams[packet.stream_index]
            made.mux(packet)


def sparse(path: Path, content: bytes, size: int) -> None:
    """The file with `size` bytes of nothing before its index."""
    index = content.rindex(b"moov") - 4
    with path.open("wb") as stream:
        stream.write(content[:index] + struct.pack(">I4sQ", 1, b"free", size))
        stream.seek(size - 16, os.SEEK_CUR)
        stream.write(content[index:])


def make(folder: Path) -> dict[str, Path]:
    """All sources by video id."""
    base = folder / "base.mp4"
    images = np.random.default_rng(3).integers(0, 256, (round(SECONDS * 25), 64, 96, 3), np.uint8)
    tone = 0.1 * np.sin(np.arange(round(SECONDS * 16_000)) / 5)
    write_video(base, list(images), tone.astype(np.float32))
    made = {"base": base}

    def put(name: str, *arguments: str, source: Path = base) -> Path:
        path = folder / name
        subprocess.run([*FFMPEG, "-i", str(source), *arguments, str(path)], check=True)
        return path

    def write(video_id: str, content: bytes, suffix: str = "mp4") -> None:
        made[video_id] = folder / f"{video_id}.{suffix}"
        made[video_id].write_bytes(content)

    content = base.read_bytes()
    write("frame_65535px", patched(content, b"avc1", 24, 0xFFFF_FFFF))
    write("frames_1e9", patched(content, b"stts", 8, 1_000_000_000, 1))
    write("frame_2e7_s", patched(content, b"stts", 8, 1, 0x7FFF_FFFF))
    write("samples_2e9", patched(content, b"stsz", 8, 0x7FFF_FFFF))
    write("long_mp4", patched(content, b"mvhd", 16, 0xFFFF_FFF0))
    write("clock_1hz", patched(content, b"mdhd", 12, 1))
    plain = put("plain.mkv", "-c", "copy")
    for name, seconds in {"nan": np.nan, "1e300": 1e300, "inf": np.inf, "negative": -5.0}.items():
        write(f"length_{name}", with_length(plain.read_bytes(), seconds), "mkv")
    avi = put("plain.avi", "-c:v", "mpeg4", "-c:a", "mp3").read_bytes()
    place = avi.index(b"strh") + 28
    for name, rate in {"slow": (0xFFFF_FFFF, 1), "fast": (1, 0xFFFF_FFFF)}.items():
        write(f"avi_{name}", avi[:place] + struct.pack("<II", *rate) + avi[place + 8 :], "avi")
    stream = put("plain.ts", "-c", "copy").read_bytes()
    write("backwards", stream * 3, "ts")
    late: dict[str, Callable[[str, float], float]] = {
        "before_zero": lambda kind, s: s - 0.5,
        "pause_3h": lambda kind, s: s if s < 0.8 else s + 3 * 3600,
        "sound_3h_later": lambda kind, s: s if kind == "video" else s + 3 * 3600,
        "picture_3h_later": lambda kind, s: s if kind == "audio" else s + 3 * 3600,
        "sound_years_later": lambda kind, s: s if kind == "video" or s < 0.8 else s + 1e8,
    }
    for video_id, time_of in late.items():
        made[video_id] = folder / f"{video_id}.mkv"
        moved(base, made[video_id], time_of)
    put("many.mkv", "-vf", "scale=12000:12000:flags=neighbor", "-frames:v", "3", "-c:v", "mjpeg", "-c:a", "copy")
    made["frame_144_megapixels"] = folder / "many.mkv"
    write("sound_alone", put("sound.mp4", "-vn", "-c", "copy").read_bytes())
    for name in ("png", "jpg"):
        write(f"still_{name}", put(f"still.{name}", "-frames:v", "1").read_bytes())
    for name in ("gif", "apng"):
        write(f"moving_{name}", put(f"moving.{name}").read_bytes())
    sparse(folder / "sparse.mp4", put("index_last.mp4", "-c", "copy").read_bytes(), 1 << 30)
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    for name, target in {"loop": "loop.mp4", "zero": "/dev/zero", "to_pipe": "pipe.mp4", "link": "base.mp4"}.items():
        (folder / f"{name}.mp4").symlink_to(target)
    for name in ("sparse", "folder", "pipe", "loop", "zero", "to_pipe", "link"):
        made[name] = folder / f"{name}.mp4"
    return {**made, "twice": base, "kernel": Path("/proc/self/environ"), "absent": folder / "absent.mp4"}


EXPECTED = {
    **dict.fromkeys(("base", "twice", "link", "sparse", "frame_65535px", "long_mp4", "before_zero"), "clip"),
    "backwards": "clip",
    "frames_1e9": "unreadable",
    "frame_2e7_s": "unreadable",
    "samples_2e9": "unreadable",
    "clock_1hz": "unreadable",
    "length_nan": "unknown_duration",
    "length_1e300": "unknown_duration",
    "length_inf": "unknown_duration",
    "length_negative": "outside_source",
    "avi_slow": "too_long",
    "avi_fast": "too_short",
    "pause_3h": "pause",
    "sound_3h_later": "unreadable",
    "picture_3h_later": "unreadable",
    "sound_years_later": "too_long",
    "frame_144_megapixels": "too_large",
    **dict.fromkeys(("sound_alone", "still_png", "still_jpg", "moving_gif", "moving_apng"), "unreadable"),
    **dict.fromkeys(("folder", "pipe", "to_pipe", "zero"), "unreadable"),
    "loop": "local_unreadable",
    "absent": "local_unreadable",
    "kernel": "empty",
}


@pytest.mark.slow
def test_each_ends_as_a_row_soon_and_in_bounded_memory(tmp_path: Path) -> None:
    """Downloaded and cut, in one process that is held to its memory; the run goes on over all of them."""
    sources = make(tmp_path)
    assert sources.keys() == EXPECTED.keys()
    rows = [ManifestRow(name, path.as_uri(), None, None, name, "en", "CC0") for name, path in sources.items()]
    write_manifest(rows, tmp_path / "list.csv")
    (tmp_path / "bomb_stages.py").write_text(END)
    limit = 12 << 30  # of addresses, so that a mistake here does not take the machine with it

    def hold() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=MAX_S * 3,
        check=False,
        env=environment,
        preexec_fn=hold,
    )
    assert done.returncode == 0, done.stderr
    told = pq.read_table(tmp_path / "out" / "rejected.parquet", columns=["video_id", "reason", "detail"]).to_pylist()
    found: dict[str, set[str]] = {}
    for row in told:
        found.setdefault(row["video_id"], set()).add(row["reason"])
    assert {name: EXPECTED[name] if EXPECTED[name] in words else words for name, words in found.items()} == EXPECTED
    memory_mb, seconds = map(float, done.stdout.split()[-2:])
    assert memory_mb < MAX_MB
    assert seconds < MAX_S
