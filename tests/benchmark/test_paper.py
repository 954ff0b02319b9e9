import math
import re
from pathlib import Path

import pytest

from benchmark.metric import metric_names
from benchmark.paper import LABELS, TABLES, paper_facts, paper_rows, printed_numbers, printed_tables
from benchmark.summary import PAPER

NUMBER = re.compile(r"\d+\.\d+|inf")


@pytest.fixture(scope="module")
def text(shared: Path) -> str:
    """The paper, from its first table on."""
    (path,) = (path for path in (shared / "paper").glob("*.txt") if "TABLE IV\n" in path.read_text(encoding="utf-8"))
    return path.read_text(encoding="utf-8")


def cells_of(text: str, table: str) -> list[list[str]]:
    """Rows of a printed table that hold numbers, as cells without markup and references."""
    begin = text.index(f"TABLE {table}\n")
    rows = []
    for line in text[begin:].splitlines()[2:]:
        cells = [re.sub(r"</?u>|\s*\[\d+\]|\*\*", "", cell).strip() for cell in line.split("\t")]
        if any(NUMBER.fullmatch(cell) for cell in cells):
            rows.append(cells)
        elif rows and line.strip():
            break
    return rows


def numbers_of(cells: list[str]) -> list[str]:
    return [cell for cell in cells if NUMBER.fullmatch(cell)]


@pytest.mark.parametrize(("table", "datasets"), [("I", ["hdtf", "chdtf"]), ("II", ["voxceleb2"]), ("IV", ["chdtf"])])
def test_every_number_is_the_printed_one(text: str, table: str, datasets: list[str]):
    printed = {}
    for cells in cells_of(text, table):
        name = cells[cells.index(numbers_of(cells)[0]) - (2 if table == "I" else 1)]
        found = numbers_of(cells)
        width = len(found) // len(datasets)
        for index, dataset in enumerate(datasets):
            printed[dataset, name] = found[index * width : (index + 1) * width]
    ours: dict[tuple[str, str], list[str]] = {}
    for row in printed_numbers():
        if row["table"] == table:
            ours.setdefault((row["dataset"], row["printed"]), []).append(row["value"])
    assert ours == printed
    assert sum(map(len, printed.values())) == {"I": 130, "II": 48, "IV": 28}[table]


def test_every_opinion_score_is_the_printed_one(text: str):
    begin = text.index("TABLE III\n")
    header = next(line for line in text[begin:].splitlines() if line.startswith("MOS\t"))
    methods = [re.sub(r"\s*\[\d+\]", "", cell) for cell in header.split("\t")[1:]]
    printed = {}
    for cells in cells_of(text, "III"):
        for method, value in zip(methods, cells[1:], strict=True):
            printed[method, cells[0]] = value
    ours = {(row["printed"], LABELS[row["metric"]]): row["value"] for row in printed_numbers() if row["table"] == "III"}
    assert ours == printed
    assert len(printed) == 15


def test_category_and_blink_source_are_the_printed_ones(text: str):
    category, printed = "", {}
    for cells in cells_of(text, "I"):
        category = cells[0] or category
        printed[cells[1]] = (category, cells[2].replace("-", ""))
    ours = {row["printed"]: (row["category"], row["eye_blink"]) for row in printed_numbers() if row["table"] == "I"}
    assert ours == printed


def test_input_kinds_are_those_of_the_note(text: str):
    assert (
        "input speaker of ours-video, IPLAP, and PDFGC are videos, while the other methods are a single image" in text
    )
    found = {row["method"]: row["input"] for row in printed_numbers() if row["table"] == "I"}
    assert {name for name, kind in found.items() if kind == "video"} == {"gt", "iplap", "pdfgc", "ours_video"}
    assert set(found.values()) == {"image", "video"}


def test_rows_carry_their_origin_and_no_coverage():
    rows = paper_rows(["HDTF"])
    assert {(row.origin, row.dataset, row.num_expected, row.ci_low) for row in rows} == {(PAPER, "HDTF", 0, None)}
    assert len(rows) == 65
    assert len(paper_rows()) == 178
    assert len(paper_rows(tables=TABLES)) == 221
    assert paper_rows(["sample"]) == []
    (sadtalker,) = (row for row in rows if (row.method, row.metric) == ("sadtalker", "lmd"))
    assert (sadtalker.value, sadtalker.label, sadtalker.run_id) == (2.556, "SadTalker", "Table I")
    assert next(row for row in rows if (row.method, row.metric) == ("gt", "psnr")).value == math.inf
    assert {row.metric for row in paper_rows()} <= set(metric_names())


def test_facts_and_tables_for_the_page():
    facts = paper_facts()["iplap"]
    assert (facts.input, facts.eye_blink, facts.category) == ("video", "from ref", "Deterministic-based")
    assert paper_facts()["aniportrait"].label == "AniPortrait"
    first, _, third, _ = printed_tables()
    assert [metric["label"] for metric in first["metrics"]] == ["LSE-C", "LMD", "Blink", "CPBD", "PSNR"]
    assert first["rows"][0]["values"] == {"lse_c": 8.316, "lmd": 0.0, "blink": 0.198, "cpbd": 0.906, "psnr": "inf"}
    assert len(first["rows"]) == 26
    assert third["rows"][-1]["values"]["mos_temporal_coherence"] == 3.85
