"""The dataset card: README.md of a published folder, with the header that the Hugging Face Hub reads."""

import collections
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from chdtf.columns import Row
from chdtf.schema import FPS, FRAME_SIZE_PX, SAMPLE_RATE_HZ, SPLITS
from pipelines.account import Account

_ABOUT = {
    "meta": "one row a clip: where it comes from, its box in the source, all scores",
    "coeffs": "the same clips: landmarks, identity, expression and pose for each frame, with a validity mask",
    "video": "the same clips: picture and sound as files",
}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


def _counted(rows: Sequence[Row], head: str, key: Any) -> list[str]:
    clips: collections.Counter[str] = collections.Counter()
    seconds: collections.Counter[str] = collections.Counter()
    speakers: dict[str, set[str]] = collections.defaultdict(set)
    for row in rows:
        name = key(row)
        clips[name] += 1
        seconds[name] += row["num_frames"]
        speakers[name].add(row["speaker_id"])
    lines = [(name, clips[name], len(speakers[name]), f"{seconds[name] / FPS / 60:.1f}") for name in sorted(clips)]
    return _table([head, "clips", "speakers", "minutes"], lines)


def _host(row: Row) -> str:
    return urlsplit(row["url"]).hostname or "local files"


def _header(rows: Sequence[Row], splits: Sequence[str]) -> list[str]:
    languages = sorted({row["language"].split("-")[0].lower() for row in rows} - {"und"})
    size = next((name for limit, name in _SIZES if len(rows) < limit), "n>1M")
    lines = ["---", "pretty_name: Talking-face clips", "license: other", "license_name: per-clip"]
    lines += ["language:", *(f"- {json.dumps(name)}" for name in languages)] if languages else []
    lines += ["task_categories:", "- image-to-video", "- text-to-video", "size_categories:", f"- {size}"]
    lines += ["tags:", "- talking-face", "- audio-driven", "- video"]
    lines += ["configs:"] if splits else []
    for config in _ABOUT if splits else ():
        lines += [f"- config_name: {config}", *(["  default: true"] if config == "meta" else []), "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {config}/{split}-*.parquet"]
    return [*lines, "---", ""]


def dataset_card(
    counts: Account, rows: Sequence[Row], schemas: Mapping[str, pa.Schema], settings: Mapping[str, Any]
) -> str:
    """Text of the card. `rows` are the accepted ones, without arrays; `schemas` those of the published tables."""
    splits = [split for split in SPLITS if any(row["split"] == split for row in rows)]
    minutes = sum(row["num_frames"] for row in rows) / FPS / 60
    out = [
        *_header(rows, splits),
        "# Talking-face clips",
        "",
        f"{len(rows)} clips, {minutes:.1f} minutes, {len({row['speaker_id'] for row in rows})} speakers: one face each,"
        f" {FRAME_SIZE_PX}x{FRAME_SIZE_PX} px at a constant {FPS} fps (H.264), speech at {SAMPLE_RATE_HZ // 1000} kHz"
        " mono (FLAC), of exactly the same length.",
        "",
        f"Of {counts.rows_in} videos {counts.accepted} gave clips, {counts.rejected} were rejected and"
        f" {counts.failed} failed; `rejected.parquet` holds each refused clip with its reason and scores.",
        "",
    ]
    refused = [*counts.reasons.items(), *((f"{word} (failed)", number) for word, number in counts.failures.items())]
    out += _table(["refused because", "clips"], refused) if refused else []
    out += ["## Splits", "", "No speaker is in two splits.", "", *_counted(rows, "split", lambda row: row["split"])]
    out += ["## Languages", "", *_counted(rows, "language (BCP 47)", lambda row: row["language"])]
    out += ["## Licences", "", "Each clip keeps the licence of its source, as the manifest states it.", ""]
    out += _counted(rows, "licence", lambda row: row["license"])
    out += ["## Sources", "", *_counted(rows, "host", _host)]
    out += ["## How it was made", "", "Stages in order, with their settings:", ""]
    out += _table(
        ["stage", "version", "settings"],
        [
            (stage["name"], stage["version"], ", ".join(f"{k}={v}" for k, v in stage["fields"].items()) or "none")
            for stage in settings["stages"]
        ],
    )
    out += ["## Tables", ""]
    for config, about in _ABOUT.items():
        out += [f"### {config}", "", f"{about[0].upper()}{about[1:]}.", ""]
        out += _table(["column", "type"], [(f"`{field.name}`", f"`{_kind(field.type)}`") for field in schemas[config]])
    return "\n".join(out).rstrip() + "\n"


def _kind(kind: pa.DataType) -> str:
    return str(kind).replace("element: ", "").replace("item: ", "")
