"""Training, one loop: noise loss (Eq. 8) with audio dropped at random (Eq. 9) plus the lip-sync loss (Eq. 10).

Everything random is a function of (seed, step), so a run that was stopped and resumed ends where an uninterrupted one
does. Files in `out`: `checkpoint.safetensors` (averaged weights), `state.pt` (to resume), `train.csv` (losses).
"""

import csv
import dataclasses
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from chdtf.dataset import MotionClip, MotionDataset
from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.morphable.model import DEFAULT_MODEL, FaceModel, load_model
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.checkpoint import Checkpoint, Header, new_checkpoint, save_checkpoint
from disenttalk_ref.diffusion import PREDICTIONS
from disenttalk_ref.model import PRESETS, REGIONS
from disenttalk_ref.subspaces import load_subspaces
from disenttalk_ref.sync import SyncExpert, expert_loss, sync_loss
from disenttalk_ref.train.batches import Augmentation, Batch, WindowSampler

log = logging.getLogger(__name__)

Progress = Callable[[int, int, dict[str, float]], None]  # (steps done, steps in all, losses)


@dataclass(frozen=True)
class TrainConfig:
    """One training run; the defaults are the paper's where it says them (Section IV.A)."""

    data: tuple[Path, ...]  # published datasets; their train split is used
    out: Path = Path("runs/train")  # folder for the checkpoint, the losses and the state to resume from
    preset: str = "tiny"  # size of the network: tiny or paper
    subspaces: str = ""  # file of `disentbench disentangle`: lip, eye and global dimensions; default: the bundled ones
    steps: int = 3000  # batches to learn from
    batch: int = 32  # windows a batch
    learning_rate: float = 1e-4  # of Adam, at its highest
    warmup_steps: int = 100  # linear rise of the rate, then a cosine down to a tenth
    window_frames: int = 48  # length of a window
    diffusion_steps: int = 400  # T
    prediction: str = "epsilon"  # what the network predicts: epsilon (the paper), v or z0
    audio_drop: float = 0.1  # share of windows that learn without audio
    sync_weight: float = 0.01  # lambda
    ema_decay: float = 0.998  # of the averaged weights, which the checkpoint holds
    seed: int = 0  # of everything random
    device: str = "cpu"  # cpu, or a CUDA device
    threads: int = 2  # CPU threads
    log_every: int = 25  # steps between lines of train.csv
    save_every: int = 250  # steps between saved states
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise UserError(f"preset {self.preset!r} is not known; choose one of {', '.join(PRESETS)}")
        if self.prediction not in PREDICTIONS:
            raise UserError(f"prediction {self.prediction!r} is not known; choose one of {', '.join(PREDICTIONS)}")


def train(config: TrainConfig, progress: Progress | None = None) -> Path:
    """Train on the train split of `config.data`; returns the checkpoint's path. Continues a run found in `config.out`.

    Raises `UserError` when a dataset is missing or empty, is fitted with another face model than mp468 or than the
    other datasets, the subspaces belong to another model, or `config.out` holds a run of another configuration.
    """
    dataset = MotionDataset(config.data, split="train")
    face = load_model(DEFAULT_MODEL)
    if dataset.face_model_hash != face.hash:
        raise UserError(
            f"the data is fitted with {dataset.face_model} {dataset.face_model_hash[:12]}, the model moves {face.name} "
            f"{face.hash[:12]}; build the data with --set fit.face_model={face.name}"
        )
    clips = [dataset[index] for index in range(len(dataset))]
    subspaces = load_subspaces(face, Path(config.subspaces) if config.subspaces else None)
    regions = subspaces.regions(at_least=PRESETS[config.preset].latents)
    account = {"datasets": [Path(root).name for root in config.data], "subspaces": subspaces.source}
    return fit(config, clips, face, regions, account, progress)


def fit(
    config: TrainConfig,
    clips: Sequence[MotionClip],
    face: FaceModel,
    regions: tuple[tuple[int, ...], ...],
    account: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train on clips in memory; `regions` are the expression dimensions of eye, lip and global."""
    torch.set_num_threads(config.threads)
    run = _Run(config, clips, face, regions, account or {})
    run.resume()
    while run.step < config.steps:
        losses = run.advance()
        if progress:
            progress(run.step, config.steps, losses)
        if run.step % config.log_every == 0:
            run.log(losses)
        if run.step % config.save_every == 0 or run.step == config.steps:
            run.save()
    return run.export()


def _account(clips: Sequence[MotionClip]) -> dict[str, Any]:
    """What a model saw, for its header and card."""
    languages = sorted({clip.language for clip in clips})
    seconds = {name: round(sum(c.seconds for c in clips if c.language == name), 1) for name in languages}
    names = sorted(clip.clip_id for clip in clips)
    total = round(sum(clip.seconds for clip in clips), 1)
    return {"clips": len(clips), "seconds": total, "seconds_by_language": seconds, "clip_ids": names}


class _Run:
    """State of one training run."""

    def __init__(
        self,
        config: TrainConfig,
        clips: Sequence[MotionClip],
        face: FaceModel,
        regions: tuple[tuple[int, ...], ...],
        account: dict[str, Any],
    ) -> None:
        self.config, self.step, self.started = config, 0, time.monotonic()
        self.device = torch.device(config.device)
        torch.manual_seed(config.seed)
        audio = AudioFeatures()
        described = dataclasses.replace(PRESETS[config.preset], audio_width=audio.width, pose_latent=0)
        settings = json.loads(json.dumps(dataclasses.asdict(config), default=str))
        settings.pop("out")
        header = Header(
            model=described,
            audio=audio,
            diffusion_steps=config.diffusion_steps,
            prediction=config.prediction,
            window_frames=config.window_frames,
            regions=regions,
            face_model=face.name,
            face_model_hash=face.hash,
            account={**account, **_account(clips), "training": settings},
        )
        self.checkpoint: Checkpoint = new_checkpoint(header)
        self.diffusion = self.checkpoint.diffusion
        seen = torch.from_numpy(np.concatenate([clip.expression[clip.valid] for clip in clips]))
        moved = torch.from_numpy(np.linalg.norm(face.expression_basis, axis=(1, 2)).astype(np.float32))
        explained = self.checkpoint.codec.fit(seen, regions, moved)
        log.info("%d clips; latents explain %.1f %% of the motion", len(clips), 100 * explained)
        self.codec = self.checkpoint.codec.to(self.device)
        self.net = self.checkpoint.denoiser.to(self.device).train()
        self.average = {name: value.detach().clone() for name, value in self.net.state_dict().items()}
        self.lips = torch.tensor(regions[REGIONS.index("lip")], device=self.device)
        self.expert = SyncExpert(audio.width, len(self.lips)).to(self.device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=config.learning_rate)
        self.expert_optimizer = torch.optim.Adam(self.expert.parameters(), lr=1e-3)
        self.sampler = WindowSampler(clips, face, audio, regions[0], config.window_frames, config.augmentation)

    def advance(self) -> dict[str, float]:
        """One step."""
        config = self.config
        torch.manual_seed((config.seed << 32) + self.step)
        rate = config.learning_rate * _rate(self.step, config.warmup_steps, config.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.sampler.draw(config.batch, config.seed, self.step)
        batch = Batch(*(getattr(batch, f.name).to(self.device) for f in dataclasses.fields(batch)))
        expert = self._teach_expert(batch)
        noise, sync = self._losses(batch)
        self.optimizer.zero_grad()
        (noise + config.sync_weight * sync).backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self._average()
        return {"noise": float(noise.detach()), "sync": float(sync.detach()), "expert": expert, "rate": rate}

    def _losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Noise loss and lip-sync loss of the network."""
        z0 = self.codec.encode(batch.expression)
        t = torch.randint(1, self.diffusion.steps + 1, (len(z0),), device=self.device)
        epsilon = torch.randn_like(z0)
        zt = self.diffusion.q_sample(z0, t, epsilon)
        dropped = torch.rand(len(z0), device=self.device) < self.config.audio_drop
        predicted = self.net(zt, t, batch.audio, dropped)
        error = F.mse_loss(predicted, self.diffusion.target(z0, t, epsilon), reduction="none").mean(-1)
        noise = (error * batch.valid).sum() / batch.valid.sum().clamp_min(1)  # Eq. 8
        estimate, _ = self.diffusion.estimate(zt, t, predicted)
        heard = ~dropped
        if self.config.sync_weight == 0 or not bool(heard.any()):
            return noise, noise.new_zeros(())
        lips = self.codec.decode(estimate[heard].clamp(-5, 5))[..., self.lips]
        with _frozen(self.expert):
            return noise, sync_loss(self.expert(batch.audio[heard], lips), 1.0)  # Eq. 10

    def _teach_expert(self, batch: Batch) -> float:
        """One step of the expert on recorded pairs."""
        if self.config.sync_weight == 0:
            return 0.0
        shift = int(torch.randint(5, max(6, self.config.window_frames // 2), ()))
        loss = expert_loss(self.expert, batch.audio, batch.expression[..., self.lips], shift)
        self.expert_optimizer.zero_grad()
        loss.backward()
        self.expert_optimizer.step()
        return float(loss.detach())

    def _average(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        for name, value in self.net.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def _settings(self) -> str:
        """What must not change between the parts of a run."""
        header = dataclasses.asdict(self.checkpoint.header)
        for free in ("device", "threads", "log_every", "save_every", "subspaces"):  # the regions are in the header
            header["account"]["training"].pop(free)
        return json.dumps(header, sort_keys=True)

    def save(self) -> None:
        """Write all that the rest of the run depends on."""
        state = {
            "settings": self._settings(),
            "step": self.step,
            "net": self.net.state_dict(),
            "average": self.average,
            "expert": self.expert.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "expert_optimizer": self.expert_optimizer.state_dict(),
        }
        with atomic_path(self.config.out / "state.pt") as temporary:
            torch.save(state, temporary)

    def resume(self) -> None:
        """Continue from `state.pt` when there is one."""
        path = self.config.out / "state.pt"
        if not path.exists():
            (self.config.out / "train.csv").unlink(missing_ok=True)
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["settings"] != self._settings():
            raise UserError(f"{path}: made with other settings or data; choose another --out or delete this folder")
        self.step, self.average = state["step"], state["average"]
        self.net.load_state_dict(state["net"])
        self.expert.load_state_dict(state["expert"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.expert_optimizer.load_state_dict(state["expert_optimizer"])
        log.info("continuing from step %d", self.step)

    def log(self, losses: dict[str, float]) -> None:
        """Append a line to train.csv."""
        path = self.config.out / "train.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        row = {"step": self.step, "seconds": round(time.monotonic() - self.started, 1), **losses}
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, row)
            if new:
                writer.writeheader()
            writer.writerow(row)

    def export(self) -> Path:
        """Write the checkpoint with averaged weights."""
        header = self.checkpoint.header
        account = {**header.account, "steps": self.step}
        done = new_checkpoint(dataclasses.replace(header, account=account))
        done.denoiser.load_state_dict(self.average)
        done.codec.load_state_dict(self.codec.state_dict())
        return save_checkpoint(done, self.config.out / "checkpoint.safetensors")


def _rate(step: int, warmup: int, steps: int) -> float:
    """Linear rise, then a cosine from 1 to 0.1."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.55 + 0.45 * math.cos(math.pi * min(1.0, progress))


class _frozen:  # noqa: N801
    """Gradients pass through a module but do not reach its parameters."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.module.requires_grad_(False)

    def __exit__(self, *_: object) -> None:
        self.module.requires_grad_(True)
