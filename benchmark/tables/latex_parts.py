"""Pieces of LaTeX tables: escaped text, cells, the table around them."""

from collections.abc import Sequence

from benchmark.metric import MetricBase
from benchmark.tables.board import Line
from benchmark.tables.cells import value_text
from benchmark.ties import BEST, SECOND

_ARROWS = {True: r"$\uparrow$", False: r"$\downarrow$", None: r"$\to$GT"}
_WORDS = {"\\": "backslash", "~": "asciitilde", "^": "asciicircum", "<": "less", ">": "greater", "|": "bar"}
_SPECIAL = {char: rf"\text{word}{{}}" for char, word in _WORDS.items()} | {char: f"\\{char}" for char in "&%$#_{}"}


def escaped(text: str) -> str:
    """Text on one line, with LaTeX's special characters as such."""
    return "".join(_SPECIAL.get(char, char) for char in " ".join(text.split()))


def head(metric: MetricBase) -> str:
    """Label and direction of a column."""
    return f"{escaped(metric.label)} {_ARROWS[metric.higher_is_better]}"


def cell(metric: MetricBase, line: Line | None) -> str:
    """A value as the paper prints it, best bold, second best underlined; a dagger where clips are missing."""
    row = line.cells.get(metric.name) if line else None
    if row is None or row.value is None:
        return "--"
    text = value_text(metric, row)
    text = {BEST: rf"\textbf{{{text}}}", SECOND: rf"\underline{{{text}}}"}.get(row.mark, text)
    return text + r"$^\dagger$" * (row.num_scored < row.num_expected)


def tabular_row(cells: Sequence[str]) -> str:
    """Cells of one row. What begins with `[` or `*` would be taken for an option of the row's end before it."""
    first = "{}" if cells[0].startswith(("[", "*")) else ""
    return first + " & ".join(cells) + r" \\"


def table(
    layout: str, heads: Sequence[str], body: Sequence[str], caption: str, label: str, notes: Sequence[str], wide: bool
) -> str:
    """A floating table, over both columns where it is wide, with notes below."""
    star = "*" * wide
    lines = [
        rf"\begin{{table{star}}}[t]",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{layout}}}",
        r"\toprule",
        *heads,
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip{{\footnotesize {note}\par}}" for note in notes),
        rf"\end{{table{star}}}",
    ]
    return "\n".join(lines) + "\n"
