"""The dataset card: README.md of a published folder, with the header that the Hugging Face Hub reads.

What comes from manifests and sites (licences, languages, hosts) is other people's text: it is escaped, and the header
holds only words that the Hub knows.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from chdtf.schema import FPS, FRAME_SIZE_PX, SAMPLE_RATE_HZ, SPLITS
from pipelines.account import Account
from pipelines.publication.text import markdown

TITLE = "Talking-face clips"
ABOUT = {
    "meta": "one row a clip: where it comes from, its box in the source, all scores",
    "coeffs": "the same clips: landmarks, identity, expression and pose for each frame, with a validity mask",
    "video": "the same clips: picture and sound as files",
}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LICENSES = ("cc0-1.0", "cc-by-4.0", "cc-by-3.0", "cc-by-sa-4.0", "cc-by-sa-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0")
_LONGEST = 40  # lines of a table

_LOADING = """\
## How to load it

```python
from datasets import load_dataset            # datasets >= 4

meta = load_dataset("PATH_OR_REPOSITORY", "meta", split="train")
coeffs = load_dataset("PATH_OR_REPOSITORY", "coeffs", split="train").with_format("numpy")
video = load_dataset("PATH_OR_REPOSITORY", "video", split="train")   # decoding needs torchcodec and FFmpeg
```

Without torchcodec, `datasets` hands out the files as they are:

```python
from datasets import Audio, Video

video = video.cast_column("video", Video(decode=False)).cast_column("audio", Audio(decode=False))
open("clip.mp4", "wb").write(video[0]["video"]["bytes"])
```

The same Parquet files in pandas and in DuckDB:

```python
import pandas

meta = pandas.read_parquet("meta")
```

```sql
SELECT speaker_id, sum(num_frames) / {fps} / 60 AS minutes FROM 'meta/*.parquet' GROUP BY speaker_id;
SELECT * FROM 'meta/*.parquet' JOIN 'coeffs/*.parquet' USING (clip_id);
```
""".replace("{fps}", f"{FPS}.0")

_RIGHTS = """\
## Rights, and how to have something removed

The licence of this list of clips is not a licence of the clips: each row's `license` is what its source states, the
people shown keep their rights, and whoever uses a row answers for that use. Faces and voices are personal data, and
`identity` and `landmarks` are derived from them.

To have a video removed, write to whoever published this dataset and name the video's address or the SHA-256 of its file
(columns `url` and `source_sha256`). They enter it in `tombstones.csv`, which every later build, publication and
leaderboard obeys; `disentbench purge` removes the clips and all that was derived from them. Users of an older copy are
asked to follow the list, too.
"""


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table; cells are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines] + [""]


def _counted(rows: pa.Table, head: str, names: Sequence[str]) -> list[str]:
    """Clips, speakers and minutes by `names` (one a row), the largest first."""
    keyed = pa.table({"name": names, "frames": rows["num_frames"], "speaker": rows["speaker_id"]})
    sums = keyed.group_by("name").aggregate([("frames", "count"), ("speaker", "count_distinct"), ("frames", "sum")])
    found = list(zip(*(sums[name].to_pylist() for name in sums.schema.names), strict=True))
    found.sort(key=lambda line: (-line[-1], line[0]))
    lines = [(markdown(name), clips, speakers, f"{frames / FPS / 60:.1f}") for name, clips, speakers, frames in found]
    if len(lines) > _LONGEST:
        lines = [*lines[:_LONGEST], (f"{len(lines) - _LONGEST} more, see the column in meta", "", "", "")]
    return _table([head, "clips", "speakers", "minutes"], lines)


def _hosts(rows: pa.Table) -> list[str]:
    return [_host(url) for url in rows["url"].to_pylist()]


def _host(url: str | None) -> str:
    try:
        return urlsplit(url or "").hostname or "local files"
    except ValueError:
        return "unreadable address"


def _licenses(rows: pa.Table) -> list[str]:
    """The Hub's names of the clips' licences when it has one for each of them, else none."""
    found = {str(name).lower().replace(" ", "-") for name in rows["license"].to_pylist()}
    return sorted(found) if found and found <= set(_LICENSES) else []


def _header(rows: pa.Table, splits: Sequence[str]) -> list[str]:
    languages = {str(name).split("-")[0].lower() for name in rows["language"].to_pylist()} - {"und"}
    languages = {name for name in languages if re.fullmatch("[a-z]{2,3}", name)}
    licenses = _licenses(rows)
    size = next((name for limit, name in _SIZES if rows.num_rows < limit), "n>1M")
    lines = ["---", f"pretty_name: {TITLE}"]
    if licenses:
        lines += ["license:", *(f"- {name}" for name in licenses)]
    else:
        lines += ["license: other", "license_name: per-clip", "license_link: README.md"]
    # quoted, because YAML reads `no` as false
    lines += ["language:", *(f"- {json.dumps(name)}" for name in sorted(languages))] if languages else []
    lines += ["task_categories:", "- image-to-video", "size_categories:", f"- {size}"]
    lines += ["tags:", "- talking-head", "- talking-face", "- audio-driven", "- video", "- audio"]
    lines += ["configs:"] if splits else []
    for config in ABOUT if splits else ():
        lines += [f"- config_name: {config}", *(["  default: true"] if config == "meta" else []), "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {config}/{split}-*.parquet"]
    return [*lines, "---", ""]


def _thresholds(thresholds: Mapping[str, Any] | None) -> list[str]:
    if thresholds is None:
        return []
    lines = [(name, _value(value)) for name, value in thresholds.items()]
    head = "Every score is stored; these decided which clips are published. `disentbench rethreshold` applies others."
    return ["## Thresholds", "", head, "", *_table(["threshold", "value"], lines)]


def _value(value: float | bool | None) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "off"}[value]
    return f"{value:g}"


def _made(settings: Mapping[str, Any]) -> list[str]:
    out = ["## How it was made", "", "By `disentbench build` (DisentBench), stage by stage, with these settings:", ""]
    lines = []
    for stage in settings["stages"]:
        fields = ", ".join(f"{name}={value}" for name, value in _flat(stage["fields"]))
        lines.append((markdown(stage["name"]), stage["version"], markdown(fields, 1000) or "none"))
    out += _table(["stage", "version", "settings"], lines)
    return [*out, f"Manifest (hash of its rows): `{markdown(settings['manifest'])}`.", ""]


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings with their names, those within settings as `outer.inner`."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def dataset_card(counts: Account, rows: pa.Table, schemas: Mapping[str, pa.Schema], settings: Mapping[str, Any]) -> str:
    """Text of the card. `rows` are the accepted ones, without arrays; `schemas` those of the published tables."""
    present = set(rows["split"].to_pylist())
    minutes = sum(rows["num_frames"].to_pylist()) / FPS / 60
    out = [
        *_header(rows, [split for split in SPLITS if split in present]),
        f"# {TITLE}",
        "",
        f"{rows.num_rows} clips, {minutes:.1f} minutes, {len(set(rows['speaker_id'].to_pylist()))} speakers: one face"
        f" each, {FRAME_SIZE_PX}x{FRAME_SIZE_PX} px at a constant {FPS} fps (H.264), speech at"
        f" {SAMPLE_RATE_HZ // 1000} kHz mono (FLAC), of exactly the same length.",
        "",
        f"Of {counts.rows_in} videos {counts.accepted} gave clips, {counts.rejected} were rejected and"
        f" {counts.failed} failed; `rejected.parquet` holds each refused clip with its reason and scores.",
        "",
    ]
    refused = [(markdown(word), number) for word, number in counts.reasons.items()]
    refused += [(f"{markdown(word)} (failed)", number) for word, number in counts.failures.items()]
    out += _table(["refused because", "clips"], refused) if refused else []
    out += ["## Splits", "", "No speaker is in two splits.", "", *_counted(rows, "split", rows["split"])]
    out += ["## Languages", "", *_counted(rows, "language (BCP 47)", rows["language"])]
    out += ["## Licences", "", "Each clip keeps the licence of its source, as the manifest states it.", ""]
    out += _counted(rows, "licence", rows["license"])
    out += ["## Sources", "", *_counted(rows, "host", _hosts(rows)), *_LOADING.splitlines(), ""]
    out += [*_RIGHTS.splitlines(), "", *_thresholds(settings.get("thresholds")), *_made(settings), "## Tables", ""]
    for config, about in ABOUT.items():
        out += [f"### {config}", "", f"{about[0].upper()}{about[1:]}.", ""]
        out += _table(["column", "type"], [(f"`{field.name}`", f"`{_kind(field.type)}`") for field in schemas[config]])
    return "\n".join(out).rstrip() + "\n"


def _kind(kind: pa.DataType) -> str:
    return str(kind).replace("element: ", "").replace("item: ", "")
