"""Time of the builder against the bare cost of the same work, in one run: `make bench-pipeline`.

Sources: 1080p25 H.264 talking heads. Bare: FFmpeg decodes, crops, scales and encodes each of them (x264, the builder's
preset, crf and crop; sound as AAC), then one FaceMesh pass over the cropped frames. Ours: `build` up to the stage
`fit`, from files to fitted and published shards; then with `quality`. All with the same number of processes, their
start included, and one thread each.

    python tests/perf/bench_pipeline.py [--shared FOLDER] [--seconds 60] [--copies 2] [--workers 2] [--repeats 1]
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import itertools
import logging
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import imageio_ffmpeg

CLIPS = ("mead_m003.mp4", "mead_w040.mp4", "mead_m026.mp4", "skyreels_3.mp4")  # 1080p25 H.264, of 5 s or so
PERIOD_S = 4.0
ENCODER = ("-c:v", "libx264", "-preset", "veryfast", "-threads", "1")
Box = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a piece of work took: seconds on the clock, and of processor time over all processes."""

    wall_s: float
    cpu_s: float


def _cpu_s() -> float:
    return sum(
        u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


@contextlib.contextmanager
def measured(into: list[Cost]) -> Iterator[None]:
    """Add the cost of the block to a list."""
    wall_s, cpu_s = time.monotonic(), _cpu_s()
    yield
    into.append(Cost(time.monotonic() - wall_s, _cpu_s() - cpu_s))


def ffmpeg(*arguments: str) -> None:
    """Run FFmpeg's program, quietly."""
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def drawn(folder: Path) -> list[Path]:
    """Portraits of the bundled sample, for machines without real footage: scaled up to 1080p."""
    from chdtf.sample import PLAN
    from chdtf.sample.draw import draw_video

    plans = [plan for plan in PLAN if plan.fps == 25][:4]
    for plan in plans:
        draw_video(plan, folder / f"{plan.video_id}.mp4")
    return [folder / f"{plan.video_id}.mp4" for plan in plans]


def make_sources(folder: Path, shared: Path, seconds: float, copies: int) -> list[Path]:
    """1080p25 H.264 files of so many seconds: real clips to and fro, so that no cut is in them, over and over."""
    clips = [shared / "data" / "clips" / name for name in CLIPS]
    if not all(clip.is_file() for clip in clips):
        clips = drawn(folder)
    made = []
    picture = (
        "scale=1920:1080:force_original_aspect_ratio=decrease,pad=1920:1080:(ow-iw)/2:(oh-ih)/2,fps=25,format=yuv420p,"
        "split[a][b];[b]reverse[c];[a][c]concat"
    )
    for clip, copy in itertools.product(clips, range(copies)):
        once, target = folder / f"{clip.stem}.once.mp4", folder / f"{clip.stem}_{copy}.mp4"
        if not once.exists():
            sound = f"aloop=-1:{round(PERIOD_S * 48000)},atrim=0:{2 * PERIOD_S}"
            coding = ("-c:v", "libx264", "-preset", "medium", "-crf", "21", "-g", "250", "-c:a", "aac")
            ffmpeg("-t", str(PERIOD_S), "-i", str(clip), "-vf", picture, "-af", sound, *coding, str(once))
        loop = ("-stream_loop", "-1", "-i", str(once), "-t", str(seconds), "-c", "copy")
        ffmpeg(*loop, "-metadata", f"title={copy}", str(target))
        made.append(target)
    return made


def bare_one(source: Path, box: Box, folder: Path) -> int:
    """FFmpeg from file to cropped file, then FaceMesh over it; returns the number of frames."""
    import av

    from chdtf import faces

    target = folder / f"bare_{source.name}"
    x0, y0, x1, y1 = box
    view = f"crop=iw*{x1 - x0:.6f}:ih*{y1 - y0:.6f}:iw*{x0:.6f}:ih*{y0:.6f},scale=256:256"
    sound = ("-c:a", "aac", "-b:a", "96k", "-ar", "16000", "-ac", "1")
    ffmpeg("-threads", "1", "-i", str(source), "-vf", view, *ENCODER, "-crf", "17", "-g", "25", *sound, str(target))
    count = 0
    with faces.native_stderr_off():
        mesh = faces._solutions().face_mesh.FaceMesh(static_image_mode=False, max_num_faces=1, refine_landmarks=True)
        with mesh, av.open(str(target)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for frame in container.decode(video=0):
                mesh.process(frame.to_ndarray(format="rgb24"))
                count += 1
    target.unlink()
    return count


def bare(sources: Sequence[Path], boxes: Sequence[Box], folder: Path, workers: int) -> int:
    """The bare work over all sources; returns the number of frames."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        return sum(pool.map(bare_one, sources, boxes, itertools.repeat(folder)))


def ours(sources: Sequence[Path], out: Path, workers: int, last: str) -> dict[str, float]:
    """Build up to the stage `last`; returns seconds by stage."""
    from pipelines.build import build
    from pipelines.recipes import chdtf_recipe

    manifest = out.with_suffix(".csv")
    lines = [f"{path.stem},{path.as_uri()},{path.stem},en,CC0" for path in sources]
    manifest.write_text("\n".join(["video_id,url,speaker_id,language,license", *lines]) + "\n")
    stages = chdtf_recipe(manifest.parent, allow_local=True)
    names = [stage.name for stage in stages]
    stages = stages[: names.index(last) + 1]
    return build(manifest, out, workers, allow_local=True, videos_per_shard=1, stages=stages).stage_seconds


def boxes_of(out: Path, sources: Sequence[Path]) -> tuple[list[Box], int]:
    """The first crop of each source, and the number of frames that were fitted in all."""
    from chdtf.engine.shards import iter_rows

    first: dict[str, Box] = {}
    count = 0
    for path in sorted((out / "work").glob("*_fit/*.parquet")):
        for row in iter_rows(path, ["video_id", "box", "num_frames", "reject", "error"]):
            if row["num_frames"] and not (row["reject"] or row["error"]):
                first.setdefault(row["video_id"], tuple(map(float, row["box"])))
                count += row["num_frames"]
    return [first.get(path.stem, (0.25, 0.0, 0.8125, 1.0)) for path in sources], count


def say(text: str) -> None:
    """One line of the report."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def report(name: str, cost: Cost, frames: int, length_s: float, against: Cost | None = None) -> None:
    """A line for one kind of work."""
    ratio = f"{cost.wall_s / against.wall_s:6.2f} {cost.cpu_s / against.cpu_s:6.2f}" if against else ""
    say(
        f"{name:22s} {cost.wall_s:7.1f} s {cost.cpu_s:8.1f} s {length_s / cost.wall_s:7.1f} x "
        f"{1000 * cost.cpu_s / max(frames, 1):8.2f} ms {ratio}"
    )


def main() -> None:
    """Make the sources, time everything, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[3] / "shared")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--copies", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--no-quality", action="store_true")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    with tempfile.TemporaryDirectory(prefix="bench-pipeline-") as name:
        folder = Path(name)
        sources = make_sources(folder, given.shared, given.seconds, given.copies)
        length_s = given.seconds * len(sources)
        size = sum(path.stat().st_size for path in sources)
        say(f"{len(sources)} sources, {length_s:.0f} s in all, {8e-6 * size / length_s:.1f} Mbit/s")
        say(f"{given.workers} processes on {os.cpu_count()} cores")
        for number in range(given.repeats):
            # in a process of its own, whose children's memory is then that of the workers alone
            what = (folder / str(number), sources, length_s, given.workers, not given.no_quality)
            process = multiprocessing.get_context("spawn").Process(target=_round, args=what)
            process.start()
            process.join()


def _round(folder: Path, sources: Sequence[Path], length_s: float, workers: int, with_quality: bool) -> None:
    folder.mkdir()
    costs: list[Cost] = []
    with measured(costs):
        seconds = ours(sources, folder / "fit", workers, "fit")
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    boxes, fitted = boxes_of(folder / "fit", sources)
    with measured(costs):
        frames = bare(sources, boxes, folder, workers)
    say(f"load {os.getloadavg()[0]:.1f}; {fitted} of {frames} frames fitted")
    say(f"{'':22s} {'clock':>9s} {'processor':>10s} {'real time':>9s} {'a frame':>10s} {'clock':>7s} {'proc.':>6s}")
    report("bare", costs[1], frames, length_s)
    report("ours, to fitted shards", costs[0], fitted, length_s, costs[1])
    _stages(seconds, fitted)
    say(f"peak memory of a worker: {peak_mib:.0f} MiB")
    if with_quality:
        with measured(costs):
            seconds = ours(sources, folder / "quality", workers, "quality")
        report("ours, with quality", costs[2], fitted, length_s, costs[1])
        _stages(seconds, fitted)
        say(f"peak memory of a worker: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")


def _stages(seconds: dict[str, float], frames: int) -> None:
    for stage, spent_s in seconds.items():
        rate = f"{frames / spent_s:8.0f} frames/s" if spent_s > 0.01 else ""
        say(f"    {stage:18s} {spent_s:7.1f} s {rate}")


if __name__ == "__main__":
    main()
