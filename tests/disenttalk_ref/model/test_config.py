import pytest
from hypothesis import given
from hypothesis import strategies as st

from disenttalk_ref.model import PRESETS, REGIONS, ModelConfig
from disenttalk_ref.subspaces import K_EYE, K_LIP

CONFIGS = st.builds(
    ModelConfig,
    *(st.integers(1, 9) for _ in range(3)),
    pose_latent=st.integers(0, 6),
    disentangle=st.booleans(),
    hierarchical=st.booleans(),
)


def test_the_paper_keeps_all_dimensions_and_its_region_sizes():
    paper = PRESETS["paper"]
    assert dict(zip(REGIONS, paper.latents, strict=True)) == {"eye": K_EYE, "lip": K_LIP, "global": 64 - K_EYE - K_LIP}
    assert (paper.local_window, paper.num_latent, paper.num_motion) == (5, 70, 70)


@given(CONFIGS)
def test_slices_and_streams_cover_every_latent_once(config: ModelConfig):
    covered = [i for part in config.latent_slices.values() for i in range(config.num_latent)[part]]
    assert covered == list(range(config.num_latent))
    assert ("pose" in config.latent_slices) == (config.pose_latent > 0)
    assert sum(latents for latents, _ in config.streams) == config.num_latent
    assert sum(width for _, width in config.streams) == sum(config.attended) == config.width


@given(CONFIGS)
def test_codec_blocks_hold_every_motion_dimension_and_every_latent_once(config: ModelConfig):
    blocks = config.codec_blocks((tuple(range(9)), tuple(range(9, 30)), tuple(range(30, 64))))
    assert sorted(i for dimensions, _ in blocks for i in dimensions) == list(range(config.num_motion))
    assert sum(count for _, count in blocks) == config.num_latent


def test_pose_travels_with_the_global_region():
    with_pose, without = ModelConfig(), ModelConfig(pose_latent=0)
    assert [a - b for (a, _), (b, _) in zip(with_pose.streams, without.streams, strict=True)] == [0, 0, 6]
    assert without.num_motion == 64


@pytest.mark.parametrize("wrong", [{"pose_latent": 7}, {"pose_latent": -1}, {"eye_width": 30}, {"local_window": 4}])
def test_sizes_that_do_not_fit_together_are_refused(wrong: dict[str, int]):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        ModelConfig(**wrong)
