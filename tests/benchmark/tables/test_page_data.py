import dataclasses
import json
import math

import numpy as np

from benchmark.clip_score import ClipScore
from benchmark.summary import GROUND_TRUTH, METHOD, ScoreRow
from benchmark.tables.board import Board, GateResult, MethodFacts
from benchmark.tables.page_data import REFERENCE, page_data

# an example of what the page reads
BOARD = Board(
    rows=(
        ScoreRow("gt", "hdtf", "all", "test", "psnr", math.inf, None, None, 2, 2, 2, (), "measured", "", GROUND_TRUTH),
        ScoreRow(
            "sadtalker", "hdtf", "all", "test", "psnr", 18.123456789, 17.0, 19.5, 1, 2, 0,
            (("no_face: found in 3 of 100 frames, 50% needed", 1),), "measured", "", METHOD, num_speakers=1,
        ),
        ScoreRow("sadtalker", "hdtf", "all", "test", "psnr", 16.5, None, None, 0, 0, 0, (), "paper", "", label="SadT"),
    ),
    facts={
        "gt": MethodFacts(GROUND_TRUTH, "Ground truth", "video", "from reference"),
        "sadtalker": MethodFacts(METHOD, "SadTalker", "image", "hand craft"),
    },
    gates=(GateResult("truth_copy", "ground truth equals itself", "hdtf", "test", "passed", "psnr inf", ("psnr",)),),
    notes=("a note",),
)  # fmt: skip
SCORES = {
    "hdtf": [
        ClipScore("gt", "c1", "s1", "en", "test", "psnr", math.inf, None, np.array([math.inf] * 2), {}),
        ClipScore("sadtalker", "c1", "s1", "en", "test", "psnr", 18.1234567, None, np.array([18.0, 18.2]), {"n": 2.0}),
        ClipScore("sadtalker", "c2", "s2", "en", "test", "psnr", None, "no_face: found in 3", None, {}),
        ClipScore("sadtalker", "c1", "s1", "en", "test", "ear", 0.25, None, np.array([0.25, math.nan]), {}),
    ]
}
VIDEOS = {
    ("hdtf", "sadtalker", "c1"): "generated/sadtalker/c1.mp4",
    ("hdtf", REFERENCE, "c1"): "inputs/c1.mp4",
}


def test_the_page_gets_everything_as_strict_json():
    data = page_data(BOARD, SCORES, VIDEOS)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    (table,) = data["tables"]
    assert (table["dataset"], table["split"], table["subset"], table["num_clips"]) == ("hdtf", "test", "all", 2)
    assert [(row["method"], row["origin"]) for row in table["rows"]] == [
        ("gt", "measured"),
        ("sadtalker", "measured"),
        ("sadtalker", "paper"),
    ]
    assert table["rows"][0]["cells"]["psnr"]["value"] == "inf"
    cell = table["rows"][1]["cells"]["psnr"]
    assert (cell["value"], cell["low"], cell["text"], cell["scored"], cell["expected"]) == (18.1235, 17, "18.12", 1, 2)
    assert cell["reasons"] == [["no_face: found in 3 of 100 frames, 50% needed", 1]]
    assert table["rows"][1]["input"] == "image"
    assert data["gates"][0]["state"] == "passed"
    first, second = data["clips"]
    assert first["reference"] == "inputs/c1.mp4"
    assert first["videos"] == {"sadtalker": "generated/sadtalker/c1.mp4"}
    assert first["scores"]["sadtalker"]["psnr"] == {"value": 18.1235, "reason": None, "details": {"n": 2}}
    assert second["scores"]["sadtalker"]["psnr"]["reason"] == "no_face: found in 3"
    assert data["curves"]["ear"][0]["values"] == [0.25, None]


def test_order_of_rows_and_scores_changes_nothing():
    turned = dataclasses.replace(BOARD, rows=BOARD.rows[::-1])
    assert page_data(turned, {"hdtf": SCORES["hdtf"][::-1]}, VIDEOS) == page_data(BOARD, SCORES, VIDEOS)
