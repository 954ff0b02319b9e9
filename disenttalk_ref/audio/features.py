"""What an extractor of audio features is, and how one is named, stored and found. The folder is the registry.

`disenttalk_ref/audio/extractors/logmel.py` holds the extractor `logmel` as a frozen dataclass `Features`; its fields
are its settings, are written into a checkpoint's header, and name its cache.
"""

import dataclasses
import difflib
import hashlib
import importlib
import json
import pkgutil
from typing import Any, ClassVar, Protocol

import numpy as np

from chdtf.errors import UserError

KEY_DIGITS = 12


class Features(Protocol):
    """Speech becomes features A at the video frame rate: row k belongs to what is seen in frame k.

    Implementations are frozen dataclasses named `Features`, with `kind` as a field whose default is the module's name.
    Every kind turns S samples, mono 16 kHz, into T = S // 640 rows; samples beyond the last whole frame are dropped.
    """

    on_the_fly: ClassVar[bool]  # training computes them from varied waveforms, by `features` (`logmel.Features`)
    quick: ClassVar[bool]  # where not on the fly: computed when a run begins; False: read from `cache`
    free: ClassVar[frozenset[str]]  # settings that do not change the numbers

    @property
    def kind(self) -> str:
        """Name of the extractor."""

    @property
    def name(self) -> str:
        """What `parse` makes it from, when the same weights are at hand."""

    @property
    def width(self) -> int:
        """Features a video frame."""

    @property
    def parts(self) -> int:
        """Rows in time that lie side by side in the one of a video frame; resampling takes them apart."""

    def extract(self, waveform: np.ndarray, device: str = "cpu") -> np.ndarray:
        """Features of one clip: (S,) -> float32 (S // 640, width).

        Raises `UserError` for NaN in the waveform and for what the extractor lacks, `ValueError` for another shape.
        """


def kinds() -> list[str]:
    """Names of all extractors, sorted."""
    from disenttalk_ref.audio import extractors

    return sorted(module.name for module in pkgutil.iter_modules(extractors.__path__) if module.name[0] != "_")


def _class_of(kind: str) -> Any:
    known = kinds()
    if kind not in known:
        near = difflib.get_close_matches(kind, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"audio features {kind!r} are not known; {hint}choose one of {', '.join(known)}")
    return importlib.import_module(f"disenttalk_ref.audio.extractors.{kind}").Features


def parse(text: str) -> Features:
    """The extractor that a command line names: `logmel`, or `hubert:<hub id or folder>[@layer]`.

    What is behind the colon goes to the extractor's `of`. The result is complete: weights are looked up and hashed, so
    that the same text gives an equal extractor as long as the weights are the same.

    Raises `UserError` for an unknown name, and when the weights are not at hand.
    """
    kind, _, rest = text.partition(":")
    found: Features = _class_of(kind.strip()).of(rest.strip())
    return found


def to_json(features: Features) -> dict[str, Any]:
    """Settings as JSON keeps them, `kind` among them."""
    return dataclasses.asdict(features)  # type: ignore[call-overload, no-any-return]


def from_json(fields: dict[str, Any]) -> Features:
    """The extractor of a checkpoint's header, without looking for its weights; one without `kind` is logmel.

    Raises `UserError` when the extractor or one of its settings is not known here.
    """
    cls = _class_of(str(fields.get("kind", "logmel")))
    known = {field.name for field in dataclasses.fields(cls)}
    if unknown := sorted(set(fields) - known):
        raise UserError(
            f"audio features {cls.kind}: setting {unknown[0]!r} is not known to this version; use the version of "
            "disentbench that wrote the checkpoint, or train again with: disentbench train"
        )
    found: Features = cls(**fields)
    return found


def key(features: Features) -> str:
    """Name of the cache folder: the kind and 12 hex digits of a hash of all settings that change the numbers."""
    settings = {name: value for name, value in to_json(features).items() if name not in features.free}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return f"{features.kind}-{digest[:KEY_DIGITS]}"
