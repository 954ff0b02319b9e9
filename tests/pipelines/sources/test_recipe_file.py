"""Recipes are read strictly: what is wrong is said in one line, with the nearest that is right."""

from pathlib import Path

import pytest

from chdtf.errors import UserError
from pipelines.judging.thresholds import Thresholds
from pipelines.recipes import chdtf_recipe, configured
from pipelines.sources.recipe_file import read_recipe

SHIPPED = Path(__file__).parents[3] / "manifests" / "chdtf.toml"
PLAIN = """
format = 1
name = "n"
language = "zh"
license = "unknown"
[wanted]
hours = 2.5
[[speaker]]
id = "a"
name = "康辉"
queries = ["康辉 新闻联播"]
"""


def read(tmp_path: Path, text: str):
    path = tmp_path / "r.toml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path)


def test_the_recipe_that_ships_states_what_the_paper_states_and_no_link():
    recipe = read_recipe(SHIPPED)
    assert (recipe.wanted.hours, recipe.wanted.videos) == (39.1, 1537)
    assert recipe.build.max_height == 1080
    assert recipe.language == "zh"
    # the four names in the project page's file names
    assert [speaker.name_in_files for speaker in recipe.speakers] == ["baoxiaofeng", "kanghui", "lizimeng", "yanyuxin"]
    for speaker in recipe.speakers:
        assert speaker.channels == ()
        assert speaker.reading
        assert all(any(character > "\u3400" for character in query) for query in speaker.queries)
    lines = [line for line in SHIPPED.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert not any("http" in line for line in lines)


def test_what_is_left_out_has_its_default(tmp_path: Path):
    recipe = read(tmp_path, PLAIN)
    assert recipe.thresholds == Thresholds()
    assert recipe.build.max_height is None
    assert recipe.hours_to_find == 2.5 * recipe.wanted.hours_found_per_hour
    other = read(tmp_path, PLAIN + "[thresholds]\nmin_speech_share = 0.75\n[build]\nmax_height = 720\n")
    assert other.thresholds == Thresholds(min_speech_share=0.75)
    assert other.build.max_height == 720
    assert (recipe.settings, other.settings) == ((), ("download.max_height=720",))


def test_the_shipped_recipe_s_settings_are_those_of_the_stages():
    stages = {stage.name: stage for stage in configured(chdtf_recipe(), read_recipe(SHIPPED).settings)}
    assert stages["download"].max_height == 1080
    assert (stages["cut"].min_clip_s, stages["cut"].max_clip_s) == (3.0, 30.0)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format = 1", "format = 2", "format 2, this version reads 1"),
        ("format = 1", "", "format is missing"),
        ('name = "n"', "name = 3", "name is 3; give a text"),
        ('language = "zh"', 'language = "zh_CN"', "language 'zh_CN' is not a BCP 47 tag; did you mean 'zh-CN'"),
        ("hours = 2.5", "hour = 2.5", "unknown key wanted.hour; did you mean hours?"),
        ("hours = 2.5", 'hours = "2.5"', "wanted.hours is '2.5'; give a number above 0"),
        ("hours = 2.5", "hours = 0", "wanted.hours is 0; give a number above 0"),
        ("hours = 2.5", "hours = inf", "wanted.hours is inf; give a number above 0"),
        ("hours = 2.5", "hours = 1\nvideos = 1.5", "wanted.videos is 1.5; give a whole number above 0"),
        ("hours = 2.5", "hours = true", "wanted.hours is True; give a number"),
        ("[wanted]\nhours = 2.5", "", "[wanted] is missing or no table"),
        ("[[speaker]]", "[[speakers]]", "unknown key speakers; did you mean speaker?"),
        ('id = "a"', 'id = "../a"', "speaker 1.id '../a': use letters"),
        ('id = "a"', "", "speaker 1.id is missing"),
        ('name = "康辉"', 'name = "康\\u0007辉"', "speaker 1.name is '康\\x07辉'; give a text of one line"),
        ('queries = ["康辉 新闻联播"]', 'querys = ["x"]', "unknown key speaker 1.querys; did you mean queries?"),
        ('queries = ["康辉 新闻联播"]', 'queries = "x"', "speaker 1.queries is 'x'; give a list of texts"),
        ('queries = ["康辉 新闻联播"]', "", "speaker 1 (a) has neither queries nor channels"),
        ('queries = ["康辉 新闻联播"]', 'channels = ["file:///etc/passwd"]', "is no web address"),
        (
            "[[speaker]]",
            "[thresholds]\nmin_speech = 1\n[[speaker]]",
            "unknown threshold 'min_speech'; did you mean min_sp",
        ),
        ("[[speaker]]", '[thresholds]\nmin_speech_share = "1"\n[[speaker]]', "thresholds.min_speech_share is '1'"),
        ("[[speaker]]", "[thresholds]\nmin_speech_share = 2\n[[speaker]]", "a share lies between 0 and 1"),
        ("[[speaker]]", "[candidates]\nmin_duration_s = 9\nmax_duration_s = 9\n[[speaker]]", "not below"),
        ("hours = 2.5", "hours = ", "not TOML ("),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, old: str, new: str, said: str):
    assert PLAIN.count(old) >= 1
    with pytest.raises(UserError) as caught:
        read(tmp_path, PLAIN.replace(old, new, 1))
    assert said in str(caught.value)
    assert str(tmp_path / "r.toml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_speakers_two_of_one_id_and_no_file_are_said(tmp_path: Path):
    with pytest.raises(UserError, match="names no speakers"):
        read(tmp_path, PLAIN.partition("[[speaker]]")[0])
    with pytest.raises(UserError, match=r"speaker 2\.id 'a' stands there twice"):
        read(tmp_path, PLAIN + PLAIN[PLAIN.index("[[speaker]]") :])
    with pytest.raises(UserError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
