import numpy as np
import pytest
import torch

from chdtf.dataset import MotionClip
from chdtf.morphable.coefficients import load_model
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.train import Augmentation
from disenttalk_ref.train.batches import WindowSampler, gap_direction, mirror_matrix

NONE = Augmentation(mirror=0, speed=0, warp=0, gain_db=0, tilt=0, noise_db=(-200, -200), pause=0)


def _sampler(
    clips: list[MotionClip], regions: tuple[tuple[int, ...], ...], augmentation: Augmentation, window: int = 20
) -> WindowSampler:
    return WindowSampler(clips, load_model("mp468"), AudioFeatures(), regions[0], window, augmentation)


def _loudness(audio: torch.Tensor) -> np.ndarray:
    return audio.amax(-1).numpy()


@pytest.mark.parametrize("augmentation", [NONE, Augmentation(mirror=0, pause=0), Augmentation(mirror=0, pause=1)])
def test_sound_and_motion_stay_aligned(
    clips: list[MotionClip], regions: tuple[tuple[int, ...], ...], augmentation: Augmentation
):
    """Lips of the fixture are open exactly where the tone sounds, at every speed and with pauses put in."""
    batch = _sampler(clips, regions, augmentation).draw(64, 0, 0)
    loud = _loudness(batch.audio)[batch.valid.numpy()]
    opening = batch.motion[..., 0].numpy()[batch.valid.numpy()]
    assert np.corrcoef(loud, opening)[0, 1] > (0.9 if augmentation is NONE else 0.75)


def test_a_batch_is_a_function_of_seed_and_step(clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]):
    first, second = (_sampler(clips, regions, Augmentation()) for _ in range(2))
    first.draw(8, 3, 6)
    a, b, c = first.draw(8, 3, 7), second.draw(8, 3, 7), second.draw(8, 3, 8)
    assert torch.equal(a.audio, b.audio)
    assert torch.equal(a.motion, b.motion)
    assert not torch.equal(a.motion, c.motion)


def test_windows_longer_than_the_clip_are_marked(clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]):
    batch = _sampler(clips, regions, NONE, window=70).draw(4, 0, 0)
    assert batch.valid.sum(1).tolist() == [50] * 4
    assert bool((batch.audio[:, 52:] == -1).all())  # silence after the end


def test_pauses_are_silent_and_closed(clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]):
    model = load_model("mp468")
    batch = _sampler(clips, regions, Augmentation(mirror=0, speed=0, pause=1, noise_db=(-200, -200))).draw(64, 0, 0)
    plain = _sampler(clips, regions, Augmentation(mirror=0, speed=0, pause=0, noise_db=(-200, -200))).draw(64, 0, 0)
    opening = [b.motion[..., :64].numpy() @ gap_direction(model) for b in (batch, plain)]
    silent = [float((_loudness(b.audio) < -0.9).mean()) for b in (batch, plain)]
    assert silent[0] > silent[1] + 0.1
    assert opening[0].mean() < opening[1].mean()


def test_mirroring_twice_is_nothing_and_keeps_the_mouth_opening():
    model = load_model("mp468")
    matrix, direction = mirror_matrix(model), gap_direction(model)
    expression = np.random.default_rng(0).standard_normal((200, 64)).astype(np.float32)
    np.testing.assert_allclose(expression @ matrix @ matrix, expression, atol=1e-3)
    mirrored = expression @ matrix
    assert np.corrcoef(mirrored @ direction, expression @ direction)[0, 1] > 0.98


def test_mirrored_faces_swap_their_eyes():
    model = load_model("mp468")
    matrix, basis = mirror_matrix(model), model.expression_basis
    right, left = basis[:, 145, 1] - basis[:, 159, 1], basis[:, 374, 1] - basis[:, 386, 1]
    expression = np.random.default_rng(0).standard_normal((200, 64)).astype(np.float32)
    assert np.corrcoef(expression @ matrix @ right, expression @ left)[0, 1] > 0.9
