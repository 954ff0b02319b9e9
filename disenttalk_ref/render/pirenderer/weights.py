"""The official weights, read as data and checked name by name, shape by shape.

Such a file is a torch.save of {"net_G_ema": state dict, ...} (RenYurui/PIRender trainers/base.py); StyleTalk's
`renderer_checkpoint.pt` is one too. Both projects load it with strict=False, which leaves out without a word whatever
does not fit by name; here every name must be there with its shape. Names that the network has no use for are told in
the log. The published configuration has spectral normalisation switched off (`use_spect: False`): weights are plain,
and a file with `weight_orig` and `weight_u` in their place is another network.
"""

import logging
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from chdtf.errors import UserError
from disenttalk_ref.render.pirenderer.config import NetworkConfig
from disenttalk_ref.render.pirenderer.network import PIRendererNetwork

log = logging.getLogger(__name__)

STATE = "net_G_ema"
WHERE = (
    "it is linked in the README of github.com/RenYurui/PIRender (trained on VoxCeleb, CC BY-NC 4.0: no commercial use)"
)
_NAMED = 3  # names of each kind in a message


def load_official(path: Path, config: NetworkConfig | None = None) -> PIRendererNetwork:
    """The network with the weights of a published checkpoint, float32, in evaluation mode.

    Raises `UserError` when the file is absent or no such checkpoint, or when weights are missing, have other shapes or
    are not finite: all that is wrong, in one line.
    """
    state = _plain_names(_read(path))
    network = PIRendererNetwork(config)
    check_state(path, state, network.state_dict())
    network.load_state_dict({name: state[name].float() for name in network.state_dict()})
    return network.eval()


def check_state(path: Path, state: Mapping[str, Any], wanted: Mapping[str, torch.Tensor]) -> None:
    """Compare a state dict with the network's. Raises `UserError` as `load_official` does."""
    missing = [name for name in wanted if name not in state]
    shapes = [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    unexpected = [name for name in state if name not in wanted]
    if missing or shapes:
        kinds = (("missing", missing), ("of another shape", shapes), ("unexpected", unexpected))
        told = [f"{len(names)} {kind} ({_some(names)})" for kind, names in kinds if names]
        raise UserError(f"{path}: not PIRenderer's network, of {len(wanted)} weights {'; '.join(told)}; {WHERE}")
    broken = [name for name in wanted if not torch.isfinite(state[name]).all()]
    if broken:
        raise UserError(f"{path}: {len(broken)} weights are not finite ({_some(broken)}): damaged, take the file again")
    if unexpected:
        log.warning("%s: %d weights without a place in the network (%s)", path, len(unexpected), _some(unexpected))


def _plain_names(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Tensors by name, without the prefix of a network that was trained in parallel."""
    return {str(name).removeprefix("module."): value for name, value in state.items() if torch.is_tensor(value)}


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; {WHERE}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickle versions; what cannot be read is an error
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the reader trips over in a file that is none
        foreign = re.search(r"GLOBAL (\S+)", str(error))
        why = f"it holds a Python object, {foreign[1]}, and those are not loaded" if foreign else type(error).__name__
        raise UserError(f"{path}: not a checkpoint of weights ({why}); {WHERE}") from error
    if not isinstance(found, dict) or not isinstance(found.get(STATE), Mapping):
        holds = ", ".join(str(key) for key in list(found)[:6]) if isinstance(found, dict) else type(found).__name__
        raise UserError(f"{path}: no state dict {STATE!r}, it holds {holds}; {WHERE}")
    state: Mapping[str, Any] = found[STATE]
    return state


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
