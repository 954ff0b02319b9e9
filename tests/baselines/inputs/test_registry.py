"""Kinds and options: what `method.toml` may say, and what is told of the rest."""

import pytest

from baselines.inputs import Unavailable, get_input, kinds
from chdtf.errors import UserError


def test_every_kind_makes_itself_with_its_defaults_and_says_its_suffix_and_version():
    made = {kind: get_input(kind, {}) for kind in kinds()}
    assert {kind: one.suffix for kind, one in made.items()} == {
        "audio": ".wav",
        "bfm_pose": ".mat",
        "frame_folder": "",
        "image": ".png",
        "openface_csv": ".csv",
        "phoneme_sequence": ".json",
        "phoneme_words": ".json",
        "video": ".mp4",
    }
    assert all(isinstance(one.version, int) for one in made.values())


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("imgae", {}, "did you mean image"),
        ("audio", {"rate": 8000}, "has no option 'rate'; its options: none"),
        ("image", {"crop": "big"}, "crop = 'big', not one of frame, pcavs224"),
        ("image", {"suffix": ".bmp"}, "suffix = '.bmp', not one of .png, .jpg"),
        ("image", {"crop": 3}, "option crop of kind 'image' is 3; give a str"),
        ("image", {"version": 2}, "has no option 'version'"),
        ("frame_folder", {"suffix": "png"}, "not one of .png, .jpg"),
        ("frame_folder", {"of_pictures": ".png"}, "its options: crop, fps, suffix"),
        ("video", {"fps": 0}, "fps = 0; give frames a second"),
        ("bfm_pose", {"fps": True}, "is True; give a float"),
        ("bfm_pose", {"fps": float("nan")}, "fps = nan"),
        ("phoneme_sequence", {"fps": "30"}, "is '30'; give a float"),
    ],
)
def test_what_is_not_known_is_told_with_what_is(kind: str, options: dict[str, object], told: str):
    with pytest.raises(UserError) as caught:
        get_input(kind, options)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_suffix_is_an_option_of_a_folder_too_and_means_its_pictures():
    assert get_input("image", {"suffix": ".jpg"}).suffix == ".jpg"
    assert get_input("frame_folder", {"suffix": ".png"}).suffix == ""


def test_a_reason_is_a_word_and_why():
    assert str(Unavailable("no_face", "none of 3 frames has landmarks")) == "no_face: none of 3 frames has landmarks"
