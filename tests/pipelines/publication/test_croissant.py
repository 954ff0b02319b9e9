"""croissant.json: valid by the vocabulary's own rules, and true of the files beside it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from chdtf.clip import CONFIGS

REQUIRED = {  # by the specification's tables
    "cr:FileObject": {"@id", "name", "contentUrl", "encodingFormat", "sha256"},
    "cr:FileSet": {"@id", "name", "encodingFormat", "includes"},
    "cr:RecordSet": {"@id", "name", "field", "key"},
    "cr:Field": {"@id", "name", "dataType", "source"},
}


@pytest.fixture(scope="module")
def croissant(dataset: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((dataset / "croissant.json").read_text())
    return found


def nodes(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(node for part in value.values() for node in nodes(part))]
    return [node for part in value for node in nodes(part)] if isinstance(value, list) else []


def test_every_node_has_what_the_specification_requires(croissant: dict[str, Any]) -> None:
    assert croissant["@type"] == "sc:Dataset"
    assert "http://mlcommons.org/croissant/1.0" in croissant["conformsTo"]
    for name in ("name", "description", "license", "distribution", "recordSet", "version"):
        assert croissant[name], name
    body = {name: value for name, value in croissant.items() if name != "@context"}
    named = [node for node in nodes(body) if node.get("@type", "").startswith("cr:")]
    assert {node["@type"] for node in named} == set(REQUIRED)
    for node in named:
        assert REQUIRED[node["@type"]] <= set(node), node["@id"]
    ids = [node["@id"] for node in named]
    assert len(set(ids)) == len(ids)
    references = {node["@id"] for node in nodes(body) if set(node) == {"@id"}}
    assert references <= set(ids), "nothing refers to what is not there"


def test_every_term_is_in_the_context(croissant: dict[str, Any]) -> None:
    context = croissant["@context"]
    schema_org = {"name", "description", "license", "version", "distribution", "keywords", "inLanguage"}
    schema_org |= {"contentUrl", "encodingFormat", "sha256"}
    used = {name for node in nodes(croissant) if node is not context for name in node if not name.startswith("@")}
    used -= {name for node in nodes(context) for name in node}
    assert {name for name in used if ":" not in name} <= schema_org
    assert {name.partition(":")[0] for name in used if ":" in name} <= set(context)


def test_files_and_fields_are_those_of_the_folder(croissant: dict[str, Any], dataset: Path) -> None:
    files = [node for node in croissant["distribution"] if node["@type"] == "cr:FileObject"]
    assert {node["contentUrl"] for node in files} == {
        path.relative_to(dataset).as_posix() for config in CONFIGS for path in dataset.glob(f"{config}/*.parquet")
    }
    for node in files:
        assert hashlib.sha256((dataset / node["contentUrl"]).read_bytes()).hexdigest() == node["sha256"]
    for records in croissant["recordSet"]:
        schema = pq.read_schema(dataset / records["name"] / "train-00000.parquet")
        columns = [field["source"]["extract"].get("column") for field in records["field"]]
        assert [name for name in columns if name] == schema.names
    kinds = {field["@id"]: field["dataType"] for records in croissant["recordSet"] for field in records["field"]}
    assert kinds["video/video"] == "sc:VideoObject"
    assert (kinds["coeffs/expression"], kinds["coeffs/valid"], kinds["meta/num_frames"]) == (
        "sc:Float",
        "sc:Boolean",
        "sc:Integer",
    )


def test_what_concerns_people_is_said(croissant: dict[str, Any]) -> None:
    for term in ("dataCollection", "dataBiases", "personalSensitiveInformation", "dataManipulationProtocol"):
        assert len(croissant[f"rai:{term}"]) > 40
    assert "4 speakers" in croissant["rai:dataBiases"]


def test_mlcroissant_finds_no_fault(dataset: Path) -> None:
    library = pytest.importorskip("mlcroissant", reason="needs the library mlcroissant")
    found = library.Dataset(jsonld=str(dataset / "croissant.json"))
    assert not found.metadata.ctx.issues.errors
    assert next(iter(found.records("meta")))["meta/clip_id"] in {b"v0_000", b"v2_000"}
