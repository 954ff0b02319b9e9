"""Draw the face mesh of coefficients over a video, or over a clip of a dataset."""

import dataclasses
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from benchmark.cli._clip import choose, find_clip
from benchmark.cli._console import counted, progress, say

if TYPE_CHECKING:
    from chdtf.morphable.coefficients import Coefficients
    from chdtf.morphable.drawing.overlay import OverlayStyle
    from chdtf.morphable.exchange.clips import AnyClip
    from chdtf.morphable.model import FaceModel

_VIDEO, _PICTURES = ".mp4", (".jpg", ".png")


@dataclasses.dataclass(frozen=True)
class Command:
    """Write the video with the fitted mesh over it, beside the video as it was, with its sound. A video is tracked and
    fitted, unless --coefficients names a file of its coefficients; a clip of a dataset has its coefficients already,
    or is fitted anew to its landmarks when --model names another face model. Frames without a face have no mesh and
    say so. A frame rate that varies becomes a constant one, and odd sizes grow by a row or column of pixels, as mp4
    needs.
    """

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="VIDEO")]
    """A video file, or a dataset's folder (with --clip)."""
    clip: Annotated[str | None, tyro.conf.arg(metavar="ID")] = None
    """The clip of the dataset, or of a file of coefficients that holds several."""
    coefficients: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Coefficients of the video, drawn as they are: .mat or .npy of bfm, whose own files must be here, or .parquet."""
    first_frame: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """The video's frame, from 0, that the file's first coefficients belong to (2 in StyleTalk's files). Those of .mat
    and .npy are found by the openings of mouth and eyes otherwise."""
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
        from chdtf.morphable.drawing.clips import fit_on, placed, scaled
        from chdtf.morphable.drawing.overlay import overlay
        from chdtf.morphable.drawing.video import add_sound, constant_rate
        from chdtf.morphable.model import DEFAULT_MODEL, load_model

        if not self.source.exists():
            raise UserError(f"{self.source}: no such file")
        if self.coefficients is None and self.clip is not None:
            raise UserError(f"--clip {self.clip}: {self.source} is a file; only datasets and --coefficients have clips")
        if self.coefficients is None and self.first_frame is not None:
            raise UserError(f"--first-frame {self.first_frame}: is about the file of --coefficients; name it too")
        clip = None if self.coefficients is None else self._clip(self.coefficients)
        model = load_model(self.model or (DEFAULT_MODEL if clip is None else clip.face_model))
        info = probe(self.source)
        fps, varies = constant_rate(self.source)
        if clip is not None:
            fps, varies = _rate_of(clip, self.source, fps), False
        expected = max(1, round(info.duration_s * fps))

        def pictures(title: str) -> Iterator[np.ndarray]:
            with progress(title) as report:
                given = frames(self.source, fps, longest_side_px=self.longest_side)
                yield from counted(given, lambda done: report(done, max(done, expected), "frames"))

        stored = None if clip is None else fit_on(clip, model, (info.width, info.height))
        landmarks = track_landmarks(pictures("tracking"))
        if clip is None or stored is None:
            coefficients, note = _fit(landmarks, model, self.source), "no face"
        else:
            shrunk = scaled(stored, min(1.0, self.longest_side / max(info.width, info.height)))
            coefficients = placed(shrunk, self._first_frame(clip, landmarks), len(landmarks))
            note = "no coefficients"
        drawn = overlay(pictures("drawing"), coefficients, model, style, landmarks if self.landmarks else None, note)
        if not self._picture(drawn, len(landmarks)):
            with tempfile.TemporaryDirectory(prefix=".overlay-", dir=self.out.parent) as folder:
                silent = Path(folder) / "silent.mp4"
                write_video(silent, drawn, fps=fps)
                add_sound(silent, self.source, self.out)
        rate = f"{fps:g} fps" + (", constant where the video's own rate varies" if varies else "")
        self._tell(coefficients, landmarks, model, rate, note)

    def _clip(self, path: Path) -> "AnyClip":
        """The clip of --coefficients: that of --clip, the only one, or that of the video's name."""
        from chdtf.morphable.exchange.files import read_clips

        clips = {clip.clip_id: clip for clip in read_clips(path)}
        named = self.source.stem if len(clips) > 1 and self.source.stem in clips else None
        return choose(clips, self.clip or named, path)

    def _first_frame(self, clip: "AnyClip", landmarks: np.ndarray) -> int:
        """The video's frame that the clip's first belongs to, and says so where that had to be found."""
        from chdtf.errors import UserError
        from chdtf.morphable.exchange.clips import FittedClip
        from disenttalk_ref.disentangle.bfm import MIN_AGREEMENT, shift_of
        from disenttalk_ref.disentangle.points import openings

        count = clip.coefficients.num_frames
        if self.first_frame is not None:
            if not -count < self.first_frame < len(landmarks):
                raise UserError(
                    f"--first-frame {self.first_frame}: no frame of {self.source} ({len(landmarks)} frames) would have "
                    f"one of the file's {count}"
                )
            return self.first_frame
        if isinstance(clip, FittedClip):
            return 0
        first, agreement = shift_of(openings(landmarks), clip.coefficients.expression)
        if agreement < MIN_AGREEMENT:
            raise UserError(
                f"{self.coefficients}: does not follow mouth and eyes of {self.source} (correlation {agreement:.2f}, "
                f"{MIN_AGREEMENT} are needed to find which frames belong together); give the video that it was made "
                "of, or say with --first-frame which frame its first belongs to"
            )
        say(
            f"{self.coefficients}: its first frame is frame {first} of the video, by mouth and eyes (correlation "
            f"{agreement:.2f}; --first-frame says it otherwise)"
        )
        return first

    def _dataset(self, style: "OverlayStyle") -> None:
        from chdtf.clip import face_model_of
        from chdtf.errors import UserError
        from chdtf.media import frames, write_video
        from chdtf.morphable.drawing.overlay import overlay
        from chdtf.morphable.model import load_model

        for option, value in (("--coefficients", self.coefficients), ("--first-frame", self.first_frame)):
            if value is not None:
                raise UserError(
                    f"{option} {value}: {self.source} is a dataset, whose clips have their own coefficients"
                )
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

    def _tell(
        self,
        coefficients: "Coefficients",
        landmarks: np.ndarray,
        model: "FaceModel",
        rate: str,
        note: str = "no face",
    ) -> None:
        from chdtf.media import probe
        from chdtf.morphable.drawing.overlay import mean_error_px

        info = probe(self.out)  # of a picture too
        missing = int((~coefficients.valid).sum())
        say(f"{self.out}: {info.width} x {info.height} px, {coefficients.num_frames} frames at {rate}")
        tracked = np.isfinite(landmarks).all(axis=(1, 2))
        error = mean_error_px(landmarks, coefficients.replace(valid=coefficients.valid & tracked), model)
        without = "a mesh in every frame" if not missing else f"{note} in {missing} of them, which have no mesh"
        say(f"{model.name}: {without}; mean distance of mesh and landmarks {error:.2f} px")


def _rate_of(clip: "AnyClip", video: Path, fps: float) -> float:
    """The frame rate at which the video has as many frames as the clip, a few more or less.

    Raises `UserError` when at neither the clip's rate, the video's `fps`, 25 nor 30.
    """
    from chdtf.errors import UserError
    from chdtf.morphable.drawing.video import count_frames
    from disenttalk_ref.disentangle.bfm import MAX_SHIFT

    count, has = clip.coefficients.num_frames, count_frames(video)
    rates = [clip.fps] if clip.fps else [fps, 25.0, 30.0]
    for rate in rates:
        if abs(has * rate / fps - count) <= MAX_SHIFT:
            return rate
    tried = " or ".join(f"{has * rate / fps:.0f} at {rate:g}" for rate in dict.fromkeys(rates))
    raise UserError(
        f"clip {clip.clip_id} has {count} frames, {video} {tried} frames/s, and no more than {MAX_SHIFT} may differ; "
        "give the video that the coefficients were made of"
    )


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
