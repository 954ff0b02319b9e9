"""A loaded model and a renderer: source image and speech in, frames out."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chdtf.morphable.head_motion import move
from disenttalk_ref.checkpoint import DEFAULT, load_checkpoint
from disenttalk_ref.generate.motion import SamplerConfig, generate_motion
from disenttalk_ref.render.mesh_warp import MeshWarpRenderer
from disenttalk_ref.render.renderer import Renderer


class Generator:
    """A loaded model and a renderer: source image and speech in, frames out."""

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
        self.renderer = renderer or MeshWarpRenderer()

    def frames(self, image: np.ndarray, waveform: np.ndarray, num_frames: int, seed: int = 0) -> Iterator[np.ndarray]:
        """Frames of a talking face that keeps the pose of its source.

        Args:
            image: source, uint8 (H, W, 3) RGB with one face.
            waveform: speech, float32 (S,), mono 16 kHz.
            num_frames: T; the speech is cut or padded to it.
            seed: of the noise that sampling starts from.

        Returns:
            T frames, uint8 (256, 256, 3) RGB, at 25 fps.

        Raises:
            UserError: when the image shows no face.

        """
        portrait = self.renderer.prepare(image)
        config = dataclasses.replace(self.config, seed=seed)
        motion = generate_motion(waveform, num_frames, self.checkpoint, config)
        return portrait.frames(move(portrait.source, motion.expression, motion.pose))
