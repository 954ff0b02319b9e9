"""Batches of pairs: what is in them, and that they are a function of seed and step."""

from typing import Any

import numpy as np
import pytest
import torch

from chdtf.errors import UserError
from chdtf.morphable.model import load_model
from disenttalk_ref.render.pirenderer.data import PairSampler
from disenttalk_ref.render.pirenderer.portrait import to_unit
from disenttalk_ref.render.pirenderer.semantics import FIT

MODEL = load_model("mp468")


def sampler(clips: list[Any], **options: int) -> PairSampler:
    return PairSampler(clips, MODEL, FIT, 13, **options)


def test_the_middle_of_a_window_says_what_the_target_shows(drawn: list[Any]):
    known = [(to_unit(clip.frames()), clip.coefficients()) for clip in drawn]
    pairs = sampler(drawn).draw(16, seed=0, step=3)
    for target, driving in zip(pairs.target, pairs.windows, strict=True):
        found = [
            coefficients.expression[frame, 0]
            for frames, coefficients in known
            for frame in np.flatnonzero((frames == target).all(dim=(1, 2, 3)).numpy())
        ]
        assert np.abs(driving[0, 13].numpy() - np.array(found)).min() == 0
    black = torch.full((3, 32, 32), -1.0)
    assert not any(torch.equal(image, black) for image in (*pairs.source, *pairs.target))  # the frame without a face


@pytest.mark.parametrize("options", [{}, {"held_clips": 1, "held_frames": 4, "held_steps": 2}])
def test_a_batch_is_a_function_of_seed_step_and_process(drawn: list[Any], options: dict[str, int]):
    one, other = sampler(drawn, **options), sampler(drawn, **options)
    for step in range(4):
        one.draw(3, 7, step)
    assert torch.equal(one.draw(3, 7, 4).target, other.draw(3, 7, 4).target)
    assert not torch.equal(one.draw(3, 7, 4).windows, other.draw(3, 7, 5).windows)
    assert not torch.equal(one.draw(3, 7, 4).windows, other.draw(3, 7, 4, process=1).windows)
    assert not torch.equal(one.draw(3, 7, 4).windows, other.draw(3, 8, 4).windows)
    one.close()
    other.close()


def test_when_not_all_fits_every_clip_is_seen_in_time(drawn: list[Any]):
    few = sampler(drawn, held_clips=1, held_frames=4, held_steps=2)
    targets = torch.cat([few.draw(8, 0, step).windows[:, 0, 13] for step in range(12)])
    assert len(torch.unique(targets)) > 12
    assert len(torch.unique(few.draw(64, 0, 0).windows[:, 0, 13])) <= 4
    few.close()


def test_no_clips_are_refused():
    with pytest.raises(UserError, match="no clips"):
        sampler([])
