"""Phones: what is said when, one interval list a clip, in the CMU set (39 phones without stress, NSN, SIL).

Where the environment variable DISENTBENCH_PHONES names a folder, its `<clip_id>.csv` (start_s,end_s,phone) are used
and nothing else; a clip's Mandarin may be written in pinyin or IPA there (`mandarin`). Otherwise pocketsphinx listens,
with its English models: in English and where the language is not known its words, whose phones are then aligned; in
other languages a loop of English phones, since English words would be imposed on them.

Against the times at which the bundled sample was synthesised (four sentences each, at 25 fps): in English 50 % of
frames have the very phone and 59 % one that looks alike; half of the boundaries lie within 18 ms, 84 % within 40 ms. In
Mandarin 22 and 38 %, 20 ms, 70 %. Bare phones would have given 41 and 51 % in English, words 22 and 33 % in Mandarin.
On four real English clips, 78 s, 51 % of frames agree with the lists that StyleTalk publishes for them (bare phones:
37 %).
"""

import csv
import hashlib
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from baselines.inputs import Unavailable
from baselines.inputs.mandarin import mandarin_table, without_tone
from baselines.inputs.recognise import recognise
from chdtf.errors import UserError
from chdtf.schema import SAMPLE_RATE_HZ

FOLDER_VARIABLE = "DISENTBENCH_PHONES"
SILENCE = "SIL"
_SILENCES = ("", "sil", "sp", "spn", "<eps>")
_MANDARIN = ("cmn", "zh")
# in alphabetical order, which is also how AVCT's and StyleTalk's indices count them, from 0
_NAMES = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG NSN OW OY P R S SH SIL T TH UH UW V W Y Z ZH"
CMU = tuple(_NAMES.split())
_COLUMNS = ["start_s", "end_s", "phone"]
_NOTHING_S = 1e-6  # an interval or a gap so short is none
_LATE_S = 0.5  # by how much intervals may end after the clip; theirs was perhaps cut by another rounding


class Interval(NamedTuple):
    """One phone of `CMU` from `start_s` to `end_s`, seconds from the clip's begin."""

    start_s: float
    end_s: float
    phone: str


def phones_of(clip_id: str, language: str, waveform: np.ndarray) -> list[Interval]:
    """The clip's phones, without gaps from 0 to the end of its sound, float32 (S,) at 16 kHz.

    Raises `Unavailable` (`no_phonemes`) where there are none, `UserError` for a file of the user's that is malformed.
    """
    duration_s = len(waveform) / SAMPLE_RATE_HZ
    folder = _folder()
    if folder is None:
        found = [Interval(*one) for one in recognise(waveform, language)]
        if not found:
            raise Unavailable("no_phonemes", "the recogniser heard nothing in the clip's sound")
        return without_gaps(found, duration_s)
    path = folder / f"{clip_id}.csv"
    if not path.is_file():
        raise Unavailable("no_phonemes", f"{folder} ({FOLDER_VARIABLE}) has no {path.name}")
    return read_intervals(path, duration_s, language)


def source_version(version: int) -> int:
    """A number for where phones come from: `version`, or one that tells the files of the user's folder apart."""
    folder = _folder()
    if folder is None:
        return version
    digest = hashlib.sha256(str(version).encode())
    for path in sorted(folder.glob("*.csv")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return int.from_bytes(digest.digest()[:6], "big")


def read_intervals(path: Path, duration_s: float, language: str) -> list[Interval]:
    """A user's list, as `phones_of` gives it. Raises `UserError` naming file, line and what is wrong."""
    found: list[Interval] = []
    rows = _rows(path)
    spoken = [row["phone"] for row in rows] if language.split("-", 1)[0] in _MANDARIN else None
    table = {} if spoken is None else mandarin_table(spoken)
    for number, row in enumerate(rows, start=2):
        where = f"{path}, line {number}"
        start_s, end_s = _time(row["start_s"], where), _time(row["end_s"], where)
        if not (found[-1].end_s if found else 0) - 1e-3 <= start_s <= end_s <= duration_s + _LATE_S:
            raise UserError(
                f"{where}: {start_s:g} to {end_s:g} s does not follow the line before within the clip's "
                f"{duration_s:g} s; sort the intervals, without overlap"
            )
        names = _names(row["phone"], table, where)
        step = (end_s - start_s) / len(names)
        found += [Interval(start_s + i * step, start_s + (i + 1) * step, name) for i, name in enumerate(names)]
    return without_gaps(found, duration_s)


def without_gaps(intervals: Iterable[Interval], duration_s: float) -> list[Interval]:
    """Intervals from 0 to the end, with silence wherever there was none; silences in a row are one."""
    found: list[Interval] = []
    now = 0.0
    for one in (*intervals, Interval(duration_s, duration_s, SILENCE)):
        start_s, end_s = min(max(one.start_s, now), duration_s), min(one.end_s, duration_s)
        if start_s - now > _NOTHING_S:
            found.append(Interval(now, start_s, SILENCE))
            now = start_s
        if end_s - now > _NOTHING_S:
            found.append(Interval(now, end_s, one.phone))
            now = end_s
    merged = found[:1]
    for one in found[1:]:
        if merged[-1].phone == one.phone == SILENCE:
            merged[-1] = merged[-1]._replace(end_s=one.end_s)
        else:
            merged.append(one)
    return merged


def phones_at(intervals: list[Interval], instants_s: np.ndarray) -> list[str]:
    """The phone at each instant, seconds (N,); an interval holds its start and not its end."""
    starts = np.array([one.start_s for one in intervals])
    numbers = np.searchsorted(starts, instants_s + 1e-9, side="right") - 1
    return [intervals[number].phone for number in np.maximum(numbers, 0)]


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            if list(rows.fieldnames or ()) != _COLUMNS:
                raise UserError(f"{path}: its first line is {rows.fieldnames}; it must be {','.join(_COLUMNS)}")
            return [{name: (row[name] or "").strip() for name in _COLUMNS} for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: no CSV in UTF-8 ({error})") from error


def _folder() -> Path | None:
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise UserError(f"{FOLDER_VARIABLE}={named}: no such folder; put <clip_id>.csv into it, or unset the variable")
    return folder


def _time(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where}: {text!r} is no time in seconds")
    return value


def _names(name: str, table: Mapping[str, tuple[str, ...]], where: str) -> tuple[str, ...]:
    """The CMU phones of what a user wrote: upper case with or without stress, or a name of `table`, tone and all."""
    bare = name.rstrip("012") if name.isupper() else name
    if bare.lower() in _SILENCES:
        return (SILENCE,)
    if bare in CMU:
        return (bare,)
    if found := table.get(without_tone(name)):
        return found
    known = f"AA, AE, ..., ZH, SIL{', nor in baselines/inputs/mandarin_cmu.csv' if table else ''}"
    raise UserError(f"{where}: phone {name!r} is not among {known}")
