"""DPM-Solver++(2M) in its data-prediction form (Lu et al. 2022, "DPM-Solver++", Algorithm 2)."""

import math
from collections.abc import Callable

import torch

from disenttalk_ref.diffusion.samplers import Level


class Sampler:
    """Second order: the estimate of Z_0 is extrapolated from the last two steps, in the half log signal-to-noise ratio.

    The first step, and the one that reaches t = 0 (where the ratio is infinite), are of first order, which is DDIM.
    """

    def __init__(self) -> None:
        self._before: tuple[torch.Tensor, float] | None = None  # estimate and lambda of the step before

    def __call__(
        self, zt: torch.Tensor, z0: torch.Tensor, now: Level, then: Level, fresh: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """As `samplers.Sampler`; `fresh` is not used."""
        stride = then.half_log_snr - now.half_log_snr  # h of the paper
        ahead = z0
        if self._before is not None and math.isfinite(stride):
            earlier, at = self._before
            ahead = z0 + (z0 - earlier) * stride / (2 * (now.half_log_snr - at))
        self._before = z0, now.half_log_snr
        return then.noise / now.noise * zt - then.kept * math.expm1(-stride) * ahead
