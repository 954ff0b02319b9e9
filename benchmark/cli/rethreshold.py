"""Apply other thresholds to a built dataset: publish it again from its stored scores, and compute nothing."""

import ast
import dataclasses
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from benchmark.cli._console import progress, say
from pipelines.judging.thresholds import Thresholds

KEEP: Literal["keep"] = "keep"


def _described() -> dict[str, str]:
    """The docstring below each field of `Thresholds`."""
    body = ast.parse(inspect.getsource(Thresholds)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for statement, after in zip(body.body, body.body[1:], strict=False):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and is_text:
            found[statement.target.id] = " ".join(ast.literal_eval(after.value).split())  # type: ignore[attr-defined]
    return found


def _changes() -> type[Any]:
    """A dataclass with a flag for each threshold: a number, `off`, or `keep` what the dataset has."""
    said = _described()
    fields = []
    for field in dataclasses.fields(Thresholds):
        kind: Any = Literal["yes", "no", "keep"] if isinstance(field.default, bool) else float | Literal["off", "keep"]
        about = tyro.conf.arg(
            help=said.get(field.name, ""), metavar="yes|no" if field.default is True else "NUMBER|off"
        )
        fields.append((field.name, Annotated[kind, about], dataclasses.field(default=KEEP)))
    return dataclasses.make_dataclass("Changes", fields, frozen=True)


if TYPE_CHECKING:
    Changes = Any
else:
    Changes = _changes()

_VALUES = {"off": None, "yes": True, "no": False}


@dataclasses.dataclass(frozen=True)
class Command:
    """Publish a dataset again under other thresholds. Shards and media stay as they are.

    Thresholds that are not given stay those of the dataset; `off` turns one off.
    """

    dataset: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DATASET")]
    """Folder of a built dataset, with its work/ folder."""
    reset: bool = False
    """Begin from the default thresholds instead of the dataset's own."""
    changes: Annotated[Changes, tyro.conf.OmitArgPrefixes, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=Changes
    )

    def run(self) -> int:
        """Republish, and print both accounts."""
        from pipelines.publication.republish import republish

        given = {name: value for name, value in dataclasses.asdict(self.changes).items() if value != KEEP}
        changes = {name: _VALUES.get(str(value), value) for name, value in given.items()}
        with progress("Publishing"):
            result = republish(self.dataset, changes, self.reset)
        say(result.text())
        say(f"dataset: {self.dataset}{'' if result.published else ' (unchanged: it has these thresholds already)'}")
        say(f"report: {self.dataset / 'report.html'}")
        return 0
