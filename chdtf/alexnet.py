"""AlexNet's convolution layers, trained on ImageNet: the trunk of LPIPS, from torchvision's file or a copy of them."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from chdtf.errors import UserError

SHAPES = {
    "0": (64, 3, 11, 11),
    "3": (192, 64, 5, 5),
    "6": (384, 192, 3, 3),
    "8": (256, 384, 3, 3),
    "10": (256, 256, 3, 3),
}  # of the weights by the layer's number in torchvision's `features`; biases have the first of these sizes
# `features_sha256` of the trained values, which give the published distances of the LPIPS package's example images
CONTENT_SHA256 = "412c52489c8ec96aa5a79c944163d90d80a4ac8b8feb7ba548556859a3affbe6"


def read_features(path: Path) -> dict[str, Any]:
    """The layers' tensors, float32, by names such as "0.weight", from torchvision's state dict or one of them alone.

    Raises `UserError` when the file is no such state dict. It is read as data: nothing in it can run.
    """
    import torch

    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        plain = {str(name).removeprefix("features."): tensor for name, tensor in stored.items()}
        found = {f"{layer}.{part}": plain[f"{layer}.{part}"].float() for layer in SHAPES for part in ("weight", "bias")}
    except KeyError as error:
        raise UserError(f"{path}: no layer {error} of AlexNet's features in it") from error
    except Exception as error:  # whatever the reader trips over in a file that is none
        raise UserError(f"{path}: not a PyTorch state dict ({type(error).__name__})") from error
    for layer, shape in SHAPES.items():
        sizes = tuple(found[f"{layer}.weight"].shape), tuple(found[f"{layer}.bias"].shape)
        if sizes != (shape, shape[:1]):
            raise UserError(f"{path}: layer {layer} is {sizes[0]}, expected {shape}: not AlexNet")
    return found


def features_sha256(features: dict[str, Any]) -> str:
    """Hex SHA-256 of the tensors' names, shapes and float32 values, whatever file they come from."""
    digest = hashlib.sha256()
    for name, tensor in features.items():
        array = np.ascontiguousarray(tensor.numpy(), "<f4")
        digest.update(f"{name}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def has_trained_features(path: Path) -> bool:
    """Whether a file holds the values of torchvision's AlexNet, whatever else is in it."""
    try:
        return features_sha256(read_features(path)) == CONTENT_SHA256
    except UserError:
        return False
