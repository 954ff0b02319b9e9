"""What a publication was made from: enough to publish again under other thresholds, and to compute nothing."""

import base64
import dataclasses
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from chdtf.columns import Row
from chdtf.engine.shards import shard_metadata
from chdtf.errors import UserError
from chdtf.files import write_text

ORIGIN = Path("work") / "publication.json"


@dataclasses.dataclass(frozen=True)
class Origin:
    """The first arguments of `publish`."""

    shards: list[Path]
    lost: list[Row]
    schema: pa.Schema


def keep_origin(root: Path, shards: Sequence[Path], lost: Sequence[Row], schema: pa.Schema) -> None:
    """Note what this was made from, so that other thresholds can be applied to it."""
    origin = {
        "shards": {path.relative_to(root).as_posix(): shard_metadata(path)["content"] for path in shards},
        "lost": [{name: _plain(value) for name, value in row.items()} for row in lost],
        "schema": base64.b64encode(schema.serialize().to_pybytes()).decode(),
    }
    write_text(root / ORIGIN, json.dumps(origin, indent=1) + "\n")


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def read_origin(root: Path) -> Origin:
    """Finished shards, lost rows and schema of the folder's publication.

    Raises `UserError` when the working files are gone, or are no longer those that it was published from.
    """
    remedy = f"build it again with: make chdtf MANIFEST=... OUT={shlex.quote(str(root))}"
    try:
        origin = json.loads((root / ORIGIN).read_text(encoding="utf-8"))
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(origin["schema"])))
        shards = {root / name: content for name, content in origin["shards"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise UserError(f"{root / ORIGIN}: not readable; thresholds need the files below work/; {remedy}") from error
    for path, content in shards.items():
        if shard_metadata(path)["content"] != content:
            raise UserError(f"{path}: has changed since the dataset was published; {remedy}")
    return Origin(list(shards), origin["lost"], schema)
