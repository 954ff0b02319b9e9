"""Links to YouTube lead to their id, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chdtf.youtube import youtube_id, youtube_url

ID = "1_HfHtBlQK-"


@given(video=st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True))
def test_the_canonical_link_gives_the_id_back(video: str) -> None:
    assert youtube_id(youtube_url(video)) == youtube_id(video) == video


@pytest.mark.parametrize(
    "link",
    [
        f"https://www.youtube.com/watch?v={ID}&t=138s",
        f"http://youtube.com/watch?app=desktop&v={ID}#x",
        f"https://m.youtube.com/watch?v={ID}",
        f"https://youtu.be/{ID}?t=3",
        f"https://www.youtube.com/embed/{ID}",
        f"https://www.youtube.com/shorts/{ID}?feature=share",
        f" {ID} ",
    ],
)
def test_every_form_of_link_is_understood(link: str) -> None:
    assert youtube_id(link) == ID


@pytest.mark.parametrize(
    "text",
    [
        "",
        ID[:-1],
        ID + "x",
        "../../etc/p",
        f"file:///watch?v={ID}",
        f"javascript:{ID}",
        f"https://youtube.com.evil.org/watch?v={ID}",
        f"https://evil.org/https://youtu.be/{ID}",
        f"https://www.youtube.com/watch?v={ID}x",
        "https://www.youtube.com/watch?v=$(rm -rf ~)",
        "https://www.youtube.com/watch",
        "https://youtu.be",
        "http://[::1",
        "－" * 11,
    ],
)
def test_other_text_is_no_video(text: str) -> None:
    assert youtube_id(text) is None
    with pytest.raises(ValueError, match="not a YouTube id"):
        youtube_url(text)
