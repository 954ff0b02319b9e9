"""The Croissant file: croissant.json, a published folder described by MLCommons' vocabulary for data sets.

Croissant 1.0 (docs.mlcommons.org/croissant/docs/croissant-spec.html) and four terms of its responsible-AI extension
(croissant-rai-spec.html). Every Parquet file is listed with its SHA-256; each config is a record set.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from chdtf.clip import CONFIGS
from chdtf.schema import FPS, FRAME_SIZE_PX, SAMPLE_RATE_HZ, SCHEMA_VERSION
from pipelines.publication.card import ABOUT, TITLE
from pipelines.publication.tables import BLOB
from pipelines.publication.text import visible

_CONFORMS = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]
_PARQUET = "application/x-parquet"
_TERMS = "column dataType extract field fileObject fileProperty fileSet format includes isLiveDataset jsonPath key md5"
_TERMS += " parentField path recordSet references regex repeated replace separator source subField transform citeAs"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "equivalentProperty": "cr:equivalentProperty",
    "samplingRate": "cr:samplingRate",
    **{name: f"cr:{name}" for name in _TERMS.split()},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
}
_TYPES = {"video": "sc:VideoObject", "audio": "sc:AudioObject"}
_UNITS = {
    "s": "seconds",
    "px": "pixels",
    "deg": "degrees",
    "hz": "hertz",
    "bps": "bits a second",
    "dbfs": "dB relative to full scale",
    "share": "a share, 0 to 1",
    "frames": "frames",
    "bytes": "bytes",
    "sha256": "SHA-256, hexadecimal",
}


def croissant(
    schemas: Mapping[str, pa.Schema],
    sha256: Mapping[str, str],
    num_rows: Mapping[str, int],
    rows: pa.Table,
    settings: Mapping[str, Any],
) -> str:
    """Text of croissant.json.

    `schemas` are those of the published tables, `sha256` and `num_rows` are by file, `rows` the accepted rows without
    arrays, `settings` as in dataset.json.
    """
    files = sorted(num_rows)
    configs = [config for config in CONFIGS if any(name.startswith(f"{config}/") for name in files)]
    found = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": "talking-face-clips",
        "conformsTo": _CONFORMS,
        "description": f"{TITLE}: one face each, {FRAME_SIZE_PX}x{FRAME_SIZE_PX} px at {FPS} fps with speech at "
        f"{SAMPLE_RATE_HZ} Hz, scores, landmarks and coefficients of a linear face model. {rows.num_rows} clips.",
        "version": f"{SCHEMA_VERSION}.0.0",
        "license": _distinct(rows, "license") or ["unknown"],
        "inLanguage": _distinct(rows, "language"),
        "keywords": ["talking head", "talking face", "audio-driven animation", "video", "speech"],
        "isLiveDataset": False,
        **_responsible(rows, settings),
        "distribution": [*(_file(name, sha256[name]) for name in files), *(_files(config) for config in configs)],
        "recordSet": [_records(config, schemas[config]) for config in configs],
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _distinct(rows: pa.Table, name: str) -> list[str]:
    return sorted({visible(value) for value in rows[name].unique().to_pylist()})[:100]


def _file(name: str, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "encodingFormat": _PARQUET,
        "sha256": sha256,
    }


def _files(config: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{config}-files",
        "name": f"{config}-files",
        "description": f"All splits of {config}.",
        "encodingFormat": _PARQUET,
        "includes": f"{config}/*.parquet",
    }


def _records(config: str, schema: pa.Schema) -> dict[str, Any]:
    split = {
        "@type": "cr:Field",
        "@id": f"{config}/split_of_file",
        "name": f"{config}/split_of_file",
        "description": "The split, as the file's name states it.",
        "dataType": "sc:Text",
        "source": {
            "fileSet": {"@id": f"{config}-files"},
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": "^([a-z]+)-.*$"},
        },
    }
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "description": f"{ABOUT[config][0].upper()}{ABOUT[config][1:]}.",
        "key": {"@id": f"{config}/clip_id"},
        "field": [split, *(_field(config, field) for field in schema)],
    }


def _field(config: str, field: pa.Field) -> dict[str, Any]:
    name = f"{config}/{field.name}"
    found: dict[str, Any] = {"@type": "cr:Field", "@id": name, "name": name, "dataType": _type(field)}
    if words := _meaning(field):
        found["description"] = words
    if field.type != BLOB and pa.types.is_nested(field.type):
        found["repeated"] = True
    found["source"] = {"fileSet": {"@id": f"{config}-files"}, "extract": {"column": field.name}}
    if field.type == BLOB:
        found["source"]["transform"] = {"jsonPath": "bytes"}
    if field.name == "clip_id" and config != "meta":
        found["references"] = {"field": {"@id": "meta/clip_id"}}
    return found


def _type(field: pa.Field) -> str:
    kind = field.type
    if kind == BLOB:
        return _TYPES[field.name]
    while pa.types.is_nested(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"


def _meaning(field: pa.Field) -> str | None:
    """Unit or shape, as far as name and type tell it."""
    kind = field.type
    if field.name in ("crop", "roi", "box"):
        return "x0, y0, x1, y1 as fractions of the source's frame"
    if pa.types.is_list(kind) and pa.types.is_fixed_size_list(kind.value_type):
        return f"(frames, {kind.value_type.list_size}), row by row"
    if pa.types.is_fixed_size_list(kind):
        return f"({kind.list_size},)"
    if pa.types.is_list(kind):
        return "one value a frame"
    found = re.search(r"_([a-z0-9]+)$", field.name)
    return _UNITS.get(found.group(1)) if found else None


def _responsible(rows: pa.Table, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is known about people and choices, from the run itself."""
    speakers = len(rows["speaker_id"].unique())
    counted = rows.group_by("language").aggregate([("num_frames", "sum")]).to_pylist() if rows.num_rows else []
    counted.sort(key=lambda row: (-row["num_frames_sum"], row["language"]))
    languages = ", ".join(f"{visible(row['language'])} {row['num_frames_sum'] / FPS / 60:.1f}" for row in counted[:40])
    stages = ", ".join(stage["name"] for stage in settings["stages"])
    thresholds = {name: value for name, value in (settings.get("thresholds") or {}).items() if value is not None}
    judged = ", ".join(f"{name} {value}" for name, value in thresholds.items()) or "none"
    return {
        "rai:dataCollection": "Videos named by a list of addresses and intervals, fetched from the sites that hold "
        f"them; stages: {stages}.",
        "rai:dataBiases": f"{speakers} speakers; minutes by language: {languages or 'none'}. Whoever speaks to a "
        "camera in public is over-represented, and faces that the detector does not find are not in the set.",
        "rai:personalSensitiveInformation": "Faces and voices of identifiable people, and landmarks and face shapes "
        "derived from them, which are biometric data. Withdrawn sources are named by tombstones and left out.",
        "rai:dataManipulationProtocol": f"Cut to one shot and one face, cropped, scaled to {FRAME_SIZE_PX} px, "
        f"resampled to {FPS} fps and {SAMPLE_RATE_HZ} Hz mono. Clips were refused by these thresholds: {judged}.",
    }
