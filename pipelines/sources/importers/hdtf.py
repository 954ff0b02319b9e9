"""HDTF's annotation lists (github.com/MRzzm/HDTF, folder HDTF_dataset) as a manifest: one row a clip.

Zhang, Li, Ding, Fan: Flow-guided One-shot Talking Face Generation with a High-resolution Audio-visual Dataset,
CVPR 2021. The format is told in that repository's README; the order of a crop's numbers (x, width, y, height) there and
in github.com/universome/HDTF, download.py. manifests/README.md tells what is assumed beyond that.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from chdtf.errors import UserError
from chdtf.manifest_row import Crop, ManifestRow, shown
from chdtf.youtube import youtube_id, youtube_url
from pipelines.sources.importers import KEPT, LEFT_OUT, NO_CROP, Account, Note, checked, printable, seconds

SUBSETS = ("RD", "WDA", "WRA")  # radio, weekly Democratic and weekly Republican addresses
NAMELESS = ("RD",)  # their names are numbers of videos: who speaks is not said
LICENSE = "CC-BY-4.0, as HDTF states of its dataset"

_LISTS = ("video_url", "annotion_time", "resolution", "crop_wh", "crop_ratio")  # spelled as HDTF does
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_WIDE_HEIGHTS_PX = (360, 480, 720, 1080, 1440, 2160)


@dataclasses.dataclass(frozen=True)
class _Line:
    number: int
    values: list[str]


@dataclasses.dataclass(frozen=True)
class _Subset:
    """One subset's lists: name (without `.mp4`) -> line."""

    prefix: str
    lists: dict[str, dict[str, _Line]]

    def file(self, kind: str) -> str:
        return f"{self.prefix}_{kind}.txt"


def from_hdtf(folder: Path, account: Account, with_crops: bool = True) -> Iterator[ManifestRow]:
    """One row for every interval of every video that has both a link and intervals, in the order of the links.

    Ids are `<subset>_<name>_<interval>`, as HDTF's clips are called. Crops become fractions of a frame of the height in
    the list of resolutions; `with_crops=False` leaves them out, so that the face is tracked. Raises `UserError` when a
    list is missing or is no text.
    """
    subsets = [_read_subset(Path(folder), prefix, account) for prefix in SUBSETS]
    speakers = _speakers(subsets)
    for subset in subsets:
        links, times = subset.lists["video_url"], subset.lists["annotion_time"]
        for name in [name for name in times if name not in links]:
            _note(account, subset, "annotion_time", name, LEFT_OUT, f"{shown(name)} has intervals but no link")
        for name in links:
            yield from _rows_of_video(subset, name, speakers, account, with_crops)
        _account_for_strays(subset, account)


def _read_subset(folder: Path, prefix: str, account: Account) -> _Subset:
    subset = _Subset(prefix, {})
    for kind in _LISTS:
        path = folder / subset.file(kind)
        try:
            text = path.read_text(encoding="utf-8-sig")  # WDA_video_url.txt begins with a byte order mark
        except FileNotFoundError:
            hint = "give the folder HDTF_dataset of github.com/MRzzm/HDTF"
            raise UserError(f"{path}: no such list; {hint}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read as UTF-8 text ({error})") from error
        lines: dict[str, _Line] = {}
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words:
                continue
            name = words[0].removesuffix(".mp4")
            problem = None if _NAME.fullmatch(name) else f"{shown(words[0])} is not a name"
            problem = problem or (
                f"{shown(name)} stands already in line {lines[name].number}" if name in lines else None
            )
            if problem:
                account.append(Note(path.name, number, printable(words[0]), LEFT_OUT, problem))
            else:
                lines[name] = _Line(number, words[1:])
        subset.lists[kind] = lines
    return subset


def _note(account: Account, subset: _Subset, kind: str, name: str, outcome: str, problem: str) -> None:
    line = subset.lists[kind].get(name)
    account.append(Note(subset.file(kind), line.number if line else 0, name, outcome, problem))


def _person(prefix: str, name: str) -> str:
    """`AdamKinzinger0` and `AdamKinzinger2` are one person; of `Radio10` the number is all that is known."""
    return f"{prefix}_{name}" if prefix in NAMELESS else name.rstrip("0123456789") or name


def _speakers(subsets: list[_Subset]) -> dict[tuple[str, str], str]:
    """Speaker by (subset, name): the name without its trailing number, and one for names that share a video."""
    speaker_of_video: dict[str, str] = {}
    merged: dict[str, str] = {}

    def root(person: str) -> str:
        while person in merged:
            person = merged[person]
        return person

    people = {}
    for subset in subsets:
        for name, line in subset.lists["video_url"].items():
            person = people[subset.prefix, name] = _person(subset.prefix, name)
            if line.values and (video := youtube_id(line.values[0])):
                other = root(speaker_of_video.setdefault(video, person))
                if other != root(person):
                    merged[max(other, root(person))] = min(other, root(person))
    return {key: root(person) for key, person in people.items()}


def _rows_of_video(
    subset: _Subset, name: str, speakers: dict[tuple[str, str], str], account: Account, with_crops: bool
) -> Iterator[ManifestRow]:
    link = subset.lists["video_url"][name]
    video = youtube_id(link.values[0]) if link.values else None
    times = subset.lists["annotion_time"].get(name)
    if video is None:
        said = shown(" ".join(link.values))
        _note(account, subset, "video_url", name, LEFT_OUT, f"{said} is not a link to a YouTube video")
        return
    if times is None or not times.values:
        problem = f"{name} has a link but no intervals in {subset.file('annotion_time')}"
        _note(account, subset, "video_url", name, LEFT_OUT, problem)
        return
    earlier: list[tuple[float, float]] = []
    for index, interval in enumerate(times.values):
        clip = f"{name}_{index}"
        try:
            start_s, end_s = _interval(interval)
        except ValueError as error:
            _note(account, subset, "annotion_time", name, LEFT_OUT, str(error))
            continue
        if any(start_s < other_end_s and other_start_s < end_s for other_start_s, other_end_s in earlier):
            problem = f"interval {interval} of {name} overlaps an earlier one; perhaps a slip of the pen"
            _note(account, subset, "annotion_time", name, KEPT, problem)
        earlier.append((start_s, end_s))
        row = ManifestRow(
            video_id=f"{subset.prefix}_{clip}",
            url=youtube_url(video),
            start_s=start_s,
            end_s=end_s,
            speaker_id=speakers[subset.prefix, name],
            language="en",
            license=LICENSE,
            split="train" if subset.prefix in NAMELESS else None,
            crop=_crop(subset, name, clip, account) if with_crops else None,
        )
        valid = checked(row, account, subset.file("annotion_time"), times.number, clip)
        if valid is not None:
            yield valid


def _interval(text: str) -> tuple[float, float]:
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError(f"{shown(text)} is not an interval; expected m:s-m:s")
    return seconds(start), seconds(end)


def _crop(subset: _Subset, name: str, clip: str, account: Account) -> Crop | None:
    """The clip's window as fractions of the frame; None, with a note, where the lists do not determine it."""
    window, height = subset.lists["crop_wh"].get(clip), subset.lists["resolution"].get(name)
    times = subset.file("annotion_time")
    if window is None:
        line = subset.lists["annotion_time"][name].number
        account.append(Note(times, line, clip, NO_CROP, f"{clip} has no window in {subset.file('crop_wh')}"))
        return None
    try:
        x_px, width_px, y_px, height_px = map(int, window.values)
    except ValueError:
        said = shown(" ".join(window.values))
        _note(account, subset, "crop_wh", clip, NO_CROP, f"{said} is not four whole numbers: x, width, y, height")
        return None
    frame_height_px = int(height.values[0]) if height and re.fullmatch("[0-9]{1,5}", "".join(height.values)) else 0
    if frame_height_px == 0:
        said = shown(" ".join(height.values)) if height else "nothing"
        where = f"{subset.file('resolution')} gives {said} as the height of {name}"
        _note(account, subset, "crop_wh", clip, NO_CROP, f"{where}; a window in pixels needs one")
        return None
    frame_width_px = reference_width_px(frame_height_px)
    if min(x_px, y_px) < 0 or x_px + width_px > frame_width_px or y_px + height_px > frame_height_px:
        box = f"x {x_px}, width {width_px}, y {y_px}, height {height_px}"
        frame = f"the frame of {frame_width_px}x{frame_height_px} that {subset.file('resolution')} stands for"
        _note(account, subset, "crop_wh", clip, NO_CROP, f"{box} leaves {frame}")
        return None
    return (
        x_px / frame_width_px,
        y_px / frame_height_px,
        (x_px + width_px) / frame_width_px,
        (y_px + height_px) / frame_height_px,
    )


def reference_width_px(height_px: int) -> int:
    """Width of the frame in which HDTF's windows are given; the lists give its height alone.

    Taken to be that of the smallest usual 16:9 frame that is at least so high: 1280 for 720 and, since wider pictures
    are scaled to fit its width, for 714 and 700; 1920 for 1080. Windows that leave it are refused by the importer.
    """
    usual = next((usual for usual in _WIDE_HEIGHTS_PX if usual >= height_px), height_px)
    return round(usual * 16 / 9)


def _account_for_strays(subset: _Subset, account: Account) -> None:
    """Lines that belong to no clip, clips with a window but no zoom ratio, and clips listed under two names."""
    times, links = subset.lists["annotion_time"], subset.lists["video_url"]
    clips = {f"{name}_{i}" for name, line in times.items() if name in links for i in range(len(line.values))}
    for kind in ("crop_wh", "crop_ratio"):
        for clip in subset.lists[kind]:
            if clip not in clips:
                _note(account, subset, kind, clip, LEFT_OUT, f"{clip} belongs to no interval that has a link")
    for clip in [clip for clip in subset.lists["crop_wh"] if clip not in subset.lists["crop_ratio"]]:
        _note(account, subset, "crop_wh", clip, KEPT, f"{clip} has a window but no zoom ratio, which is not needed")
    videos: dict[str, str] = {}
    for name, line in links.items():
        video = youtube_id(line.values[0]) if line.values else None
        first = videos.setdefault(video, name) if video else name
        if first != name:
            problem = f"{video} stands in line {links[first].number} as {first} too; taken as one speaker"
            _note(account, subset, "video_url", name, KEPT, problem)
