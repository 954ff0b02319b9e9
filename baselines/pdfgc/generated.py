"""Generated weights for PD-FGC: upstream's own four networks with random parameters, in the files that it loads.

`generated.py FOLDER`, in upstream's checkout (its configuration names the sizes), writes `FOLDER/checkpoints/*.pth`:
plain state dicts, as `lib/model_builder.py` merges them into the networks.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

SEED = 1
NOISE = 0.1  # weight of the generator's noise, zero when it is built: so that the pictures show whether it is seeded
GAIN = 100.0  # of the layers that give lips, pose, eyes and expression: so that the pictures follow their inputs


def main(folder: Path) -> None:
    """Build the networks as upstream's configuration has them and save each one's state below `folder`."""
    sys.argv = [sys.argv[0]]  # upstream's configuration reads the command line when it is imported
    from lib.config.config import cfg
    from lib.models.networks import define_networks

    torch.manual_seed(SEED)
    for name in ("appearance", "motion", "audio", "generator"):
        table = cfg.model["net_" + name]
        network = define_networks(cfg, table.model_name, table.model_type)
        for place, module in network.named_modules():
            if type(module).__name__ == "NoiseInjection":
                module.weight.data.fill_(NOISE)
            elif place.endswith("_embed.1"):
                module.weight.data.mul_(GAIN)
        path = folder / table.pretrained_model
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), str(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
