"""A loaded model and a renderer: source and speech in, frames out. Motion and frames are separate steps."""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chdtf.errors import UserError
from chdtf.morphable.head_motion import move
from chdtf.morphable.model import FaceModel, load_model
from chdtf.threads import one_thread
from disenttalk_ref.checkpoint import DEFAULT, load_checkpoint
from disenttalk_ref.generate.control import Control, closed_mouth, combine, to_length
from disenttalk_ref.generate.dubbing import DubbedVideo, prepare_dubbing
from disenttalk_ref.generate.motion import SamplerConfig, generate_motion
from disenttalk_ref.generate.source import fit_video, track_video
from disenttalk_ref.motion import Motion
from disenttalk_ref.render import Portrait, Renderer, load_renderer

NO_CONTROL = Control()
_POSE = ("rotation", "translation", "scale", "valid")


class Generator:
    """A loaded model and a renderer. `frames` does everything for a picture; the other methods are its steps."""

    def __init__(
        self,
        checkpoint: Path = DEFAULT,
        config: SamplerConfig | None = None,
        renderer: Renderer | None = None,
        device: str = "cpu",
    ) -> None:
        """Raises `UserError` when the checkpoint is missing or was made for another face model."""
        self.checkpoint = load_checkpoint(checkpoint, device=device)
        self.config = config or SamplerConfig()
        self.renderer = renderer or load_renderer()

    @functools.cached_property
    def face_model(self) -> FaceModel:
        """The face model that the checkpoint's expressions belong to."""
        return load_model(self.checkpoint.header.face_model)

    def motion(self, waveform: np.ndarray, num_frames: int, seed: int = 0, control: Control = NO_CONTROL) -> Motion:
        """Motion for speech, float32 (S,) mono 16 kHz, with the regions that `control` brings from elsewhere.

        `num_frames` frames at 25 fps; the speech is cut or padded to them. `seed`: of the noise that sampling starts
        from; it takes the place of the configuration's.
        """
        config = dataclasses.replace(self.config, seed=seed)
        with one_thread():  # the network is small; and results do not depend on the number of cores
            spoken = generate_motion(waveform, num_frames, self.checkpoint, config)
        regions = self.checkpoint.header.regions
        closed = closed_mouth(self.face_model, regions[1]) if control.lip_weight != 1 else None
        return combine(spoken, control, regions, closed)

    def prepare(self, image: np.ndarray) -> Portrait:
        """A source picture, uint8 (H, W, 3) RGB, ready to be driven.

        Raises `UserError` when it shows no face, or when the renderer draws another face model than the checkpoint's.
        """
        portrait = self.renderer.prepare(image)
        self._check_model(portrait)
        return portrait

    def draw(self, portrait: Portrait, motion: Motion) -> Iterator[np.ndarray]:
        """The portrait in motion: T frames, uint8 (256, 256, 3) RGB.

        Raises `UserError` when the portrait is of another face model than the checkpoint's.
        """
        self._check_model(portrait)
        return portrait.frames(move(portrait.source, motion.expression, motion.pose))

    def _check_model(self, portrait: Portrait) -> None:
        header, drawn = self.checkpoint.header, portrait.model
        if (drawn.name, drawn.hash) != (header.face_model, header.face_model_hash):
            raise UserError(
                f"the checkpoint's motion is of face model {header.face_model} {header.face_model_hash[:12]}, the "
                f"renderer draws {drawn.name} {drawn.hash[:12]}: take a checkpoint and a renderer of one face model"
            )

    def frames(
        self,
        image: np.ndarray,
        waveform: np.ndarray,
        num_frames: int,
        seed: int = 0,
        control: Control = NO_CONTROL,
    ) -> Iterator[np.ndarray]:
        """A picture speaks ("Ours-image"); its head moves from the pose that the picture shows.

        Args:
            image: source, uint8 (H, W, 3) RGB with one face, framed as `disenttalk_ref.generate.picture` does.
            waveform: speech, float32 (S,), mono 16 kHz.
            num_frames: T; the speech is cut or padded to it.
            seed: of the noise that sampling starts from.
            control: regions from other sources, and the lip weight.

        Returns:
            T frames, uint8 (256, 256, 3) RGB, at 25 fps.

        Raises:
            UserError: when the image shows no face, or the renderer draws another face model than the checkpoint's.

        """
        portrait = self.prepare(image)
        return self.draw(portrait, self.motion(waveform, num_frames, seed, control))

    def prepare_video(self, path: Path, max_frames: int, crop: str = "auto") -> DubbedVideo:
        """A source video, ready to be given other lips; of its frames at 25 fps `max_frames` at most are used.

        Raises `UserError` as `disenttalk_ref.generate.source.track_video` does.
        """
        video = track_video(path, max_frames, crop)
        return prepare_dubbing(video, fit_video(video, self.face_model), self.face_model)

    def dub(self, dubbed: DubbedVideo, motion: Motion) -> Iterator[np.ndarray]:
        """A video speaks ("Ours-video"): its own frames, head motion and eyes, with the lips of `motion`.

        T frames of `motion`, uint8 (256, 256, 3) RGB; a shorter video plays forward and backward.
        """
        lip = list(self.checkpoint.header.regions[1])
        own = dubbed.source
        expression = to_length(own.expression, motion.num_frames)
        expression[:, lip] = motion.expression[:, lip]
        pose = {name: to_length(getattr(own, name), motion.num_frames) for name in _POSE}
        return dubbed.frames(own.replace(expression=expression, **pose))
