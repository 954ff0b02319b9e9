"""What the model generates: expression and head motion of a clip, free of who speaks."""

from dataclasses import dataclass

import numpy as np

from chdtf.morphable.head_motion import NUM_POSE


@dataclass(frozen=True, eq=False)
class Motion:
    """T frames at 25 fps."""

    expression: np.ndarray  # (T, 64) float32, standard deviations of the face model's basis
    pose: np.ndarray  # (T, 6) float32, about the source's pose: `chdtf.morphable.head_motion`; zero: a still head

    def __post_init__(self) -> None:
        if self.pose.shape != (len(self.expression), NUM_POSE):
            raise ValueError(f"expression {self.expression.shape} and pose {self.pose.shape} do not belong together")

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.expression)
