import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from chdtf.errors import UserError
from chdtf.morphable.regression.network import HEADS, NUM_COEFFICIENTS, ReconNet, load_network, pick_device

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """Weights in the documented layout, such that all of them matter: running means and variances too."""
    torch.manual_seed(0)
    found = ReconNet().state_dict()
    for name, values in found.items():
        if name.endswith("running_var"):
            values.uniform_(0.5, 1.5)
        elif name.endswith(("running_mean", "bias")):
            values.normal_(0, 0.1)
        elif values.ndim == 1:
            values.uniform_(0.8, 1.2)
        elif values.ndim == 4 and "final" not in name:
            torch.nn.init.kaiming_normal_(values, mode="fan_out", nonlinearity="relu")
    return dict(found)


@pytest.fixture(scope="module")
def checkpoint(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As Deep3DFaceRecon_pytorch's base_model.py saves it: weights, optimiser and schedule."""
    path = tmp_path_factory.mktemp("weights") / "epoch_20.pth"
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = torch.ones(3)
    optimiser = torch.optim.Adam([parameter], lr=1e-4)
    optimiser.step()
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimiser, lr_lambda=lambda epoch: 1.0),
        torch.optim.lr_scheduler.MultiStepLR(optimiser, [1, 2]),
    ]
    content = {"net_recon": OrderedDict(state), "opt_00": optimiser.state_dict()}
    torch.save(content | {f"sched_{n:02}": s.state_dict() for n, s in enumerate(schedules)}, path)
    return path


def _by_hand(state: State, images: torch.Tensor) -> torch.Tensor:
    """ResNet-50 v1.5 and the heads, written from the layer table of He et al. 2016, one call after another."""

    def convolve(x: torch.Tensor, conv: str, norm: str, stride: int = 1) -> torch.Tensor:
        kernel = state[f"backbone.{conv}.weight"]
        x = functional.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        mean, var, gain, shift = (
            state[f"backbone.{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        factor = gain / torch.sqrt(var + 1e-5)
        return x * factor[:, None, None] + (shift - mean * factor)[:, None, None]

    x = torch.relu(convolve(images, "conv1", "bn1", 2))
    x = functional.max_pool2d(x, 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = torch.relu(convolve(x, f"{at}.conv1", f"{at}.bn1"))
            y = torch.relu(convolve(y, f"{at}.conv2", f"{at}.bn2", stride))
            y = convolve(y, f"{at}.conv3", f"{at}.bn3")
            x = torch.relu(y + (convolve(x, f"{at}.downsample.0", f"{at}.downsample.1", stride) if block == 0 else x))
    features = x.flatten(2).mean(2)
    heads = [
        features @ state[f"final_layers.{n}.weight"][:, :, 0, 0].T + state[f"final_layers.{n}.bias"] for n in range(7)
    ]
    return torch.cat(heads, dim=1)


def test_the_network_is_resnet50_with_seven_heads(checkpoint: Path, state: State):
    network = load_network(checkpoint)
    images = torch.rand(2, 3, 64, 96) * torch.tensor([0.3, 1.0])[:, None, None, None]
    with torch.inference_mode():
        ours, wanted = network(images), _by_hand(state, images)
    assert ours.shape == (2, NUM_COEFFICIENTS) == (2, 257)
    assert float((ours - wanted).abs().max() / wanted.abs().max()) < 1e-5
    assert float((ours[0] - ours[1]).abs().max()) > 0.1 * float(ours.abs().max())  # it sees the picture


def test_names_and_shapes_are_those_of_the_documented_layout(state: State):
    """53 convolutions and as many norms of 5 arrays, in 16 blocks; 7 heads of weight and bias."""
    assert len(state) == 53 + 53 * 5 + 7 * 2 == 332
    assert state["backbone.conv1.weight"].shape == (64, 3, 7, 7)
    assert state["backbone.layer4.0.downsample.0.weight"].shape == (2048, 1024, 1, 1)
    assert state["backbone.layer3.5.bn2.running_var"].shape == (256,)
    assert sum(name.endswith("conv3.weight") for name in state) == 16
    assert [state[f"final_layers.{n}.weight"].shape for n in range(7)] == [(size, 2048, 1, 1) for size in HEADS]
    assert not any("fc" in name for name in state)
    assert sum(v.numel() for name, v in state.items() if "running" not in name and "num_" not in name) == 24_034_625


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_in_either_format_of_torch_save_is_read(state: State, tmp_path: Path, zipped: bool):
    path = tmp_path / "old.pth"
    kept = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    torch.save({"net_recon": kept}, path, _use_new_zipfile_serialization=zipped)
    network = load_network(path)
    assert not network.training
    assert torch.equal(network.final_layers[6].bias, state["final_layers.6.bias"])


def _saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def test_a_missing_file_says_where_to_get_the_right_one(tmp_path: Path):
    with pytest.raises(UserError, match=r"none.pth: no such file; .*25 April 2023.*Deep3DFaceRecon_pytorch.*eyes"):
        load_network(tmp_path / "none.pth")


def test_other_networks_are_told_by_names_and_shapes(tmp_path: Path, state: State):
    small = {name: values[:1].clone() for name, values in state.items() if values.ndim}
    with pytest.raises(UserError, match=r"backbone.conv1.weight is \(1, 3, 7, 7\), expected \(64, 3, 7, 7\)"):
        load_network(_saved(tmp_path / "a.pth", {"net_recon": small}))
    less = {name: values for name, values in small.items() if not name.startswith("final_layers")}
    less["backbone.fc.weight"] = torch.zeros(2)
    expected = r"14 weights missing \(final_layers.0.weight, .*, \.\.\.\) and 1 unexpected \(backbone.fc.weight\)"
    with pytest.raises(UserError, match=expected):
        load_network(_saved(tmp_path / "b.pth", {"net_recon": less}))
    with pytest.raises(UserError, match=r"no state dict 'net_recon', it holds generator, step"):
        load_network(_saved(tmp_path / "c.pth", {"generator": {}, "step": 1}))
    with pytest.raises(UserError, match=r"no state dict 'net_recon', it holds Tensor"):
        load_network(_saved(tmp_path / "d.pth", torch.zeros(2)))
    with pytest.raises(UserError, match=r"279 weights missing"):
        load_network(_saved(tmp_path / "e.pth", {"net_recon": {}}))


def test_damaged_values_are_refused(tmp_path: Path, state: State):
    broken = dict(state)
    broken["final_layers.1.bias"] = torch.full((64,), float("nan"))
    with pytest.raises(UserError, match=r"final_layers.1.bias has values that are not finite"):
        load_network(_saved(tmp_path / "nan.pth", {"net_recon": broken}))


class _Evil:
    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (Path("executed"),)


def test_nothing_in_a_file_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    _saved(tmp_path / "evil.pth", {"net_recon": _Evil()})
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"net_recon": _Evil()}))
    for name in ("evil.pth", "evil.pkl"):
        with pytest.raises(UserError, match=r"not a checkpoint of weights") as raised:
            load_network(tmp_path / name)
        assert "weights_only" not in str(raised.value)  # PyTorch's advice to load it unsafely is not passed on
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04" + bytes(100), bytes(1000)])
def test_a_file_of_another_kind_is_refused_in_one_line(tmp_path: Path, content: bytes):
    path = tmp_path / "epoch_20.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not a checkpoint of weights") as raised:
        load_network(path)
    assert "\n" not in str(raised.value)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path, checkpoint: Path):
    path = tmp_path / "epoch_20.pth"
    path.write_bytes(checkpoint.read_bytes()[:1_000_000])
    with pytest.raises(UserError, match=r"not a checkpoint of weights"):
        load_network(path)


def test_devices_that_are_not_here_are_refused():
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(UserError, match=r"device 'gpu' is not known"):
        pick_device("gpu")
    count = torch.cuda.device_count()
    with pytest.raises(UserError, match=rf"device 'cuda:{count}' is not available"):
        pick_device(f"cuda:{count}")
    with pytest.raises(UserError, match=r"device 'meta' is not available"):
        pick_device("meta")


def test_a_picture_gives_the_same_coefficients_alone_and_in_a_batch(checkpoint: Path):
    network = load_network(checkpoint)
    images = torch.rand(3, 3, 64, 64)
    with torch.inference_mode():
        together, alone = network(images), torch.cat([network(image[None]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5 * float(alone.abs().max()))
