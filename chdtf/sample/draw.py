"""Draws one video of the sample: frames, sound, and the truth about both."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from chdtf import animate, warp
from chdtf.faces import OUTER_EYE_CORNERS, detect_landmarks, vertices
from chdtf.media import fit_length, read_waveform, write_video
from chdtf.sample.canvas import Framing, beside, draw_canvas, empty_scene
from chdtf.sample.curves import Blink, HeadMotion, Phoneme, head_motion, lid_curve, mouth_curve, plan_blinks
from chdtf.sample.plan import SampleVideo

_PACKAGE = Path(__file__).resolve().parents[1]
SPEECH = _PACKAGE / "assets" / "speech"
_DRAWING = ("animate.py", "warp/*.py", "sample/canvas.py", "sample/curves.py", "sample/draw.py")
_ROOM_TONE = 3e-4  # rms of the noise between words; a recording is never digitally silent


@dataclasses.dataclass(frozen=True)
class Speech:
    """A committed recording and when its sounds begin."""

    name: str
    duration_s: float
    text: str
    phonemes: tuple[Phoneme, ...]

    @property
    def path(self) -> Path:
        """The Ogg Opus file."""
        return SPEECH / f"{self.name}.ogg"


@dataclasses.dataclass(frozen=True)
class Performance:
    """What one face does: mouth opening (T,), lids (T,) from 0 open to 1 shut, and the head's motion."""

    opening: np.ndarray
    lids: np.ndarray
    blinks: tuple[Blink, ...]
    motion: HeadMotion


@functools.lru_cache(maxsize=1)
def _speech_table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((SPEECH / "phonemes.json").read_text(encoding="utf-8"))
    return table


def load_speech(name: str) -> Speech:
    """One recording of assets/speech. Raises `KeyError` for an unknown name."""
    entry = _speech_table()[name]
    phonemes = tuple((float(start), str(label)) for start, label in entry["phonemes"])
    return Speech(name, float(entry["duration_s"]), str(entry["text"]), phonemes)


def num_frames(video: SampleVideo) -> int:
    """T, from the longest speech and the rests before and after it."""
    spoken = max(load_speech(name).duration_s for name in video.speeches)
    return round(min(video.lead_s + spoken + video.tail_s, video.longest_s) * video.fps)


def frame_times(video: SampleVideo) -> np.ndarray:
    """(T,) seconds: frame k shows what is at k / fps."""
    return np.arange(num_frames(video)) / video.fps


def perform(video: SampleVideo) -> list[Performance]:
    """What every face of the video does."""
    times = frame_times(video)
    out = []
    for place in range(len(video.faces)):
        rng = np.random.default_rng([video.seed, place])
        speech = load_speech(video.speeches[place])
        opening = mouth_curve(speech.phonemes, speech.duration_s, times - video.lead_s)
        blinks = plan_blinks(video.num_blinks, len(times) / video.fps, rng)
        out.append(Performance(opening, lid_curve(blinks, times), blinks, head_motion(times, rng)))
    return out


def _animate(framing: Framing, performance: Performance) -> Iterator[np.ndarray]:
    canvas = draw_canvas(framing)
    rest = detect_landmarks(canvas)
    if rest is None:
        raise ValueError(f"no face in the canvas of {framing}")
    face = vertices(rest)
    renderer = warp.FaceWarp(canvas, face)
    right, left = face[list(OUTER_EYE_CORNERS), :2]
    eyes = float(np.linalg.norm(left - right))
    motion = performance.motion
    for k in range(len(performance.opening)):
        target = animate.open_mouth(face, float(performance.opening[k]))
        target = animate.close_eyes(target, float(performance.lids[k]))
        target = animate.move_head(
            target,
            yaw=float(motion.yaw[k]),
            pitch=float(motion.pitch[k]),
            roll=float(motion.roll[k]),
            shift_px=(eyes * float(motion.shift_x[k]), eyes * float(motion.shift_y[k])),
        )
        yield renderer.render(target)


def images(video: SampleVideo) -> Iterator[np.ndarray]:
    """Frames, uint8 (H, W, 3) RGB."""
    if not video.faces:
        scene = empty_scene(854, 480)
        yield from (scene for _ in range(num_frames(video)))
        return
    faces = [_animate(framing, act) for framing, act in zip(video.faces, perform(video), strict=True)]
    for parts in zip(*faces, strict=True):
        yield parts[0] if len(parts) == 1 else beside(*parts)


def waveform(video: SampleVideo) -> np.ndarray:
    """The sound: mono float32 (S,) at the video's audio rate, as long as the picture."""
    rate = video.audio_rate_hz
    samples = round(num_frames(video) / video.fps * rate)
    if video.silent:
        return np.zeros(samples, np.float32)
    sound = np.random.default_rng([video.seed, 999]).standard_normal(samples).astype(np.float32) * _ROOM_TONE
    begin = round((video.lead_s + video.audio_offset_frames / video.fps) * rate)
    for name in video.speeches:
        speech = read_waveform(load_speech(name).path, rate)
        assert speech is not None
        sound += fit_length(np.concatenate([np.zeros(begin, np.float32), speech]), samples)
    return np.clip(sound, -1.0, 1.0)


def fingerprint(video: SampleVideo) -> str:
    """Hash of all that a video's picture and sound come from: plan, recordings, and the code that draws."""
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(video)).encode())
    for name in video.speeches:
        digest.update(json.dumps(_speech_table()[name]).encode() + load_speech(name).path.read_bytes())
    digest.update(_code_hash())
    return digest.hexdigest()


@functools.lru_cache(maxsize=1)
def _code_hash() -> bytes:
    """Hash of the modules that decide what a frame looks like; a change in one draws the sample again."""
    modules = [path for pattern in _DRAWING for path in _PACKAGE.glob(pattern)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(modules))).digest()


def draw_video(video: SampleVideo, path: Path) -> dict[str, Any]:
    """Write one mp4 and return the truth about it (the units stand in `chdtf.sample.CONVENTIONS`)."""
    write_video(path, images(video), waveform(video), fps=video.fps, rate_hz=video.audio_rate_hz)
    acts = perform(video)
    return {
        "speaker_id": video.speaker_id,
        "language": video.language,
        "split": video.split,
        "text": [load_speech(name).text for name in video.speeches],
        "fps": video.fps,
        "num_frames": num_frames(video),
        "num_faces": len(video.faces),
        "expected": video.expected,
        "audio_rate_hz": video.audio_rate_hz,
        "audio_offset_frames": video.audio_offset_frames,
        "blinks": [dataclasses.asdict(blink) for blink in acts[0].blinks] if acts else [],
        "mouth_opening": [round(float(value), 4) for value in acts[0].opening] if acts else [],
    }
