"""Addresses of one video are one id, addresses of others are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.site_id import bv_of_av, named_site_id, site_id, site_url

YOUTUBE = "youtube:-aB3_5678-x"
IDS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=11, max_size=11)
FORMS = [
    "https://www.youtube.com/watch?v={}",
    "http://youtube.com/watch?v={}",
    "https://m.youtube.com/watch?app=desktop&v={}&t=90s",
    "https://www.youtube.com/watch?v={}&list=PL0123456789&index=3",
    "https://www.youtube.com/watch?feature=share&amp;v={}",
    "https://www.youtube.com/watch?v={}&t=",
    "https://www.youtube.com/watch#!v={}",
    "https://www.youtube.com/watch?v={}%20",
    "https://WWW.YouTube.com:443/watch?v={}#t=1",
    "https://music.youtube.com/watch?v={}",
    "https://youtu.be/{}",
    "https://youtu.be/{}?t=12",
    "https://youtu.be/{}/",
    "https://www.youtube.com/embed/{}?autoplay=1",
    "https://www.youtube-nocookie.com/embed/{}",
    "https://www.youtube.com/shorts/{}",
    "https://www.youtube.com/live/{}?si=x",
    "https://www.youtube.com/v/{}",
    "https://www.youtube.com/attribution_link?a=x&u=%2Fwatch%3Fv%3D{}%26feature%3Dshare",
    " https://youtu.be/{} ",
]


@pytest.mark.parametrize("form", FORMS)
def test_every_address_of_a_youtube_video_is_one_id(form: str):
    assert site_id(form.format("-aB3_5678-x")) == YOUTUBE


@given(IDS, st.sampled_from(FORMS))
def test_any_id_comes_back_from_any_form(name: str, form: str):
    assert site_id(form.format(name)) == f"youtube:{name}"
    assert site_id(site_url(f"youtube:{name}")) == f"youtube:{name}" == named_site_id(f"YouTube:{name}")


# av and BV numbers of the same videos, as the site publishes them
@pytest.mark.parametrize(
    ("av", "bv"), [(170001, "BV17x411w7KC"), (988222410, "BV1n44y1Q7sc"), (8903802, "BV13x41117TL")]
)
def test_every_address_of_a_bilibili_video_is_one_id(av: int, bv: str):
    assert bv_of_av(av) == bv
    for address in (
        f"https://www.bilibili.com/video/{bv}",
        f"https://www.bilibili.com/video/{bv}/?p=2&spm_id_from=333",
        f"http://www.bilibili.com/video/av{av}",
        f"https://m.bilibili.com/video/bv{bv[2:]}",
        f"https://b23.tv/{bv}",
        f"https://player.bilibili.com/player.html?isOutside=true&aid={av}&p=1",
        f"https://player.bilibili.com/player.html?bvid={bv}",
        f"https://www.bilibili.com/festival/2021bnj?bvid={bv}",
    ):
        assert site_id(address) == f"bilibili:{bv}", address
    assert named_site_id(f"bilibili:av{av}") == named_site_id(f"bilibili:{bv}_p2") == f"bilibili:{bv}"
    assert site_id(site_url(f"bilibili:{bv}")) == f"bilibili:{bv}"


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=short",
        "https://www.youtube.com/playlist?list=PL0123456789",
        "https://www.youtube.com/@somebody",
        "https://notyoutube.com/watch?v=abcdefghijk",
        "https://youtube.com.evil.example/watch?v=abcdefghijk",
        "https://evil.example/?u=https://youtu.be/abcdefghijk",
        "https://space.bilibili.com/12345/video",
        "https://b23.tv/Xy12",
        "file:youtube.mp4",
        "http://[bad",
        "",
    ],
)
def test_other_addresses_have_no_id(url: str):
    assert site_id(url) is None
    assert named_site_id(url) is None


@given(st.integers(1, (1 << 51) - 1), st.integers(1, (1 << 51) - 1))
def test_two_av_numbers_never_share_a_bv_id(one: int, other: int):
    assert (bv_of_av(one) == bv_of_av(other)) == (one == other)
    assert len(bv_of_av(one)) == 12


@given(st.text())
def test_no_text_breaks_it(text: str):
    for address in (text, f"https://www.youtube.com/{text}", f"https://www.bilibili.com/video/{text}"):
        found = site_id(address)
        assert found is None or site_id(site_url(found)) == found


@pytest.mark.parametrize("identity", ["youtube:../../etc", "vimeo:1", "bilibili:av1", "abcdefghijk", ""])
def test_an_address_is_made_of_a_checked_id_only(identity: str):
    with pytest.raises(ValueError, match="not the id"):
        site_url(identity)
