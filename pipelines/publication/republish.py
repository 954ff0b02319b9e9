"""Republish: other thresholds, applied to the scores of finished shards. No shard and no media file is touched."""

import dataclasses
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chdtf.clip import read_description
from chdtf.errors import UserError
from chdtf.tombstones import find
from pipelines.account import Account
from pipelines.exclusive import exclusive
from pipelines.judging.thresholds import Thresholds, thresholds_of
from pipelines.publication.origin import read_origin
from pipelines.publication.publish import is_published, publication_fingerprint, publish
from pipelines.publication.report import REPORT, write_report


@dataclasses.dataclass(frozen=True)
class Republication:
    """What other thresholds came to."""

    before: Account
    after: Account
    thresholds: Thresholds
    published: bool  # False: the dataset had these thresholds already

    def text(self) -> str:
        """Both accounts for a person, by reason, and the change."""
        lines = [("clips accepted", self.before.clips_accepted, self.after.clips_accepted)]
        lines.append(("clips rejected", self.before.clips_rejected, self.after.clips_rejected))
        for word in sorted({*self.before.reasons, *self.after.reasons}):
            lines.append((f"  {word}", self.before.reasons.get(word, 0), self.after.reasons.get(word, 0)))
        lines.append(("clips failed", self.before.clips_failed, self.after.clips_failed))
        lines.append(("videos with a clip", self.before.accepted, self.after.accepted))
        width = max(len(name) for name, _, _ in lines)
        table = [f"{'':<{width}}  before   after  change"]
        table += [
            f"{name:<{width}}  {old:>6}  {new:>6}  {f'{new - old:+}' if new != old else '':>6}".rstrip()
            for name, old, new in lines
        ]
        return "\n".join(table)


def republish(root: Path, changes: Mapping[str, Any], reset: bool = False) -> Republication:
    """Publish the folder `root` again with some thresholds changed (by name; None: off), the others as they are.

    `reset` begins from the default thresholds instead of the dataset's own. Raises `UserError` when the folder holds
    no dataset, when its working files are gone or have changed, and for a threshold that is none.
    """
    root = root.absolute()
    if not root.is_dir():
        raise UserError(f"{root}: is not a folder; give that of a dataset")
    with exclusive(root):
        found = read_description(root)
        if found is None:
            raise UserError(f"{root}: holds no dataset; build one with: make chdtf OUT={shlex.quote(str(root))}")
        begin = Thresholds() if reset else thresholds_of(found)
        # whole numbers as the floats that a build has, so that equal thresholds give equal bytes
        plain = {name: float(value) if type(value) is int else value for name, value in changes.items()}
        thresholds = Thresholds.of({**dataclasses.asdict(begin), **plain})
        origin, tombstones = read_origin(root), find(dataset=root)
        before = Account(**found["counts"])
        wanted = publication_fingerprint(origin.shards, origin.lost, thresholds, tombstones)
        if is_published(root, found, wanted):
            if not (root / REPORT).is_file():
                write_report(root)
            return Republication(before, before, thresholds, False)
        settings = {name: found[name] for name in ("stages", "manifest")}
        after = publish(root, origin.shards, origin.lost, origin.schema, settings, thresholds, tombstones)
        write_report(root)
    return Republication(before, after, thresholds, True)
