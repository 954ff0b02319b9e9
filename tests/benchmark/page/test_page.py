"""The page without a browser: complete as it is, closed against what names and reasons bring in, small."""

import importlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.clip_score import ClipScore
from benchmark.metric import get_metric
from benchmark.page import PAGE, write_page
from benchmark.page.pack import GAP, LETTERS, as_script, pack, pack_curve, thinned
from benchmark.page.page import render
from benchmark.paper import paper_rows, printed_tables
from benchmark.summary import summarise
from benchmark.tables.board import Board, MethodFacts
from benchmark.tables.page_data import page_data

VOID = {"meta", "input", "br", "path", "circle", "link"}


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.scripts = "", [""]
        self._open: list[str] = []
        self.feed(text)
        assert self._open == [], "every tag is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.scripts.append(data)
        elif "style" not in self._open:
            self.text += data


@pytest.fixture(scope="module")
def made_up() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield importlib.import_module("page_example")


@pytest.fixture(scope="module")
def page(made_up: Any) -> Page:
    return Page(render(made_up.example()))


def test_the_same_data_give_the_same_bytes_beside_the_tables(made_up: Any, tmp_path: Path) -> None:
    path = write_page(made_up.example(), tmp_path)
    assert path == tmp_path / PAGE
    assert path.read_text(encoding="utf-8") == render(made_up.example())
    assert [one.name for one in tmp_path.iterdir()] == [PAGE]


def test_data_of_another_version_are_refused(made_up: Any) -> None:
    with pytest.raises(ValueError, match="version 2"):
        render(made_up.example() | {"version": 2})


def test_names_and_reasons_stay_words(made_up: Any) -> None:
    page = Page(render(made_up.example(hostile=True)))
    assert made_up.HOSTILE in page.text
    assert "</script><!--" in page.text
    assert not {"img", "iframe", "object", "embed", "link", "base"} & {name for name, _ in page.tags}
    assert not [key for _, found in page.tags for key in found if key.startswith("on") or key == "style"]
    assert sum(name == "script" for name, _ in page.tags) == 2, "the data and the page's own"
    packed = next(text for text in page.scripts if text.startswith('{"'))
    assert not set("<>&") & set(packed)
    assert json.loads(packed)["sets"][0]["methods"][1]["title"] == made_up.HOSTILE


def test_nothing_but_videos_beside_the_page_may_be_loaded(page: Page) -> None:
    [policy] = [found["content"] or "" for _, found in page.tags if found.get("http-equiv")]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["media-src"] == "'self' file:"
    for name in ("script-src", "style-src"):
        assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules[name])
    assert not [name for name, found in page.tags if "src" in found], "videos are made when a clip is opened"
    assert [found["href"] for name, found in page.tags if name == "a" and not str(found["href"]).startswith("#")] == [
        "leaderboard.csv"
    ]


def test_tables_say_without_hovering_why_a_value_is_missing_or_partial(made_up: Any, page: Page) -> None:
    assert "weights missing" in page.text, "in the cell"
    assert f"{made_up.FETCH} (4 of 4 clips)" in page.text, "in a note"
    assert f"{made_up.GONE} (1 of 4 clips)" in page.text
    assert "3/4 clips" in page.text
    assert "PSNR is infinite: every frame equals the reference" in page.text
    targets = {found["id"] for _, found in page.tags if "id" in found}
    notes = [str(found["href"])[1:] for name, found in page.tags if found.get("class") == "note"]
    assert notes
    assert set(notes) <= targets


def test_a_reason_for_no_interval_is_a_note(made_up: Any) -> None:
    data = made_up.example()
    cell = data["tables"][0]["rows"][1]["cells"]["lmd"]
    cell |= {"low": None, "high": None, "interval_reason": "one speaker only"}
    assert "no interval: one speaker only" in Page(render(data)).text


def test_failed_checks_are_in_a_banner_at_their_table_and_at_their_columns(made_up: Any, page: Page) -> None:
    assert not [found for _, found in page.tags if found.get("role") == "alert"]
    data = made_up.example(2)
    data["gates"][0]["state"] = "failed"
    page = Page(render(data))
    assert [found for _, found in page.tags if found.get("role") == "alert"]
    assert "Checks that failed here: shifted_audio" in page.text
    assert page.text.count("check failed") == 1, "LSE-C of the one table"


def test_rows_on_other_clips_are_told_apart(made_up: Any, page: Page) -> None:
    assert "other clips A" not in page.text
    data = made_up.example(2)
    data["tables"][0]["rows"][1]["clip_set"] = "def"
    assert "other clips A" in Page(render(data)).text


def test_the_papers_tables_are_shown_as_printed(page: Page) -> None:
    assert "Table II: Comparison on CHDTF." in page.text
    assert "Diffusion" in page.text


def test_what_the_tables_gather_is_what_the_page_reads() -> None:
    draw = np.random.default_rng(0)
    names = ("psnr", "ear", "cpbd")
    scores = {
        method: [
            ClipScore(
                method, f"c{clip}", f"s{clip}", ("en", "zh")[clip % 2], "test", name, 20.0 + clip, None, values, {}
            )
            for clip in range(4)
            for name in names
            for values in [draw.uniform(0.1, 0.3, (30, 1))]
        ]
        for method in ("ground_truth", "still")
    }
    kinds = {"ground_truth": "ground_truth", "still": "method"}
    metrics = [get_metric(name) for name in names]
    rows = [row for name, found in scores.items() for row in summarise(found, metrics, "chdtf", "", kinds[name])]
    board = Board((*rows, *paper_rows({"chdtf"})), facts={"still": MethodFacts(input="image")}, notes=("a remark",))
    everything = [score for found in scores.values() for score in found]
    videos = {("chdtf", "still", "c0"): "generated/still/c0.mp4", ("chdtf", "", "c0"): "inputs/c0/video.mp4"}
    data = json.loads(json.dumps(page_data(board, {"chdtf": everything}, videos, printed_tables())))
    page = Page(render(data))
    for text in ("chdtf, test, language zh", "Ours-image", "a remark", "Table IV: ", "14.540"):
        assert text in page.text
    [found] = pack(data)["sets"]
    assert [method["title"] for method in found["methods"]] == ["ground_truth", "still"]
    assert [method["videos"]["prefix"] for method in found["methods"]] == ["inputs/", "generated/still/"]
    assert list(found["methods"][1]["missing"]) == [1, 2, 3]
    assert len(found["methods"][1]["curves"]["ear"][0][3]) == 30


def test_a_board_without_clips_or_rows_is_a_page(made_up: Any) -> None:
    data = made_up.example()
    empty = {key: [] if isinstance(value, list) else value for key, value in data.items()} | {"curves": {}}
    assert "Leaderboard" in Page(render(empty)).text
    assert "dialog" not in {name for name, _ in Page(render(data | {"clips": [], "curves": {}})).tags}


def test_videos_must_lie_relative_to_the_page(made_up: Any) -> None:
    data = made_up.example()
    for clip, path in zip(
        data["clips"], ("/etc/passwd", "//host/x.mp4", "https://host/x.mp4", "\\\\host\\x.mp4"), strict=False
    ):
        clip["videos"]["sadtalker"] = path
    packed = pack(data)
    method = next(one for one in packed["sets"][0]["methods"] if one["title"] == "SadTalker")
    assert list(method["missing"]) == [0, 1, 2, 3]
    assert "host" not in json.dumps(method["videos"])
    assert "not a path relative to this page" in packed["reasons"][method["missing"][1]]


def test_a_missing_video_has_the_methods_reason_and_the_others_keep_their_pattern(made_up: Any) -> None:
    packed = pack(made_up.example())
    hallo = next(one for one in packed["sets"][0]["methods"] if one["title"] == "Hallo")
    assert {place: packed["reasons"][why] for place, why in hallo["missing"].items()} == {1: made_up.GONE}
    assert hallo["videos"] == {"prefix": "generated/hallo/", "names": None, "suffix": ".mp4"}
    assert packed["sets"][0]["methods"][0]["videos"]["prefix"] == "inputs/", "the reference"


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, st.integers(1, 400), elements=st.floats(-5, 5) | st.just(np.nan)), st.integers(48, 300))
def test_a_packed_curve_is_the_curve_within_one_step(values: np.ndarray, points: int) -> None:
    if not np.isfinite(values).any():
        values[0] = 1.0
    seconds, low, high, letters = pack_curve(values, 25, points)
    assert len(letters) <= max(points, min(len(values), points))
    assert seconds == pytest.approx(len(values) / 25)
    back = np.array(
        [np.nan if x == GAP else low + (high - low) * LETTERS.index(x) / (len(LETTERS) - 1) for x in letters]
    )
    np.testing.assert_allclose(back, thinned(values, points), atol=(high - low) / 2 / (len(LETTERS) - 1) + 5e-3)


def test_thinning_keeps_every_blink() -> None:
    values = np.full(15_000, 0.3)
    blinks = np.arange(100, 15_000, 300)
    values[blinks] = 0.05
    kept = thinned(values, 300)
    assert len(kept) == 300
    assert (kept == 0.05).sum() == len(blinks)


def test_json_in_a_script_cannot_end_it() -> None:
    text = as_script({"a": "</script><!-- \u2028 & é"})
    assert re.fullmatch(r"[ -~]*", text)
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": "</script><!-- \u2028 & é"}


@pytest.mark.parametrize("scheme", [0, 1])
def test_texts_are_readable_on_their_grounds_in_light_and_dark(scheme: int) -> None:
    style = (Path(write_page.__code__.co_filename).parent / "style.css").read_text()
    colours = dict(re.findall(r"--(\w+): (#\w{6})", style.split("@media")[scheme].split("* {")[0]))

    def light(name: str) -> float:
        parts = [int(colours[name][place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    grounds = {
        "page": "text soft link lost first",
        "panel": "text soft lost link first",
        "warn": "text soft",
        "best": "text soft first lost",
    }
    for ground, texts in grounds.items():
        for text in texts.split():
            one, other = sorted([light(ground), light(text)])
            assert (other + 0.05) / (one + 0.05) >= 4.5, f"{text} on {ground}"  # WCAG 2.1, 1.4.3
