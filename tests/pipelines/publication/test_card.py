"""The dataset card: a header that the Hub takes, and tables in which other people's words stay words."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.account import account
from pipelines.publication.card import dataset_card
from pipelines.publication.publish import publish
from pipelines.publication.tables import schemas

HOSTILE = "x\n---\nlicense: mit\n---\n| <script>alert(1)</script> `a` [b](javascript:c) |"


def header_of(card: str) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    start, header, _ = card.split("---\n", 2)
    assert start == ""
    found: dict[str, Any] = yaml.safe_load(header)
    return found


def card_of(hand: Any, settings: dict[str, Any] | None = None, **columns: list[str]) -> str:
    count = len(next(iter(columns.values())))
    plain = {
        "speaker_id": "s",
        "language": "en",
        "license": "cc-by-4.0",
        "url": "https://a.example/1",
        "split": "train",
    }
    values: dict[str, Any] = {name: [value] * count for name, value in plain.items()} | columns
    rows = pa.table({**values, "num_frames": pa.array([1500] * count, pa.int32())})
    accounted = account({"video_id": str(n), "error": None, "reject": None} for n in range(count))
    return dataset_card(accounted, rows, schemas(hand.SCHEMA), settings or hand.SETTINGS)


def test_the_header_is_what_the_hub_takes(dataset: Path) -> None:
    header = header_of((dataset / "README.md").read_text())
    assert header["task_categories"] == ["image-to-video"]
    assert header["size_categories"] == ["n<1K"]
    assert (header["language"], header["license"]) == (["cmn", "en"], ["cc-by-4.0"])
    configs = {config["config_name"]: config for config in header["configs"]}
    assert list(configs) == ["meta", "coeffs", "video"]
    assert configs["meta"]["default"] is True
    for name, config in configs.items():
        for files in config["data_files"]:
            assert len(list(dataset.glob(files["path"]))) == 1, name


def test_licences_that_the_hub_has_no_word_for_are_other(hand: Any) -> None:
    header = header_of(card_of(hand, license=["CC BY 4.0", "my own terms"]))
    assert (header["license"], header["license_name"]) == ("other", "per-clip")
    assert header_of(card_of(hand, license=["CC BY 4.0", "CC0-1.0"]))["license"] == ["cc-by-4.0", "cc0-1.0"]


def test_norwegian_is_a_language(hand: Any) -> None:
    assert header_of(card_of(hand, language=["no", "und", "zh-Hans"]))["language"] == ["no", "zh"]


@pytest.mark.parametrize("column", ["license", "language", "url", "speaker_id"])
def test_hostile_words_stay_words(hand: Any, column: str) -> None:
    card = card_of(hand, **{column: [HOSTILE, "http://[broken"]})
    header = header_of(card)
    assert header["license"] in ("other", ["cc-by-4.0"])
    assert "<script" not in card
    assert "](javascript" not in card
    for line in card.partition("# Talking-face clips")[2].splitlines():
        assert not line.startswith(("---", "license:"))


def test_settings_are_escaped_too(hand: Any) -> None:
    stage = {"name": "cut", "version": 1, "fields": {"filter": "a|b", "note": HOSTILE}}
    card = card_of(hand, {"stages": [stage], "manifest": "m"}, license=["x"])
    line = next(line for line in card.splitlines() if line.startswith("| cut"))
    assert line.replace("\\|", "").count("|") == 4


def test_long_tables_end(hand: Any) -> None:
    card = card_of(hand, license=[f"licence {number}" for number in range(300)])
    assert "| 260 more, see the column in meta |" in card


def test_an_empty_dataset_has_no_configs(hand: Any, tmp_path: Path) -> None:
    shard = hand.write_rows(tmp_path, 0, [hand.refused_row(1, reject="dark: 3")])
    publish(tmp_path, [shard], [], hand.SCHEMA, hand.SETTINGS)
    header = header_of((tmp_path / "README.md").read_text())
    assert "configs" not in header
    assert "language" not in header
