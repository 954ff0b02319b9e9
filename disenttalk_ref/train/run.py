"""One training run in one of its processes: learns, logs, validates, saves, and continues from where it was stopped."""

import dataclasses
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chdtf.errors import UserError
from chdtf.morphable.model import FaceModel
from disenttalk_ref.ablation import ablated
from disenttalk_ref.audio import Features
from disenttalk_ref.checkpoint import Checkpoint, Header, made_by, new_checkpoint, read_header, save_checkpoint
from disenttalk_ref.model import PRESETS
from disenttalk_ref.train.batches import Batch, WindowSampler, motion_of
from disenttalk_ref.train.config import TrainConfig
from disenttalk_ref.train.data import TrainingData
from disenttalk_ref.train.learner import Learner, rate_at
from disenttalk_ref.train.logs import TRAIN, VALIDATION, Logs, Pace
from disenttalk_ref.train.prefetch import Prefetcher
from disenttalk_ref.train.state import check_same, clean, load_state, run_settings, save_state, training_settings
from disenttalk_ref.train.validate import validate

log = logging.getLogger(__name__)

Progress = Callable[[int, int, dict[str, float]], None]  # (steps done, steps in all, the last line of train.csv)
Samples = Callable[[Path, int], None]  # (checkpoint, step): makes short videos
CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"


class Run:
    """All of a run: its data, its learner, its logs, and how far it is. A context that ends its threads."""

    def __init__(
        self,
        config: TrainConfig,
        data: TrainingData,
        face: FaceModel,
        regions: tuple[tuple[int, ...], ...],
        features: Features,
        accelerator: Any,
    ) -> None:
        self.config, self.data, self.face, self.accelerator = config, data, face, accelerator
        torch.manual_seed(config.seed)
        self.header = _header(config, data, face, regions, features)
        untrained = new_checkpoint(self.header)
        _fit_codec(untrained, data, face)
        self.learner = Learner(config, untrained, accelerator)
        window, varied = config.window_frames, config.augmentation
        self.sampler = WindowSampler(data.clips, face, features, regions[0], window, varied, data.features)
        self.step, self.sums, self.best = 0, dict[str, torch.Tensor](), float("-inf")
        self.shown: dict[str, float] = {}
        self._resume()
        self.logs = Logs(config.out, self.step, config.log == "tensorboard") if self._first else None
        self.batches = Prefetcher(self._batch, self.step, config.steps, self._loaders())
        self.pace, self._logged = Pace(), self.step

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.batches.close()
        if self.logs:
            self.logs.close()

    def go(self, progress: Progress | None = None, samples: Samples | None = None) -> Path:
        """All steps that are left; returns the checkpoint's path. A finished run's checkpoint is left as it is."""
        config = self.config
        while self.step < config.steps:
            losses = self.learner.learn(self.batches.take(), self.step)
            self.sums = {name: self.sums.get(name, 0.0) + value for name, value in losses.items()}
            self.step += 1
            if self._due(config.log_every):
                self._log()
            if progress and self._first:
                progress(self.step, config.steps, self.shown)
            if self.data.held and (self._due(config.validate_every) or self._ends(config.validate_every)):
                self._alone(self._validate)
            if samples and self._due(config.samples_every):
                self._alone(lambda: samples(self._export(CHECKPOINT), self.step))
            if self._due(config.save_every) or self._ends(config.save_every):
                self._alone(self._save)
        self._alone(self._finish)
        return config.out / CHECKPOINT

    def _finish(self) -> None:
        path = self.config.out / CHECKPOINT
        if not path.exists() or read_header(path).account.get("steps") != self.step:
            self._export(CHECKPOINT)

    @property
    def _first(self) -> bool:
        return bool(self.accelerator.is_main_process)

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _ends(self, every: int) -> bool:
        return every > 0 and self.step == self.config.steps

    def _alone(self, work: Callable[[], Any]) -> None:
        """Done by one process while the others wait; not counted as time of training."""
        with self.pace.paused():
            if self._first:
                work()
            self.accelerator.wait_for_everyone()

    def _loaders(self) -> int:
        if self.config.loaders or self.accelerator.device.type == "cpu":
            return self.config.loaders or 1
        processes: int = self.accelerator.num_processes
        return max(1, min(8, (os.cpu_count() or 1) // processes - 1))

    def _batch(self, step: int) -> Batch:
        batch = self.sampler.draw(self.config.batch, self.config.seed, step, self.learner.part)
        return batch.pinned() if self.accelerator.device.type == "cuda" else batch

    def _log(self) -> None:
        """A line of train.csv: means since the last one."""
        names, values = list(self.sums), torch.stack([value.float() for value in self.sums.values()])
        means = self.accelerator.reduce(values, "sum") / self.config.log_every
        self.sums = {}
        self.shown = dict(zip(names, means.tolist(), strict=True))
        self.shown["rate"] = rate_at(self.config, self.step - 1)
        self.shown |= self.pace.since(self.step - self._logged, self.config.batch, self.batches.waited_s)
        self._logged = self.step
        if self.logs:
            self.logs.add(TRAIN, self.step, self.shown)

    def _validate(self) -> None:
        checkpoint = self._averaged()
        found = validate(checkpoint, self.face, self.data.held, self.learner.expert if self.config.lambda_ else None)
        assert self.logs is not None
        self.logs.add(VALIDATION, self.step, {"clips": len(self.data.held), **found})
        if found["mouth_corr"] > self.best:
            self.best = found["mouth_corr"]
            self._export(BEST, {"validated": found})

    def _averaged(self, account: dict[str, Any] | None = None) -> Checkpoint:
        """The model with averaged weights, on the accelerator's device."""
        account = {**self.header.account, "steps": self.step, **(account or {})}
        made = new_checkpoint(dataclasses.replace(self.header, account=account))
        made.denoiser.load_state_dict(self.learner.average)
        made.codec.load_state_dict(self.learner.codec.state_dict())
        for module in (made.denoiser, made.codec):
            module.to(self.accelerator.device).eval()
        return made

    def _export(self, name: str, account: dict[str, Any] | None = None) -> Path:
        """Write a checkpoint with averaged weights."""
        return save_checkpoint(self._averaged(account), self.config.out / name)

    def _save(self) -> None:
        state = {
            "settings": run_settings(self.config, self.header),
            "step": self.step,
            "best": self.best,
            "sums": self.sums,
            "learner": self.learner.state(),
        }
        save_state(self.config.out, self.step, state)

    def _resume(self) -> None:
        """Continue from the newest state when there is one; one process reads it, for all."""
        from accelerate.utils import broadcast_object_list

        found: list[Any] = [None]
        if self._first:
            found = [self._found()]
        broadcast_object_list(found)
        if isinstance(found[0], UserError):
            raise found[0]
        if found[0] is None:
            return
        state = found[0]
        self.step, self.best = state["step"], state["best"]
        self.sums = {name: value.to(self.accelerator.device) for name, value in state["sums"].items()}
        if not self._first:  # sums add up over processes
            self.sums = {name: torch.zeros_like(value) for name, value in self.sums.items()}
        self.learner.load(state["learner"])
        log.info("continuing from step %d", self.step)

    def _found(self) -> dict[str, Any] | UserError | None:
        """A state to continue from, or why that cannot be."""
        try:
            clean(self.config.out)
            loaded = load_state(self.config.out)
            if loaded is None:
                return None
            check_same(loaded[0], loaded[1]["settings"], run_settings(self.config, self.header))
            return loaded[1]
        except UserError as error:
            return error


def _header(
    config: TrainConfig,
    data: TrainingData,
    face: FaceModel,
    regions: tuple[tuple[int, ...], ...],
    features: Features,
) -> Header:
    model = dataclasses.replace(ablated(PRESETS[config.preset], config.ablate), audio_width=features.width)
    if config.dropout >= 0:
        model = dataclasses.replace(model, dropout=config.dropout)
    return Header(
        model=model,
        audio=features,
        diffusion_steps=config.diffusion_steps,
        prediction=config.prediction,
        window_frames=config.window_frames,
        regions=regions,
        face_model=face.name,
        face_model_hash=face.hash,
        account={**data.counts(), "training": training_settings(config)},
        subspaces=data.subspaces,
        data_fingerprint=data.fingerprint,
        **made_by(),
    )


def _fit_codec(untrained: Checkpoint, data: TrainingData, face: FaceModel) -> None:
    seen = np.concatenate([motion_of(clip)[clip.valid] for clip in data.clips])
    moved = torch.from_numpy(np.linalg.norm(face.expression_basis, axis=(1, 2)).astype(np.float32))
    motion = torch.from_numpy(seen)[:, : untrained.header.model.num_motion]
    explained = untrained.codec.fit(motion, untrained.header.regions, moved)
    log.info("%d clips; latents explain %.1f %% of the motion", len(data.clips), 100 * explained)
