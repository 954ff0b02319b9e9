"""Inputs of baselines, derived from a dataset's clips. The folder is the registry: a module with `Derive` is a kind."""

import abc
import dataclasses
import difflib
import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chdtf.errors import UserError

if TYPE_CHECKING:
    from baselines.inputs.source import Source

_TYPES: Mapping[str, tuple[type, ...]] = {"str": (str,), "float": (int, float), "int": (int,), "bool": (bool,)}


class Unavailable(Exception):
    """A clip from which the input cannot be derived; the message is a reason, `word: why`."""

    def __init__(self, word: str, why: str) -> None:
        super().__init__(f"{word}: {why}")
        self.word = word


class Input(abc.ABC):
    """One kind of input with its options, which are the fields of the dataclass that implements it."""

    @property
    @abc.abstractmethod
    def version(self) -> int:
        """A number that tells what is derived by other code, or of other files of the user's, apart."""

    @property
    @abc.abstractmethod
    def suffix(self) -> str:
        """Of the file that `derive` writes, such as `.png`; "" for a folder."""

    @abc.abstractmethod
    def derive(self, source: "Source", out: Path) -> None:
        """Write the file, or make the folder, `out`, which is not there yet. Raises `Unavailable`."""


@functools.lru_cache(maxsize=1)
def _registry() -> dict[str, type[Input]]:
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if not path.stem.startswith("_"):
            module: Any = importlib.import_module(f"baselines.inputs.{path.stem}")
            if hasattr(module, "Derive"):
                found[path.stem] = module.Derive
    return found


def kinds() -> list[str]:
    """All kinds, in alphabetical order."""
    return list(_registry())


def get_input(kind: str, options: Mapping[str, Any]) -> Input:
    """An input by its kind and options, as `[inputs.NAME]` of `method.toml` gives them.

    Raises `UserError` for a kind, an option or a value that is not known, with those that are.
    """
    if kind not in kinds():
        near = difflib.get_close_matches(kind, kinds(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"inputs: kind {kind!r} is not known; {hint}All: {', '.join(kinds())}")
    cls: Any = _registry()[kind]
    fields = {field.metadata.get("option", field.name): field for field in dataclasses.fields(cls)}
    given = {}
    for name, value in options.items():
        if name not in fields:
            allowed = ", ".join(fields) or "none"
            raise UserError(f"inputs: kind {kind!r} has no option {name!r}; its options: {allowed}")
        allowed_types = _TYPES[str(getattr(fields[name].type, "__name__", fields[name].type))]
        if not isinstance(value, allowed_types) or (isinstance(value, bool) and bool not in allowed_types):
            wanted = allowed_types[-1].__name__
            raise UserError(f"inputs: option {name} of kind {kind!r} is {value!r}; give a {wanted}")
        given[fields[name].name] = value
    found: Input = cls(**given)
    return found


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `UserError` unless an option's value is one of its choices."""
    if value not in choices:
        raise UserError(f"inputs: {name} = {value!r}, not one of {', '.join(choices)}")


def check_fps(fps: float) -> None:
    """Raise `UserError` for a frame rate that no method has."""
    if not 1 <= fps <= 240:
        raise UserError(f"inputs: fps = {fps!r}; give frames a second from 1 to 240")
