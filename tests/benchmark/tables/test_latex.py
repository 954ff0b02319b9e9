import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.paper import paper_facts, paper_rows
from benchmark.summary import ScoreRow
from benchmark.tables.board import Board, MethodFacts
from benchmark.tables.latex import latex
from benchmark.tables.latex_parts import escaped


def of_paper(tables: tuple[str, ...], datasets: tuple[str, ...]) -> str:
    return latex(Board(tuple(paper_rows(datasets, tables)), {}, paper_facts()))


def bodies(text: str) -> list[list[list[str]]]:
    """Cells of the rows of every tabular."""
    found = re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.DOTALL)
    return [[line[:-3].split(" & ") for line in body.splitlines() if line.endswith(r" \\")] for _, body in found]


def test_layout_one_sets_data_sets_side_by_side(shared: Path):
    """The paper's own rows come out as they stand in its Table I, order and categories included."""
    (rows,) = bodies(of_paper(("I",), ("chdtf", "hdtf")))
    assert rows[0][3:] == [r"\multicolumn{5}{c}{HDTF}", r"\multicolumn{5}{c}{CHDTF}"]
    heads = [r"LSE-C $\uparrow$", r"LMD $\downarrow$", r"Blink $\to$GT", r"CPBD $\uparrow$", r"PSNR $\uparrow$"]
    assert rows[1][3:] == heads * 2
    (path,) = (path for path in (shared / "paper").glob("*.txt") if "TABLE IV\n" in path.read_text(encoding="utf-8"))
    text = path.read_text(encoding="utf-8").partition("TABLE I\n")[2].partition("TABLE II\n")[0]
    printed = [
        re.sub(r"</?u>|\s*\[\d+\]", "", line).split("\t") for line in text.splitlines() if line.count("\t") == 12
    ]
    printed = [cells for cells in printed if re.fullmatch(r"[\d.]+", cells[3])]
    assert len(printed) == 13
    for ours, theirs in zip(rows[2:], printed, strict=True):
        assert ours[3:] == theirs[3:]
        assert ours[1].replace("AniPortrait", "Aniporrait") == f"{theirs[1]} (paper)"
        assert theirs[0] in ours[0]


def test_layouts_two_and_four_hold_one_data_set():
    two, four = bodies(of_paper(("I", "II", "IV"), ("chdtf", "voxceleb2")))[1:]
    assert two[-1] == ["Ours (paper)", "6.299", "2.591", "0.165", "0.672"]
    assert len(two) == 1 + 12
    assert four[1] == ["Ours w/o TEMPORAL (paper)", "5.730", "2.216", "0.055", "0.811"]
    assert len(four) == 1 + 7


def test_every_row_has_as_many_cells_as_its_table_has_columns(board: Board):
    both = dataclasses.replace(
        board, rows=(*board.rows, *paper_rows(), *paper_rows(tables=("IV",))), printed=paper_facts()
    )
    text = latex(both)
    layouts = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert len(layouts) == 4
    for layout, rows in zip(layouts, bodies(text), strict=True):
        spans = [sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", " ".join(row))) for row in rows]
        assert {len(row) + span for row, span in zip(rows, spans, strict=True)} == {len(layout)}
    for name in ("table", "table\\*", "tabular"):
        assert len(re.findall(rf"\\begin\{{{name}\}}", text)) == len(re.findall(rf"\\end\{{{name}\}}", text))
    assert text.count("{") == text.count("}")


def test_marks_gates_coverage_and_notes(board: Board, row: Callable[..., ScoreRow]):
    few = row("zebra", "cpbd", 0.5, num_scored=3)
    text = latex(dataclasses.replace(board, rows=(*board.rows, few)))
    assert r" & Antelope & Generated & -- & \textbf{2.000} & 0.200 & -- & 19.12 \\" in text
    assert r"0.500$^\dagger$ & \underline{21.00} \\" in text
    assert r"zebra cpbd 3/4, zebra lse\_c 0/4." in text
    assert r"\textbf{Gate failed}: still\_motion (Blink 0.3, 0 expected)." in text
    assert "a note on all" in text
    assert "Still image" not in text  # controls do not compete


def test_splits_of_a_data_set_are_told_apart(board: Board, row: Callable[..., ScoreRow]):
    other = row("zebra", "lmd", 2.0, split="val")
    text = latex(dataclasses.replace(board, rows=(*board.rows, other)))
    assert r"{c}{sample} & \multicolumn{1}{c}{sample (val)}" in text
    assert r"\label{tab:comparison-sample-sample-val}" in text


def test_a_data_set_without_the_papers_metrics_has_no_table(row: Callable[..., ScoreRow]):
    assert "tabular" not in latex(Board((row("zebra", "ssim", 0.5),)))


@pytest.mark.parametrize("name", ["[a] b", "* b"])
def test_no_name_is_an_option_of_the_row_before(name: str):
    (paper, *_) = paper_rows(["voxceleb2"])
    text = latex(Board((dataclasses.replace(paper, label=name, origin="measured"),)))
    assert "\n{}" + name + " & " in text


@pytest.mark.parametrize(("text", "expected"), [("a_b & 50 %", r"a\_b \& 50 \%"), ("\\x{}", r"\textbackslash{}x\{\}")])
def test_names_cannot_break_the_table(text: str, expected: str):
    assert escaped(text) == expected
    evil = Board(
        (dataclasses.replace(paper_rows(["hdtf"])[0], origin="measured", kind="method", method="m", label=""),)
    )
    evil = dataclasses.replace(evil, facts={"m": MethodFacts(label=text)})
    assert expected in latex(evil)
