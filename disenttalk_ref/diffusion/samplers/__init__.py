"""Samplers by name: the folder is the registry, one module each with a class `Sampler`.

A sampler is asked for one step at a time, from an estimate of Z_0, so that whoever calls it decides how the estimate is
made: over the windows of a long clip, or behind frames that are decided already.
"""

import importlib
import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from chdtf.errors import UserError


@dataclass(frozen=True)
class Level:
    """How much noise step t has: Z_t = kept Z_0 + noise epsilon, kept^2 + noise^2 = 1."""

    t: int
    kept: float
    noise: float

    @property
    def half_log_snr(self) -> float:
        """lambda_t of Lu et al. 2022: log(kept / noise); infinite at t = 0."""
        return math.inf if self.noise == 0 else math.log(self.kept / self.noise)


class Sampler(Protocol):
    """One walk from Z_T to Z_0; may remember earlier steps of the same walk."""

    def __call__(
        self, zt: torch.Tensor, z0: torch.Tensor, now: Level, then: Level, fresh: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Z at `then` from Z_t at `now` and the estimate of Z_0 there; `fresh()` draws noise like Z_t."""


def sampler_names() -> list[str]:
    """Every sampler."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load_sampler(name: str) -> Sampler:
    """A new walk by the sampler of that name. Raises `UserError` for an unknown name."""
    if name not in sampler_names():
        raise UserError(f"sampler {name!r} is not known; choose one of {', '.join(sampler_names())}")
    walk: Sampler = importlib.import_module(f"{__name__}.{name}").Sampler()
    return walk
