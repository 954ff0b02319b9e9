"""The diffusion process: Eq. 3 (forward process), Eq. 8 (what is predicted), Eq. 9 (guidance), and the way back."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from disenttalk_ref.diffusion.samplers import Level, load_sampler

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (Z_t (B, T, K), t (B,)) -> prediction (B, T, K)
Noise = Callable[[], torch.Tensor]  # noise for one step of an ancestral sampler, (B, T, K)
PREDICTIONS = ("epsilon", "v", "z0")
MAX_NOISE = 0.9999  # a trace of Z_0 stays in Z_T, so that Eq. 3 can be inverted at every step
LAST_SHARE = 1 / 40  # of T: where the part of `times` that is even in the ratio ends
LIMIT = 5.0  # estimates of Z_0 stay within, in standard deviations


def _cosine_noise(steps: int) -> torch.Tensor:
    """Cosine schedule (Nichol and Dhariwal 2021, Eq. 17): variance of Z_t given Z_0, t = 0..steps, (steps + 1,)."""
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    kept = torch.cos((t + 0.008) / 1.008 * math.pi / 2).square()
    return MAX_NOISE * (1 - kept / kept[0])


@dataclass(frozen=True)
class Diffusion:
    """q(Z_t | Z_0) = N(sqrt(1 - beta_t) Z_0, beta_t I), Eq. 3 as printed.

    Conditioned on Z_0, beta_t is the variance that noise has reached by step t (1 - alpha-bar_t of Ho et al. 2020), not
    the increment of one step. t runs from 1 to `steps`; t = 0 is Z_0 itself.
    """

    steps: int = 400
    prediction: str = "epsilon"
    noise: torch.Tensor = field(init=False, repr=False, compare=False)  # beta_t, float64 (steps + 1,)

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            raise ValueError(f"prediction {self.prediction!r} is none of {PREDICTIONS}")
        object.__setattr__(self, "noise", _cosine_noise(self.steps))

    def scales(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Factors of Z_0 and of the noise at step t: (B,) -> float32 (B, 1, 1) twice."""
        beta = self.noise.float().to(t.device)[t][:, None, None]
        return (1 - beta).sqrt(), beta.sqrt()

    def level(self, t: int) -> Level:
        """Factors of Z_0 and of the noise at step t, as numbers."""
        beta = float(self.noise[t])
        return Level(t, math.sqrt(1 - beta), math.sqrt(beta))

    def q_sample(self, z0: torch.Tensor, t: torch.Tensor, epsilon: torch.Tensor) -> torch.Tensor:
        """Z_t of Eq. 3: (B, T, K), (B,), (B, T, K) -> (B, T, K)."""
        kept, noise = self.scales(t)
        return kept * z0 + noise * epsilon

    def target(self, z0: torch.Tensor, t: torch.Tensor, epsilon: torch.Tensor) -> torch.Tensor:
        """What the network has to predict: epsilon (the paper), v (Salimans and Ho 2022) or Z_0."""
        kept, noise = self.scales(t)
        return {"epsilon": epsilon, "z0": z0, "v": kept * epsilon - noise * z0}[self.prediction]

    def estimate(self, zt: torch.Tensor, t: torch.Tensor, predicted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Z_0 and epsilon that a prediction stands for, each (B, T, K)."""
        kept, noise = self.scales(t)
        if self.prediction == "v":
            return kept * zt - noise * predicted, noise * zt + kept * predicted
        if self.prediction == "z0":
            return predicted, (zt - kept * predicted) / noise.clamp_min(1e-4)
        return (zt - noise * predicted) / kept, predicted

    def times(self, num_steps: int) -> tuple[int, ...]:
        """Steps T = t_0 > ... > t_n = 0 that a sampler visits; `ValueError` unless 1 <= n <= T.

        Half way between steps that are even in t and steps that are even in the log signal-to-noise ratio: the former
        waste steps where little changes, the latter crowd at the ends. Few steps come much nearer to the result of many
        in this way (`tests/perf/sampler_steps.py`).
        """
        if not 1 <= num_steps <= self.steps:
            raise ValueError(f"{num_steps} sampling steps; this process has 1 to {self.steps}")
        even = np.linspace(self.steps, 0, num_steps + 1)
        t = np.arange(self.steps, 0, -1)
        beta = self.noise.numpy()[t]
        ratio = np.log((1 - beta) / beta) / 2  # rises
        wanted = np.linspace(ratio[0], ratio[t == max(1, round(LAST_SHARE * self.steps))][0], num_steps)
        middle = np.round((even[:-1] + np.interp(wanted, ratio, t)) / 2).astype(int).tolist()
        times = [self.steps]
        for number, step in enumerate(middle[1:], 1):
            times.append(min(times[-1] - 1, max(step, num_steps - number)))
        return (*times, 0)

    def sample(
        self,
        predict: Predict,
        start: torch.Tensor,
        num_steps: int | Sequence[int],
        sampler: str = "ddim",
        noise: Noise | None = None,
        limit: float = LIMIT,
    ) -> torch.Tensor:
        """Z_0 from Z_T = `start` (B, T, K) by the sampler of that name in `samplers/`.

        Args:
            predict: the network, guided.
            start: noise of the first step.
            num_steps: how many times the network is asked, or the descending steps t to visit, the last one included.
            sampler: module of `samplers/`.
            noise: of ancestral samplers, drawn once a step in order; default: torch's own generator.
            limit: Z_0 estimates are kept within +-limit: latents have unit variance, and at the noisiest steps a small
                error of epsilon is a large one of Z_0.

        """
        times = self.times(num_steps) if isinstance(num_steps, int) else tuple(num_steps)
        step = load_sampler(sampler)
        zt = start
        for now, then in itertools.pairwise(times):
            t = torch.full((len(zt),), now, device=zt.device)
            z0 = self.estimate(zt, t, predict(zt, t))[0].clamp(-limit, limit)
            fresh = noise or functools.partial(torch.randn_like, zt)
            zt = step(zt, z0, self.level(now), self.level(then), fresh)
        return zt


def guided(conditional: torch.Tensor, unconditional: torch.Tensor, strength: float) -> torch.Tensor:
    """Eq. 9: s * prediction with audio + (1 - s) * prediction without; s = 1 is the conditional prediction."""
    return strength * conditional + (1 - strength) * unconditional
