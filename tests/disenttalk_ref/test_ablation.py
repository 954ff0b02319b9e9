import dataclasses
import itertools

import pytest
import torch

from chdtf.errors import UserError
from disenttalk_ref.ablation import ABLATIONS, ablated, check_ablations, label
from disenttalk_ref.model import Denoiser, ModelConfig

SMALL = ModelConfig(
    *(3, 4, 5), eye_width=8, lip_width=12, global_width=4, blocks=3, heads=2, audio_width=10, dropout=0.0
)
SHARED = ("audio.", "silent", "time.", "skips.")  # what no ablation touches


def _shapes(config: ModelConfig) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in Denoiser(config).state_dict().items()}


def _trained(config: ModelConfig) -> Denoiser:
    torch.manual_seed(0)
    net = Denoiser(config).eval().requires_grad_(False)
    for block in net.blocks:
        torch.nn.init.normal_(block.film.weight, std=0.1)
    return net


def _output(net: Denoiser) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    zt, audio = (torch.randn(2, 9, width, generator=generator) for width in (SMALL.num_latent, 10))
    return torch.as_tensor(net(zt, torch.tensor([5, 300]), audio))


@pytest.mark.parametrize(
    ("name", "part"), [("temporal", ".temporal."), ("local", ".interaction.local."), ("hierarchical", None)]
)
def test_an_ablation_takes_away_its_own_parameters(name: str, part: str | None):
    full, left = _shapes(SMALL), _shapes(ablated(SMALL, [name]))
    changed = {
        "temporal": (),
        "local": tuple(f"blocks.{i}.interaction.out.weight" for i in range(3)),
        "hierarchical": tuple(f"blocks.{i}.spatial.{kind}" for i in range(3) for kind in ("norms", "attentions")),
    }[name]
    kept = {key: shape for key, shape in full.items() if not (part and part in key) and not key.startswith(changed)}
    assert {key: shape for key, shape in left.items() if not key.startswith(changed)} == kept
    assert len(left) < len(full)


def test_without_disentanglement_there_is_one_region_throughout():
    full, left = _shapes(SMALL), _shapes(ablated(SMALL, ["disentangle"]))
    assert left["enter.0.weight"] == (SMALL.width, SMALL.num_latent)
    assert left["leave.0.weight"] == (SMALL.num_latent, SMALL.width)
    assert not any(".attentions.1." in name or name.startswith(("enter.1", "leave.1", "norms.1")) for name in left)
    assert left["blocks.0.spatial.attentions.0.query.weight"] == (SMALL.width, SMALL.width)
    untouched = [name for name in full if name.startswith(SHARED) or ".temporal." in name or ".interaction." in name]
    assert {name: left[name] for name in untouched} == {name: full[name] for name in untouched}


def test_without_temporal_the_network_is_the_full_one_whose_eq_5_adds_nothing():
    full, left = _trained(SMALL), _trained(ablated(SMALL, ["temporal"]))
    for block in full.blocks:
        torch.nn.init.zeros_(block.temporal.pointwise.weight)
        torch.nn.init.zeros_(block.temporal.pointwise.bias)
    left.load_state_dict({name: value for name, value in full.state_dict().items() if ".temporal." not in name})
    assert torch.equal(_output(left), _output(full))


def test_without_local_the_network_is_the_full_one_whose_w_o_ignores_f_conv():
    full, left = _trained(SMALL), _trained(ablated(SMALL, ["local"]))
    state = {name: value for name, value in full.state_dict().items() if ".local." not in name}
    for number, block in enumerate(full.blocks):
        block.interaction.out.weight[:, : SMALL.width] = 0
        state[f"blocks.{number}.interaction.out.weight"] = block.interaction.out.weight[:, SMALL.width :]
    left.load_state_dict(state)
    assert torch.allclose(_output(left), _output(full), atol=1e-6)


def test_without_hierarchy_regions_see_each_other_within_the_attention():
    attend = _trained(ablated(SMALL, ["hierarchical"])).blocks[0].spatial
    x = torch.randn(1, 9, SMALL.width)
    changed = x.clone()
    changed[..., : SMALL.eye_width] += torch.randn(1, 9, SMALL.eye_width)
    before, after = attend.regions(x), attend.regions(changed)
    assert len(before) == 1
    assert (before[0] != after[0]).any(1).any(0)[SMALL.eye_width :].all()  # channels of lips and the rest


def test_training_s_ablations_leave_the_network_alone():
    assert ablated(SMALL, ["chdtf", "syncloss"]) == SMALL


@pytest.mark.parametrize("names", [*itertools.combinations(ABLATIONS, 2), tuple(ABLATIONS)])
def test_ablations_combine(names: tuple[str, ...]):
    config = ablated(SMALL, names)
    assert _output(_trained(config)).shape == (2, 9, SMALL.num_latent)
    away = {f.name for f in dataclasses.fields(config) if getattr(config, f.name) is False}
    assert away == set(names) - {"chdtf", "syncloss"}


def test_names_and_labels_are_table_iv_s():
    assert check_ablations(["local", "temporal", "local"]) == ("temporal", "local")
    assert label(()) == "Ours full"
    assert label(["local"]) == "Ours w/o LOCAL"
    with pytest.raises(UserError, match=r"'loca' is not known; choose from temporal, .*syncloss"):
        ablated(SMALL, ["loca"])
