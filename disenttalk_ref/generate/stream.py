"""Sound in as it arrives, motion out as soon as it is decided."""

from pathlib import Path

import numpy as np
import torch

from chdtf.schema import FPS, SAMPLE_RATE_HZ
from chdtf.threads import one_thread
from disenttalk_ref.audio.streaming import open_stream
from disenttalk_ref.checkpoint import DEFAULT, Checkpoint, load_checkpoint
from disenttalk_ref.generate.motion import Decoder, SamplerConfig, new_sections
from disenttalk_ref.generate.sections import Policy
from disenttalk_ref.motion import Motion

SECTION_FRAMES, AHEAD_FRAMES = 4, 6


class MotionStream:
    """Motion for speech that is still being spoken; memory does not grow, and pieces of any size may be given.

    Four frames at a time are decided, once the sound of six frames after them is there (four of which the network's
    cross-attention hears): see `latency_s`. The frames before them are what the network continues.
    """

    def __init__(
        self, checkpoint: Checkpoint | Path = DEFAULT, config: SamplerConfig | None = None, policy: Policy | None = None
    ) -> None:
        """Raises `UserError` for a checkpoint whose audio features hear the whole recording at once."""
        self.config = config or SamplerConfig()
        self.model = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(checkpoint)
        self.policy = policy or default_policy(self.model.header.window_frames)
        self._listener = open_stream(self.model.header.audio)
        self._sections = new_sections(self.model, self.config, self.policy, overlap=0)
        self._decode = Decoder(self.model, self.config)

    @property
    def num_frames(self) -> int:
        """Frames decided so far."""
        return self._sections.decided

    @property
    def latency_s(self) -> float:
        """Longest time between the end of a frame's own sound and the sound that decides it; computing comes on top."""
        frames = self.policy.section_frames - 1 + self.policy.ahead_frames
        return frames / FPS + self._listener.look_ahead_samples / SAMPLE_RATE_HZ

    def push(self, samples: np.ndarray) -> Motion:
        """Give the next samples, mono 16 kHz (n,), n >= 0; returns the frames decided by them, possibly none.

        Raises `UserError` for NaN, `ValueError` after `finish`.
        """
        with one_thread():  # the work is small; threads that wait for each other cost more than they give
            return self._decode(self._sections.push(self._listener.push(samples)))

    def finish(self) -> Motion:
        """The speech has ended: all frames not decided yet. A last frame whose sound is not whole is dropped."""
        with one_thread():
            last = self._sections.push(self._listener.finish())
            return self._decode(torch.cat([last, self._sections.finish()]))


def default_policy(window_frames: int) -> Policy:
    """Sections of 4 frames with 6 ahead, and as many frames behind as the window of training has room for."""
    section = min(SECTION_FRAMES, window_frames)
    ahead = min(AHEAD_FRAMES, window_frames - section)
    return Policy(section, ahead, window_frames - section - ahead)
