"""A renderer that was trained here, in one file: tensors in safetensors, everything else as JSON in its header."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from chdtf.errors import UserError
from chdtf.files import atomic_path
from disenttalk_ref.render.pirenderer.config import NetworkConfig
from disenttalk_ref.render.pirenderer.network import PIRendererNetwork

VERSION = 1
KIND = "pirenderer"
RETRAIN = "train one with: disentbench renderer train"


@dataclasses.dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself; `account` is the data, the losses and the settings, for people."""

    network: NetworkConfig
    layout: str  # of `semantics`: what the numbers are
    face_model: str
    face_model_hash: str
    account: dict[str, Any] = dataclasses.field(default_factory=dict)
    version: int = VERSION


def save_renderer(path: Path, header: Header, state: dict[str, torch.Tensor]) -> Path:
    """Write weights, float32, and header, whole or not at all."""
    tensors = {name: tensor.detach().float().cpu().contiguous() for name, tensor in state.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {KIND: json.dumps(dataclasses.asdict(header))})
    return path


def read_header(path: Path) -> Header:
    """Header of a checkpoint. Raises `UserError` when it is missing, unreadable, of another kind or version."""
    try:
        with safe_open(path, framework="pt") as stream:
            fields = json.loads((stream.metadata() or {}).get(KIND, "null"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint; {RETRAIN}") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable checkpoint ({str(error).splitlines()[0]}); {RETRAIN}") from error
    if fields is None:
        raise UserError(f"{path}: a checkpoint of another kind, not of a renderer; {RETRAIN}")
    if fields.get("version") != VERSION:
        found = fields.get("version", "unknown")
        raise UserError(f"{path}: renderer of version {found}, this version reads {VERSION}; {RETRAIN}")
    return Header(**{**fields, "network": NetworkConfig(**fields["network"])})


def load_renderer_checkpoint(path: Path) -> tuple[Header, PIRendererNetwork]:
    """Header and network, in evaluation mode. Raises `UserError` as `read_header` does, or when weights do not fit."""
    header = read_header(path)
    network = PIRendererNetwork(header.network)
    with safe_open(path, framework="pt") as stream:
        state = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{path}: its weights are not those of its header; {RETRAIN}") from error
    return header, network.eval()
