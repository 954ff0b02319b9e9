"""What a training run is made of: `TrainConfig`, whose fields are the flags of `disentbench train`."""

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chdtf.errors import UserError
from disenttalk_ref.ablation import check_ablations
from disenttalk_ref.diffusion import PREDICTIONS
from disenttalk_ref.model import PRESETS

_POSITIVE = ("steps", "batch", "window_frames", "diffusion_steps", "threads", "log_every", "save_every")
_NOT_NEGATIVE = (
    "max_offset",
    "micro_batch",
    "loaders",
    "validate_every",
    "validate_clips",
    "samples_every",
    "warmup_steps",
    "seed",
)
_LEAST_RATE, _ANY = 1e-12, 1e12  # stand for "more than 0" and "finite"


def _check(name: str, value: float, low: float, high: float) -> None:
    """Raise `UserError` for a number outside of a range, or NaN."""
    if not low <= value <= high:
        wanted = {(_LEAST_RATE, _ANY): "a number above 0", (0, _ANY): "0 or more"}.get((low, high))
        raise UserError(f"{name} {value} is not {wanted or f'between {low:g} and {high:g}'}")


@dataclass(frozen=True)
class Augmentation:
    """How training windows are varied; probabilities and ranges of uniform draws.

    Features that are read from a cache (HuBERT, phones) cannot be made from varied sound: for them `mirror`,
    `speed` (features and motion are resampled together) and `pause` apply, and `feature_noise` instead of the rest.
    """

    mirror: float = 0.5
    speed: float = 0.12  # time and pitch together, +-; motion is resampled alike
    warp: float = 0.12  # vocal tract length, +-: the mel filters' frequencies
    gain_db: float = 4.0  # +-
    tilt: float = 0.5  # first-order filter, +-
    noise_db: tuple[float, float] = (-70.0, -30.0)  # white noise, re full scale (speech is at -20)
    pause: float = 0.2  # share of windows where a stretch becomes silence with the mouth closed
    feature_noise: float = 0.1  # of cached features, re the standard deviation of each

    def __post_init__(self) -> None:
        for name in ("mirror", "pause"):
            _check(f"augmentation.{name}", getattr(self, name), 0, 1)
        for name in ("speed", "warp"):
            _check(f"augmentation.{name}", getattr(self, name), 0, 0.9)
        for name in ("gain_db", "tilt", "feature_noise"):
            _check(f"augmentation.{name}", getattr(self, name), 0, _ANY)
        low, high = self.noise_db
        if not -300 <= low <= high <= 0:
            raise UserError(f"augmentation.noise_db {low} {high}: give two numbers between -300 and 0, the lower first")


@dataclass(frozen=True)
class TrainConfig:
    """One training run; the defaults are the paper's where it says them (Section IV.A)."""

    data: tuple[Path, ...]  # published datasets; their train split is used
    out: Path = Path("runs/train")  # folder for checkpoints, logs and the states to resume from
    preset: str = "tiny"  # size of the network: tiny or paper
    audio: str = "logmel"  # features A: logmel, phones, or hubert:<hub id or folder>[@layer]
    subspaces: str = ""  # file of `disentbench disentangle`: lip, eye and global dimensions; default: the bundled ones
    ablate: tuple[str, ...] = ()  # parts to do without: temporal disentangle hierarchical local chdtf syncloss
    max_offset: int = 0  # frames of audio-visual offset that are measured and taken back, clip by clip; 0: none are
    steps: int = 3000  # batches to learn from
    batch: int = 32  # windows a batch, shared by all processes
    micro_batch: int = 0  # windows that a process computes at a time; fewer need less memory; 0: all of its share
    learning_rate: float = 1e-4  # of Adam, at its highest
    warmup_steps: int = 100  # linear rise of the rate, then a cosine down to a tenth
    clip_norm: float = 1.0  # gradients longer than this are shortened to it
    dropout: float = -1.0  # share of activations; -1: that of the preset
    window_frames: int = 48  # length of a window
    diffusion_steps: int = 400  # T
    prediction: str = "epsilon"  # what the network predicts: epsilon (the paper), v or z0
    audio_drop: float = 0.1  # share of windows that learn without audio
    sync_weight: float = 0.01  # lambda
    ema_decay: float = 0.998  # of the averaged weights, which checkpoints hold
    mixed_precision: Literal["no", "bf16"] = "no"  # bf16: the network in bfloat16, losses and weights in float32
    seed: int = 0  # of everything random
    cpu: bool = False  # compute on the CPU although there is a GPU
    threads: int = 1  # CPU threads of the network; a small one gains nothing from more
    loaders: int = 0  # threads that prepare batches ahead; 0: one on a CPU, one a spare core (at most 8) for a GPU
    log: Literal["csv", "tensorboard"] = "csv"  # tensorboard: in addition to the CSV files, which are always written
    log_every: int = 25  # steps between lines of train.csv
    save_every: int = 250  # steps between saved states
    validate_every: int = 500  # steps between lines of validation.csv; 0: never
    validate_clips: int = 8  # clips to generate for it
    samples_every: int = 0  # steps between short generated videos in samples/; 0: none
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name, known in (("preset", tuple(PRESETS)), ("prediction", PREDICTIONS)):
            if getattr(self, name) not in known:
                raise UserError(f"{name} {getattr(self, name)!r} is not known; choose one of {', '.join(known)}")
        object.__setattr__(self, "ablate", check_ablations(self.ablate))
        for least, names in ((1, _POSITIVE), (0, _NOT_NEGATIVE)):
            for name in names:
                if getattr(self, name) < least:
                    raise UserError(f"{name} {getattr(self, name)} is too small; {least} or more")
        for name in ("audio_drop", "ema_decay"):
            _check(name, getattr(self, name), 0, 1)
        for name in ("learning_rate", "clip_norm"):
            _check(name, getattr(self, name), _LEAST_RATE, _ANY)
        _check("sync_weight", self.sync_weight, 0, _ANY)
        if self.dropout != -1:
            _check("dropout", self.dropout, 0, 0.99)
        if self.log == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
            raise UserError("log tensorboard: tensorboard is not installed; pip install tensorboard, or --log csv")

    @property
    def lambda_(self) -> float:
        """Weight of Eq. 10, which the ablation `syncloss` sets to 0."""
        return 0.0 if "syncloss" in self.ablate else self.sync_weight
