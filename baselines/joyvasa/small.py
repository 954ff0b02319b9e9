"""Narrow sizes for runs with generated weights: one frame takes 14 s of a CPU core at full width, about 5 s so."""

from __future__ import annotations

from typing import Any

CONFIG = "src/config/models.yaml"  # of upstream's checkout, read when its networks are made
CHANNELS = 16
MOTION_CHANNELS = 8


def small(config: dict[str, Any]) -> dict[str, Any]:
    """Change upstream's sizes in place: decoder and warping at a quarter of their width, dense motion too."""
    sizes = config["model_params"]
    sizes["spade_generator_params"]["block_expansion"] = CHANNELS
    sizes["warping_module_params"]["block_expansion"] = CHANNELS
    sizes["warping_module_params"]["dense_motion_params"].update(block_expansion=MOTION_CHANNELS, max_features=64)
    return config
