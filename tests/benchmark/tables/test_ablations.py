"""Table IV from planted scores: values, verdicts, the paper's numbers, claims."""

import csv
import io
import math
from collections.abc import Sequence

import numpy as np
import pytest

from benchmark.clip_score import ClipScore
from benchmark.metric import get_metric
from benchmark.tables.ablations import (
    ALIKE,
    BETTER,
    CLAIMS,
    FULL,
    METRICS,
    TRUTH,
    UNKNOWN,
    WORSE,
    Cell,
    Variant,
    claims,
    markdown,
    table_csv,
    table_iv,
    terminal,
)

CLIPS, SECONDS = 24, 10.0
RANDOM = np.random.default_rng(0)
LMD = 2 + RANDOM.normal(0, 0.3, CLIPS)
BLINKS = RANDOM.integers(2, 5, CLIPS)


def lmd(values: Sequence[float]) -> list[ClipScore]:
    return [score("lmd", number, value, [value]) for number, value in enumerate(values)]


def blink(counts: Sequence[int]) -> list[ClipScore]:
    return [
        score("blink", number, count / SECONDS, [count, SECONDS, math.nan, math.nan, 0])
        for number, count in enumerate(counts)
    ]


def no_lse_c() -> list[ClipScore]:
    return [
        ClipScore("m", f"c{number}", f"s{number // 2}", "en", "test", "lse_c", None, "no_weights: syncnet_v2", None, {})
        for number in range(CLIPS)
    ]


def score(metric: str, number: int, value: float, values: Sequence[float]) -> ClipScore:
    array = np.array(values, np.float64)
    return ClipScore("m", f"c{number}", f"s{number // 2}", "en", "test", metric, value, None, array, {})


VARIANTS = [
    Variant("temporal", "Ours w/o TEMPORAL", (*lmd(LMD + 0.5), *blink(BLINKS), *no_lse_c())),
    Variant("disentangle", "Ours w/o DISENTANGLE", (*lmd(LMD - 0.5), *blink(0 * BLINKS), *no_lse_c())),
    Variant("local", "Ours w/o LOCAL", (*lmd(LMD + RANDOM.normal(0, 0.3, CLIPS)), *blink(BLINKS), *no_lse_c())),
    Variant("chdtf", "Ours w/o CHDTF", reason="not trained: no clip is Mandarin"),
    Variant(FULL, "Ours full", (*lmd(LMD), *blink(BLINKS), *no_lse_c())),
    Variant(TRUTH, "Ground truth", (*lmd(0 * LMD), *blink(BLINKS))),
]


@pytest.fixture(scope="module")
def lines() -> list:
    return table_iv(VARIANTS, [get_metric(name) for name in ("lse_c", "lmd", "blink")], "planted")


@pytest.fixture(scope="module")
def cells(lines: list) -> dict[tuple[str, str], Cell]:
    return {(line.variant.name, cell.metric.name): cell for line in lines for cell in line.cells}


def test_a_planted_difference_from_the_full_model_is_found(cells: dict[tuple[str, str], Cell]):
    assert cells["temporal", "lmd"].verdict == WORSE  # a larger distance
    assert cells["disentangle", "lmd"].verdict == BETTER
    assert cells["local", "lmd"].verdict == ALIKE
    assert cells["disentangle", "blink"].verdict == WORSE  # further from the ground truth's rate
    row, compared = cells["temporal", "lmd"].row, cells["temporal", "lmd"].against_full
    assert row is not None
    assert compared is not None
    assert row.value == pytest.approx(LMD.mean() + 0.5)
    assert compared.difference == pytest.approx(-0.5)
    assert row.ci_low is not None
    assert row.ci_low < row.value


def test_the_paper_s_numbers_and_directions_stand_beside(cells: dict[tuple[str, str], Cell]):
    assert (cells["temporal", "lse_c"].paper, cells["temporal", "lse_c"].paper_verdict) == ("5.730", WORSE)
    assert (cells["temporal", "lmd"].paper, cells["temporal", "lmd"].paper_verdict) == ("2.216", WORSE)
    assert (cells["disentangle", "blink"].paper, cells["disentangle", "blink"].paper_verdict) == ("0.000", WORSE)
    assert cells[FULL, "lse_c"].paper == "6.419"
    assert cells[TRUTH, "blink"].paper == "0.223"
    (cpbd,) = (cell for cell in table_iv(VARIANTS, [get_metric("cpbd")], "planted")[1].cells)
    assert (cpbd.paper, cpbd.paper_verdict) == ("0.819", BETTER)  # w/o DISENTANGLE is sharper than the full model


def test_claims_hold_are_contradicted_or_cannot_be_judged(lines: list):
    told = dict(line.split(": ", 1) for line in claims(lines))
    assert list(told) == ["Ours w/o TEMPORAL", "Ours w/o DISENTANGLE", "Ours w/o LOCAL", "Ours w/o CHDTF"]
    assert "LSE-C (paper 5.730, full 6.419) not measured: no_weights: syncnet_v2" in told["Ours w/o TEMPORAL"]
    assert "distance to the ground truth" in told["Ours w/o DISENTANGLE"]
    assert told["Ours w/o DISENTANGLE"].endswith(": holds")
    assert "not trained: no clip is Mandarin" in told["Ours w/o CHDTF"]


def test_a_claim_that_does_not_hold_is_said_to_be_contradicted():
    """Without DISENTANGLE the rate is the truth's, with it there are no blinks."""
    turned = [
        Variant("disentangle", "Ours w/o DISENTANGLE", tuple(blink(BLINKS))),
        Variant(FULL, "Ours full", tuple(blink(0 * BLINKS))),
        Variant(TRUTH, "Ground truth", tuple(blink(BLINKS))),
    ]
    (told,) = claims(table_iv(turned, [get_metric("blink")], "planted"))
    assert told.endswith(": contradicted")


def test_few_speakers_give_no_verdict_and_the_reason():
    few = [
        Variant(variant.name, variant.label, tuple(one for one in variant.scores if one.speaker_id in ("s1", "s2")))
        for variant in VARIANTS
    ]
    found = table_iv(few, [get_metric("blink")], "planted")
    assert found[1].cells[0].verdict == UNKNOWN
    assert any("too_few_speakers: 2" in one and one.endswith("not judged") for one in claims(found))


def test_csv_holds_every_number_with_its_reason(lines: list):
    rows = {(row["variant"], row["metric"]): row for row in csv.DictReader(io.StringIO(table_csv(lines)))}
    assert len(rows) == len(VARIANTS) * 3
    assert float(rows["temporal", "lmd"]["difference_from_full"]) == pytest.approx(-0.5)
    assert rows["temporal", "lse_c"]["value"] == "null"
    assert rows["temporal", "lse_c"]["reason"] == "no_weights: syncnet_v2"
    assert rows["chdtf", "lmd"]["reason"] == "not trained: no clip is Mandarin"
    assert (rows["disentangle", "blink"]["paper"], rows[FULL, "blink"]["paper"]) == ("0.000", "0.249")


def test_markdown_and_terminal_show_every_variant_with_the_paper_beside(lines: list):
    text = markdown(lines, "Table IV on planted")
    header = next(line for line in text.splitlines() if line.startswith("| Methods"))
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in table} == {header.count("|")}
    assert [line.split("|")[1].strip() for line in table[2:]] == [variant.label for variant in VARIANTS]
    assert "null [" in text
    assert "] not trained: no clip is Mandarin" in text
    shown, notes = terminal(lines, "Table IV on planted")
    assert shown.row_count == len(VARIANTS)
    assert any("no_weights" in note for note in notes)


def test_claims_name_ablations_and_metrics_that_there_are():
    from disenttalk_ref.ablation import ABLATIONS

    assert [name for name, _ in CLAIMS] == list(ABLATIONS)
    assert {metric for _, metric in CLAIMS} <= set(METRICS)
