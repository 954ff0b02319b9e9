"""Training on published datasets in the paper's two stages: first the warping, then warping and editing together.

Everything random is a function of (seed, step, process), so a run that was stopped and resumed goes on as if it had
not been. Files in `out`: `renderer.safetensors` (averaged weights), `state.pt` (to resume), `train.csv` (losses).
"""

import csv
import dataclasses
import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from chdtf import weights
from chdtf.clip import Clip
from chdtf.errors import UserError
from chdtf.files import atomic_path, write_text
from chdtf.morphable.model import FaceModel
from chdtf.morphable.regression.network import pick_device
from disenttalk_ref.render.pirenderer.checkpoint import Header, save_renderer
from disenttalk_ref.render.pirenderer.config import PRESETS, NetworkConfig
from disenttalk_ref.render.pirenderer.data import Pairs, PairSampler, read_split
from disenttalk_ref.render.pirenderer.losses import ALEXNET, NONE, Features, LossWeights, load_features, total_loss
from disenttalk_ref.render.pirenderer.network import PIRendererNetwork
from disenttalk_ref.render.pirenderer.semantics import FIT, width_of

log = logging.getLogger(__name__)

Progress = Callable[[int, int, dict[str, float]], None]  # (steps done, steps in all, losses)
STATE, CHECKPOINT, LOSSES = "state.pt", "renderer.safetensors", "train.csv"
_FREE = ("data", "out", "device", "log_every", "save_every", "steps")  # may change between the parts of a run


@dataclasses.dataclass(frozen=True)
class RendererTrainConfig:
    """One training run; the defaults are the paper's (Section 4) where it says them."""

    data: tuple[Path, ...]  # published datasets; their train split is used
    out: Path = Path("runs/renderer")  # folder for the checkpoint, the losses and the state to resume from
    preset: str = "paper"  # size of the network: paper, small or tiny
    steps: int = 400_000  # batches to learn from
    warp_steps: int = 200_000  # of these, how many for the warping alone
    batch: int = 20  # pairs a batch, on each device
    learning_rate: float = 1e-4  # of Adam
    decay_step: int = 300_000  # after it the rate is a fifth
    perceptual: str = ""  # alexnet, vgg19:FILE (torchvision's weights) or none; default: alexnet where it is at hand
    losses: LossWeights = dataclasses.field(default_factory=LossWeights)
    ema_decay: float = 0.998  # of the averaged weights, which the checkpoint holds
    mixed_precision: str = "no"  # no, or bf16
    held_clips: int = 32  # clips that are decoded together
    held_frames: int = 64  # frames of each that are kept; 200 kB a frame, and as many again while the next are decoded
    held_steps: int = 64  # steps that learn from them before others take their place
    seed: int = 0  # of everything random
    device: str = "cpu"  # cpu, or cuda for the GPUs that accelerate is given
    log_every: int = 50  # steps between lines of train.csv
    save_every: int = 1000  # steps between saved states

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise UserError(f"preset {self.preset!r} is not known; choose one of {', '.join(PRESETS)}")
        if self.mixed_precision not in {"no", "bf16"}:
            raise UserError(f"mixed_precision {self.mixed_precision!r} is not known; choose no or bf16")
        for name in ("steps", "batch", "held_clips", "held_frames", "held_steps", "log_every", "save_every"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)} is not 1 or more")


def train_renderer(config: RendererTrainConfig, progress: Progress | None = None) -> Path:
    """Train on the train split of `config.data`; returns the checkpoint's path. Continues a run found in `config.out`.

    Raises `UserError` when data or perceptual network are not there, or `config.out` holds a run of other settings.
    """
    clips, model = read_split(config.data, "train")
    return fit_renderer(config, clips, model, progress)


def fit_renderer(
    config: RendererTrainConfig,
    clips: Sequence[Clip],
    model: FaceModel,
    progress: Progress | None = None,
    network: NetworkConfig | None = None,
) -> Path:
    """Train on clips that are fitted with `model`; `network` (without its `semantics`) in place of the preset."""
    sizes = dataclasses.replace(network or PRESETS[config.preset], semantics=width_of(FIT, model))
    run = _Run(config, clips, model, sizes)
    try:
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
    finally:
        run.sampler.close()


def _perceptual(name: str) -> tuple[str, Features | None]:
    """The name that stands in the header, and the network. The default goes without when AlexNet is not here."""
    if not name and weights.find(ALEXNET) is None:
        log.warning("no perceptual network at hand (weights fetch alexnet): the losses are L1 distances alone")
        return NONE, None
    return name or ALEXNET, load_features(name or ALEXNET)


class _Run:
    """State of one training run."""

    def __init__(
        self, config: RendererTrainConfig, clips: Sequence[Clip], model: FaceModel, sizes: NetworkConfig
    ) -> None:
        from accelerate import Accelerator, DistributedDataParallelKwargs

        self.config, self.step, self.started = config, 0, time.monotonic()
        self.accelerator = Accelerator(
            cpu=pick_device(config.device).type == "cpu",
            mixed_precision=config.mixed_precision,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        torch.manual_seed(config.seed)
        kind, features = _perceptual(config.perceptual)
        self.features = features.to(self.accelerator.device) if features else None
        self.plain = new_network(sizes).to(self.accelerator.device)
        self.average = {name: value.detach().clone() for name, value in self.plain.state_dict().items()}
        self.net = self.accelerator.prepare_model(self.plain)
        self.optimizer = self._new_optimizer()
        settings = json.loads(json.dumps(dataclasses.asdict(config), default=str))
        self.header = Header(sizes, FIT, model.name, model.hash, _account(clips, kind, settings))
        held = (config.held_clips, config.held_frames, config.held_steps)
        self.sampler = PairSampler(clips, model, FIT, sizes.radius_frames, *held)

    def _new_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.plain.parameters(), lr=self.config.learning_rate, betas=(0.5, 0.999))

    def advance(self) -> dict[str, float]:
        """One step."""
        config, editing = self.config, self.step >= self.config.warp_steps
        if self.step == config.warp_steps:
            self.optimizer = self._new_optimizer()  # the second stage begins without the first one's moments
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * (1.0 if self.step < config.decay_step else 0.2)
        loss, terms = self._losses(self._batch(), editing)
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.step += 1
        self._average()
        return {"loss": float(loss.detach()), **terms}

    def _batch(self) -> Pairs:
        drawn = self.sampler.draw(self.config.batch, self.config.seed, self.step, self.accelerator.process_index)
        device = self.accelerator.device
        return Pairs(*(part.to(device) for part in (drawn.source, drawn.target, drawn.windows)))

    def _losses(self, pairs: Pairs, editing: bool) -> tuple[torch.Tensor, dict[str, float]]:
        try:
            with self.accelerator.autocast():
                warped, image = self.net(pairs.source, pairs.windows, editing)
            return total_loss(warped, image, pairs.target, self.features, self.config.losses)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"out of memory with {self.config.batch} pairs a batch; lower --batch or --preset"
            ) from error

    def _average(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.plain.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)

    def _settings(self) -> str:
        """What must not change between the parts of a run."""
        header = dataclasses.asdict(self.header)
        for free in _FREE:
            header["account"]["training"].pop(free)
        return json.dumps(header, sort_keys=True)

    def save(self) -> None:
        """Write all that the rest of the run depends on, by the first process."""
        if not self.accelerator.is_main_process:
            return
        state = {
            "settings": self._settings(),
            "step": self.step,
            "net": self.plain.state_dict(),
            "average": self.average,
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_path(self.config.out / STATE) as temporary:
            torch.save(state, temporary)

    def resume(self) -> None:
        """Continue from `state.pt` when there is one."""
        path = self.config.out / STATE
        if not path.exists():
            (self.config.out / LOSSES).unlink(missing_ok=True)
            return
        state = torch.load(path, map_location=self.accelerator.device, weights_only=True)
        if state["settings"] != self._settings():
            raise UserError(f"{path}: made with other settings or data; choose another --out or delete this folder")
        self.step, self.average = state["step"], state["average"]
        self.plain.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.is_main_process:
            _cut_log(self.config.out / LOSSES, self.step)
        log.info("continuing from step %d", self.step)

    def log(self, losses: dict[str, float]) -> None:
        """Append a line to train.csv, with a column for every term of both stages."""
        if not self.accelerator.is_main_process:
            return
        path = self.config.out / LOSSES
        path.parent.mkdir(parents=True, exist_ok=True)
        names = ("loss", "warp_pixels", "pixels", "warp", "content", "style")
        row = {"step": self.step, "seconds": round(time.monotonic() - self.started, 1)}
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, [*row, *names])
            if new:
                writer.writeheader()
            writer.writerow({**row, **losses})

    def export(self) -> Path:
        """Write the checkpoint with averaged weights."""
        path = self.config.out / CHECKPOINT
        if self.accelerator.is_main_process:
            stage = "warp" if self.step <= self.config.warp_steps else "edit"
            account = {**self.header.account, "steps": self.step, "stage": stage}
            save_renderer(path, dataclasses.replace(self.header, account=account), self.average)
        self.accelerator.wait_for_everyone()
        return path


def _cut_log(path: Path, step: int) -> None:
    """Drop the lines of steps after `step`, which are done again."""
    if not path.exists():
        return
    head, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    write_text(path, head + "".join(row for row in rows if int(row.split(",")[0]) <= step))


def new_network(sizes: NetworkConfig) -> PIRendererNetwork:
    """An untrained network, which begins with a flow of almost zero: the source itself."""
    network = PIRendererNetwork(sizes)
    last = network.warpping_net.flow_out[-1]
    torch.nn.init.normal_(last.weight, std=1e-3)  # type: ignore[arg-type]
    torch.nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return network


def _account(clips: Sequence[Clip], perceptual: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What a renderer saw, for its header."""
    frames = sum(clip.num_frames for clip in clips)
    return {
        "clips": len(clips),
        "frames": frames,
        "speakers": len({clip.speaker_id for clip in clips}),
        "licences": sorted({clip.license for clip in clips}),
        "clip_ids": sorted(clip.clip_id for clip in clips),
        "perceptual": perceptual,
        "training": settings,
    }
