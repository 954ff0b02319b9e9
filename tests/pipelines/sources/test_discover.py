"""Discover through the real yt-dlp: its searches with made answers of their sites, and a list on this machine.

The sites themselves are not asked: what their servers answer today is not tested here.
"""

import csv
from pathlib import Path
from typing import Any

import pytest
import yt_dlp.extractor.bilibili
import yt_dlp.extractor.youtube

from benchmark.cli import main
from chdtf.errors import UserError
from chdtf.manifest import read_manifest
from chdtf.site_id import bv_of_av
from chdtf.tombstones import Tombstones
from pipelines.acquire.fetch import Network
from pipelines.judging.thresholds import Thresholds
from pipelines.sources import discover as module
from pipelines.sources import listing
from pipelines.sources.candidates import write_candidates
from pipelines.sources.discover import discover
from pipelines.sources.recipe_file import Build, CandidateBounds, Recipe, Speaker, Wanted

NETWORK = Network()


def recipe(*speakers: Speaker, hours: float = 100.0, **bounds: Any) -> Recipe:
    candidates = CandidateBounds(**{"per_query": 10, **bounds})
    return Recipe("n", "zh", "unknown", Wanted(hours, None, 1.0), candidates, Build(), Thresholds(), speakers)


def youtube_answer(*videos: dict[str, Any]) -> dict[str, Any]:
    """What YouTube's search answers, as far as yt-dlp reads it."""
    items = []
    for video in videos:
        renderer = {
            "videoId": video["id"],
            "title": {"runs": [{"text": video.get("title", "t")}]},
            "ownerText": {"runs": [{"text": video.get("uploader", "u")}]},
        }
        if "length" in video:
            renderer["lengthText"] = {"simpleText": video["length"]}
        if video.get("live"):
            renderer["thumbnailOverlays"] = [{"thumbnailOverlayTimeStatusRenderer": {"style": "LIVE"}}]
        items.append({"videoRenderer": renderer})
    section = {"itemSectionRenderer": {"contents": items}}
    inner = {"primaryContents": {"sectionListRenderer": {"contents": [section]}}}
    return {"contents": {"twoColumnSearchResultsRenderer": inner}}


@pytest.fixture
def sites(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Answers by query; a query without one fails as a network does. Both of yt-dlp's searches read them."""
    answers: dict[str, list[Any]] = {}

    def asked(query: str) -> list[Any]:
        if query not in answers:
            raise yt_dlp.utils.ExtractorError("HTTP Error 503: Service Unavailable", expected=True)
        return answers[query]

    def youtube(self: Any, item_id: str, query: dict[str, Any], **_: Any) -> dict[str, Any]:
        return youtube_answer(*asked(query["query"]))

    def bilibili(self: Any, url: str, word: str, query: dict[str, Any], **_: Any) -> dict[str, Any]:
        numbers = asked(word) if query["page"] == 1 else []
        return {"data": {"result": [{"arcurl": f"http://www.bilibili.com/video/av{n}", "aid": n} for n in numbers]}}

    search = yt_dlp.extractor.youtube.YoutubeSearchIE
    monkeypatch.setattr(search, "_extract_response", youtube)
    monkeypatch.setattr(search, "_download_ytcfg", lambda self, client, video_id: {})
    monkeypatch.setattr(yt_dlp.extractor.bilibili.BiliBiliSearchIE, "_download_json", bilibili)
    return answers


KANG = Speaker("kanghui", "康辉", ("康辉 新闻联播", "康辉 播报"))
LI = Speaker("lizimeng", "李梓萌", ("李梓萌 新闻联播",), language="cmn-Hans-CN")


def test_a_search_becomes_rows_of_a_manifest_and_a_table_of_what_the_site_says(tmp_path: Path, sites: dict):
    sites["康辉 新闻联播"] = [
        {"id": "-aaaaaaaaa0", "title": '=HYPERLINK("http://evil")\u202e\n<b>新闻</b>', "length": "30:05"},
        {"id": "bbbbbbbbbb1", "title": "short", "length": "0:15"},
        {"id": "cccccccccc2", "title": "long", "length": "3:00:00"},
        {"id": "dddddddddd3", "title": "now", "live": True},
    ]
    sites["康辉 播报"] = [{"id": "eeeeeeeeee4", "length": "2:00"}, {"id": "-aaaaaaaaa0", "length": "30:05"}]
    sites["李梓萌 新闻联播"] = [{"id": "-aaaaaaaaa0", "length": "30:05"}, {"id": "ffffffffff5", "length": "1:00"}]
    found = discover(recipe(KANG, LI), NETWORK, ["youtube"])
    assert found.problems == ()
    assert found.left_out == {"shorter than 20 s": 1, "longer than 7200 s": 1, "live": 1, "found before": 2}
    details = write_candidates(found, tmp_path / "c.csv")
    rows = {row.video_id: row for row in read_manifest(tmp_path / "c.csv")}
    assert list(rows) == ["youtube--aaaaaaaaa0", "youtube-ffffffffff5", "youtube-eeeeeeeeee4"]
    assert rows["youtube--aaaaaaaaa0"].url == "https://www.youtube.com/watch?v=-aaaaaaaaa0"
    assert [(row.speaker_id, row.language, row.license) for row in rows.values()] == [
        ("kanghui", "zh", "unknown"),
        ("lizimeng", "cmn-Hans-CN", "unknown"),
        ("kanghui", "zh", "unknown"),
    ]
    assert details == tmp_path / "c.details.csv"
    with details.open(newline="", encoding="utf-8") as stream:
        said = list(csv.DictReader(stream))
    assert said[0]["title"] == '\'=HYPERLINK("http://evil") <b>新闻</b>'
    assert (said[0]["duration_s"], said[0]["rank"], said[0]["found_by"]) == ("1805.0", "1", "3")
    assert said[0]["also_speakers"] == "lizimeng"
    assert said[2]["query"] == "ytsearch:康辉 播报"


def test_bilibili_s_results_get_one_kind_of_id_and_no_length(tmp_path: Path, sites: dict):
    sites["李梓萌 新闻联播"] = [170001, 988222410]
    found = discover(recipe(LI), NETWORK, ["bilibili"])
    assert [candidate.video_id for candidate in found.candidates] == [
        f"bilibili-{bv_of_av(n)}" for n in (170001, 988222410)
    ]
    assert found.candidates[0].url == "https://www.bilibili.com/video/BV17x411w7KC"
    assert found.candidates[0].duration_s is None
    assert "2 videos, 0.0 h of 100.0 h, 2 of unknown length" in found.text()


def test_details_are_asked_for_when_wanted(sites: dict, monkeypatch: pytest.MonkeyPatch):
    sites["李梓萌 新闻联播"] = [170001, 988222410]

    def describe(url: str, network: Network) -> dict[str, Any]:
        if "BV17x411w7KC" in url:
            raise listing.fetch_errors.transient("private", "for friends")
        return {"duration": 90.5, "license": "CC BY", "title": "x", "id": "y"}

    monkeypatch.setattr(module, "describe", describe)
    found = discover(recipe(LI), NETWORK, ["bilibili"], details=True)
    assert [(c.duration_s, c.site_license) for c in found.candidates] == [(90.5, "CC BY")]
    assert found.left_out == {"private": 1}
    assert found.candidates[0].manifest_row("zh", "unknown").license == "CC BY"


def test_it_stops_when_each_speaker_s_share_of_the_hours_is_found(sites: dict):
    for query in (*KANG.queries, *LI.queries):
        first = "k" if query.startswith("康") else "l"
        sites[query] = [{"id": f"{first}{'ab'[query in KANG.queries[1:]]}{n:09d}", "length": "30:00"} for n in range(5)]
    found = discover(recipe(KANG, LI, hours=2.0), NETWORK, ["youtube"])
    assert found.hours("kanghui") == found.hours("lizimeng") == 1.0
    assert found.lists_read == 2  # the second query of the first speaker was not needed


def test_the_limit_is_per_list_and_the_rank_is_the_site_s(sites: dict):
    sites[LI.queries[0]] = [{"id": f"{n:011d}", "length": "1:00"} for n in range(9)]
    found = discover(recipe(LI), NETWORK, ["youtube"], limit=3)
    assert [candidate.rank for candidate in found.candidates] == [1, 2, 3]


def test_a_list_that_fails_is_told_and_the_rest_goes_on(sites: dict):
    sites["康辉 播报"] = [{"id": "aaaaaaaaaaa", "length": "1:00"}]
    found = discover(recipe(KANG), NETWORK, ["youtube"])
    assert len(found.candidates) == 1
    assert found.problems[0].startswith("ytsearch:康辉 新闻联播: ")
    assert "503" in found.problems[0]
    assert "not read: ytsearch:康辉" in found.text()


def test_withdrawn_videos_are_left_out(sites: dict):
    sites[LI.queries[0]] = [{"id": "aaaaaaaaaaa", "length": "1:00"}, {"id": "bbbbbbbbbbb", "length": "1:00"}]
    found = discover(recipe(LI), NETWORK, ["youtube"], tombstones=Tombstones.of("https://youtu.be/aaaaaaaaaaa"))
    assert [candidate.site_id for candidate in found.candidates] == ["youtube:bbbbbbbbbbb"]
    assert found.left_out == {"tombstoned": 1}


def test_nothing_found_writes_nothing(tmp_path: Path, sites: dict):
    sites[LI.queries[0]] = []
    found = discover(recipe(LI), NETWORK, ["youtube"])
    with pytest.raises(UserError, match="no candidates"):
        write_candidates(found, tmp_path / "c.csv")
    assert list(tmp_path.iterdir()) == []


FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>list</title>
<item><title>one</title><link>https://youtu.be/aaaaaaaaaaa?t=3</link></item>
<item><title>two</title><link>http://www.bilibili.com/video/av170001</link></item>
<item><title>again</title><link>https://www.youtube.com/watch?v=aaaaaaaaaaa&amp;list=x</link></item>
<item><title>elsewhere</title><link>https://videos.example/watch/3</link></item>
<item><title>a file</title><link>file:///etc/passwd</link></item>
</channel></rss>"""


@pytest.fixture
def feed(server: Any) -> str:
    """A list of videos on this machine."""
    url: str = server.add("/feed.xml", FEED.encode(), "application/rss+xml")
    return url


RECIPE = """
format = 1
name = "n"
language = "zh"
license = "unknown"
[wanted]
hours = 2.5
[[speaker]]
id = "a"
name = "A"
channels = ["{}"]
"""


def test_the_verb_reads_a_list_over_http(tmp_path: Path, feed: str, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "r.toml").write_text(RECIPE.format(feed), encoding="utf-8")
    command = ["discover", str(tmp_path / "r.toml"), "--out", str(tmp_path / "c.csv"), "--sleep-s", "0"]
    assert main(command) == 1  # an address of this machine, named by a file that may be another's
    assert "not an address of YouTube or Bilibili" in capsys.readouterr().out
    assert not (tmp_path / "c.csv").exists()
    assert main([*command, "--allow-local"]) == 0
    rows = read_manifest(tmp_path / "c.csv")
    assert [row.url for row in rows] == [
        "https://www.youtube.com/watch?v=aaaaaaaaaaa",
        "https://www.bilibili.com/video/BV17x411w7KC",
    ]
    assert "left out: not the address of a video (2)" in capsys.readouterr().out


def test_a_private_address_is_not_reached_without_leave(feed: str):
    with pytest.raises(Exception, match=r"private_address: 127\.0\.0\.1 is a loopback address"):
        listing.list_videos(feed, 5, NETWORK)
    assert len(listing.list_videos(feed, 2, Network(allow_local=True))) == 2


def test_mistakes_of_the_command_are_said_before_anything_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "r.toml").write_text(RECIPE.format("https://www.youtube.com/@x/videos"), encoding="utf-8")
    for more, said in (
        (["--limit", "0"], "--limit 0"),
        (["--out", str(tmp_path / "c.txt")], "name it .csv or .parquet"),
    ):
        assert main(["discover", str(tmp_path / "r.toml"), "--out", str(tmp_path / "c.csv"), *more]) == 2
        assert said in capsys.readouterr().err
