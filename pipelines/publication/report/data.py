"""What the report shows, gathered from a published folder as numbers and rows."""

import csv
import dataclasses
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chdtf.clip import read_description
from chdtf.errors import UserError
from chdtf.schema import FPS, SPLITS
from pipelines.judging.thresholds import thresholds_of
from pipelines.publication.report.scores import Histogram, histograms

log = logging.getLogger(__name__)

AVAILABILITY = "availability.csv"
_MOST = 15  # lines of a chart

# (what a row that got so far has, what the step is called); the steps of a build, in order
_MARKS = (
    ("source_bytes", "downloaded", "videos"),
    ("clip_start_s", "cut into clips", "clips"),
    ("box_px", "one face followed", "clips"),
    ("num_frames", "cropped and resampled", "clips"),
    ("face_found_share", "landmarks found", "clips"),
    ("fit_error_px", "coefficients fitted", "clips"),
    ("loudness_dbfs", "scored", "clips"),
)


@dataclasses.dataclass(frozen=True)
class Step:
    """How many are left after a step, and what became of the others."""

    name: str
    unit: str
    count: int
    lost: Sequence[tuple[str, int]]  # by reason, the most frequent first


@dataclasses.dataclass(frozen=True)
class Bar:
    """One line of a bar chart."""

    name: str
    value: float
    note: str
    is_rest: bool = False  # many together, which would dwarf the others


@dataclasses.dataclass(frozen=True)
class StageTime:
    """Seconds that workers spent in a stage, and frames of 25 fps clips that went through it each second."""

    name: str
    seconds: float
    frames_per_s: float | None


@dataclasses.dataclass(frozen=True)
class Report:
    """Everything on the page but the pictures."""

    root: Path
    description: Mapping[str, Any]
    accepted: pa.Table  # rows of meta
    refused: pa.Table  # rows of rejected.parquet
    steps: Sequence[Step]
    histograms: Sequence[Histogram]
    by_split: Sequence[Bar]
    by_language: Sequence[Bar]
    by_speaker: Sequence[Bar]
    stages: Sequence[StageTime]
    runs: Sequence[Mapping[str, Any]]  # records of builds, the oldest first
    availability: Sequence[Bar]
    unscored: Sequence[tuple[str, int]]  # "score: why it was not computed", and of how many clips

    @property
    def hours(self) -> float:
        """Length of all accepted clips."""
        return _hours(self.accepted)


def _hours(rows: pa.Table) -> float:
    return (pc.sum(rows["num_frames"]).as_py() or 0) / FPS / 3600


def gather(root: Path) -> Report:
    """Read a published folder. Raises `UserError` when it holds no dataset or a corrupt one."""
    description = read_description(root)
    if description is None:
        raise UserError(f"{root}: holds no published dataset; build one first")
    try:
        refused = pq.read_table(root / "rejected.parquet")
        names = [f"meta/{split}-" for split in SPLITS]
        files = [file for name in names for file in sorted(description["rows"]) if file.startswith(name)]
        accepted = pa.concat_tables([pq.read_table(root / file) for file in files]) if files else _none(refused)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{root}: not readable ({str(error).splitlines()[0]}); build the dataset again") from error
    runs = _runs(root)
    steps = _steps(accepted, refused)
    return Report(
        root=root,
        description=description,
        accepted=accepted,
        refused=refused,
        steps=steps,
        histograms=histograms(accepted, refused, thresholds_of(description)),
        by_split=_bars(accepted, "split"),
        by_language=_bars(accepted, "language"),
        by_speaker=_bars(accepted, "speaker_id"),
        stages=_stages(description, runs, accepted, refused),
        runs=runs,
        availability=_availability(root),
        unscored=_unscored(accepted, refused),
    )


def _none(refused: pa.Table) -> pa.Table:
    """No rows, with the columns that are looked at."""
    table = refused.slice(0, 0)
    return table if "num_frames" in table.column_names else table.append_column("num_frames", pa.array([], pa.int32()))


def _counted(table: pa.Table) -> list[tuple[str, int]]:
    """Reasons of refused rows, the most frequent first."""
    kinds = zip(table["reason"].to_pylist(), table["kind"].to_pylist(), strict=True)
    found = Counter(f"{reason} (failed)" if kind == "failed" else reason for reason, kind in kinds)
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def _distinct(*tables: pa.Table) -> int:
    return len(
        pa.chunked_array([chunk for table in tables for chunk in table["video_id"].chunks], pa.string()).unique()
    )


def _steps(accepted: pa.Table, refused: pa.Table) -> list[Step]:
    steps = [Step("in the manifest", "videos", _distinct(accepted, refused), [])]
    left = refused
    for column, name, unit in _MARKS:
        if column not in refused.column_names:
            continue
        has_it = pc.is_valid(left[column])
        lost, left = left.filter(pc.invert(has_it)), left.filter(has_it)
        count = _distinct(accepted, left) if unit == "videos" else accepted.num_rows + left.num_rows
        steps.append(Step(name, unit, count, _counted(lost)))
    return [*steps, Step("accepted", "clips", accepted.num_rows, _counted(left))]


def _bars(rows: pa.Table, name: str) -> list[Bar]:
    """Hours by the values of a column, the longest first; what exceeds the chart is one line."""
    table = pa.table({"key": rows[name].cast(pa.string()), "frames": rows["num_frames"]})
    sums = table.group_by("key").aggregate([("frames", "sum"), ("frames", "count")])
    found = list(zip(*(sums[column].to_pylist() for column in ("key", "frames_sum", "frames_count")), strict=True))
    if name == "split":
        found.sort(key=lambda line: SPLITS.index(line[0]))
    else:
        found.sort(key=lambda line: (-(line[1] or 0), line[0] or ""))
    unknown = (None, "", "und")
    bars = [
        Bar("not stated" if key in unknown else key, (frames or 0) / FPS / 3600, _clips(clips))
        for key, frames, clips in found
    ]
    if len(bars) <= _MOST:
        return bars
    rest = bars[_MOST - 1 :]
    clips = sum(line[2] for line in found[_MOST - 1 :])
    total = sum(bar.value for bar in rest)
    return [*bars[: _MOST - 1], Bar(f"{len(rest):,} others", total, _clips(clips), True)]


def _clips(count: int) -> str:
    return f"{count:,} clip{'s' if count != 1 else ''}"


def _unscored(*tables: pa.Table) -> list[tuple[str, int]]:
    """Scores that could not be computed, with the reason, the most frequent first."""
    found: Counter[str] = Counter()
    for table in tables:
        if "unscored" in table.column_names:
            for pair in pc.value_counts(table["unscored"].drop_null()).to_pylist():
                for words in pair["values"].split("; "):
                    found[words] += pair["counts"]
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))[:_MOST]


def _runs(root: Path) -> list[dict[str, Any]]:
    """Run records of builds; one that cannot be read is left out."""
    found = []
    for path in sorted((root / "runs").glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            record["details"].get("stage_seconds")
        except (OSError, ValueError, KeyError, AttributeError) as error:
            log.warning("%s: not a run record (%s)", path, error)
            continue
        found.append(record)
    return found


def _stages(
    description: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], accepted: pa.Table, refused: pa.Table
) -> list[StageTime]:
    """Time of each stage over all runs: what a later run kept cost it nothing."""
    seconds: Counter[str] = Counter()
    for run in runs:
        for name, spent in (run["details"].get("stage_seconds") or {}).items():
            seconds[name] += spent
    frames = _source_frames(accepted) + _source_frames(refused)
    out = []
    for stage in description["stages"]:
        spent = seconds.get(stage["name"], 0.0)
        out.append(StageTime(stage["name"], spent, frames / spent if spent > 0 and frames else None))
    total = sum(stage.seconds for stage in out)
    return [*out, StageTime("all", total, frames / total if total > 0 and frames else None)]


def _source_frames(rows: pa.Table) -> float:
    """Frames at 25 fps of all clips that were cut."""
    if not {"clip_start_s", "clip_end_s"} <= set(rows.column_names):
        return 0.0
    seconds = pc.sum(pc.subtract(rows["clip_end_s"], rows["clip_start_s"])).as_py()
    return (seconds or 0.0) * FPS


def _availability(root: Path) -> list[Bar]:
    """Videos by state, when the download's report is there."""
    path = root / AVAILABILITY
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            found = Counter(row.get("state") or "unknown" for row in csv.DictReader(stream))
    except (OSError, ValueError, csv.Error) as error:
        log.warning("%s: not readable (%s)", path, error)
        return []
    return [Bar(state, count, "") for state, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))]
