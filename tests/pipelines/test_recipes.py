"""Settings by name: what is set arrives at its stage, and what no stage can work with is said in one line."""

import pytest

from chdtf.errors import UserError
from pipelines.recipes import chdtf_recipe, configured
from pipelines.stages import cut


def test_a_setting_arrives_at_its_stage_and_nowhere_else() -> None:
    before = chdtf_recipe()
    after = configured(before, ["cut.max_clip_s=50", "cut.min_clip_s=40", "resample.crf=20"])
    changed = {one.name for one, other in zip(before, after, strict=True) if one != other}
    assert changed == {"cut", "resample"}
    found = next(stage for stage in after if isinstance(stage, cut.Stage))
    assert (found.min_clip_s, found.max_clip_s) == (40.0, 50.0)


def test_bounds_that_are_set_together_are_judged_together() -> None:
    # one after the other, a minimum of 40 s would stand against the default maximum of 30 s
    configured(chdtf_recipe(), ["cut.min_clip_s=40", "cut.max_clip_s=50"])
    with pytest.raises(UserError, match="min_clip_s 40, max_clip_s 30"):
        configured(chdtf_recipe(), ["cut.min_clip_s=40"])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("max_clip_s=20", "write STAGE.FIELD=VALUE"),
        ("cut.max_clip_s", "write STAGE.FIELD=VALUE"),
        ("trim.max_clip_s=20", "no stage 'trim'; there are download, cut"),
        ("cut.max_clip=20", "did you mean max_clip_s?"),
        ("cut.max_clip_s=long", "'long' is not of type float"),
        ("cut.max_clip_s=-1", "give a number of 0.04 or more"),
        ("cut.max_clip_s=nan", "give a number of 0.04 or more"),
        ("cut.max_pause_s=inf", "give a number of 0 or more"),
        ("cut.vad_mode=7", "give a number of 0 to 3"),
        ("resample.crf=99", "give a number of 0 to 51"),
        ("download.max_height=0", "give a number of 16 or more"),
    ],
)
def test_what_cannot_be_set_is_said_with_its_value(setting: str, said: str) -> None:
    with pytest.raises(UserError) as mistake:
        configured(chdtf_recipe(), [setting])
    assert repr(setting) in str(mistake.value)
    assert said in str(mistake.value)
    assert "\n" not in str(mistake.value)
