"""One path by which every video, ground truth included, comes into the form that metrics see.

A file is decoded once; the method's panel is cut out; frames are picked at 25 fps by timestamps, scaled to 256x256, and
black frames at the end are dropped. Nothing is encoded again: every lossy pass would move the scores.
"""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from benchmark.footage import Footage, Unscored
from chdtf import media
from chdtf.files import sha256_file
from chdtf.schema import FPS, FRAME_SIZE_PX, SAMPLES_PER_FRAME

BLACK_LUMA = 8.0  # mean of 0-255; page tiles of shorter videos end in frames below it
MAX_SQUEEZE = 0.02  # a panel may be this far from square


@dataclasses.dataclass(frozen=True)
class Normalise:
    """What must be undone in a method's raw output, the same for all of its videos.

    `panel` is (x, y, width, height) px of the output inside a wider frame. `offset_frames` = k says that output frame 0
    shows what the reference shows at frame k, counted at 25 fps; with k < 0 the first -k output frames are dropped.
    """

    panel: tuple[int, int, int, int] | None = None
    offset_frames: int = 0

    def footage(self, path: Path, audio: Path | None = None) -> Footage:
        """Read one video; its sound comes from `audio` when given, else from its own track.

        Raises `Unscored` when the file is missing, empty, cannot be decoded, holds no frames, is black throughout, or
        is not square.
        """
        if not path.is_file():
            raise Unscored(f"missing_video: {path.name}")
        if path.stat().st_size == 0:
            raise Unscored(f"empty_video: {path.name} has 0 bytes")
        try:
            frames, notes = self._frames(path)
            waveform = media.read_waveform(audio or path)
        except media.UnreadableError as error:
            raise Unscored(str(error)) from error
        begin = SAMPLES_PER_FRAME * max(0, self.offset_frames)
        if waveform is not None and audio is not None and begin:
            waveform = waveform[begin:]  # the driving sound runs with the reference, not with the late output
        if waveform is None:
            notes.append("no audio track")
        digest = hashlib.sha256(frames.data)
        frames_sha256 = digest.hexdigest()
        digest.update(b"" if waveform is None else waveform.tobytes())
        return Footage(
            frames=frames,
            waveform=waveform,
            raw_sha256=sha256_file(path),
            frames_sha256=frames_sha256,
            normalised_sha256=digest.hexdigest(),
            notes=tuple(notes),
            start_frame=max(0, self.offset_frames),
        )

    def _frames(self, path: Path) -> tuple[np.ndarray, list[str]]:
        notes: list[str] = []
        drop = max(0, -self.offset_frames)
        kept: list[np.ndarray] = []
        for number, image in enumerate(media.frames(path, FPS)):
            if number == 0:
                notes += self._describe(path, image)
            if number >= drop:
                kept.append(_square(self._cut(image, path)))
        if not kept:
            raise Unscored(f"no_frames: {path.name}")
        frames = np.stack(kept)
        length = len(frames)
        while length and frames[length - 1].mean() < BLACK_LUMA:
            length -= 1
        if not length:
            raise Unscored(f"all_black: {path.name}, {len(frames)} frames with mean luma below {BLACK_LUMA:g}")
        if length < len(frames):
            notes.append(f"dropped {len(frames) - length} black frames at the end")
        return frames[:length], notes

    def _cut(self, image: np.ndarray, path: Path) -> np.ndarray:
        if self.panel is None:
            return image
        x, y, width, height = self.panel
        cut = image[y : y + height, x : x + width]
        if cut.shape[:2] != (height, width) or x < 0 or y < 0:
            raise Unscored(f"no_panel: {path.name} is {image.shape[1]}x{image.shape[0]}, the panel is {self.panel}")
        return cut

    def _describe(self, path: Path, image: np.ndarray) -> list[str]:
        height, width = self._cut(image, path).shape[:2]
        if abs(width / height - 1) > MAX_SQUEEZE:
            raise Unscored(f"not_square: {path.name} is {width}x{height}; name its panel in method.toml")
        notes = [f"cut panel {self.panel}"] if self.panel else []
        if (width, height) != (FRAME_SIZE_PX, FRAME_SIZE_PX):
            notes.append(f"scaled from {width}x{height}")
        fps = media.probe(path).fps
        if abs(fps - FPS) > 0.01:
            notes.append(f"resampled from {fps:g} fps")
        if self.offset_frames:
            notes.append(f"shifted by {self.offset_frames} frames")
        return notes


AS_IS = Normalise()


def _square(image: np.ndarray) -> np.ndarray:
    return image if image.shape[:2] == (FRAME_SIZE_PX, FRAME_SIZE_PX) else media.resize(image, FRAME_SIZE_PX)
