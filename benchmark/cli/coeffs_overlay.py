"""Draw the fitted face mesh over a video, or over a clip of a dataset."""

import dataclasses
import io
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from benchmark.cli._clip import find_clip
from benchmark.cli._console import counted, progress, say

if TYPE_CHECKING:
    from chdtf.morphable.coefficients import Coefficients
    from chdtf.morphable.drawing.overlay import OverlayStyle
    from chdtf.morphable.model import FaceModel


_VIDEO, _PICTURES = ".mp4", (".jpg", ".png")


@dataclasses.dataclass(frozen=True)
class Command:
    """Write the video with the fitted mesh over it, beside the video as it was, with its sound. A video is tracked and
    fitted; a clip of a dataset has its coefficients already, or is fitted anew to its landmarks when --model names
    another face model. Frames without a face have no mesh and say so. A frame rate that varies becomes a constant one,
    and odd sizes grow by a row or column of pixels, as mp4 needs.
    """

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="VIDEO")]
    """A video file, or a dataset's folder (with --clip)."""
    clip: Annotated[str | None, tyro.conf.arg(metavar="ID")] = None
    """The clip of the dataset."""
    model: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """The face model: mp468, ict, bfm, or the path of one. By default mp468, or that of the dataset's clip."""
    landmarks: bool = False
    """Draw the tracked landmarks too, as dots."""
    wireframe: bool = False
    """Draw the mesh as lines instead of a shaded surface."""
    opacity: float = 0.65
    """Of the shaded mesh, above 0 to 1."""
    alone: bool = False
    """Write the video with the mesh only, without the original beside it."""
    longest_side: int = 1280
    """Larger frames are scaled down to this many pixels."""
    moments: int = 4
    """How many frames a picture shows."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("overlay.mp4")
    """The video to write, .mp4; or a picture of some of its frames, .jpg or .png."""

    def run(self) -> int:
        """Track, fit, draw and encode; print what became of the frames."""
        from chdtf.errors import UserError
        from chdtf.media import UnreadableError
        from chdtf.morphable.drawing.figure import check_out
        from chdtf.morphable.drawing.overlay import OverlayStyle

        check_out(self.out, (_VIDEO, *_PICTURES))
        if not 0 < self.opacity <= 1:
            raise UserError(f"--opacity {self.opacity}: must be above 0 and at most 1")
        if self.longest_side < 64:
            raise UserError(f"--longest-side {self.longest_side}: must be 64 or more")
        if self.source.is_file() and self.out.exists() and self.source.samefile(self.out):
            raise UserError(f"--out {self.out}: is the video itself, which is never changed; choose another name")
        if self.moments < 1:
            raise UserError(f"--moments {self.moments}: must be 1 or more")
        style = OverlayStyle(self.wireframe, self.opacity, not self.alone)
        try:
            if self.source.is_dir():
                self._dataset(style)
            else:
                self._video(style)
        except UnreadableError as error:
            raise UserError(f"{self.source}: not a video that can be read ({error.detail})") from error
        return 0

    def _video(self, style: "OverlayStyle") -> None:
        from chdtf.errors import UserError
        from chdtf.faces import track_landmarks
        from chdtf.media import frames, probe, write_video
        from chdtf.morphable.drawing.overlay import overlay
        from chdtf.morphable.drawing.video import add_sound, constant_rate
        from chdtf.morphable.model import DEFAULT_MODEL, load_model

        if not self.source.exists():
            raise UserError(f"{self.source}: no such file")
        if self.clip is not None:
            raise UserError(f"--clip {self.clip}: {self.source} is a file, and only a dataset's folder has clips")
        model = load_model(self.model or DEFAULT_MODEL)
        info = probe(self.source)
        fps, varies = constant_rate(self.source)
        expected = max(1, round(info.duration_s * fps))

        def pictures(title: str) -> Iterator[np.ndarray]:
            with progress(title) as report:
                given = frames(self.source, fps, longest_side_px=self.longest_side)
                yield from counted(given, lambda done: report(done, max(done, expected), "frames"))

        given = pictures("tracking")
        first = list(itertools.islice(given, 2))  # MediaPipe's start must not wait, or its chatter is seen
        landmarks = track_landmarks(itertools.chain(first, given))
        coefficients = _fit(landmarks, model, self.source)
        drawn = overlay(pictures("drawing"), coefficients, model, style, landmarks if self.landmarks else None)
        if not self._picture(drawn, len(landmarks)):
            with tempfile.TemporaryDirectory(prefix=".overlay-", dir=self.out.parent) as folder:
                silent = Path(folder) / "silent.mp4"
                write_video(silent, drawn, fps=fps)
                add_sound(silent, self.source, self.out)
        rate = f"{fps:g} fps" + (", constant where the video's own rate varies" if varies else "")
        self._tell(coefficients, landmarks, model, rate)

    def _dataset(self, style: "OverlayStyle") -> None:
        from chdtf.clip import face_model_of
        from chdtf.media import frames, write_video
        from chdtf.morphable.drawing.overlay import overlay
        from chdtf.morphable.model import load_model

        clip = find_clip(self.source, self.clip)
        landmarks = clip.landmarks()
        stored, _ = face_model_of([clip])
        model = load_model(self.model or stored)
        coefficients = clip.coefficients() if self.model in (None, stored) else _fit(landmarks, model, clip.clip_id)
        pictures = frames(io.BytesIO(clip.video_bytes()), clip.fps)
        drawn = overlay(pictures, coefficients, model, style, landmarks if self.landmarks else None)
        with progress(f"drawing {clip.clip_id}") as report:
            seen = counted(drawn, lambda done: report(done, clip.num_frames, "frames"))
            if not self._picture(seen, clip.num_frames):
                write_video(self.out, seen, clip.waveform(), clip.fps, clip.sample_rate_hz)
        self._tell(coefficients, landmarks, model, f"{clip.fps} fps")

    def _picture(self, drawn: Iterator[np.ndarray], num_frames: int) -> bool:
        """Write some frames as a picture, if --out names one."""
        from chdtf.morphable.drawing.figure import save_image
        from chdtf.morphable.drawing.overlay import strip

        if self.out.suffix.lower() not in _PICTURES:
            return False
        columns = self.moments if self.alone or self.moments == 1 else 2
        save_image(strip(drawn, num_frames, self.moments, columns), self.out)
        return True

    def _tell(self, coefficients: "Coefficients", landmarks: np.ndarray, model: "FaceModel", rate: str) -> None:
        from chdtf.media import probe
        from chdtf.morphable.drawing.overlay import mean_error_px

        info = probe(self.out)  # of a picture too
        missing = int((~coefficients.valid).sum())
        say(f"{self.out}: {info.width} x {info.height} px, {coefficients.num_frames} frames at {rate}")
        error = mean_error_px(landmarks, coefficients, model)
        without = "a face in every frame" if not missing else f"no face in {missing} of them, which have no mesh"
        say(f"{model.name}: {without}; mean distance of mesh and landmarks {error:.2f} px")


def _fit(landmarks: np.ndarray, model: "FaceModel", what: object) -> "Coefficients":
    """Coefficients of tracked landmarks. Raises `UserError` when no frame has a face."""
    from chdtf.errors import UserError
    from chdtf.morphable.fitting import fit_clip

    if not len(landmarks) or not np.isfinite(landmarks).all(axis=(1, 2)).any():
        raise UserError(
            f"{what}: no face found in any of {len(landmarks)} frames; one must be seen from the front or half the "
            "side and be about a sixth as tall as the frame or more: crop the video, or build a dataset, which looks "
            "for faces"
        )
    return fit_clip(landmarks, model)
