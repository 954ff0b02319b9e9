"""Training: data in, checkpoints out.

Everything random is a function of (seed, step), so a run that was stopped and resumed ends where an uninterrupted one
does. Files in `out`: `checkpoint.safetensors` (averaged weights), `best.safetensors` (those of the validation with the
highest mouth-opening correlation), `state-*.pt` (to resume), `train.csv`, `validation.csv`, `samples/`.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from chdtf.errors import UserError
from chdtf.morphable.model import FaceModel
from disenttalk_ref.audio import Features, parse
from disenttalk_ref.model import PRESETS
from disenttalk_ref.subspaces import load_subspaces
from disenttalk_ref.train.config import TrainConfig
from disenttalk_ref.train.data import TrainingData, read_data
from disenttalk_ref.train.run import Progress, Run, Samples
from disenttalk_ref.train.state import state_paths

_NO_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")


def train(config: TrainConfig, progress: Progress | None = None, samples: Samples | None = None) -> Path:
    """Train on the train split of `config.data`; returns the checkpoint's path. Continues a run found in `config.out`.

    Under `accelerate launch` every process calls this; one process alone takes the GPU if there is one. `progress` is
    called after every step, `samples` every `config.samples_every`, both in the first process only.

    Raises `UserError` as `read_data` and `fit` do, and when the subspaces belong to another face model.
    """
    features = parse(config.audio)
    data, face = read_data(config, features)
    subspaces = load_subspaces(face, Path(config.subspaces) if config.subspaces else None)
    regions = subspaces.regions(at_least=PRESETS[config.preset].latents)
    data = dataclasses.replace(data, subspaces=subspaces.source)
    return fit(config, data, face, regions, features, progress, samples)


def fit(
    config: TrainConfig,
    data: TrainingData,
    face: FaceModel,
    regions: tuple[tuple[int, ...], ...],
    features: Features,
    progress: Progress | None = None,
    samples: Samples | None = None,
) -> Path:
    """Train on clips in memory; `regions` are the expression dimensions of eye, lip and global.

    Raises `UserError` when `config.out` holds a run of other settings or data (naming them), the batch cannot be shared
    by the processes, accelerate started fewer processes than it was asked for, or memory does not suffice (naming what
    to lower).
    """
    from accelerate import Accelerator

    torch.set_num_threads(config.threads)
    accelerator = Accelerator(mixed_precision=config.mixed_precision, cpu=config.cpu)
    check_launch(os.environ, accelerator.num_processes)
    if config.batch % accelerator.num_processes:
        raise UserError(f"a batch of {config.batch} windows cannot be shared by {accelerator.num_processes} processes")
    with _memory(config), Run(config, data, face, regions, features, accelerator) as run:
        return run.go(progress, samples)


def check_launch(environment: Mapping[str, str], processes: int) -> None:
    """Raise `UserError` where `accelerate launch` was asked for several processes on a CPU, of which it starts one.

    Then it names a meeting place in the environment (accelerate 1.0 to 1.15) without saying who meets.
    """
    alone = processes == 1 and "WORLD_SIZE" not in environment
    if alone and "MASTER_ADDR" in environment and environment.get("ACCELERATE_USE_CPU") == "True":
        raise UserError(
            "accelerate launch starts one process on a CPU, whatever --num_processes says; start several with: "
            "torchrun --nproc-per-node=N -m benchmark.cli train ... --cpu"
        )


@contextlib.contextmanager
def _memory(config: TrainConfig) -> Iterator[None]:
    """Say in one line what to lower when memory does not suffice; the states on disk are untouched by it."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error)
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not any(no in text for no in _NO_MEMORY):
            raise
        kept = "; saved work is kept" if state_paths(config.out) else ""
        raise UserError(
            f"out of memory: lower --micro-batch (now {config.micro_batch or config.batch}), which changes no result "
            f"and continues this run, or begin another with a lower --batch ({config.batch}), --window-frames "
            f"({config.window_frames}) or a smaller --preset ({config.preset}){kept}"
        ) from error
