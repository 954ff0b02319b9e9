import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import torch

from chdtf.dataset import MotionClip
from chdtf.morphable.coefficients import load_model
from chdtf.morphable.head_motion import MIRROR_SIGN
from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.train import Augmentation
from disenttalk_ref.train.batches import Batch, WindowSampler, _spread, gap_direction, mirror_matrix

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


def test_a_process_draws_its_part_of_the_batch(clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]):
    sampler = _sampler(clips, regions, Augmentation())
    whole = sampler.draw(8, 3, 7)
    parts = [sampler.draw(8, 3, 7, part) for part in (slice(0, 3), slice(3, 8))]
    for name in ("audio", "motion", "valid"):
        torch.testing.assert_close(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


def test_the_head_is_mirrored_with_the_face_and_goes_on_in_pauses(
    clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]
):
    """One window, the whole clip: the same head motion, factor by factor with the mirrored picture's sign."""
    plain, mirrored, paused = (
        _sampler(clips[:1], regions, dataclasses.replace(NONE, **change), window=50).draw(4, 0, 0)
        for change in ({}, {"mirror": 1}, {"pause": 1})
    )
    np.testing.assert_allclose(plain.motion[0, :, 64:], clips[0].pose, atol=1e-6)
    np.testing.assert_allclose(mirrored.motion[0, :, 64:], clips[0].pose * MIRROR_SIGN, atol=1e-6)
    np.testing.assert_allclose(paused.motion[..., 64:], plain.motion[..., 64:], atol=1e-6)
    assert not np.allclose(paused.motion[..., :64], plain.motion[..., :64], atol=1e-2)


def test_frames_beside_one_without_a_face_are_not_valid(clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]):
    valid = clips[0].valid.copy()
    valid[20] = False
    clip = dataclasses.replace(clips[0], valid=valid, expression=clips[0].expression * valid[:, None])
    batch = _sampler([clip], regions, dataclasses.replace(NONE, speed=0.1), window=30).draw(32, 0, 0)
    assert 0 < int((~batch.valid).sum()) < 32 * 6
    kept = batch.motion[..., 0][batch.valid].abs()
    assert float(kept.min()) > 0.02 or float((kept < 0.2).float().mean()) < 0.1  # nothing was blended with zeros


@dataclasses.dataclass(frozen=True)
class Cached:
    """An extractor that is too costly while training: the loudness of each frame, twice."""

    on_the_fly: ClassVar[bool] = False
    quick: ClassVar[bool] = False
    free: ClassVar[frozenset[str]] = frozenset()
    kind: str = "cached"
    parts: int = 1
    name: str = "cached"
    width: int = 2

    def extract(self, waveform: np.ndarray, device: str = "cpu") -> np.ndarray:
        loud = np.sqrt((waveform[: len(waveform) // 640 * 640].reshape(-1, 640) ** 2).mean(1))
        return np.repeat(loud[:, None], 2, axis=1).astype(np.float32)


def test_cached_features_are_resampled_with_the_motion(clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]):
    rows = {clip.clip_id: Cached().extract(clip.waveform).astype(np.float16) for clip in clips}

    def draw(**change: float) -> Batch:
        varied = dataclasses.replace(Augmentation(), mirror=0, **change)
        sampler = WindowSampler(clips, load_model("mp468"), Cached(), regions[0], 20, varied, rows)
        return sampler.draw(64, 0, 0)

    clean, noisy = draw(feature_noise=0), draw(feature_noise=0.1)
    assert clean.audio.dtype == torch.float32
    assert clean.audio.shape == (64, 20, 2)
    assert np.corrcoef(clean.audio[..., 0].flatten(), clean.motion[..., 0].flatten())[0, 1] > 0.9
    deviation = np.concatenate(list(rows.values())).astype(np.float32).std()
    assert float((noisy.audio - clean.audio).std()) == pytest.approx(0.1 * deviation, rel=0.1)
    with pytest.raises(ValueError, match="clip_0: no cached features"):
        WindowSampler(clips, load_model("mp468"), Cached(), regions[0], 20, NONE, {})
    short = {name: each[:-1] for name, each in rows.items()}
    with pytest.raises(ValueError, match=r"clip_\d: 50 frames, but 49 of cached features"):
        WindowSampler(clips, load_model("mp468"), Cached(), regions[0], 20, NONE, short).draw(1, 0, 0)


@dataclasses.dataclass(frozen=True)
class Halves(Cached):
    """Two rows of one number side by side: the half frames' places in time, -7 in silence."""

    parts: int = 2

    def extract(self, waveform: np.ndarray, device: str = "cpu") -> np.ndarray:
        return np.full((len(waveform) // 640, 2), -7, np.float32)


def _places(clips: list[MotionClip], regions: tuple[tuple[int, ...], ...], **change: float) -> Batch:
    """Windows of cached half rows i = 0, 1, ...; the motion's first dimension is the frame's place in time."""
    count = len(clips[0].valid)
    expression = np.zeros((count, 64), np.float32)
    expression[:, 0] = np.arange(count)
    clip = dataclasses.replace(clips[0], expression=expression)
    rows = {clip.clip_id: np.arange(2 * count, dtype=np.float16).reshape(count, 2)}
    varied = dataclasses.replace(NONE, feature_noise=0, **change)
    return WindowSampler([clip], load_model("mp468"), Halves(), regions[0], 20, varied, rows).draw(32, 0, 0)


def test_half_rows_are_resampled_at_their_own_places(clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]):
    """At speed v half frames are v apart, and centred on the frame: frame f has half rows 2 f + 0.5 -+ v / 2."""
    batch = _places(clips, regions, speed=0.3)
    frame = batch.motion[..., 0]
    speed = (frame[:, -1] - frame[:, 0]) / 19
    assert float(speed.std()) > 0.05
    inside = (frame > 1) & (frame < 48)
    for half, sign in enumerate((-1, 1)):
        wanted = 2 * frame + 0.5 + sign * speed[:, None] / 2
        torch.testing.assert_close(batch.audio[..., half][inside], wanted[inside], atol=1e-3, rtol=0)


def test_pauses_of_cached_features_are_silence_with_the_mouth_closed(
    clips: list[MotionClip], regions: tuple[tuple[int, ...], ...]
):
    batch, plain = (_places(clips, regions, pause=pause) for pause in (1, 0))
    silent = (batch.audio == -7).all(-1)
    assert 0.1 < float(silent.float().mean()) < 0.9
    assert bool((silent == (batch.audio == -7).any(-1)).all())
    torch.testing.assert_close(batch.audio[~silent], plain.audio[~silent])
    torch.testing.assert_close(batch.motion[~silent], plain.motion[~silent])
    deep = silent.clone()
    for by in (-4, 4):  # where the mouth has had time to close
        deep &= silent.roll(by, 1)
    deep[:, :4], deep[:, -4:] = False, False
    closed = batch.motion[..., 0][deep]
    assert len(closed) > 20
    assert float(closed.std()) < 1e-4


def test_how_much_features_vary_is_measured_on_some_of_many_clips():
    assert [len(_spread(range(count))) for count in (1, 200, 201, 1000, 1001)] == [1, 200, 101, 200, 167]  # type: ignore[arg-type]
