"""Other people's text stays text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.publication.text import markdown, visible

HOSTILE = [
    "a | b",
    "`code` **bold**",
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "[click](javascript:alert(1))",
    "![x](https://evil.example/pixel.png)",
    "line\nbreak\r\n| new | row |",
    "---\nlicense: mit\n---",
    "https://evil.example www.evil.example mail@evil.example",
    "# heading",
    "\u202egnp.exe",
    "_under_ *star*",
    "a\x00b\x1b[31m",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_has_no_markup_of_its_own(text: str) -> None:
    shown = markdown(text)
    assert "\n" not in shown
    assert "\u202e" not in shown
    assert not re.search(r"(?<!\\)[|`*\[\]]", shown), "every special character is escaped"
    assert "<" not in shown
    assert "://" not in shown
    assert "www." not in shown
    assert "@" not in shown
    assert not re.search(r"&(?!(amp|lt|gt|#46|#58|#64);)", shown)


@pytest.mark.parametrize("text", ["CC-BY-4.0", "no_face", "cmn-Hans-CN", "videos.example", "中文名字", "a (b), 95%"])
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    assert markdown(text) == text


@given(st.text())
def test_visible_text_is_one_line_without_invisible_characters(text: str) -> None:
    shown = visible(text, 50)
    assert len(shown) <= 50
    assert shown.isprintable() or not shown
    assert shown == visible(shown, 50)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_a_cell_of_a_table_stays_one_cell(text: str) -> None:
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", f"| {markdown(text)} |")) == 2
