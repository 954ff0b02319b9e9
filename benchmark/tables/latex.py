"""leaderboard.tex: tables in the layout of the paper's Tables I (data sets side by side), II and IV (ablations).

They need the packages `booktabs` and `multirow`. Bold and underlined are best and second best where nothing is tied
with them. What the paper's layout has no room for stands under the table: coverage, gates, rows of the paper.
"""

import collections
from collections.abc import Sequence

from benchmark.metric import MetricBase
from benchmark.summary import GROUND_TRUTH, METHOD
from benchmark.tables.board import PAPER_ORDER, Board, Line
from benchmark.tables.latex_parts import cell, escaped, head, table, tabular_row

ABLATION = "ablation"  # category of the rows of Table IV
_DATASETS = {"hdtf": "HDTF", "chdtf": "CHDTF", "voxceleb2": "VoxCeleb2"}  # in the order of the paper
_CATEGORIES = ("Deterministic-based", "Diffusion-based")

Key = tuple[str, str]


def latex(board: Board) -> str:
    """Layout I for pairs of data sets, II for VoxCeleb2, IV for methods of the category `ablation`; metrics of Table I.

    A further metric than the paper's five is in the other formats.
    """
    tables = board.tables()
    keys = [key for key in sorted(tables, key=_dataset_place) if _columns(board, tables[key])]
    pairs = [key for key in keys if key[0].lower() != "voxceleb2"]
    parts = ["% made by disentbench; \\usepackage{booktabs,multirow}\n"]
    for begin in range(0, len(pairs), 2):
        parts.append(_side_by_side(board, tables, pairs[begin : begin + 2]))
    parts += [_plain(board, tables[key], key, False) for key in keys if key not in pairs]
    parts += [_plain(board, tables[key], key, True) for key in keys if any(map(_is_ablation, tables[key]))]
    return "\n".join(part for part in parts if part)


def _dataset_place(key: Key) -> tuple[int, Key]:
    name = key[0].lower()
    return (list(_DATASETS).index(name) if name in _DATASETS else len(_DATASETS), key)


def _is_ablation(line: Line) -> bool:
    return line.facts.category.lower() == ABLATION


def _columns(board: Board, lines: Sequence[Line]) -> list[MetricBase]:
    present = {name for line in lines for name in line.cells}
    return [metric for metric in board.metrics() if metric.name in PAPER_ORDER and metric.name in present]


def _side_by_side(board: Board, tables: dict[Key, list[Line]], keys: Sequence[Key]) -> str:
    """Table I: category, method, eye blink, then the metrics of every data set."""
    columns = [_columns(board, tables[key]) for key in keys]
    found = [{_identity(line): line for line in tables[key] if _shown(line)} for key in keys]
    rows = sorted({identity: line for part in reversed(found) for identity, line in part.items()}.values(), key=_place)
    sizes = collections.Counter(_group(line) for line in rows)
    body: list[str] = []
    begun = ""
    for line in rows:
        first = ""
        if (group := _group(line)) != begun or not body:
            body.append(r"\midrule")
            first = rf"\multirow{{{sizes[group]}}}{{*}}{{{escaped(group)}}}" if group else ""
            begun = group
        of_line = [part.get(_identity(line)) for part in found]
        cells = [cell(metric, one) for one, part in zip(of_line, columns, strict=True) for metric in part]
        body.append(tabular_row([first, _name(line), escaped(line.facts.eye_blink.capitalize()) or "-", *cells]))
    spans = [rf"\multicolumn{{{len(part)}}}{{c}}{{{_dataset(key)}}}" for key, part in zip(keys, columns, strict=True)]
    heads = [
        tabular_row([*(rf"\multirow{{2}}{{*}}{{{name}}}" for name in ("Category", "Methods", "Eye Blink")), *spans]),
        _rules(columns),
        tabular_row(["", "", "", *(head(metric) for part in columns for metric in part)]),
    ]
    notes = [note for key, part in zip(keys, found, strict=True) for note in _notes(board, key, list(part.values()))]
    caption = f"Quantitative comparison on {' and '.join(map(_dataset, keys))}."
    layout = "lll" + "".join("c" * len(part) for part in columns)
    return table(layout, heads, body, caption, _label("comparison", keys), [*notes, *map(escaped, board.notes)], True)


def _plain(board: Board, lines: Sequence[Line], key: Key, ablations: bool) -> str:
    """Tables II and IV: methods and metrics of one data set."""
    shown = [line for line in lines if (_is_ablation(line) if ablations else _shown(line))]
    metrics = _columns(board, shown)
    body: list[str] = []
    for before, line in zip([None, *shown], shown, strict=False):
        if before is None or before.is_paper != line.is_paper:
            body.append(r"\midrule")
        body.append(tabular_row([_name(line), *(cell(metric, line) for metric in metrics)]))
    heads = [tabular_row(["Methods", *map(head, metrics)])]
    kind, what = ("ablation", "Ablation study on") if ablations else ("evaluation", "Evaluation on")
    notes = [*_notes(board, key, shown), *map(escaped, board.notes)]
    layout = "l" + "c" * len(metrics)
    return table(layout, heads, body, f"{what} {_dataset(key)}.", _label(kind, [key]), notes, False)


def _shown(line: Line) -> bool:
    return line.first.kind in (GROUND_TRUTH, METHOD) and not _is_ablation(line)


def _identity(line: Line) -> Key:
    return line.first.origin, line.first.method


def _place(line: Line) -> tuple[object, ...]:
    category = line.facts.category
    place = _CATEGORIES.index(category) if category in _CATEGORIES else len(_CATEGORIES)
    return line.is_paper, line.first.kind != GROUND_TRUTH, place, category, line.first.order, line.first.method


def _group(line: Line) -> str:
    name = "Reference" if line.first.kind == GROUND_TRUTH else line.facts.category
    return f"{name} (paper)" if line.is_paper else name


def _name(line: Line) -> str:
    return escaped(line.facts.label) + (" (paper)" if line.is_paper else "")


def _dataset(key: Key) -> str:
    """Its name, with the split where that is not the usual one."""
    dataset, split = key
    name = escaped(_DATASETS.get(dataset.lower(), dataset))
    return name if split in ("", "test") else f"{name} ({escaped(split)})"


def _rules(columns: Sequence[Sequence[MetricBase]]) -> str:
    ends = [3 + sum(map(len, columns[: index + 1])) for index in range(len(columns))]
    return " ".join(rf"\cmidrule(lr){{{end - len(part) + 1}-{end}}}" for end, part in zip(ends, columns, strict=True))


def _label(kind: str, keys: Sequence[Key]) -> str:
    words = [word for dataset, split in keys for word in (dataset, split if split != "test" else "") if word]
    names = ["".join(char for char in word.lower() if char.isalnum()) for word in words]
    return "-".join([kind, *names])


def _notes(board: Board, key: Key, lines: Sequence[Line]) -> list[str]:
    failed = [rf"\textbf{{Gate failed}}: {escaped(gate.gate)} ({escaped(gate.detail)})." for gate in board.failed(*key)]
    short = [row for line in lines for row in line.cells.values() if row.num_scored < row.num_expected]
    counts = sorted({f"{row.method} {row.metric} {row.num_scored}/{row.num_expected}" for row in short})
    return failed + ([rf"$^\dagger$ {_dataset(key)}, clips scored: {escaped(', '.join(counts))}."] if counts else [])
