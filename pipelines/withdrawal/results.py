"""Takes clips out of a benchmark's results: staged inputs, generated videos, scores, and the tables made of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.withdrawal.find import Doomed, shard_files
from pipelines.withdrawal.shards import drop_rows

_MEDIA = ("inputs", "generated", "normalised")
_TABLES = ("leaderboard.csv", "leaderboard.md", "leaderboard.html", "leaderboard.tex", "scores.csv")
_MADE_OF_ALL = (*_TABLES, "page", "eval_results")


def doomed_files(results: Path, doomed: Doomed) -> list[Path]:
    """Files below a results folder that hold a doomed clip, or what was made of several of which it is one."""
    files = [
        path for folder in _MEDIA for path in _files(results / folder) if path.name.partition(".")[0] in doomed.clip_ids
    ]
    folders = {path.parent for path in files}
    files += [path for folder in folders for name in ("job.json", "log.txt") if (path := folder / name).is_file()]
    if files or any(count for _, count in score_rows(results, doomed, apply=False)):
        # named by content, not by clip: a cache, filled again when it is needed
        files += _files(results / "scores" / "reference_landmarks")
        files += [
            file
            for name in _MADE_OF_ALL
            for file in ([results / name] if (results / name).is_file() else _files(results / name))
        ]
    return files


def score_rows(results: Path, doomed: Doomed, apply: bool) -> Iterator[tuple[Path, int]]:
    """Score tables and shards with the number of their doomed rows, which are dropped with `apply`."""
    holds: Callable[..., bool] = lambda row: row.get("clip_id") in doomed.clip_ids  # noqa: E731
    tables = [path for path in sorted((results / "scores").glob("*.parquet")) if path.is_file()]
    for path in [*tables, *shard_files(results / "scores")]:
        if count := drop_rows(path, holds, apply):
            yield path, count
    if apply:
        for journal in (results / "scores").rglob("*.journal"):
            journal.unlink()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
