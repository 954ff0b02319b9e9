"""What a run is resumed from: whole states on disk, and the settings that must not change between its parts."""

import dataclasses
import json
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError  # what torch.load raises for other bytes; nothing is unpickled
from typing import Any

import torch

from chdtf.errors import UserError
from chdtf.files import atomic_path
from disenttalk_ref.audio import key
from disenttalk_ref.checkpoint import Header
from disenttalk_ref.train.config import TrainConfig

log = logging.getLogger(__name__)

KEPT = 2  # states on disk: should the newest be damaged, the one before it serves
_WHERE = ("out", "data", "subspaces")  # places; what lies there is compared instead
_FREE = ("cpu", "threads", "loaders", "micro_batch", "log", "log_every", "save_every")
_WATCHING = ("validate_every", "validate_clips", "samples_every")  # change nothing but which clips are held out
_UNREADABLE = (OSError, RuntimeError, EOFError, KeyError, UnpicklingError, zipfile.BadZipFile)


def training_settings(config: TrainConfig) -> dict[str, Any]:
    """The configuration as JSON keeps it, without places of this machine: for a checkpoint's account."""
    fields: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return {name: value for name, value in fields.items() if name not in _WHERE}


def run_settings(config: TrainConfig, header: Header) -> dict[str, Any]:
    """What must stay as it is when a run continues, by name."""
    fields = training_settings(config)
    kept = {name: value for name, value in fields.items() if name not in (*_FREE, *_WATCHING, "audio")}
    return {
        **{f"{name}.{below}": each for name, value in kept.items() for below, each in _parts(value)},
        "data": header.data_fingerprint,
        "face model": f"{header.face_model} {header.face_model_hash}",
        "audio": key(header.audio),
        "subspaces": [list(region) for region in header.regions],
        "network": dataclasses.asdict(header.model),
    }


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    yield from value.items() if isinstance(value, dict) else [("", value)]


def check_same(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise `UserError` that names every setting which is not as it was."""
    changed = [_change(name, before.get(name), now.get(name)) for name in {**before, **now}]
    found = [change for change in changed if change]
    if found:
        raise UserError(
            f"{path}: this run was begun with other settings: {'; '.join(found)}; "
            "continue it with what it had, or choose another --out"
        )


def _change(name: str, before: Any, now: Any) -> str:
    if before == now:
        return ""
    named = name.removesuffix(".")
    if name in ("data", "face model"):
        return f"{named} (was {str(before)[:22]}, now {str(now)[:22]})"
    if name in ("subspaces", "network"):
        return named
    return f"{named} (was {before}, now {now})"


def state_paths(out: Path) -> list[Path]:
    """States of a run, newest first."""
    return sorted(out.glob("state-*.pt"), reverse=True)


def save_state(out: Path, step: int, state: dict[str, Any]) -> Path:
    """Write a state whole or not at all, and delete all but the newest `KEPT`."""
    path = out / f"state-{step:09d}.pt"
    with atomic_path(path) as temporary:
        torch.save(state, temporary)
    for old in state_paths(out)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_state(out: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole state and its path, or None where there is none; damaged ones are passed over and said.

    Raises `UserError` when there are states and all are damaged.
    """
    paths = state_paths(out)
    for path in paths:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(state, dict):
                raise KeyError("no state")
            return path, state
        except _UNREADABLE as error:
            log.warning("%s: damaged, trying the one before (%s)", path, str(error).split("\n")[0])
    if paths:
        raise UserError(f"{paths[0]}: damaged, as is every state in this folder; delete them to begin again")
    return None


def clean(out: Path) -> None:
    """Delete what a killed process left half-written."""
    for path in out.glob(".tmp-*"):
        path.unlink(missing_ok=True)
