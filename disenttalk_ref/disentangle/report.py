"""The measurement as text: Markdown for readers, CSV for programs."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

from chdtf.files import write_text
from disenttalk_ref.disentangle.claim import Locality
from disenttalk_ref.disentangle.measure import Measured
from disenttalk_ref.disentangle.stability import Overlap

FILES = ("report.md", "claim.csv", "stability.csv", "ratios.csv")

_CLAIM = (
    ("inside", "inside, %"),
    ("weighted", "weighted, %"),
    ("other", "other region, %"),
    ("slope", "slope"),
    ("correlation", "r"),
    ("slope_other", "slope, other"),
    ("explained", "explained, %"),
    ("explained_other", "explained, other, %"),
)
_PERCENT = {"inside", "weighted", "other", "explained", "explained_other"}

CLAIM_TEXT = """What moves, and what is told, when only some dimensions move and the others rest at the clip's mean:

- inside: share of squared motion at landmarks whose region weight is above 0; weighted: each landmark counts by its
  soft weight; other region: at landmarks of the other region. Dimensions covary as in the footage, within clips.
- slope: what is left of the region's opening (1: all, 0: none), and its correlation r; slope, other: of the other
  region's opening. Within clips, all clips together.
- explained: R^2 of the region's opening (other: of the other region's) on speakers left out, by least squares on these
  dimensions alone; below 0 it is worse than the clip's mean."""

_STABILITY_TEXT = """Overlap: share of K that two choices have in common; lowest: of the worst comparison; Jaccard:
common over all. Chance: what two random choices of K among N would have."""

_FILES_TEXT = """claim.csv and stability.csv hold the two tables with all digits, shares of 1 instead of %,
nothing where null stands.

- claim.csv: `dimensions` that move, `region`, `count` (K), `inside`, `weighted`, `other` (region), `slope`,
  `correlation` (r), `slope_other`, `explained`, `explained_other`, `reason` for nulls.
- stability.csv: `comparison`, `way`, `region`, `comparisons` (how many), `overlap`, `lowest`, `jaccard`,
  `chance_overlap`, `chance_jaccard`, `reason`.
- ratios.csv: `way`, `dimension` (from 0), `lip_ratio` and `eye_ratio` (|Delta| / sigma), `subspace` (lip, eye or
  global)."""


def claim_table(rows: Sequence[Locality]) -> str:
    """Markdown table of the claim; null where something could not be computed."""
    header = ["region", "dimensions that move", "K", *(label for _, label in _CLAIM)]
    lines = [[row.region, row.dimensions, str(row.count), *(_number(row, name) for name, _ in _CLAIM)] for row in rows]
    return _table(header, lines) + _reasons(
        [f"{row.region}, {row.dimensions}: {row.reason}" for row in rows if row.reason]
    )


def stability_table(rows: Sequence[Overlap]) -> str:
    """Markdown table of overlaps; rows that could not be computed stand below it with their reasons."""
    header = ["way", "compared", "region", "comparisons", "overlap", "lowest", "Jaccard", "chance", "chance (Jaccard)"]
    lines = []
    for row in rows:
        values = (row.overlap, row.lowest, row.jaccard, row.chance_overlap, row.chance_jaccard)
        lines.append([row.way, row.comparison, row.region, str(row.comparisons), *map(_two, values)])
    reasons = [f"{row.way}, {row.comparison}, {row.region}: {row.reason}" for row in rows if row.overlap is None]
    return _table(header, lines) + _reasons(reasons)


def markdown(found: Measured) -> str:
    """The whole report."""
    material, choice = found.material, found.choice
    digest = (material.face_model_hash or "unknown: the model's file is not at hand")[:40]
    parts = [
        f"# Subspaces of {material.face_model}",
        f"Face model {material.face_model}, hash {digest}; N = {material.num_expression}, K_lip = {choice.k_lip}, "
        f"K_eye = {choice.k_eye}. {len(material.clips)} clips, {material.frames} frames, {len(material.speakers)} "
        f"speakers. Delta: {choice.statistic} over frames; sigma: standard deviation over frames, "
        f"{'about each clip’s own mean' if choice.sigma == 'within' else 'about the mean of all frames'}.",
        "## Chosen dimensions",
        _chosen(found),
        "## Does moving them move only their region?",
        CLAIM_TEXT,
        claim_table(found.claim),
        "## How stable is the choice?",
        _STABILITY_TEXT,
        stability_table(found.stability),
        "## Data",
        _data(found),
        "## Files",
        _FILES_TEXT,
    ]
    return "\n\n".join(parts) + "\n"


def csv_of(rows: Sequence[Locality] | Sequence[Overlap]) -> str:
    """Rows as CSV, numbers in full, empty where null."""
    names = [field.name for field in dataclasses.fields(rows[0])]
    return _csv(names, [[getattr(row, name) for name in names] for row in rows])


def ratios_csv(found: Measured) -> str:
    """|Delta| / sigma of every dimension for both regions, by every way, and where the dimension went."""
    lines: list[list[object]] = []
    for way, one in found.ways.items():
        subspaces = one.subspaces
        for i, (lip, eye) in enumerate(zip(subspaces.lip_ratios, subspaces.eye_ratios, strict=True)):
            place = "lip" if i in subspaces.lip else "eye" if i in subspaces.eye else "global"
            lines.append([way, i, lip, eye, place])
    return _csv(["way", "dimension", "lip_ratio", "eye_ratio", "subspace"], lines)


def write_report(found: Measured, folder: Path) -> list[Path]:
    """Write `FILES` into a folder, each whole or not at all."""
    texts = (markdown(found), csv_of(found.claim), csv_of(found.stability), ratios_csv(found))
    for name, text in zip(FILES, texts, strict=True):
        write_text(folder / name, text)
    return [folder / name for name in FILES]


def _chosen(found: Measured) -> str:
    lines = []
    for way, one in found.ways.items():
        for region, dimensions in (("lip", one.subspaces.lip), ("eye", one.subspaces.eye)):
            lines.append([way, region, " ".join(map(str, dimensions)), " ".join(map(str, one.contested)) or "none"])
    table = _table(["way", "region", "dimensions", "claimed by both regions"], lines)
    return table + _names(found) + _reasons([f"{way}: {why}" for way, why in found.missing.items()])


def _names(found: Measured) -> str:
    """The chosen dimensions by name, where the model has names."""
    points = found.material.points
    if points is None or not points.model.expression_names:
        return ""
    names = points.model.expression_names
    lines = [
        f"- {way}, {region}: {', '.join(names[i] for i in dimensions)}"
        for way, one in found.ways.items()
        for region, dimensions in (("lip", one.subspaces.lip), ("eye", one.subspaces.eye))
    ]
    return "\n\n" + "\n".join(lines)


def _data(found: Measured) -> str:
    lines = []
    for source in (*found.material.sources, *([found.pairs] if found.pairs else [])):
        lines.append(f"- {source.name} ({source.fingerprint[:12]}): {source.clips} clips, {source.frames} frames")
        lines += [f"  - left out: {clip}: {why}" for clip, why in source.left_out]
        lines += [f"  - {note}" for note in source.notes]
    return "\n".join(lines)


def _number(row: Locality, name: str) -> str:
    value = getattr(row, name)
    if value is None:
        return "null"
    return f"{100 * value:.1f}" if name in _PERCENT else f"{round(value, 2) + 0.0:.2f}"  # no -0.00


def _two(value: float | None) -> str:
    return "null" if value is None else f"{value:.2f}"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in (header, *lines)) for i in range(len(header))]
    rows = [header, ["-" * width for width in widths], *lines]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows
    )


def _reasons(reasons: Sequence[str]) -> str:
    """Why cells are null, each reason once."""
    grouped: dict[str, list[str]] = {}
    for line in reasons:
        what, _, why = line.partition(": ")
        grouped.setdefault(why, []).append(what)
    if not grouped:
        return ""
    lines = [
        f"- null, {why}: {'; '.join(what) if len(what) < 4 else f'{len(what)} rows'}" for why, what in grouped.items()
    ]
    return "\n\n" + "\n".join(lines)


def _csv(names: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(["" if value is None else value for value in line] for line in lines)
    return stream.getvalue()
