"""Generated weights for IP_LAP: upstream's two networks and VGG19 with random parameters, in the files it loads.

`generated.py FOLDER`, in upstream's checkout. The renderer holds a perceptual loss, so VGG19's file is made first and
loaded when the renderer is built, as in every run. face_alignment has a stand-in then: a random detector finds no face.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torchvision

SEED = 1
CHECKPOINTS = "torch_home/hub/checkpoints/"
SIZES = {"T": 5, "d_model": 512, "nlayers": 4, "nhead": 4, "dim_feedforward": 1024}  # of upstream's inference script


def main(folder: Path) -> None:
    """Save a state of each network below `folder`."""
    torch.manual_seed(SEED)
    hub = folder / CHECKPOINTS
    hub.mkdir(parents=True, exist_ok=True)
    torch.save(_vgg19(), str(hub / "vgg19-dcbb9e9d.pth"))
    os.environ["TORCH_HOME"] = str((folder / "torch_home").absolute())
    from models import Landmark_generator, Renderer

    networks = {"landmarkgenerator": Landmark_generator(dropout=0.1, **SIZES), "renderer": Renderer()}
    place = folder / "test" / "checkpoints"
    place.mkdir(parents=True, exist_ok=True)
    for name, network in networks.items():
        torch.save({"state_dict": network.state_dict()}, str(place / (name + "_checkpoint.pth")))


def _vgg19() -> dict[str, torch.Tensor]:
    """A state of torchvision's VGG19; its classifier, which nothing looks at, takes one number a layer on disk."""
    with torch.device("meta"):
        shapes: dict[str, tuple[int, ...]] = {
            name: tuple(one.shape) for name, one in torchvision.models.vgg19(weights=None).state_dict().items()
        }
    state = {}
    for name, shape in shapes.items():
        if name.startswith("classifier"):
            state[name] = torch.zeros(()).expand(shape)
        else:
            state[name] = torch.randn(shape) * (0.05 if len(shape) > 1 else 0.0)
    return state


if __name__ == "__main__":
    main(Path(sys.argv[1]))
