"""One step of learning: noise loss (Eq. 8) with audio dropped at random (Eq. 9), lip-sync loss (Eq. 10), averaging.

All that is random in it but dropout is drawn for the whole batch, from (seed, step); a process takes its part. Losses
are divided by counts over the whole batch, so that processes and micro-batches do not change the result.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812
from torch.optim.swa_utils import get_ema_multi_avg_fn

from disenttalk_ref.checkpoint import Checkpoint
from disenttalk_ref.model import REGIONS
from disenttalk_ref.sync import SyncExpert, expert_loss, sync_loss
from disenttalk_ref.train.batches import Batch
from disenttalk_ref.train.config import TrainConfig

EXPERT_RATE = 1e-3
LATENT_LIMIT = 5.0  # of the estimates that Eq. 10 judges; latents have unit variance


@dataclass(frozen=True)
class _Draws:
    """What is random in a step: for a batch of B windows."""

    t: torch.Tensor  # (B,)
    epsilon: torch.Tensor  # (B, T, K)
    dropped: torch.Tensor  # (B,) bool
    shift_frames: int  # of the expert's wrong pairs


class Learner:
    """Network, expert, their optimizers and the averaged weights, on the accelerator's device."""

    def __init__(self, config: TrainConfig, untrained: Checkpoint, accelerator: Any) -> None:
        self.config, self.accelerator, self.device = config, accelerator, accelerator.device
        self.diffusion = untrained.diffusion
        self.codec = untrained.codec.to(self.device)
        self.net = untrained.denoiser.to(self.device).train()
        lips = untrained.header.regions[REGIONS.index("lip")]
        self.lips = torch.tensor(lips, device=self.device)
        self.expert = SyncExpert(untrained.header.model.audio_width, len(lips)).to(self.device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=config.learning_rate, fused=True)
        self.expert_optimizer = torch.optim.Adam(self.expert.parameters(), lr=EXPERT_RATE, fused=True)
        prepared = accelerator.prepare(self.net, self.expert, self.optimizer, self.expert_optimizer)
        self._shared_net, self._shared_expert, self._optimizer, self._expert_optimizer = prepared
        self.average = {name: value.detach().clone() for name, value in self.net.state_dict().items()}

    @property
    def part(self) -> slice:
        """The windows of each batch that are this process's."""
        share = self.config.batch // self.accelerator.num_processes
        return slice(share * self.accelerator.process_index, share * (self.accelerator.process_index + 1))

    def learn(self, batch: Batch, step: int) -> dict[str, torch.Tensor]:
        """One step on this process's part of the batch; returns its part of the losses, which add up over processes."""
        config, processes = self.config, self.accelerator.num_processes
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(config, step)
        draws = self._draw(step, batch.motion.shape[1])
        torch.manual_seed(_seed(config.seed, step, self.part.start))  # of dropout
        batch = batch.to(self.device)
        frames = self._total(batch.valid.sum()).clamp_min(1)
        heard = self._total((~draws.dropped[self.part]).sum().to(self.device)).clamp_min(1)
        expert = self._teach_expert(batch, draws.shift_frames)
        losses = {"noise": 0.0 * frames, "sync": 0.0 * frames, "expert": expert}
        self._optimizer.zero_grad()
        for rows, last in self._micro(len(batch)):
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self._shared_net):
                noise, sync = self._losses(batch[rows], self._rows(draws, rows), frames, heard)
                self.accelerator.backward((noise + config.lambda_ * sync) * processes)  # which take their mean
            losses["noise"], losses["sync"] = losses["noise"] + noise.detach(), losses["sync"] + sync.detach()
        norm = self.accelerator.clip_grad_norm_(self._shared_net.parameters(), config.clip_norm)
        self._optimizer.step()
        self._keep_average(step)
        return {**losses, "gradient": norm.detach() / processes}

    def _draw(self, step: int, frames: int) -> _Draws:
        generator = torch.Generator().manual_seed(_seed(self.config.seed, step))
        count = self.config.batch
        latents = self.codec.encode_matrix.shape[1]
        return _Draws(
            t=torch.randint(1, self.diffusion.steps + 1, (count,), generator=generator),
            epsilon=torch.randn(count, frames, latents, generator=generator),
            dropped=torch.rand(count, generator=generator) < self.config.audio_drop,
            shift_frames=int(torch.randint(5, max(6, self.config.window_frames // 2), (), generator=generator)),
        )

    def _rows(self, draws: _Draws, rows: slice) -> _Draws:
        """The draws for `rows` of this process's part, on the device."""

        def own(values: torch.Tensor) -> torch.Tensor:
            return values[self.part][rows].to(self.device)

        return _Draws(own(draws.t), own(draws.epsilon), own(draws.dropped), draws.shift_frames)

    def _micro(self, count: int) -> Iterator[tuple[slice, bool]]:
        """Micro-batches of `count` windows, and which of them is the last."""
        size = self.config.micro_batch or count
        for first in range(0, count, size):
            yield slice(first, first + size), first + size >= count

    def _total(self, count: torch.Tensor) -> torch.Tensor:
        """A count over all processes, as float."""
        found: torch.Tensor = self.accelerator.reduce(count.float(), "sum")
        return found

    def _losses(
        self, batch: Batch, draws: _Draws, frames: torch.Tensor, heard: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Shares of noise loss and lip-sync loss, of `frames` valid frames and `heard` windows with audio in all."""
        z0 = self.codec.encode(batch.motion[..., : len(self.codec.mean)])
        zt = self.diffusion.q_sample(z0, draws.t, draws.epsilon)
        predicted = self._shared_net(zt, draws.t, batch.audio, draws.dropped)
        target = self.diffusion.target(z0, draws.t, draws.epsilon)
        error = F.mse_loss(predicted, target, reduction="none").mean(-1)
        noise = (error * batch.valid).sum() / frames  # Eq. 8
        if self.config.lambda_ == 0:
            return noise, noise.new_zeros(())
        estimate, _ = self.diffusion.estimate(zt, draws.t, predicted)
        lips = self.codec.decode(estimate.clamp(-LATENT_LIMIT, LATENT_LIMIT))[..., self.lips]
        with _frozen(self.expert):
            judged = sync_loss(self.expert(batch.audio, lips), 1.0, reduction="none").mean(-1)  # Eq. 10, (B,)
        return noise, (judged * ~draws.dropped).sum() / heard

    def _teach_expert(self, batch: Batch, shift_frames: int) -> torch.Tensor:
        """One step of the expert on recorded pairs; returns this process's share of its loss."""
        if self.config.lambda_ == 0:
            return torch.zeros((), device=self.device)
        loss = expert_loss(self._shared_expert, batch.audio, batch.motion[..., self.lips], shift_frames)
        self._expert_optimizer.zero_grad()
        self.accelerator.backward(loss)
        self._expert_optimizer.step()
        return torch.as_tensor(loss.detach() / self.accelerator.num_processes)

    def _keep_average(self, step: int) -> None:
        decay = min(self.config.ema_decay, (2 + step) / (11 + step))
        now = self.net.state_dict()
        get_ema_multi_avg_fn(decay)(list(self.average.values()), [now[name] for name in self.average], step)

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on."""
        return {
            "net": self.net.state_dict(),
            "average": self.average,
            "expert": self.expert.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "expert_optimizer": self.expert_optimizer.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over a `state`."""
        for name in ("net", "expert", "optimizer", "expert_optimizer"):
            getattr(self, name).load_state_dict(state[name])
        for name, value in self.average.items():
            value.copy_(state["average"][name])


def _seed(*numbers: int) -> int:
    """63 bits that depend on all of the numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1


def rate_at(config: TrainConfig, step: int) -> float:
    """Learning rate of a step: a linear rise, then a cosine down to a tenth."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * (0.55 + 0.45 * math.cos(math.pi * min(1.0, progress)))


@contextlib.contextmanager
def _frozen(module: torch.nn.Module) -> Iterator[None]:
    """Gradients pass through a module but do not reach its parameters."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
