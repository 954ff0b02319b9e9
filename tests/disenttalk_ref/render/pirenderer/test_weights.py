"""Official files load value by value; whatever is wrong with one is said in a line."""

import dataclasses
from pathlib import Path

import pytest
import torch

from chdtf.errors import UserError
from disenttalk_ref.render.pirenderer.config import PRESETS
from disenttalk_ref.render.pirenderer.network import PIRendererNetwork
from disenttalk_ref.render.pirenderer.weights import load_official

CONFIG = dataclasses.replace(PRESETS["tiny"], residual_depth=1)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return PIRendererNetwork(CONFIG).state_dict()


def saved(folder: Path, content: object) -> Path:
    torch.save(content, folder / "net.pt")
    return folder / "net.pt"


def test_a_published_file_is_read_with_its_training_state_and_prefixes(tmp_path: Path, state: dict[str, torch.Tensor]):
    content = {
        "net_G_ema": {f"module.{name}": tensor for name, tensor in state.items()},
        "net_G": {},
        "current_epoch": 190,
        "current_iteration": 400_000,
    }
    found = load_official(saved(tmp_path, content), CONFIG).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_all_that_is_wrong_is_in_one_line(tmp_path: Path, state: dict[str, torch.Tensor]):
    state["editing_net.decoder.final.model.0.weight_orig"] = state.pop("editing_net.decoder.final.model.0.weight")
    state["mapping_net.first.0.weight"] = torch.zeros(64, 70, 7)
    with pytest.raises(UserError) as caught:
        load_official(saved(tmp_path, {"net_G_ema": state}), CONFIG)
    message = str(caught.value)
    assert "1 missing (editing_net.decoder.final.model.0.weight)" in message
    assert "1 of another shape (mapping_net.first.0.weight is (64, 70, 7), expected (64, 73, 7))" in message
    assert "1 unexpected (editing_net.decoder.final.model.0.weight_orig)" in message
    assert "\n" not in message


def test_weights_without_a_place_are_told_and_left_out(
    tmp_path: Path, state: dict[str, torch.Tensor], caplog: pytest.LogCaptureFixture
):
    load_official(saved(tmp_path, {"net_G_ema": {**state, "left_over.weight": torch.zeros(1)}}), CONFIG)
    assert "1 weights without a place in the network (left_over.weight)" in caplog.text


def test_other_files_are_refused(tmp_path: Path, state: dict[str, torch.Tensor]):
    with pytest.raises(UserError, match="no such file; it is linked in the README"):
        load_official(tmp_path / "absent.pt", CONFIG)
    with pytest.raises(UserError, match="no state dict 'net_G_ema', it holds state_dict"):
        load_official(saved(tmp_path, {"state_dict": state}), CONFIG)
    with pytest.raises(UserError, match=r"a Python object, pathlib\.\w+, and those are not loaded"):
        load_official(saved(tmp_path, {"net_G_ema": state, "from": tmp_path}), CONFIG)
    (tmp_path / "page.pt").write_text("<html>quota exceeded</html>")
    with pytest.raises(UserError, match="not a checkpoint of weights"):
        load_official(tmp_path / "page.pt", CONFIG)
    state["mapping_net.first.0.bias"][0] = float("nan")
    with pytest.raises(UserError, match="1 weights are not finite"):
        load_official(saved(tmp_path, {"net_G_ema": state}), CONFIG)
