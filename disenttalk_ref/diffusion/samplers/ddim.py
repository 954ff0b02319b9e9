"""DDIM with eta = 0 (Song et al. 2021, Eq. 12): no noise is added, the first order solution of the probability flow."""

from collections.abc import Callable

import torch

from disenttalk_ref.diffusion.samplers import Level


class Sampler:
    """Walks straight along the estimate of each step."""

    def __call__(
        self, zt: torch.Tensor, z0: torch.Tensor, now: Level, then: Level, fresh: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """As `samplers.Sampler`; `fresh` is not used."""
        epsilon = (zt - now.kept * z0) / now.noise
        return then.kept * z0 + then.noise * epsilon
