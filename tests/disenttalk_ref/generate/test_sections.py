import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from disenttalk_ref.audio import AudioFeatures
from disenttalk_ref.checkpoint import Checkpoint, Header, new_checkpoint
from disenttalk_ref.generate.sections import FrameNoise, Policy, Sections
from disenttalk_ref.generate.windows import Guided
from disenttalk_ref.model import ModelConfig

REGIONS = (tuple(range(13, 21)), tuple(range(13)), tuple(range(21, 64)))
SMALL = ModelConfig(
    eye_latent=2, lip_latent=2, global_latent=2, eye_width=8, lip_width=8, global_width=8, blocks=1, heads=2
)
AUDIO = AudioFeatures(bands=4)


def _untrained() -> Checkpoint:
    torch.manual_seed(0)
    model = dataclasses.replace(SMALL, audio_width=AUDIO.width)
    checkpoint = new_checkpoint(Header(model, AUDIO, 400, "v", 16, REGIONS, "mp468", ""))
    checkpoint.denoiser.eval()
    return checkpoint


UNTRAINED = _untrained()


def _walk(policy: Policy, sampler: str = "ddim", steps: int = 2) -> Sections:
    guided = Guided(UNTRAINED, 1.0, 5, 16)
    return Sections(guided, policy, 0, torch.ones(SMALL.num_latent), sampler, steps)


def _rows(frames: int) -> np.ndarray:
    return np.random.default_rng(frames).standard_normal((frames, AUDIO.width)).astype(np.float32)


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_the_pieces_do_not_matter(data: st.DataObject):
    """However the rows are cut, the latents are the same to the bit, and every frame is decided once."""
    frames = data.draw(st.integers(1, 30))
    sampler = data.draw(st.sampled_from(["ddim", "ddpm", "dpmpp"]))
    cuts = sorted(data.draw(st.lists(st.integers(0, frames), max_size=6)))
    rows, policy = _rows(frames), Policy(4, 3, 9)
    whole, parts = _walk(policy, sampler), _walk(policy, sampler)
    expected = torch.cat([whole.push(rows), whole.finish()])
    pieces = [parts.push(rows[a:b]) for a, b in zip([0, *cuts], [*cuts, frames], strict=True)]
    found = torch.cat([*pieces, parts.finish()])
    assert found.shape == (frames, SMALL.num_latent)
    assert torch.equal(found, expected)


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 6), st.integers(0, 5), st.integers(0, 30))
def test_frames_are_decided_as_early_as_the_policy_says(section: int, ahead: int, frames: int):
    walk = _walk(Policy(section, ahead, 5))
    decided = len(walk.push(_rows(frames)))
    assert decided == max(0, (frames - ahead) // section) * section


def test_what_comes_later_does_not_change_what_was_decided():
    first = _rows(30)
    other = first.copy()
    other[14:] += 1
    one, two = (_walk(Policy(4, 3, 9)).push(rows) for rows in (first, other))
    assert torch.equal(one[:8], two[:8])  # decided from rows 0 to 10, then 0 to 14 - 1
    assert not torch.allclose(one[12:], two[12:])


def test_a_section_as_long_as_the_speech_is_the_plain_sampler():
    rows = _rows(16)
    walk = _walk(Policy(100, 5, 5))
    assert len(walk.push(rows)) == 0
    start = FrameNoise(0, 0, SMALL.num_latent).rows(0, 16)[None]
    audio = torch.from_numpy(rows)[None]
    with torch.inference_mode():
        expected = UNTRAINED.diffusion.sample(lambda zt, t: UNTRAINED.denoiser(zt, t, audio), start, 2)
    assert torch.allclose(walk.finish(), expected[0], atol=1e-5)


def test_audio_encoded_piece_by_piece_is_the_audio_encoded_whole():
    """The sections hear what the whole would hear: no section starts anew."""
    rows, heard = _rows(60), []
    walk = _walk(Policy(8, 2, 7))
    listen = walk._hear

    def spy(stop: int) -> tuple[torch.Tensor, ...]:
        found = listen(stop)
        heard.append((stop, found[0]))
        return found

    walk._hear = spy  # type: ignore[method-assign]
    walk.push(rows)
    with torch.inference_mode():
        whole = UNTRAINED.denoiser.hear(torch.from_numpy(rows)[None])[0]
    assert len(heard) == 7
    for stop, part in heard:
        assert torch.allclose(part, whole[:, stop - part.shape[1] : stop], atol=1e-5)


def test_memory_does_not_grow_with_the_speech():
    walk = _walk(Policy(4, 3, 9), "ddpm")

    def held() -> int:
        noise = sum(len(stream._held) for stream in walk._noises.values())
        return len(walk._rows) + sum(len(z) for z in walk._behind) + noise

    sizes = []
    for _ in range(16):
        walk.push(_rows(16))
        sizes.append(held())
    assert max(sizes[8:]) <= max(sizes[:8])


def test_noise_belongs_to_the_frame():
    pieces, whole = FrameNoise(3, 1, 5), FrameNoise(3, 1, 5).rows(0, 200)
    assert torch.equal(pieces.rows(0, 10), whole[:10])
    assert torch.equal(pieces.rows(4, 150), whole[4:150])
    assert torch.equal(pieces.rows(150, 200), whole[150:])
    assert not torch.equal(FrameNoise(3, 2, 5).rows(0, 200), whole)
    assert not torch.equal(FrameNoise(4, 1, 5).rows(0, 200), whole)
    assert float(whole.std()) == pytest.approx(1, abs=0.06)
