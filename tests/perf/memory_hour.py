"""Peak memory of a worker on an hour-long 1080p file: `python tests/perf/memory_hour.py [CLIP] [MINUTES] [OUT]`.

The file is CLIP (a short 1080p video; by default one of ../shared/data/clips) looped without encoding it again. The
build runs with one worker; its memory is read from /proc every fifth of a second.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg

from chdtf.manifest import ManifestRow, write_manifest

CLIP = Path(__file__).resolve().parents[3] / "shared" / "data" / "clips" / "mead_w040.mp4"
LIMIT_MIB = 1536


def looped(clip: Path, minutes: float, target: Path) -> None:
    """Write `clip` again and again until it is so long."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", "-stream_loop", "-1", "-i", str(clip)]
    subprocess.run([*command, "-t", str(60 * minutes), "-c", "copy", str(target)], check=True)


def children(pid: int) -> list[int]:
    """All processes below one."""
    own = [int(name) for name in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return own + [below for child in own for below in children(child)]


def memory_mib(pid: int, key: str) -> float:
    """A figure of /proc/PID/status, such as VmRSS or VmHWM (the peak)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(status.split(f"{key}:")[1].split()[0]) / 1024 if f"{key}:" in status else 0.0


def main() -> int:
    """Make the file, build, and print time and peak memory."""
    clip = Path(sys.argv[1]) if len(sys.argv) > 1 else CLIP
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    folder = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    looped(clip, minutes, folder / "long.mp4")
    write_manifest([ManifestRow("long", "file:long.mp4", speaker_id="one", split="train")], folder / "long.csv")
    run = "from benchmark.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", run, "build", "--manifest", str(folder / "long.csv"), "--out", str(folder / "out")]
    started = time.monotonic()
    peak_mib: dict[int, float] = {}
    with subprocess.Popen([*command, "--allow-local", "--workers", "1"]) as process:
        while process.poll() is None:
            for pid in (process.pid, *children(process.pid)):
                peak_mib[pid] = max(peak_mib.get(pid, 0.0), memory_mib(pid, "VmHWM"))
            time.sleep(0.2)
    seconds = time.monotonic() - started
    sys.stdout.write(
        f"{minutes:g} minutes in {seconds:.0f} s ({60 * minutes / seconds:.1f} x real time, one worker); peak memory "
        f"{max(peak_mib.values()):.0f} MiB (limit {LIMIT_MIB}), the parent's {peak_mib[process.pid]:.0f} MiB\n"
    )
    if len(sys.argv) <= 3:
        shutil.rmtree(folder)
    return int(process.returncode != 0 or max(peak_mib.values()) > LIMIT_MIB)


if __name__ == "__main__":
    raise SystemExit(main())
