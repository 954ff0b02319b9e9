"""The report: opens from disk, says what the tables say, and shows other people's words as words."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from chdtf.errors import UserError
from pipelines.judging.thresholds import Thresholds
from pipelines.publication.publish import publish
from pipelines.publication.report import write_report
from pipelines.publication.report.data import _unscored, gather
from pipelines.publication.report.page import amount, hours, said
from pipelines.publication.report.pictures import MOST, web_link
from pipelines.publication.report.scores import BINS, histograms

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)> \' onmouseover="alert(1)" \u202egnp {{ 7 * 7 }}'


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.bytes = path.stat().st_size
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "rect", "line"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data

    def all(self, tag: str, attribute: str) -> list[str]:
        return [found[attribute] or "" for name, found in self.tags if name == tag and attribute in found]


def record(root: Path, **seconds: float) -> None:
    """A run's record as builds write it."""
    (root / "runs").mkdir(exist_ok=True)
    base = {
        "run_id": "r",
        "command": ["disentbench", "build"],
        "commit": "abc",
        "dirty": False,
        "packages": {"av": "1"},
    }
    base |= {"hardware": {"system": "Linux", "cpus": 2}, "started": "2026-01-31T12:00:00+00:00"}
    text = json.dumps({**base, "details": {"stage_seconds": seconds}})
    (root / "runs" / f"r{len(list((root / 'runs').iterdir()))}.json").write_text(text)


@pytest.fixture(scope="module")
def root(hand: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Published clips of hostile words, refused ones of several steps, two runs."""
    folder = tmp_path_factory.mktemp("reported")
    words = dict.fromkeys(("speaker_id", "license", "title", "uploader", "site_license"), HOSTILE)
    rows = [hand.finished_row(folder, n, "train", clip_start_s=2.0, clip_end_s=2.5, **words) for n in range(3)]
    for number, row in enumerate(rows):
        row |= {"loudness_dbfs": -20.0 - 30 * number, "source_bytes": 10, "box_px": 200, "face_found_share": 1.0}
    rows[1] |= {"url": "javascript:alert(1)//https://x"}
    cut = {"source_bytes": 10, "clip_start_s": 0.0, "clip_end_s": 4.0}
    refused = [
        hand.refused_row(5, error=f"TimeoutError: {HOSTILE}"),
        {**hand.refused_row(6, reject="no_face: none"), "source_bytes": 10},
        {**hand.refused_row(7, reject=HOSTILE), **cut},
    ]
    shard = hand.write_rows(folder, 0, [*rows, *refused])
    publish(folder, [shard], [], hand.SCHEMA, hand.SETTINGS, Thresholds())
    record(folder, cut=2.0)
    record(folder, cut=0.5)
    return folder


@pytest.fixture(scope="module")
def page(root: Path) -> Page:
    return Page(write_report(root))


def test_the_page_needs_no_network_and_runs_no_script(page: Page) -> None:
    names = {name for name, _ in page.tags}
    assert not names & {"script", "iframe", "object", "embed", "link", "form", "base"}
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.all("img", "src"))
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    policy = page.all("meta", "content")
    assert any("default-src 'none'" in content for content in policy)


def test_other_peoples_words_are_shown_as_words(page: Page) -> None:
    assert "alert(1)</script>" in page.text, "as text"
    assert "{{ 7 * 7 }}" in page.text
    assert "\u202e" not in page.text
    assert said("a\u202eb\nc") == "<bdi>ab c</bdi>"


def test_only_web_addresses_and_files_of_the_folder_are_links(page: Page, root: Path) -> None:
    links = [link for link in page.all("a", "href") if not link.startswith("#")]
    assert {"https://videos.example/0"} <= set(links)
    for link in links:
        assert link.startswith("https://videos.example/") or (root / link.partition("#")[0]).is_file(), link
    assert "work/media/v2_000.mp4" in links, "a refused clip can be watched"


@pytest.mark.parametrize(
    ("url", "is_link"),
    [
        ("https://a.example/x?v=1&t=2", True),
        ("http://a.example", True),
        ("javascript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("JAVASCRIPT:alert(1)", False),
        ("data:text/html,x", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("http://[broken", False),
        ("//a.example/x", False),
        (None, False),
    ],
)
def test_what_may_be_a_link(url: str | None, is_link: bool) -> None:
    assert web_link(url) == (url if is_link else "")


def test_steps_say_where_clips_were_left_behind(root: Path) -> None:
    steps = {step.name: step for step in gather(root).steps}
    counts = {name: step.count for name, step in steps.items()}
    assert (counts["in the manifest"], counts["downloaded"], counts["cut into clips"]) == (6, 5, 4)
    assert (counts["one face followed"], counts["scored"], counts["accepted"]) == (3, 3, 2)
    assert steps["downloaded"].lost == [("TimeoutError (failed)", 1)]
    assert steps["cut into clips"].lost == [("no_face", 1)]
    assert steps["accepted"].lost == [("silence", 1)]
    lost = sum(number for step in steps.values() for _, number in step.lost)
    assert lost + counts["accepted"] == 6, "every row is accounted for"


def test_time_is_added_up_over_runs(root: Path, page: Page) -> None:
    cut = gather(root).stages[0]
    # three clips of half a second and one of four, at 25 fps
    assert (cut.name, cut.seconds, cut.frames_per_s) == ("cut", 2.5, (3 * 0.5 + 4) * 25 / 2.5)
    assert "2026-01-31 12:00 UTC" in page.text


def test_pictures_are_the_clips_own(root: Path, page: Page) -> None:
    cv2 = pytest.importorskip("cv2")
    import base64

    levels = []
    for source in page.all("img", "src"):
        image = cv2.imdecode(np.frombuffer(base64.b64decode(source.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (112, 336, 3), "three frames side by side"
        levels.append([round(float(image[:, side * 112 + 20 : side * 112 + 90].mean())) for side in range(3)])
    # clip n is grey of level 20 + 10 n + 2 t; frames 1, 6 and 10 of 12
    expected = [[20 + 10 * n + 2 * t for t in (1, 6, 10)] for n in (0, 1, 2)]
    for found, wanted in zip(sorted(levels), expected, strict=True):
        assert np.abs(np.subtract(found, wanted)).max() <= 3


def scored(values: list[float | None], **more: list[float]) -> pa.Table:
    return pa.table({"speech_share": pa.array(values, pa.float64()), **more})


def test_a_histogram_counts_every_score_once_and_each_side_of_the_threshold() -> None:
    kept, lost = scored([0.2, 0.5, 1.0, None]), scored([0.0, 0.19, None])
    found = histograms(kept, lost, Thresholds(min_speech_share=0.2))[0]
    assert (sum(found.accepted), sum(found.refused)) == (3, 2)
    assert (found.num_scored, found.num_missing, found.num_beyond) == (5, 2, 2)
    edge = round(BINS * 0.2)
    assert sum(found.refused[:edge]) == 2
    assert sum(found.accepted[:edge]) == 0, "the threshold is an edge"


@pytest.mark.parametrize("limit", [-60.0, -20.0, 5.0])
def test_the_threshold_lies_between_bins_and_in_the_picture(limit: float) -> None:
    values = np.random.default_rng(0).normal(-25, 6, 500)
    kept = pa.table({"loudness_dbfs": values})
    found = histograms(kept, kept.slice(0, 0), Thresholds(min_loudness_dbfs=limit))[0]
    place = (limit - found.low) / (found.high - found.low) * BINS
    assert 1 <= round(place) < BINS
    assert place == pytest.approx(round(place))
    assert sum(found.accepted) == 500
    assert sum(found.accepted[: round(place)]) == found.num_beyond == np.sum(values < limit)


def test_an_offset_is_judged_on_both_sides() -> None:
    kept = pa.table({"av_offset_frames": [-4.0, 0.0, 1.0, 5.0]})
    found = histograms(kept, kept.slice(0, 0), Thresholds(max_av_offset_frames=3.0))[0]
    assert (list(found.limits), found.num_beyond) == ([-3.0, 3.0], 2)


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [1e9, 1e-9], [-5.0, -5.0, -5.0]])
def test_odd_scores_are_drawn(values: list[float]) -> None:
    kept = pa.table({"sharpness": values})
    found = histograms(kept, kept.slice(0, 0), Thresholds())[0]
    assert found.low < found.high
    assert sum(found.accepted) == len(values)


def test_a_page_of_many_clips_is_bounded(hand: Any, tmp_path: Path) -> None:
    refused = [hand.refused_row(n, reject=f"reason_{n % 40}: {'long ' * 100}") for n in range(3000)]
    publish(tmp_path, [hand.write_rows(tmp_path, 0, refused)], [], hand.SCHEMA, hand.SETTINGS)
    found = Page(write_report(tmp_path))
    assert found.bytes < 200_000
    assert found.text.count("no picture") == MOST
    assert "and 28 more reasons" in found.text


def test_the_same_clips_are_shown_every_time(root: Path, page: Page) -> None:
    before = (root / "report.html").read_bytes()
    assert write_report(root).read_bytes() == before


def test_the_report_is_no_part_of_what_must_be_whole(root: Path) -> None:
    assert "report.html" not in json.loads((root / "dataset.json").read_text())["bytes"]


def test_a_damaged_record_or_media_file_costs_only_its_part(hand: Any, root: Path, tmp_path: Path) -> None:
    hand.publish_small(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "x.json").write_text("[")
    assert "No run record says so" in Page(write_report(tmp_path)).text
    (tmp_path / "video" / "train-00000.parquet").write_bytes(b"gone")
    assert "no picture" in Page(write_report(tmp_path)).text
    (tmp_path / "rejected.parquet").write_bytes(b"gone")
    with pytest.raises(UserError, match="not readable"):
        write_report(tmp_path)
    with pytest.raises(UserError, match="holds no published dataset"):
        write_report(tmp_path / "work")


def test_scores_that_could_not_be_computed_say_why() -> None:
    missing = "av_confidence: weights are missing"
    tables = [pa.table({"unscored": [missing, None]}), pa.table({"unscored": [f"sharpness: no face; {missing}"]})]
    assert _unscored(*tables) == [(missing, 2), ("sharpness: no face", 1)]


def test_numbers_for_people() -> None:
    assert [amount(value) for value in (0.1234, 12345.0, 2.5e6, 0.0, -60.0, 999.6)] == [
        "0.123",
        "12.3 k",
        "2.5 M",
        "0",
        "-60",
        "1000",
    ]
    assert (amount(0.125, "share"), amount(96.0, "px")) == ("12.5%", "96 px")
    assert [hours(value) for value in (39.12, 1.5, 0.5, 0.001)] == ["39.1 h", "1.50 h", "30.0 min", "4 s"]


def test_no_style_is_left_unused(page: Page) -> None:
    css = (Path(__file__).parents[3] / "pipelines" / "publication" / "report" / "style.css").read_text()
    template = (Path(__file__).parents[3] / "pipelines" / "publication" / "report" / "page.html").read_text()
    code = (Path(__file__).parents[3] / "pipelines" / "publication" / "report" / "page.py").read_text()
    classes = set(re.findall(r"\.([a-z]+)[\s{.,:]", re.sub(r"\{[^}]*\}", "{", css)))
    assert {name for name in classes if name not in template and f'"{name}"' not in code} == set()
