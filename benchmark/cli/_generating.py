"""How `generate` does it: mistakes found first, then source, motion, frames, each timed apart."""

import contextlib
import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.cli._console import counted, progress, say
from chdtf.errors import Reject, UserError

if TYPE_CHECKING:
    from benchmark.cli.generate import Command
    from disenttalk_ref.generate.control import Control
    from disenttalk_ref.generate.generator import Generator
    from disenttalk_ref.motion import Motion

_MOST_SCALE = 3.0
_MOST_GUIDANCE = 10.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that is ready before the first frame is drawn."""

    waveform: np.ndarray  # (S,) float32, 16 kHz
    motion: "Motion"
    draw: "Callable[[Motion], Iterator[np.ndarray]]"
    source_s: float  # reading, finding and fitting faces, loading models
    motion_s: float


def check(command: "Command") -> None:
    """Raise `UserError` for what is wrong with the command, before anything slow is done."""
    given = {"--image": command.image, "--audio": command.audio}
    given |= {k: v for k, v in (("--eyes-from", command.eyes_from), ("--pose-from", command.pose_from)) if v}
    for flag, path in given.items():
        if path.is_dir():
            raise UserError(f"{flag} {path}: is a folder; name a file in it")
        if not path.is_file():
            raise UserError(f"{flag} {path}: no such file")
    _check_out(command.out, given)
    _check_number("--pose-scale", command.pose_scale, 0, _MOST_SCALE)
    if command.guidance is not None:
        _check_number("--guidance", command.guidance, 0, _MOST_GUIDANCE)
    if command.steps is not None and command.steps < 1:
        raise UserError(f"--steps {command.steps}: the network is asked once or more")
    moved = command.eyes_from or command.pose_from or command.pose != "generated" or command.pose_scale != 1
    if command.video_driven and moved:
        others = "--eyes-from, --pose-from, --pose, --pose-scale"
        raise UserError(f"--video-driven keeps the eyes and the head motion of the source; leave out {others}")
    if command.pose_from and command.pose == "still":
        raise UserError("--pose still and --pose-from exclude each other; leave one out")


def _check_out(out: Path, given: dict[str, Path]) -> None:
    if out.suffix.lower() != ".mp4":
        raise UserError(f"--out {out}: name a file that ends in .mp4")
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; name a file in it")
    for flag, path in given.items():
        if out.exists() and out.samefile(path):
            raise UserError(f"--out {out}: is the file given as {flag}, which would be lost; name another")


def _check_number(flag: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise UserError(f"{flag} {value:g}: give a number from {low:g} to {high:g}")


@contextlib.contextmanager
def memory_guarded(device: str) -> Iterator[None]:
    """Turn running out of memory into `UserError` that says what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error).lower()
        if not isinstance(error, MemoryError) and "out of memory" not in text and "can't allocate memory" not in text:
            raise
        other = "" if device == "cpu" else " --device cpu,"
        raise UserError(
            f"out of memory on {device}; try{other} shorter audio, a smaller picture or checkpoint"
        ) from error


def prepare(command: "Command") -> Plan:
    """Read the sound, load the model, make the source ready, generate the motion."""
    waveform = _read_sound(command.audio)
    num_frames = len(waveform) // 640
    started = time.perf_counter()
    with progress("Reading the source"):
        generator = _generator(command)
        control = _control(command, generator, num_frames)
        draw = _source(command, generator, num_frames)
    source_s = time.perf_counter() - started
    started = time.perf_counter()
    with progress("Generating motion"):
        motion = generator.motion(waveform, num_frames, command.seed, control)
        synchronise(command.device)
    return Plan(waveform, motion, draw, source_s, time.perf_counter() - started)


def _read_sound(path: Path) -> np.ndarray:
    from chdtf.media import read_waveform
    from chdtf.schema import SAMPLES_PER_FRAME

    try:
        waveform = read_waveform(path)
    except Reject as error:
        raise UserError(f"--audio {path}: no sound can be read ({error.detail or error})") from error
    if waveform is None:
        raise UserError(f"--audio {path}: has no audio stream")
    if len(waveform) < SAMPLES_PER_FRAME:
        raise UserError(f"--audio {path}: holds {len(waveform) / 16000:.3f} s of sound; one frame takes 0.04 s")
    if not np.isfinite(waveform).all():
        raise UserError(f"--audio {path}: holds values that are no numbers; export the sound again")
    return waveform


def _generator(command: "Command") -> "Generator":
    from disenttalk_ref.checkpoint import DEFAULT
    from disenttalk_ref.generate.generator import Generator
    from disenttalk_ref.generate.motion import SamplerConfig
    from disenttalk_ref.render import load_renderer

    check_device(command.device)
    fields = {name: getattr(command, name) for name in ("sampler", "steps", "guidance", "windows_at_once")}
    config = SamplerConfig(
        pose_scale=0.0 if command.pose == "still" else command.pose_scale,
        **{name: value for name, value in fields.items() if value is not None},
    )
    return Generator(command.checkpoint or DEFAULT, config, load_renderer(command.renderer), command.device)


def check_device(name: str) -> None:
    """Raise `UserError` when PyTorch knows or has no such device."""
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, ValueError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"--device {name}: not to be had here ({why}); use --device cpu") from error


def synchronise(device: str) -> None:
    """Wait for what a device still computes, so that its time is measured."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _control(command: "Command", generator: "Generator", num_frames: int) -> "Control":
    from disenttalk_ref.generate.control import Control
    from disenttalk_ref.generate.source import eye_motion, fit_video, pose_motion, track_video

    eyes = pose = None
    if command.eyes_from is not None:
        eyes = eye_motion(fit_video(track_video(command.eyes_from, num_frames), generator.face_model))
    if command.pose_from is not None:
        moved = pose_motion(fit_video(track_video(command.pose_from, num_frames), generator.face_model))
        pose = command.pose_scale * moved
    return Control(command.lip_weight, eyes, pose)


def _source(command: "Command", generator: "Generator", num_frames: int) -> "Callable[[Motion], Iterator[np.ndarray]]":
    from chdtf.media import frames
    from disenttalk_ref.generate.picture import check_turn, frame_picture, is_picture, read_picture

    still = is_picture(command.image)
    if command.video_driven:
        if still:
            raise UserError(f"{command.image}: a picture; --video-driven takes a video")
        dubbed = generator.prepare_video(command.image, num_frames, command.crop)
        return lambda motion: generator.dub(dubbed, motion)
    try:
        image = read_picture(command.image) if still else next(frames(command.image), None)
    except Reject as error:
        raise UserError(f"{command.image}: neither a picture nor a video that can be read") from error
    if image is None:
        raise UserError(f"{command.image}: holds no picture")
    portrait = generator.prepare(frame_picture(image, command.image.name, command.crop))
    check_turn(portrait.source, command.image.name)
    return lambda motion: generator.draw(portrait, motion)


class Stopwatch:
    """Adds up the time that an iterator takes for its items, apart from what is done with them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, items: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Pass items on."""
        iterator = iter(items)
        while True:
            started = time.perf_counter()
            item = next(iterator, None)
            self.seconds += time.perf_counter() - started
            if item is None:
                return
            yield item


def write(command: "Command", plan: Plan) -> None:
    """Draw and write the video, and say what it took."""
    from chdtf.media import write_video
    from disenttalk_ref.render.watermark import METADATA
    from disenttalk_ref.render.watermark import draw as mark

    num_frames = plan.motion.num_frames
    watch, started = Stopwatch(), time.perf_counter()
    with progress("Drawing") as report:
        drawn = watch.timed(plan.draw(plan.motion))
        if command.watermark:
            drawn = mark(drawn)
        shown = counted(itertools.islice(drawn, num_frames), lambda done: report(done, num_frames, "frames"))
        write_video(command.out, shown, plan.waveform, metadata=METADATA)
    encoding_s = time.perf_counter() - started - watch.seconds
    say(f"{command.out}: {num_frames} frames, {num_frames / 25:.2f} s, synthetic")
    say(
        f"source {plan.source_s:.2f} s; motion {plan.motion_s:.2f} s ({num_frames / plan.motion_s:.0f} frames/s); "
        f"rendering {watch.seconds:.2f} s ({num_frames / watch.seconds:.0f} frames/s); encoding {encoding_s:.2f} s"
    )
