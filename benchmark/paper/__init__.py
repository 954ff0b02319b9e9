"""The numbers that the DisentTalk paper prints in its Tables I-IV, as data.

`tables.csv` holds a row per number: table, data set, method, its name as printed, category and eye-blink source as
printed in Table I, input kind (the paper's note on baselines), metric, value as printed. Table IV names no data set;
its last row equals Ours-image on CHDTF, so it stands under that. Table III (opinion scores) has none.

These numbers were made by code that is not public, and not all can be reached by correct metrics (docs/metrics.md):
they are shown beside measured ones, with origin `paper`, and enter no mean, rank or tie.
"""

import csv
import functools
from collections.abc import Collection, Mapping
from pathlib import Path

from benchmark.summary import ALL, GROUND_TRUTH, METHOD, PAPER, ScoreRow
from benchmark.tables.board import MethodFacts
from benchmark.tables.page_data import number

FILE = Path(__file__).with_name("tables.csv")
TABLES = ("I", "II", "III", "IV")
COMPARED = ("I", "II")  # methods of others beside the paper's own; IV holds ablations, III is no measurement
CAPTIONS = {
    "I": "Quantitative comparison on HDTF and CHDTF",
    "II": "Cross-lingual evaluation on VoxCeleb2",
    "III": "Mean opinion scores",
    "IV": "Ablation study of components",
}
LABELS = {
    "lse_c": "LSE-C",
    "lmd": "LMD",
    "blink": "Blink",
    "cpbd": "CPBD",
    "psnr": "PSNR",
    "mos_lip_synchronization": "Lip Synchronization",
    "mos_expression_naturalness": "Expression Naturalness",
    "mos_temporal_coherence": "Temporal Coherence",
}
_NAMES = {"aniporrait": "AniPortrait"}  # printed with a slip of the pen


@functools.cache
def printed_numbers() -> tuple[Mapping[str, str], ...]:
    """Rows of `tables.csv` in the order of the paper, values as printed."""
    with FILE.open(encoding="utf-8", newline="") as stream:
        return tuple(csv.DictReader(stream))


def paper_rows(datasets: Collection[str] | None = None, tables: Collection[str] = COMPARED) -> list[ScoreRow]:
    """The numbers as score rows with origin `paper`, of these data sets (by name, in any case; None: of all).

    They have neither interval nor coverage, because the paper gives none.
    """
    wanted = None if datasets is None else {name.lower() for name in datasets}
    found = [
        row for row in printed_numbers() if row["table"] in tables and (wanted is None or row["dataset"] in wanted)
    ]
    order = {name: index for index, name in enumerate(dict.fromkeys(row["method"] for row in found))}
    return [
        ScoreRow(
            method=row["method"],
            dataset=next((name for name in datasets or () if name.lower() == row["dataset"]), row["dataset"]),
            subset=ALL,
            split="test",
            metric=row["metric"],
            value=float(row["value"]),
            ci_low=None,
            ci_high=None,
            num_scored=0,
            num_expected=0,
            num_infinite=0,
            reasons=(),
            origin=PAPER,
            run_id=f"Table {row['table']}",
            kind=GROUND_TRUTH if row["method"] == "gt" else METHOD,
            label=_label(row),
            interval_reason="not_printed: the paper gives no interval",
            order=order[row["method"]],
        )
        for row in found
    ]


def paper_facts() -> dict[str, MethodFacts]:
    """What the paper says of the methods in its tables."""
    return {
        row["method"]: MethodFacts(
            kind=GROUND_TRUTH if row["method"] == "gt" else METHOD,
            label=_label(row),
            input=row["input"],
            eye_blink=row["eye_blink"].lower(),
            category=row["category"],
        )
        for row in reversed(printed_numbers())
    }


def printed_tables() -> list[dict[str, object]]:
    """The four tables for `page_data`: caption, columns and rows in the order of the paper."""
    return [_printed_table(table) for table in TABLES]


def _printed_table(table: str) -> dict[str, object]:
    numbers = [row for row in printed_numbers() if row["table"] == table]
    rows: dict[tuple[str, str], dict[str, object]] = {}
    values: dict[tuple[str, str], dict[str, float | str | None]] = {}
    for row in numbers:
        key = (row["dataset"], row["method"])
        values.setdefault(key, {})[row["metric"]] = number(float(row["value"]))
        described: dict[str, object] = {name: row[name] for name in ("dataset", "category", "eye_blink")}
        rows[key] = {"label": _label(row), **described, "values": values[key]}
    metrics = dict.fromkeys(row["metric"] for row in numbers)
    return {
        "table": table,
        "caption": CAPTIONS[table],
        "metrics": [{"name": name, "label": LABELS[name]} for name in metrics],
        "rows": list(rows.values()),
    }


def _label(row: Mapping[str, str]) -> str:
    return _NAMES.get(row["printed"].lower(), row["printed"])
