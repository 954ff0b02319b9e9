import math

import pytest
import torch

from disenttalk_ref.sync import SyncExpert, expert_loss, sync_loss


def test_loss_is_the_cross_entropy_of_the_mapped_cosine():
    assert float(sync_loss(torch.tensor([0.0]), 1.0)) == pytest.approx(math.log(2))
    assert float(sync_loss(torch.tensor([0.5]), 1.0)) == pytest.approx(-math.log(0.75))
    assert float(sync_loss(torch.tensor([0.5]), 0.0)) == pytest.approx(-math.log(0.25))
    assert math.isfinite(float(sync_loss(torch.tensor([-1.0, 1.0]), 1.0)))


def test_expert_sees_seven_frames():
    torch.manual_seed(0)
    expert = SyncExpert(4, 3, hidden=16, embedding=8)
    audio, lips = torch.randn(1, 21, 4), torch.randn(1, 21, 3)
    changed = audio.clone()
    changed[:, 10] += 1
    moved = (expert(audio, lips) - expert(changed, lips)).abs()[0] > 1e-7
    assert moved.nonzero().flatten().tolist() == list(range(7, 14))


def test_expert_learns_which_audio_belongs():
    """Lips are a fixed linear picture of the audio: after training, right pairs score above shifted ones."""
    torch.manual_seed(0)
    expert, picture = SyncExpert(6, 3, hidden=32, embedding=16), torch.randn(6, 3)
    optimizer = torch.optim.Adam(expert.parameters(), 3e-3)
    for _ in range(80):
        audio = torch.randn(8, 24, 6)
        loss = expert_loss(expert, audio, audio @ picture, 5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    audio = torch.randn(8, 24, 6)
    right, wrong = expert(audio, audio @ picture), expert(audio.roll(5, 1), audio @ picture)
    assert float((right > wrong).float().mean()) > 0.9
