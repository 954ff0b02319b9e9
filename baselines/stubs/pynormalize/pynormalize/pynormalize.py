"""The module that MakeItTalk imports by name; its one function says so should it be called after all."""

from __future__ import annotations

from typing import Any


def process_files(*unused: Any, **unused_too: Any) -> None:
    """Refuse: loudness is not this stub's work, and an untouched file would pass for a normalised one."""
    raise NotImplementedError("pynormalize is a stub here: install the real package to prepare training data")
