"""A trained model in one file: tensors in safetensors, everything else as JSON in its header."""

import dataclasses
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.morphable.coefficients import FaceModel, load_model
from chdtf.record import RunRecord
from disenttalk_ref.audio import Features, from_json, to_json
from disenttalk_ref.diffusion import PREDICTIONS, Diffusion
from disenttalk_ref.model import REGIONS, Denoiser, ModelConfig, MotionCodec

VERSION = 2
DEFAULT = Path(__file__).parent / "assets" / "tiny.safetensors"
RETRAIN = "train again with: disentbench train"
_PACKAGES = ("accelerate", "safetensors", "transformers")  # beyond those of `chdtf.record`


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself; `account` is the data and the training, for the card and for readers."""

    model: ModelConfig
    audio: Features
    diffusion_steps: int
    prediction: str
    window_frames: int
    regions: tuple[tuple[int, ...], ...]  # expression dimensions of each of `REGIONS`
    face_model: str
    face_model_hash: str
    account: dict[str, Any] = field(default_factory=dict)
    subspaces: str = ""  # where the regions come from, one line
    data_fingerprint: str = ""  # hex SHA-256 of the clips that it learned from
    commit: str | None = None  # of the code that trained it; None: not in a git checkout
    packages: dict[str, str] = field(default_factory=dict)  # name -> version
    version: int = VERSION

    def to_json(self) -> dict[str, Any]:
        """As JSON keeps it; `Header.from_json` reads it back."""
        return {**dataclasses.asdict(self), "audio": to_json(self.audio)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Header":
        """From `to_json`. Raises `ValueError`, `TypeError` or `UserError` for fields that do not describe a model."""
        given = dict(fields)
        unknown = sorted(given["model"].keys() - {known.name for known in dataclasses.fields(ModelConfig)})
        if unknown:
            raise ValueError(f"model setting {unknown[0]!r} is not known")
        given["model"] = ModelConfig(**given["model"])
        given["audio"] = from_json(given["audio"])
        given["regions"] = tuple(tuple(region) for region in given["regions"])
        if given["prediction"] not in PREDICTIONS:
            raise ValueError(f"prediction {given['prediction']!r} is not known")
        if len(given["regions"]) != len(REGIONS):
            raise ValueError(f"{len(given['regions'])} regions instead of {len(REGIONS)}")
        return cls(**given)


@dataclass(frozen=True)
class Checkpoint:
    """A denoising network with the codec, the features and the diffusion process that it was trained with."""

    header: Header
    denoiser: Denoiser
    codec: MotionCodec

    @property
    def diffusion(self) -> Diffusion:
        """The process that it was trained with."""
        return Diffusion(self.header.diffusion_steps, self.header.prediction)


def made_by() -> dict[str, Any]:
    """The fields `commit` and `packages` of a header written now; uncommitted changes are said by "+changes"."""
    record = RunRecord.start([], {})
    packages = dict(record.packages)
    for name in _PACKAGES:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    changed = "+changes" if record.dirty else ""
    return {"commit": record.commit and record.commit + changed, "packages": dict(sorted(packages.items()))}


def new_checkpoint(header: Header) -> Checkpoint:
    """An untrained model as `header` describes it."""
    return Checkpoint(header, Denoiser(header.model), MotionCodec(header.model))


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> Path:
    """Write a checkpoint whole or not at all."""
    tensors = {
        f"{prefix}.{name}": tensor.detach().cpu().contiguous()
        for prefix, module in _modules(checkpoint).items()
        for name, tensor in module.state_dict().items()
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"header": json.dumps(checkpoint.header.to_json())})
    return path


def _modules(checkpoint: Checkpoint) -> dict[str, torch.nn.Module]:
    return {"denoiser": checkpoint.denoiser, "codec": checkpoint.codec}


def read_header(path: Path) -> Header:
    """Header of a checkpoint. Raises `UserError` when it is missing, unreadable or of another version."""
    fields = _read(path, with_tensors=False)[0]
    if fields.get("version") != VERSION:
        found = fields.get("version", "unknown")
        raise UserError(f"{path}: checkpoint of version {found}, this version reads {VERSION}; {RETRAIN}")
    try:
        return Header.from_json(fields)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path}: its header does not describe a model ({why}); {RETRAIN}") from error


def read_sizes(path: Path) -> dict[str, int]:
    """How many numbers each tensor of a checkpoint holds, by name. Raises `UserError` when it is not readable."""
    return {name: tensor.numel() for name, tensor in _read(path)[1].items()}


def _read(path: Path, with_tensors: bool = True) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        with safe_open(path, framework="pt") as stream:
            fields = json.loads((stream.metadata() or {}).get("header", "{}"))
            if not isinstance(fields, dict):
                raise ValueError("its header is no object")
            names = list(stream.keys()) if with_tensors else []
            return fields, {name: stream.get_tensor(name) for name in names}
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint; {RETRAIN}") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable checkpoint ({str(error).splitlines()[0]}); {RETRAIN}") from error


def load_checkpoint(path: Path = DEFAULT, face_model: FaceModel | None = None, device: str = "cpu") -> Checkpoint:
    """Load a model for inference.

    Raises `UserError` as `read_header` does, when the face model is another one, and when tensors are missing, too many
    or of another shape.
    """
    header = read_header(path)
    face = face_model or load_model(header.face_model)
    if (face.name, face.hash) != (header.face_model, header.face_model_hash):
        made = f"{header.face_model} {header.face_model_hash[:12]}"
        raise UserError(f"{path}: made for face model {made}, this one is {face.name} {face.hash[:12]}; {RETRAIN}")
    checkpoint = new_checkpoint(header)
    tensors = _read(path)[1]
    wanted = {
        f"{prefix}.{name}": tensor
        for prefix, module in _modules(checkpoint).items()
        for name, tensor in module.state_dict().items()
    }
    _check_tensors(path, wanted, tensors)
    for name, tensor in wanted.items():
        tensor.copy_(tensors[name])  # the tensors of a state dict share memory with the module
    for module in _modules(checkpoint).values():
        module.to(device).eval()
    return checkpoint


def _check_tensors(path: Path, wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> None:
    def refuse(why: str) -> None:
        raise UserError(f"{path}: {why}; the file is damaged, {RETRAIN}")

    if missing := sorted(wanted.keys() - found.keys()):
        refuse(f"lacks {len(missing)} of {len(wanted)} tensors, {missing[0]} among them")
    if unknown := sorted(found.keys() - wanted.keys()):
        refuse(f"holds {len(unknown)} tensors that its model does not have, {unknown[0]} among them")
    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape:
            refuse(f"tensor {name} is {tuple(found[name].shape)}, its model has {tuple(tensor.shape)}")
        if not bool(found[name].isfinite().all()):
            refuse(f"tensor {name} holds values that are not finite")
