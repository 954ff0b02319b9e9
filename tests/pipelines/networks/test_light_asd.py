"""Light-ASD: the published layers, and chunks that change nothing."""

from pathlib import Path

import pytest
import torch

from pipelines.networks.light_asd import REACH_FRAMES, LightASD, load_light_asd


@pytest.fixture(scope="module")
def network() -> LightASD:
    """With generated weights whose features say something; seeded."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    made = LightASD()
    for module in made.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(module.weight)
    return made


def inputs(frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(frames)
    faces = torch.randint(0, 256, (frames, 112, 112), dtype=torch.uint8, generator=made)
    return faces, torch.randn(4 * frames, 13, generator=made) * 5


def test_the_published_state_dict_fits_and_the_network_is_as_light_as_the_paper_says(shared: Path) -> None:
    network = load_light_asd(shared / "weights" / "light_asd_talkset.model")
    assert not network.training
    used = [p for name, p in network.named_parameters() if not name.startswith("lossV.")]
    assert sum(p.numel() for p in used) == pytest.approx(1.02e6, rel=0.01)  # the paper: 1.0 M


def test_logits_equal_those_of_the_authors_code(shared: Path) -> None:
    """Golden values by Junhua-Liao/Light-ASD at ed38c232, model/Model.py and loss.py, on the same input."""
    network = load_light_asd(shared / "weights" / "light_asd_talkset.model")
    ramp = torch.arange(8 * 112 * 112).reshape(8, 112, 112) % 251
    cepstra = torch.sin(torch.arange(32 * 13).reshape(32, 13) * 0.37) * 8
    logits = network(ramp.to(torch.uint8), cepstra)
    assert logits.shape == (8, 2)
    expected = torch.tensor([-1.2012, -1.1429, -1.0778, -1.1443, -1.2002, -1.2173, -1.1089, -0.8271])
    torch.testing.assert_close(logits[:, 1], expected, atol=2e-3, rtol=0)


def test_chunks_do_not_change_the_features(network: LightASD) -> None:
    faces, _ = inputs(40)
    with torch.inference_mode():
        whole = network.see(faces, chunk=40)
        torch.testing.assert_close(network.see(faces, chunk=7), whole, atol=1e-3, rtol=1e-4)
    assert whole.shape == (1, 40, 128)
    assert whole.std() > 0.01


def test_a_frame_reaches_no_farther_than_it_says(network: LightASD) -> None:
    faces, _ = inputs(30)
    changed = faces.clone()
    changed[15] = 255 - changed[15]
    with torch.inference_mode():
        differs = ((network.see(faces) - network.see(changed)).abs() > 1e-3).any(dim=2)[0]
    touched = torch.nonzero(differs)[:, 0]
    assert (touched.min(), touched.max()) == (15 - REACH_FRAMES, 15 + REACH_FRAMES)


def test_a_state_dict_that_does_not_fit_is_refused(network: LightASD, tmp_path: Path) -> None:
    state = network.state_dict()
    del state["lossAV.FC.bias"]
    torch.save(state, tmp_path / "half.model")
    with pytest.raises(RuntimeError, match=r"lossAV\.FC\.bias"):
        load_light_asd(tmp_path / "half.model")
