"""The list of a dataset without its media: what others need to make the same clips from the same sources themselves.

No picture, sound, landmark or coefficient is written, and nothing of a source that a tombstone stands for.
"""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from chdtf import tombstones
from chdtf.columns import Row
from chdtf.errors import UserError
from chdtf.files import write_text
from chdtf.manifest import ManifestRow, write_manifest
from chdtf.manifest_row import Crop
from chdtf.schema import FPS
from chdtf.tombstones import Tombstone, Tombstones
from pipelines.publication.diff import open_lock
from pipelines.publication.lock import NAME, write_lock
from pipelines.publication.lock_row import ACCEPTED, LockRow
from pipelines.publication.published import description_of, published_rows
from pipelines.publication.text import markdown

_ABOUT = """\
| file | what |
| --- | --- |
| `manifest.csv`, `manifest.parquet` | the videos: address, interval, speaker, language, licence, SHA-256 |
| `lock.csv`, `lock.json` | every clip: seconds, box, hashes, outcome; stages and packages that made it |
| `tombstones.csv` | sources that were withdrawn; delete what you have of them |

Make the same clips with `disentbench build --manifest lock.csv --out FOLDER`, or cut and judge the videos anew with
`--manifest manifest.csv`. `disentbench diff lock.csv FOLDER` says which clips you miss and why. An address `file:NAME`
was a file of whoever made the list: lay your copy beside the list under that name, and add `--allow-local`.

## Licences

Each video keeps the licence of its source, as stated in the list. The licence of this list is not a licence of the
videos, and whether you may download and use one is for you to find out. Faces and voices are personal data.
"""


@dataclasses.dataclass(frozen=True)
class Shared:
    """What a published list holds, and how many rows a tombstone kept out."""

    folder: Path
    videos: int
    clips: int
    hours: float
    withheld: int

    def text(self) -> str:
        """For a person."""
        lines = [f"{self.videos} videos, {self.clips} clips, {self.hours:.2f} h: a list, without media"]
        if self.withheld:
            lines.append(f"{self.withheld} rows of withdrawn sources are left out")
        return "\n".join([*lines, f"manifest: {self.folder / 'manifest.csv'}", f"lock: {self.folder / NAME}"])


def publish_manifest(root: Path, folder: Path, more: Sequence[Path] = ()) -> Shared:
    """Write manifest.csv, manifest.parquet, lock.csv, lock.json, tombstones.csv and README.md of a dataset to `folder`.

    The manifest has a row for every video with an accepted clip, with the SHA-256 of its source; the lock has one for
    every clip. Local files keep their name, not their folder. `more` are further lists of tombstones. Raises
    `UserError` when `root` holds no dataset, nothing is left, or `folder` is the dataset itself.
    """
    description = description_of(root)
    if folder.resolve() == root.resolve():
        raise UserError(f"{folder}: is the dataset itself; give another folder for the list")
    withdrawn = tombstones.find(*more, dataset=root)
    lock = open_lock(root)
    rows = [_without_path(row) for row in lock.rows if not withdrawn.blocks(row.as_row())]
    # a row that a tombstone took from the tables already keeps its ids there; a list needs none
    rows = [row for row in rows if not row.reason.startswith(tombstones.WORD)]
    manifest = sorted(_manifest(root, withdrawn), key=lambda row: row.video_id)
    if not manifest:
        raise UserError(f"{root}: no accepted clip is left to list")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("manifest.csv", "manifest.parquet"):
        write_manifest(manifest, folder / name)
    names = ("stages", "manifest", "thresholds", "fingerprint")
    write_lock(folder / NAME, rows, {name: description[name] for name in names if name in description})
    _write_tombstones(folder / tombstones.FILE, withdrawn)
    accepted = [row for row in rows if row.outcome == ACCEPTED]
    hours = sum(map(_seconds, accepted)) / 3600
    shared = Shared(folder, len(manifest), len(accepted), hours, len(lock.rows) - len(rows))
    write_text(folder / "README.md", _card(shared, accepted, {row.video_id: row.license for row in manifest}))
    return shared


def _seconds(row: LockRow) -> float:
    return (row.num_frames or 0) / FPS


def _without_path(row: LockRow) -> LockRow:
    return dataclasses.replace(row, url=_public_url(row.url))


def _public_url(url: str) -> str:
    """A `file:` address without its folder, which is of this machine; others know the file by its hash."""
    return f"file:{url.rpartition('/')[2].removeprefix('file:')}" if url.lower().startswith("file:") else url


def _manifest(root: Path, withdrawn: Tombstones) -> Iterator[ManifestRow]:
    """One row for every video with an accepted clip, as the manifest had it."""
    seen: set[str] = set()
    for row in published_rows(root):
        if row.get("kind") or row["video_id"] in seen or withdrawn.blocks(row):
            continue
        seen.add(row["video_id"])
        stated = row["license"]
        if stated.lower() == "unknown" and row.get("site_license"):
            stated = row["site_license"]
        yield ManifestRow(
            video_id=row["video_id"],
            url=_public_url(row["url"]),
            start_s=row["start_s"],
            end_s=row["end_s"],
            speaker_id=row["speaker_id"],
            language=row["language"],
            license=stated,
            split=row["split"],
            crop=_inside(row),
            sha256=row.get("source_sha256") or row.get("sha256"),
        )


def _inside(row: Row) -> Crop | None:
    """The manifest's crop; one of a lock may lie beyond the frame, a manifest's may not."""
    if row.get("crop") is None:
        return None
    x0, y0, x1, y1 = (min(max(float(edge), 0.0), 1.0) for edge in row["crop"])
    return x0, y0, x1, y1


def _write_tombstones(path: Path, withdrawn: Tombstones) -> None:
    """The list that users of an older copy follow; who asked, and how to reach them, is nobody's business."""
    path.unlink(missing_ok=True)
    tombstones.append(path, [Tombstone(e.source_id, e.sha256, e.date, e.reason) for e in withdrawn.entries])


def _card(shared: Shared, accepted: Sequence[LockRow], licenses: Mapping[str, str]) -> str:
    out = [
        "---",
        "pretty_name: Talking-face clips (list)",
        "license: other",
        "license_name: per-video",
        "license_link: README.md",
        "configs:",
        "- config_name: manifest",
        "  data_files: manifest.parquet",
        "---",
        "",
        "# Talking-face clips: the list",
        "",
        f"{shared.videos} videos, {shared.clips} clips, {shared.hours:.2f} hours,"
        f" {len({row.speaker_id for row in accepted})} speakers. Addresses, times and hashes: no media, and nothing"
        " that was derived from any.",
        "",
        *_ABOUT.splitlines(),
        "",
        *_counted("licence", [licenses[row.video_id] for row in accepted], accepted),
        *_counted("language", [row.language for row in accepted], accepted),
        *_counted("split", [row.split for row in accepted], accepted),
    ]
    return "\n".join(out).rstrip() + "\n"


def _counted(head: str, names: Sequence[str], rows: Sequence[LockRow]) -> list[str]:
    clips = collections.Counter(names)
    seconds: dict[str, float] = collections.defaultdict(float)
    for name, row in zip(names, rows, strict=True):
        seconds[name] += _seconds(row)
    lines = [f"| {markdown(name)} | {count} | {seconds[name] / 3600:.2f} |" for name, count in clips.most_common()]
    return [f"| {head} | clips | hours |", "| --- | --- | --- |", *lines, ""]
