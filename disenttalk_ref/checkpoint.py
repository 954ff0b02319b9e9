"""A trained model in one file: tensors in safetensors, everything else as JSON in its header."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from chdtf.errors import UserError
from chdtf.files import atomic_path
from chdtf.morphable.coefficients import FaceModel, load_model
from chdtf.schema import NUM_EXPRESSION
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.diffusion import Diffusion
from disenttalk_ref.model import REGIONS, Denoiser, ModelConfig, MotionCodec

VERSION = 1
DEFAULT = Path(__file__).parent / "assets" / "tiny.safetensors"
RETRAIN = "train again with: disentbench train"


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself; `account` is the data and the training, for the card and for readers."""

    model: ModelConfig
    audio: AudioFeatures
    diffusion_steps: int
    prediction: str
    window_frames: int
    regions: tuple[tuple[int, ...], ...]  # expression dimensions of each of `REGIONS`
    face_model: str
    face_model_hash: str
    account: dict[str, Any] = field(default_factory=dict)
    version: int = VERSION


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


def new_checkpoint(header: Header) -> Checkpoint:
    """An untrained model as `header` describes it."""
    return Checkpoint(header, Denoiser(header.model), MotionCodec(NUM_EXPRESSION, sum(header.model.latents)))


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> Path:
    """Write a checkpoint whole or not at all."""
    modules = {"denoiser": checkpoint.denoiser, "codec": checkpoint.codec}
    tensors = {
        f"{prefix}.{name}": tensor.detach().cpu().contiguous()
        for prefix, module in modules.items()
        for name, tensor in module.state_dict().items()
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"header": json.dumps(dataclasses.asdict(checkpoint.header))})
    return path


def read_header(path: Path) -> Header:
    """Header of a checkpoint. Raises `UserError` when it is missing, unreadable or of another version."""
    try:
        with safe_open(path, framework="pt") as stream:
            fields = json.loads((stream.metadata() or {}).get("header", "{}"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint; {RETRAIN}") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable checkpoint ({str(error).splitlines()[0]}); {RETRAIN}") from error
    if fields.get("version") != VERSION:
        found = fields.get("version", "unknown")
        raise UserError(f"{path}: checkpoint of version {found}, this version reads {VERSION}; {RETRAIN}")
    fields["model"] = ModelConfig(**fields["model"])
    fields["audio"] = AudioFeatures(**fields["audio"])
    fields["regions"] = tuple(tuple(region) for region in fields["regions"])
    return Header(**fields)


def load_checkpoint(path: Path = DEFAULT, face_model: FaceModel | None = None, device: str = "cpu") -> Checkpoint:
    """Load a model for inference. Raises `UserError` as `read_header` does, or when the face model is another one."""
    header = read_header(path)
    face = face_model or load_model(header.face_model)
    if (face.name, face.hash) != (header.face_model, header.face_model_hash):
        made = f"{header.face_model} {header.face_model_hash[:12]}"
        raise UserError(f"{path}: made for face model {made}, this one is {face.name} {face.hash[:12]}; {RETRAIN}")
    checkpoint = new_checkpoint(header)
    with safe_open(path, framework="pt") as stream:
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    for prefix, module in (("denoiser", checkpoint.denoiser), ("codec", checkpoint.codec)):
        state = {name.partition(".")[2]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}
        module.load_state_dict(state)
        module.to(device).eval()
    return checkpoint


def region_slices(model: ModelConfig) -> dict[str, slice]:
    """Where each region lies among the latent dimensions."""
    starts = torch.tensor([0, *model.latents]).cumsum(0).tolist()
    return {name: slice(starts[i], starts[i + 1]) for i, name in enumerate(REGIONS)}
