"""Generated weights for Wav2Lip: upstream's generator with random parameters, and a detector that sees one face.

`generated.py FOLDER`, in upstream's checkout. A detector with random parameters finds nothing and upstream's script
then ends, so the last layers of this one are set: at its coarsest stride every cell is a face, all others see none.
Its layers are upstream's and its file is read by upstream's code; where the box lies says nothing of the picture.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch

SEED = 1
STRIDE_PX, ANCHOR_PX, BOX_PX = 128, 512, 144  # of the coarsest detection layer; side of the box it is made to give
VARIANCES = (0.1, 0.2)  # by which upstream decodes centres and sizes


def main(folder: Path) -> None:
    """Save a state of both networks below `folder`."""
    torch.manual_seed(SEED)
    from face_detection.detection.sfd.net_s3fd import s3fd
    from models import Wav2Lip

    generator = Wav2Lip()
    _spread_out(generator)
    _save({"state_dict": generator.state_dict()}, folder / "checkpoints" / "wav2lip_gan.pth")
    detector = s3fd()
    _see_one_face(detector)
    _save(detector.state_dict(), folder / "face_detection" / "detection" / "sfd" / "s3fd.pth")


def _spread_out(generator: torch.nn.Module) -> None:
    """The last layer made wider, so that what comes out is a picture and not one grey."""
    convolutions = [one for one in generator.modules() if isinstance(one, torch.nn.Conv2d)]
    with torch.no_grad():
        convolutions[-1].weight.mul_(40.0)


def _see_one_face(detector: torch.nn.Module) -> None:
    # A 256 px frame has 3 x 3 cells; the last one, which upstream takes of equals, is moved to the frame's middle.
    shift = -1.5 * STRIDE_PX / ANCHOR_PX / VARIANCES[0]
    size = math.log(BOX_PX / ANCHOR_PX) / VARIANCES[1]
    with torch.no_grad():
        for name, layer in detector.named_modules():
            if name.endswith("_mbox_conf"):
                layer.weight.zero_()
                layer.bias.fill_(0.0)
                face = layer.bias.shape[0] - 1  # the other values stand for background
                layer.bias[face] = 8.0 if name.startswith("conv7_2") else -8.0
            if name == "conv7_2_mbox_loc":
                layer.weight.zero_()
                layer.bias.copy_(torch.tensor([shift, shift, size, size]))


def _save(state: object, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
