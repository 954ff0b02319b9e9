"""Ancestral sampling (Ho et al. 2020, Eq. 6-7), between any two steps of the process."""

import math
from collections.abc import Callable

import torch

from disenttalk_ref.diffusion.samplers import Level


class Sampler:
    """Draws from q(Z_s | Z_t, Z_0) with the estimate in place of Z_0: the smaller of Ho et al.'s two variances."""

    def __call__(
        self, zt: torch.Tensor, z0: torch.Tensor, now: Level, then: Level, fresh: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """As `samplers.Sampler`."""
        carried = now.kept / then.kept  # of Z_s in Z_t
        added = now.noise**2 - carried**2 * then.noise**2  # variance that came between s and t
        mean = (carried * then.noise**2 * zt + then.kept * added * z0) / now.noise**2
        deviation = math.sqrt(max(added, 0.0)) * then.noise / now.noise
        return mean + deviation * fresh() if deviation else mean
