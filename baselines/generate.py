"""job.json -> a method's own process -> verified videos. Every method, ours included, goes through this door."""

import dataclasses
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2

from baselines.method import REPOSITORY, Method
from chdtf.clip import Clip
from chdtf.errors import Reject
from chdtf.files import atomic_path, sha256_file, write_text
from chdtf.media import probe

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]


@dataclasses.dataclass(frozen=True)
class Item:
    """What a method gets for one clip: a source image, speech, and the reference video for video-driven methods."""

    clip_id: str
    image: Path  # PNG, 256x256, the clip's first frame
    audio: Path  # WAV, 16 kHz mono
    video: Path  # mp4, the reference clip
    num_frames: int
    seed: int
    other_audio: Path | None = None  # the next clip's sound, for controls; None in a set of one clip


@dataclasses.dataclass(frozen=True)
class Generated:
    """One clip's outcome: a video, or the reason why there is none.

    `generation_s` is the wall-clock time of the method's process, start and loading included, spread evenly over the
    clips of its job; that of the run which made the video, or None where that is not known.
    """

    clip_id: str
    path: Path | None
    reason: str | None
    seconds: float  # `generation_s`, or 0 when the video was kept from an earlier run
    generation_s: float | None = None


def stage_inputs(clips: Sequence[Clip], folder: Path) -> list[Item]:
    """Write every clip's image, speech and reference video below `folder`, once."""
    items = []
    for clip in clips:
        image, audio, video = (folder / f"{clip.clip_id}{suffix}" for suffix in (".png", ".wav", ".mp4"))
        if not video.exists():
            clip.write_video(video)
        if not audio.exists():
            clip.write_audio(audio)
        if not image.exists():
            with atomic_path(image) as temporary:
                cv2.imwrite(str(temporary), cv2.cvtColor(clip.frames()[0], cv2.COLOR_RGB2BGR))
        seed = int.from_bytes(hashlib.sha256(clip.clip_id.encode()).digest()[:4], "big")
        items.append(Item(clip.clip_id, image, audio, video, clip.num_frames, seed))
    if len(items) < 2:
        return items
    others = [*items[1:], items[0]]
    return [dataclasses.replace(item, other_audio=other.audio) for item, other in zip(items, others, strict=True)]


def _item_fingerprint(method: Method, method_fingerprint: str, item: Item) -> str:
    files = [item.image, item.audio, item.video]
    if method.role == "control" and method.audio == "own" and item.other_audio is not None:
        files.append(item.other_audio)  # of no account to any other method
    parts = [method_fingerprint, *(sha256_file(path) for path in files), str(item.seed)]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _made(output: Path, fingerprint: str) -> dict[str, Any] | None:
    """What was noted when the video was made of the same inputs; None when it was not."""
    side = output.with_suffix(".json")
    if not (output.exists() and side.exists()):
        return None
    made: dict[str, Any] = json.loads(side.read_text(encoding="utf-8"))
    return made if made.get("fingerprint") == fingerprint and made.get("bytes") == output.stat().st_size else None


def generate(method: Method, items: Sequence[Item], folder: Path, progress: Progress) -> list[Generated]:
    """Make `folder/<clip_id>.mp4` for every item; what an earlier run made with the same inputs is kept.

    A method that crashes, hangs or writes nothing costs its own clips: they come back with a reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    own = method.fingerprint()
    wanted = {item.clip_id: _item_fingerprint(method, own, item) for item in items}
    outputs = {item.clip_id: folder / f"{item.clip_id}.mp4" for item in items}
    kept = {name: made for name, output in outputs.items() if (made := _made(output, wanted[name])) is not None}
    todo = [item for item in items if item.clip_id not in kept]
    for item in todo:
        outputs[item.clip_id].unlink(missing_ok=True)
        outputs[item.clip_id].with_suffix(".error").unlink(missing_ok=True)
    trouble, seconds = _run(method, todo, outputs, folder, progress) if todo else ("", 0.0)
    results = []
    share = round(seconds / len(todo), 3) if todo else 0.0
    for item in items:
        name, output = item.clip_id, outputs[item.clip_id]
        if name in kept:
            results.append(Generated(name, output, None, 0.0, kept[name].get("generation_s")))
            continue
        reason = _verify(output, trouble)
        if reason is None:
            side = {"fingerprint": wanted[name], "bytes": output.stat().st_size, "sha256": sha256_file(output)}
            write_text(output.with_suffix(".json"), json.dumps({**side, "generation_s": share}) + "\n")
        results.append(Generated(name, None if reason else output, reason, share, None if reason else share))
    return results


def _verify(output: Path, trouble: str) -> str | None:
    said = output.with_suffix(".error")
    if said.exists():
        return f"refused: {' '.join(said.read_text(encoding='utf-8', errors='replace').split())[:500]}"
    if not output.exists():
        return f"no_output: {trouble or 'the method ended well and wrote nothing'}"
    try:
        probe(output)
    except Reject as error:
        return str(error)
    return None


def _run(
    method: Method, items: Sequence[Item], outputs: dict[str, Path], folder: Path, progress: Progress
) -> tuple[str, float]:
    """Run the method's process over all items; returns what went wrong ("" when nothing did) and the seconds."""
    job: dict[str, Any] = {
        "fps": method.fps,
        "checkpoint": str(REPOSITORY / method.checkpoint) if method.checkpoint else None,
        "settings": method.settings,
        "items": [
            {
                **{k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(item).items()},
                "output": str(outputs[item.clip_id]),
            }
            for item in items
        ],
    }
    job_file, log_file = folder / "job.json", folder / "log.txt"
    write_text(job_file, json.dumps(job, indent=1))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
    started = time.monotonic()
    with log_file.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, str(method.driver), str(job_file)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                done = sum(path.exists() for path in outputs.values())
                progress(done, len(outputs), method.name)
                if time.monotonic() - started > method.timeout_s:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    return f"timed out after {method.timeout_s:g} s; see {log_file}", time.monotonic() - started
                time.sleep(0.1)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    progress(len(outputs), len(outputs), method.name)
    trouble = f"exit status {process.returncode}; see {log_file}" if process.returncode else ""
    if trouble:
        log.warning("method %s: %s", method.name, trouble)
    return trouble, time.monotonic() - started
