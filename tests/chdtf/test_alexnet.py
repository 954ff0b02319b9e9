"""The trunk of LPIPS is accepted by its values, whatever file they lie in."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from chdtf import alexnet, weights
from chdtf.errors import UserError


def made_up(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for layer, shape in alexnet.SHAPES.items():
        found[f"{layer}.weight"] = torch.randn(shape, generator=generator)
        found[f"{layer}.bias"] = torch.randn(shape[:1], generator=generator)
    return found


def test_a_whole_state_dict_and_its_features_alone_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Under torchvision's names, with its classifier, in another order, or as double: the values count."""
    features = made_up()
    alone, whole = tmp_path / "alone.pth", tmp_path / "whole.pth"
    torch.save(features, alone)
    prefixed = {f"features.{name}": tensor.double() for name, tensor in reversed(features.items())}
    torch.save({"classifier.1.weight": torch.zeros(3, 3), **prefixed}, whole)
    digest = alexnet.features_sha256(features)
    assert {alexnet.features_sha256(alexnet.read_features(path)) for path in (alone, whole)} == {digest}
    assert not alexnet.has_trained_features(alone)
    monkeypatch.setattr(alexnet, "CONTENT_SHA256", digest)
    assert alexnet.has_trained_features(alone)
    assert alexnet.has_trained_features(whole)
    features["10.bias"][255] += 1e-6
    torch.save(features, alone)
    assert not alexnet.has_trained_features(alone)


def test_other_files_are_refused_by_name(tmp_path: Path):
    path = tmp_path / "x.pth"
    path.write_bytes(b"<html>no such page</html>")
    with pytest.raises(UserError, match=r"x\.pth: not a PyTorch state dict"):
        alexnet.read_features(path)
    torch.save({"features.0.weight": torch.zeros(64, 3, 11, 11)}, path)
    with pytest.raises(UserError, match=r"no layer '0\.bias' of AlexNet's features"):
        alexnet.read_features(path)
    torch.save(made_up() | {"6.weight": torch.zeros(384, 192, 1, 1)}, path)
    with pytest.raises(UserError, match=r"layer 6 is \(384, 192, 1, 1\), expected \(384, 192, 3, 3\)"):
        alexnet.read_features(path)


def test_the_registry_takes_a_copy_of_the_features(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    assert weights.check("alexnet").state == "missing"
    assert weights.check("alexnet").path.name == "alexnet-owt-7be5be79.pth"
    copy = tmp_path / "alexnet_features.pth"
    shutil.copy(shared / "weights" / copy.name, copy)
    found = weights.check("alexnet")
    assert (found.state, found.path) == ("ok", copy)
    torch.save(torch.load(copy, weights_only=True), tmp_path / "alexnet-owt-7be5be79.pth")  # another file, same values
    assert weights.find("alexnet") == tmp_path / "alexnet-owt-7be5be79.pth"
    torch.save(made_up(), tmp_path / "alexnet-owt-7be5be79.pth")
    assert weights.check("alexnet").state == "mismatch"


def test_a_wrong_copy_does_not_stand_in_the_way_of_fetching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is downloaded gets its own name, and the other file is left as it is."""
    monkeypatch.setenv("DISENTBENCH_WEIGHTS", str(tmp_path))
    copy = tmp_path / "alexnet_features.pth"
    copy.write_bytes(b"another")
    found = weights.check("alexnet")
    assert (found.state, found.path) == ("mismatch", copy)
    entry = dataclasses.replace(found.weights, url="http://127.0.0.1:1/x")
    with pytest.raises(UserError, match=r"put it at .*/alexnet-owt-7be5be79\.pth"):
        weights.fetch("alexnet", registry={"alexnet": entry})
    assert copy.read_bytes() == b"another"
