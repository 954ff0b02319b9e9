"""The account of what could be had."""

import csv
from pathlib import Path

import pytest

from chdtf.columns import Row
from pipelines.acquire.availability import COLUMNS, STATES, availability_counts, availability_rows, write_availability
from pipelines.stages.download import Stage


def row(video_id: str, **more: str | None) -> Row:
    known = dict.fromkeys(("source", "site_id", "reject", "error"))
    return {"video_id": video_id, "url": f"https://v.example/{video_id}", **known, **more}


def test_one_row_a_video_in_the_order_in_which_they_come():
    rows = [
        row("b", source="work/b.mp4", reject="no_face: 0 of 9"),  # had, whatever was thought of it later
        row("b", source="work/b.mp4"),
        row("a", reject="gone: the server answers 404"),
        row("c", error="bot_check: Sign in to confirm you’re not a bot; give cookies"),
        row("d", error="worker_died: twice"),
        row("d", source="work/d.mp4", site_id="youtube:dQw4w9WgXcQ"),
    ]
    found = availability_rows(iter(rows))
    assert [(one["video_id"], one["state"], one["detail"]) for one in found] == [
        ("b", "available", None),
        ("a", "gone", "the server answers 404"),
        ("c", "bot_check", "Sign in to confirm you’re not a bot; give cookies"),
        ("d", "available", None),
    ]
    assert found[3]["site_id"] == "youtube:dQw4w9WgXcQ"
    assert availability_counts(found) == {"available": 2, "gone": 1, "bot_check": 1}


def test_every_word_of_the_download_has_a_state():
    said = Stage.apply.__doc__ or ""
    words = [part for part in said.replace("`", " ").replace(",", " ").split() if part.islower() and "_" in part]
    words += ["gone", "private", "live", "drm", "empty", "unreadable", "network", "tombstoned"]
    assert len(words) > 20
    for word in words:
        (one,) = availability_rows([row("a", reject=f"{word}: x")])
        assert one["state"] in STATES
        assert one["state"] != "unknown" or word == "or", word
    (one,) = availability_rows([row("a", error="download: KeyError: 'x'")])
    assert (one["state"], one["detail"]) == ("unknown", "download: KeyError: 'x'")


@pytest.mark.parametrize("said", ["=HYPERLINK(1)", "+1", "-1", "@x"])
def test_a_spreadsheet_takes_no_detail_for_a_formula(tmp_path: Path, said: str):
    write_availability(tmp_path / "availability.csv", availability_rows([row("a", reject=f'gone: {said}, "x"\n,y')]))
    with (tmp_path / "availability.csv").open(encoding="utf-8", newline="") as stream:
        (one,) = csv.DictReader(stream)
    assert tuple(one) == COLUMNS
    assert one["detail"] == f'\'{said}, "x"\n,y'
    assert one["url"] == "https://v.example/a"
