"""Discover: a recipe becomes candidates, a manifest of videos that may hold what is wanted. Nothing is downloaded."""

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from chdtf.errors import Reject, Transient
from chdtf.site_id import site_id, site_url
from chdtf.tombstones import WORD, Tombstones
from pipelines.acquire.fetch import Network
from pipelines.acquire.site import plain
from pipelines.sources.candidates import Candidate, Discovery
from pipelines.sources.listing import SEARCHES, describe, list_videos
from pipelines.sources.recipe_file import Recipe, Speaker

Progress = Callable[[int, int, str], None]  # lists looked at, all lists, the last of them


def discover(
    recipe: Recipe,
    network: Network,
    sites: Sequence[str] = tuple(SEARCHES),
    limit: int | None = None,
    details: bool = False,
    tombstones: Tombstones | None = None,
    progress: Progress = lambda done, total, what: None,
) -> Discovery:
    """Look through the recipe's searches and channels until every speaker's share of the hours is found.

    `limit` replaces the recipe's `per_query`. `details` opens the page of every candidate for its licence, and for the
    length that Bilibili's search does not tell. A list that fails is told in the result, and the rest goes on. Channels
    must be of YouTube or Bilibili, unless `network.allow_local`.
    """
    search = _Search(recipe, network, limit or recipe.candidates.per_query, details, tombstones or Tombstones())
    lists = list(_lists(recipe, sites))
    for number, (speaker, address) in enumerate(lists, 1):
        search.look(speaker, address)
        progress(number, len(lists), f"{speaker.id}: {address}")
    found = [
        dataclasses.replace(c, also_speakers=" ".join(sorted(search.others[c.site_id]))) for c in search.found.values()
    ]
    return Discovery(recipe, tuple(found), dict(search.left_out), tuple(search.problems), search.lists_read)


def _lists(recipe: Recipe, sites: Sequence[str]) -> Iterator[tuple[Speaker, str]]:
    """Speaker and address of every list, the first of each speaker first, so that none is searched for last only."""
    own = [
        [*speaker.channels, *(f"{SEARCHES[site]}:{query}" for query in speaker.queries for site in sites)]
        for speaker in recipe.speakers
    ]
    for row in itertools.zip_longest(*own):
        yield from ((speaker, address) for speaker, address in zip(recipe.speakers, row, strict=True) if address)


class _Search:
    """The state of one discovery."""

    def __init__(self, recipe: Recipe, network: Network, count: int, details: bool, tombstones: Tombstones) -> None:
        self._recipe, self._network, self._count = recipe, network, count
        self._details, self._tombstones = details, tombstones
        self._wanted_s = recipe.hours_to_find * 3600 / len(recipe.speakers)
        self._found_s: dict[str, float] = collections.defaultdict(float)
        self.found: dict[str, Candidate] = {}
        self.others: dict[str, set[str]] = collections.defaultdict(set)
        self.left_out: collections.Counter[str] = collections.Counter()
        self.problems: list[str] = []
        self.lists_read = 0

    def look(self, speaker: Speaker, address: str) -> None:
        """Take the candidates of one list, unless the speaker has enough."""
        if self._found_s[speaker.id] >= self._wanted_s:
            return
        prefix, colon, query = address.partition(":")
        is_search = bool(colon) and prefix in SEARCHES.values()
        if not is_search and not self._network.allow_local and not _is_known_site(address):
            self.problems.append(f"{address}: not an address of YouTube or Bilibili")
            return
        try:
            entries = list_videos(
                f"{prefix}{self._count}:{query}" if is_search else address, self._count, self._network
            )
        except (Reject, Transient) as error:
            self.problems.append(f"{address}: {error}")
            return
        self.lists_read += 1
        for rank, entry in enumerate(entries[: self._count], 1):
            if self._found_s[speaker.id] >= self._wanted_s:
                return
            reason = self._take(speaker, address, rank, entry)
            if reason:
                self.left_out[reason] += 1

    def _take(self, speaker: Speaker, query: str, rank: int, entry: dict[str, Any]) -> str | None:
        """Add one result to the candidates; returns why not."""
        identity = site_id(str(entry.get("url") or ""))
        if identity is None:
            return "not the address of a video"
        if identity in self.found:
            known = self.found[identity]
            self.found[identity] = dataclasses.replace(known, found_by=known.found_by + 1)
            if speaker.id != known.speaker_id:
                self.others[identity].add(speaker.id)
            return "found before"
        url = site_url(identity)
        if self._tombstones.blocks({"url": url, "site_id": identity, "video_id": _video_id(identity)}):
            return WORD
        if self._details:
            entry = {**entry, **self._described(url)}
        duration_s = _seconds(entry.get("duration"))
        if reason := self._refusal(entry, duration_s):
            return reason
        self.found[identity] = Candidate(
            video_id=_video_id(identity),
            site_id=identity,
            url=url,
            speaker_id=speaker.id,
            title=plain(entry.get("title")) or "",
            uploader=plain(entry.get("uploader") or entry.get("channel")) or "",
            duration_s=duration_s,
            site_license=plain(entry.get("license")) or "",
            query=query,
            rank=rank,
        )
        self._found_s[speaker.id] += duration_s or 0.0
        return None

    def _described(self, url: str) -> dict[str, Any]:
        try:
            found = describe(url, self._network)
        except (Reject, Transient) as error:
            return {"availability": str(error).partition(":")[0]}
        names = ("title", "uploader", "channel", "duration", "license", "live_status")
        return {name: found[name] for name in names if found.get(name) is not None}

    def _refusal(self, entry: dict[str, Any], duration_s: float | None) -> str | None:
        bounds = self._recipe.candidates
        if entry.get("live_status") in ("is_live", "is_upcoming"):
            return "live"
        if (availability := entry.get("availability")) and availability not in ("public", "unlisted"):
            return str(plain(availability))[:40]
        if duration_s is not None and duration_s < bounds.min_duration_s:
            return f"shorter than {bounds.min_duration_s:g} s"
        if duration_s is not None and duration_s > bounds.max_duration_s:
            return f"longer than {bounds.max_duration_s:g} s"
        return None


def _is_known_site(address: str) -> bool:
    host = (urlsplit(address).hostname or "").lower()
    return any(host == site or host.endswith(f".{site}") for site in ("youtube.com", "bilibili.com"))


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 1e7 else None


def _video_id(identity: str) -> str:
    return identity.replace(":", "-", 1)
