"""One path by which every video, ground truth included, comes into the form that metrics see.

A file is decoded once; the method's panel is cut out; frames are picked at 25 fps by timestamps, scaled to 256x256, and
black frames at the end are dropped. Nothing is encoded again: every lossy pass would move the scores.
"""

import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmark.footage import Footage, Unscored
from benchmark.metric import GEOMETRIES
from chdtf import media
from chdtf.errors import UserError
from chdtf.files import sha256_file
from chdtf.schema import FPS, FRAME_SIZE_PX, SAMPLES_PER_FRAME

BLACK_LUMA = 8.0  # mean of 0-255; page tiles of shorter videos end in frames below it
MAX_SQUEEZE = 0.02  # a panel may be this far from square
MAX_PEAK = 1.5  # of sound in [-1, 1]: resampling overshoots a little, 16-bit samples lie far beyond
# what frames of a geometry are until they are re-aligned: `benchmark.geometry` makes `recrop` of them
_BEFORE_REALIGNMENT = {"recrop": "method_crop"}


@dataclasses.dataclass(frozen=True)
class Normalise:
    """What must be undone in a method's raw output, the same for all of its videos.

    `panel` is (x, y, width, height) px of the output inside a wider frame. `offset_frames` = k says that output frame 0
    shows what the reference shows at frame k, counted at 25 fps; with k < 0 the first -k output frames are dropped.
    `geometry` says how an output frame lies against the reference's (`benchmark.metric.GEOMETRIES`): `recrop` is a crop
    of the method's own that metrics of pixels are to undo (`benchmark.geometry`). Raises `UserError` for values that
    mean nothing.
    """

    panel: tuple[int, int, int, int] | None = None
    offset_frames: int = 0
    geometry: str = "same_frame"

    def __post_init__(self) -> None:
        if self.geometry not in GEOMETRIES:
            raise UserError(f"geometry {self.geometry!r} is not known; choose one of {', '.join(sorted(GEOMETRIES))}")
        if self.panel is not None and (len(self.panel) != 4 or min(self.panel[:2]) < 0 or min(self.panel[2:]) <= 0):
            raise UserError(f"panel {self.panel}: give x, y, width and height in px, such as 256,0,256,256")

    def footage(self, path: Path, audio: Path | None = None) -> Footage:
        """Read one video; its sound comes from `audio` when given, else from its own track.

        Raises `Unscored` when the file is missing, empty, cannot be decoded, holds no frames, is black throughout, or
        is not square. Sound that is missing or cannot be read costs the sound alone; `Footage.no_sound` says why.
        """
        if path.is_dir():
            raise Unscored(f"not_a_file: {path.name} is a folder")
        if not path.is_file():
            raise Unscored(f"missing_video: {path.name}")
        if path.stat().st_size == 0:
            raise Unscored(f"empty_video: {path.name} has 0 bytes")
        try:
            fps = media.probe(path).fps
            frames, black, notes = self._common_form(media.frames(path, FPS), path.name, fps)
        except media.UnreadableError as error:
            raise Unscored(str(error)) from error
        waveform, no_sound = _sound(audio or path)
        begin = SAMPLES_PER_FRAME * max(0, self.offset_frames)
        if waveform is not None and audio is not None and begin:
            waveform = waveform[begin:]  # the driving sound runs with the reference, not with the late output
        return self._footage(frames, black, waveform, no_sound, sha256_file(path), notes)

    def footage_of_arrays(self, frames: np.ndarray, waveform: np.ndarray | None = None) -> Footage:
        """The same for a video in memory, 25 fps: uint8 (T, H, W, 3) RGB, and float (S,) in [-1, 1] at 16 kHz or None.

        Raises `ValueError` for other types, shapes and ranges: floats are not guessed to be 0-1 or 0-255. Raises
        `Unscored` as `footage` does.
        """
        _check_frames(frames)
        if waveform is not None:
            _check_waveform(waveform)
            waveform = np.ascontiguousarray(waveform, np.float32)
        raw = hashlib.sha256(np.ascontiguousarray(frames).data).hexdigest()
        common, black, notes = self._common_form(frames, "frames", FPS)
        no_sound = "" if waveform is not None else "none was given"
        return self._footage(common, black, waveform, no_sound, raw, notes)

    def _footage(
        self,
        frames: np.ndarray,
        black_frames: int,
        waveform: np.ndarray | None,
        no_sound: str,
        raw_sha256: str,
        notes: list[str],
    ) -> Footage:
        digest = hashlib.sha256(frames.data)
        frames_sha256 = digest.hexdigest()
        digest.update(b"" if waveform is None else waveform.tobytes())
        return Footage(
            frames=frames,
            waveform=waveform,
            raw_sha256=raw_sha256,
            frames_sha256=frames_sha256,
            normalised_sha256=digest.hexdigest(),
            notes=(*notes, f"no sound: {no_sound}") if no_sound else tuple(notes),
            start_frame=max(0, self.offset_frames),
            geometry=_BEFORE_REALIGNMENT.get(self.geometry, self.geometry),
            no_sound=no_sound,
            black_frames=black_frames,
        )

    def _common_form(self, images: Iterable[np.ndarray], name: str, fps: float) -> tuple[np.ndarray, int, list[str]]:
        """Frames, how many black ones were dropped behind them, notes."""
        notes: list[str] = []
        drop = max(0, -self.offset_frames)
        kept: list[np.ndarray] = []
        for number, image in enumerate(images):
            cut = self._cut(image, name)
            if number == 0:
                notes += self._describe(cut, name, fps)
            if number >= drop:
                kept.append(cut if cut.shape[:2] == (FRAME_SIZE_PX,) * 2 else media.resize(cut, FRAME_SIZE_PX))
        if not kept:
            raise Unscored(f"no_frames: {name}")
        length = len(kept)
        while length and kept[length - 1].mean() < BLACK_LUMA:
            length -= 1
        if not length:
            raise Unscored(f"all_black: {name}, {len(kept)} frames with mean luma below {BLACK_LUMA:g}")
        if length < len(kept):
            notes.append(f"dropped {len(kept) - length} black frames at the end")
        return np.stack(kept[:length]), len(kept) - length, notes

    def _cut(self, image: np.ndarray, name: str) -> np.ndarray:
        if self.panel is None:
            return image
        x, y, width, height = self.panel
        cut = image[y : y + height, x : x + width]
        if cut.shape[:2] != (height, width):
            raise Unscored(f"no_panel: {name} is {image.shape[1]}x{image.shape[0]}, the panel is {self.panel}")
        return cut

    def _describe(self, cut: np.ndarray, name: str, fps: float) -> list[str]:
        height, width = cut.shape[:2]
        if abs(width / height - 1) > MAX_SQUEEZE:
            raise Unscored(f"not_square: {name} is {width}x{height}; name the panel that is to be scored")
        notes = [f"cut panel {self.panel}"] if self.panel else []
        if (width, height) != (FRAME_SIZE_PX, FRAME_SIZE_PX):
            notes.append(f"scaled from {width}x{height}")
        if abs(fps - FPS) > 0.01:
            notes.append(f"resampled from {fps:g} fps")
        if self.offset_frames:
            notes.append(f"shifted by {self.offset_frames} frames")
        return notes


AS_IS = Normalise()


def footage_of_arrays(frames: np.ndarray, waveform: np.ndarray | None = None, how: Normalise = AS_IS) -> Footage:
    """Footage of arrays in memory, for calling metrics from Python; see `Normalise.footage_of_arrays`."""
    return how.footage_of_arrays(frames, waveform)


def _sound(path: Path) -> tuple[np.ndarray | None, str]:
    """The sound of a file, or None and why there is none."""
    if not path.is_file():
        return None, f"{path.name} is missing"
    try:
        waveform = media.read_waveform(path)
    except media.UnreadableError as error:
        return None, str(error)
    if waveform is None or not len(waveform):
        return None, f"{path.name} holds none"
    return waveform, ""


def _check_frames(frames: np.ndarray) -> None:
    if not isinstance(frames, np.ndarray) or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
        raise ValueError(f"frames: an array (T, H, W, 3) is needed, not {getattr(frames, 'shape', type(frames))}")
    if frames.dtype == np.uint8:
        return
    if np.issubdtype(frames.dtype, np.floating):
        if not np.isfinite(frames).all():
            raise ValueError(f"frames: {int((~np.isfinite(frames)).sum())} values are NaN or infinite")
        if frames.max() <= 1:
            raise ValueError(
                f"frames: floats of {frames.min():g} to {frames.max():g} instead of bytes; multiply by 255, round, and "
                "convert to uint8"
            )
    raise ValueError(f"frames: {frames.dtype} instead of uint8; round, clip to 0-255 and convert")


def _check_waveform(waveform: np.ndarray) -> None:
    if not isinstance(waveform, np.ndarray) or waveform.ndim != 1 or not np.issubdtype(waveform.dtype, np.floating):
        found = f"{waveform.dtype} {waveform.shape}" if isinstance(waveform, np.ndarray) else type(waveform).__name__
        raise ValueError(f"waveform: floats (S,) at 16 kHz are needed, not {found}; divide 16-bit samples by 32768")
    if not np.isfinite(waveform).all() or (len(waveform) and np.abs(waveform).max() > MAX_PEAK):
        raise ValueError("waveform: values must be finite and within [-1, 1]; divide 16-bit samples by 32768")
