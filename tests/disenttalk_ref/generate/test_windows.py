import dataclasses
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.checkpoint import Checkpoint, Header, new_checkpoint
from disenttalk_ref.generate.windows import Guided, average, window_starts, window_weights
from disenttalk_ref.model import ModelConfig

REGIONS = (tuple(range(13, 21)), tuple(range(13)), tuple(range(21, 64)))
SMALL = ModelConfig(
    eye_latent=2, lip_latent=2, global_latent=2, eye_width=8, lip_width=8, global_width=8, blocks=1, heads=2
)


@pytest.fixture(scope="module")
def untrained() -> Checkpoint:
    """A small network before training, windows of 16 frames."""
    torch.manual_seed(0)
    checkpoint = new_checkpoint(Header(SMALL, AudioFeatures(), 400, "v", 16, REGIONS, "mp468", ""))
    checkpoint.denoiser.eval()
    return checkpoint


@given(st.integers(1, 400), st.integers(2, 60), st.data())
def test_windows_cover_every_frame_and_overlap_as_told(frames: int, window: int, data: st.DataObject):
    overlap = data.draw(st.integers(0, window - 1))
    starts = window_starts(frames, window, overlap)
    if frames <= window:
        assert starts == [0]
        return
    assert starts[0] == 0
    assert starts[-1] == frames - window
    steps = [b - a for a, b in itertools.pairwise(starts)]
    assert max(steps) <= window - overlap
    assert len(starts) == 1 + -(-(frames - window) // (window - overlap))  # no more than needed


@pytest.mark.parametrize(("window", "overlap"), [(16, 15), (16, 8), (16, 5), (16, 0)])
@pytest.mark.parametrize("frames", [16, 17, 40, 101])
def test_averaging_agreeing_windows_changes_nothing(frames: int, window: int, overlap: int):
    whole = torch.randn(frames, 3)
    starts = window_starts(frames, window, overlap)
    parts = torch.stack([whole[start : start + window] for start in starts])
    assert torch.allclose(average(parts, starts, frames, window_weights(window, overlap)), whole, atol=1e-6)


def test_windows_that_disagree_fade_into_each_other():
    parts = torch.stack([torch.zeros(16, 1), torch.ones(16, 1)])
    mean = average(parts, [0, 12], 28, window_weights(16, 4))[:, 0]
    assert torch.allclose(mean[10:18], torch.tensor([0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1]), atol=1e-6)


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_neither_batches_nor_threads_change_the_prediction(untrained: Checkpoint, guidance: float):
    zt, heard = torch.randn(70, SMALL.num_latent), untrained.denoiser.hear(torch.randn(1, 70, 320))
    with torch.inference_mode():
        one = Guided(untrained, guidance, 5, at_once=2, threads=1).predict(zt, 200, heard)
        two = Guided(untrained, guidance, 5, at_once=2, threads=2).predict(zt, 200, heard)
        whole = Guided(untrained, guidance, 5, at_once=100).predict(zt, 200, heard)
    assert torch.equal(one, two)
    assert torch.allclose(one, whole, atol=1e-5)


def test_one_window_is_equation_9(untrained: Checkpoint):
    """s times the prediction with audio plus (1 - s) times that with the audio taken away."""
    zt, audio, t = torch.randn(1, 16, SMALL.num_latent), torch.randn(1, 16, 320), torch.tensor([120])
    with torch.inference_mode():
        hearing, deaf = (untrained.denoiser(zt, t, audio, torch.tensor([drop])) for drop in (False, True))
        found = Guided(untrained, 3.0, 5, 16).predict(zt[0], 120, untrained.denoiser.hear(audio))
    assert not torch.allclose(hearing, deaf, atol=1e-3)
    assert torch.allclose(found, (3 * hearing - 2 * deaf)[0], atol=1e-5)


def test_running_out_of_memory_says_what_to_lower(untrained: Checkpoint):
    class Greedy(torch.nn.Module):
        def forward(self, *_: object) -> torch.Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model = dataclasses.replace(untrained, denoiser=Greedy())  # type: ignore[arg-type]
    with pytest.raises(Exception, match="windows_at_once"):
        Guided(model, 1.0, 5, 16).predict(torch.zeros(40, SMALL.num_latent), 1, ())
