"""What is kept of a site's own words."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.acquire.site import LONGEST_TEXT, Site, plain, read_site, site_id, site_of, write_site


@given(st.text() | st.text(alphabet="\x00\n\u202e\u2028\ud800 a<>", max_size=400))
def test_any_text_becomes_one_printable_line_and_stays_so(text: str):
    kept = plain(text)
    assert plain(kept) == kept
    if kept is not None:
        assert 0 < len(kept) <= LONGEST_TEXT
        assert kept == kept.strip()
        assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in "\u202e\u2066" for c in kept)
        kept.encode("utf-8")


def test_real_titles_stay_as_they_are():
    for title in ("张三：人工智能的未来 | TEDx", "O'Brien's «Talk» 👩\u200d💻 50% <b>", "مقابلة"):
        assert plain(title) == title


@pytest.mark.parametrize("nothing", [None, "", " \n", 7, ["x"], {"a": 1}])
def test_what_is_no_text_is_null(nothing: Any):
    assert plain(nothing) is None


@pytest.mark.parametrize(
    ("extractor", "name", "known"),
    [
        ("Youtube", "dQw4w9WgXcQ", "youtube:dQw4w9WgXcQ"),
        ("BiliBili", "BV17x411w7KC_p2", "bilibili:BV17x411w7KC"),
        ("Vimeo", "76979871", "vimeo:76979871"),
        ("Generic", "talk", None),
        ("Vimeo", "../../x", None),
        ("Vimeo", "a b", None),
        ("Vimeo", None, None),
        (None, "x", None),
    ],
)
def test_ids_are_those_by_which_withdrawn_videos_are_known_and_never_unsafe(extractor: Any, name: Any, known: Any):
    assert site_id(extractor, name) == known
    assert site_of({"extractor_key": extractor, "id": name}).site_id == known


@given(st.builds(Site, *[st.none() | st.text().map(plain)] * 4))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, site: Site):
    path = tmp_path_factory.getbasetemp() / "x.site.json"
    write_site(path, site)
    assert read_site(path) == site
    path.write_text('{"title": 1}')
    assert read_site(path) is None
