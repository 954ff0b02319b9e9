"""Recipes (`manifests/chdtf.toml`): whom to search for, how much is wanted, and what a clip must be.

The reader is strict: every mistake is a `UserError` of one line that names the file and the key.
"""

import dataclasses
import difflib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chdtf.errors import UserError
from chdtf.manifest_row import ManifestRow, find_mistake, shown
from pipelines.judging.thresholds import Thresholds

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMAT = 1
_SPEAKER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """How much: hours and videos of finished clips, and hours of candidates to find for each hour of clips."""

    hours: float
    videos: int | None = None
    hours_found_per_hour: float = 4.0


@dataclasses.dataclass(frozen=True)
class CandidateBounds:
    """Which candidates are taken: their length in seconds, and how many results of one query are looked at."""

    min_duration_s: float = 20.0
    max_duration_s: float = 7200.0
    per_query: int = 50


@dataclasses.dataclass(frozen=True)
class Build:
    """Settings of the stages `download` (px of the smaller side) and `cut` (seconds); None: the stage's own default."""

    max_height: int | None = None
    min_clip_s: float | None = None
    max_clip_s: float | None = None


@dataclasses.dataclass(frozen=True)
class Speaker:
    """One person: the id that rows get, the name that is searched for and why it is taken for this person's."""

    id: str
    name: str
    queries: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()  # addresses of channels and playlists
    name_in_files: str = ""
    reading: str = ""
    language: str | None = None  # where it differs from the recipe's
    license: str | None = None


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A whole recipe."""

    name: str
    language: str
    license: str
    wanted: Wanted
    candidates: CandidateBounds
    build: Build
    thresholds: Thresholds
    speakers: tuple[Speaker, ...]

    @property
    def settings(self) -> tuple[str, ...]:
        """Settings of stages as `pipelines.recipes.configured` takes them."""
        places = {"max_height": "download", "min_clip_s": "cut", "max_clip_s": "cut"}
        stated = dataclasses.asdict(self.build).items()
        return tuple(f"{places[name]}.{name}={value}" for name, value in stated if value is not None)

    @property
    def hours_to_find(self) -> float:
        """Hours of candidates after which a search may stop."""
        return self.wanted.hours * self.wanted.hours_found_per_hour


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe. Raises `UserError` at the first mistake."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give a recipe such as manifests/chdtf.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not TOML ({error})") from error
    reader = _Reader(path)
    top = {"format", "name", "language", "license", "wanted", "candidates", "build", "thresholds", "speaker"}
    reader.known(found, top, "")
    if reader.required(found, "format", int, "") != FORMAT:
        raise UserError(f"{path}: format {found['format']}, this version reads {FORMAT}")
    tables = found.get("speaker")
    if not isinstance(tables, list) or not tables:
        raise UserError(f"{path}: names no speakers; add [[speaker]] with id, name and queries")
    recipe = Recipe(
        name=reader.required(found, "name", str, ""),
        language=reader.required(found, "language", str, ""),
        license=reader.required(found, "license", str, ""),
        wanted=reader.table(Wanted, found.get("wanted"), "wanted"),
        candidates=reader.table(CandidateBounds, found.get("candidates", {}), "candidates"),
        build=reader.table(Build, found.get("build", {}), "build"),
        thresholds=_thresholds(found.get("thresholds", {}), path),
        speakers=tuple(reader.table(Speaker, table, f"speaker {n}") for n, table in enumerate(tables, 1)),
    )
    _check(recipe, path)
    return recipe


class _Reader:
    """Reads tables of a file into dataclasses, by the names and types of their fields."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self, table: Mapping[str, Any], names: set[str], where: str) -> None:
        for name in table:
            if name not in names:
                near = difflib.get_close_matches(name, sorted(names), n=1)
                hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join(sorted(names))}"
                raise UserError(f"{self._path}: unknown key {_key(where, name)}; {hint}")

    def required(self, table: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
        if name not in table:
            raise UserError(f"{self._path}: {_key(where, name)} is missing")
        return self.value(table[name], kind.__name__, _key(where, name))

    def table(self, kind: type, table: Any, where: str) -> Any:
        """A dataclass of a table."""
        if not isinstance(table, dict):
            raise UserError(f"{self._path}: [{where}] is missing or no table")
        fields = {field.name: field for field in dataclasses.fields(kind)}
        self.known(table, set(fields), where)
        values = {}
        for name, field in fields.items():
            if name in table:
                values[name] = self.value(
                    table[name], str(getattr(field.type, "__name__", field.type)), f"{where}.{name}"
                )
            elif field.default is dataclasses.MISSING:
                raise UserError(f"{self._path}: {where}.{name} is missing")
        return kind(**values)

    def value(self, value: Any, kind: str, where: str) -> Any:
        """The value when it is of the kind: a number above 0, a text of one line, or a list of such."""
        if kind.startswith("tuple"):
            if not isinstance(value, list):
                raise UserError(f'{self._path}: {where} is {shown(value)}; give a list of texts, such as ["..."]')
            return tuple(self.value(one, "str", where) for one in value)
        if kind.startswith("str"):
            if not isinstance(value, str) or not value.strip() or _UNPRINTABLE.search(value):
                raise UserError(f"{self._path}: {where} is {shown(value)}; give a text of one line")
            return value.strip()
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value < 1e9 or (kind.startswith("int") and not isinstance(value, int)):
            what = "a whole number" if kind.startswith("int") else "a number"
            raise UserError(f"{self._path}: {where} is {shown(value)}; give {what} above 0")
        return value if kind.startswith("int") else float(value)


def _key(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _thresholds(table: Any, path: Path) -> Thresholds:
    if not isinstance(table, dict):
        raise UserError(f"{path}: [thresholds] is no table")
    for name, value in table.items():
        if not isinstance(value, int | float):
            raise UserError(f"{path}: thresholds.{name} is {shown(value)}; give a number")
    try:
        return Thresholds.of(table)
    except UserError as error:
        raise UserError(f"{path}: [thresholds] {error}") from error


def _check(recipe: Recipe, path: Path) -> None:
    """What one value alone does not tell."""
    if recipe.candidates.min_duration_s >= recipe.candidates.max_duration_s:
        raise UserError(f"{path}: candidates.min_duration_s is not below candidates.max_duration_s")
    seen: set[str] = set()
    for number, speaker in enumerate(recipe.speakers, 1):
        if not _SPEAKER_ID.fullmatch(speaker.id):
            raise UserError(f"{path}: speaker {number}.id {shown(speaker.id)}: use letters, digits, '_' and '-'")
        if speaker.id in seen:
            raise UserError(f"{path}: speaker {number}.id {shown(speaker.id)} stands there twice")
        seen.add(speaker.id)
        if not (speaker.queries or speaker.channels):
            raise UserError(f"{path}: speaker {number} ({speaker.id}) has neither queries nor channels")
        _check_addresses(speaker.channels, f"{path}: speaker {number}.channels")
        row = ManifestRow("x", "http://x", speaker_id=speaker.id, language=speaker.language or recipe.language)
        if mistake := find_mistake(row):
            raise UserError(f"{path}: {mistake[0]} {mistake[1]}")


def _check_addresses(channels: Sequence[str], where: str) -> None:
    for address in channels:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"{where}: {shown(address)} is no web address; give one of a channel or playlist")
