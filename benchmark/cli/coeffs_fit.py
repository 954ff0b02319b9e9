"""Fit a face model to videos, or to the stored landmarks of datasets: one Parquet file."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from benchmark.cli._console import counted, progress, say
from chdtf.columns import Row
from chdtf.morphable.model import DEFAULT_MODEL

if TYPE_CHECKING:
    import numpy as np

    from pipelines.stages.fit import Stage

NOT_MADE = "not written"


@dataclasses.dataclass(frozen=True)
class Command:
    """Fit a face model to videos, or again to the stored landmarks of datasets, as the stage `fit` of a build does.

    Writes a row a clip: model, its hash, fitter, identity, expression, pose, which frames are valid, and the error.
    `disentbench coeffs info` tells of it; `coeffs convert` copies and resamples it, and makes .mat and .npy of
    bfm. Videos are tracked at 25 fps.
    """

    source: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="VIDEO|DATASET [...]")]
    """Video files, or folders of datasets, whose landmarks are taken and nothing is tracked."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.parquet")]
    """Where to write the coefficients."""
    model: str = DEFAULT_MODEL
    """mp468, ict, bfm, or a file of disentbench basis (disentbench coeffs models says which are here)."""
    smooth_s: float = 0.0
    """Also smooth over this time, in further columns; the raw values stay. 0: do not. 0.16 is a good beginning."""
    device: str = "cpu"
    """cpu, cuda, cuda:1, ..."""

    def run(self) -> int:
        """Print a line a clip; exit status 1 when one could not be fitted."""
        import pyarrow as pa

        from chdtf.columns import table_from_rows
        from chdtf.engine.shards import content_hash, write_shard
        from chdtf.engine.stage import config_fingerprint
        from chdtf.errors import UserError
        from pipelines.stages.fit import Stage

        if not self.source:
            raise UserError("no video or dataset given; name one or more")
        if self.out.suffix != ".parquet" or not self.out.parent.is_dir():
            raise UserError(f"--out {self.out}: name a .parquet file in a folder that exists")
        stage = Stage(face_model=self.model, smooth_s=self.smooth_s, device=self.device)
        found = self._sources()
        fitted = [row for row in (_fitted(stage, name, landmarks) for name, landmarks in found.items()) if row]
        if fitted:
            sizes = [("clip_id", pa.string()), ("num_frames", pa.int32())]
            table = table_from_rows(fitted, pa.schema([*sizes, *stage.adds]))
            write_shard(table, self.out, config_fingerprint(stage))
            say(f"{self.out}: {len(fitted)} clips, content {content_hash(table)[:12]}")
        return 0 if len(fitted) == len(found) else 1

    def _sources(self) -> dict[str, Callable[[], "np.ndarray"]]:
        """How to get each clip's landmarks, by its id. Raises `UserError` for two clips of one id."""
        from chdtf.errors import UserError

        found: dict[str, Callable[[], np.ndarray]] = {}
        for source in self.source:
            for name, landmarks in _of_dataset(source) if source.is_dir() else [_of_video(source)]:
                if name in found:
                    raise UserError(f"{source}: a second clip called {name!r}; write it to another --out")
                found[name] = landmarks
        return found


def _of_dataset(root: Path) -> Iterator[tuple[str, Callable[[], "np.ndarray"]]]:
    from chdtf.clip import read_clips

    for clip in read_clips(root):
        yield clip.clip_id, clip.landmarks


def _of_video(path: Path) -> tuple[str, Callable[[], "np.ndarray"]]:
    from chdtf.errors import UserError
    from chdtf.faces import track_landmarks
    from chdtf.media import UnreadableError, frames, probe
    from chdtf.schema import FPS

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        expected = max(1, round(probe(path).duration_s * FPS))
    except UnreadableError as error:
        raise UserError(f"{path}: not a video that can be read ({error.detail})") from error

    def tracked() -> "np.ndarray":
        with progress(f"tracking {path.name}") as report:
            return track_landmarks(counted(frames(path, FPS), lambda done: report(done, max(done, expected), "frames")))

    return path.stem, tracked


def _fitted(stage: "Stage", clip_id: str, landmarks: Callable[[], "np.ndarray"]) -> Row | None:
    """The row of one clip, or None when the stage refuses it; one line either way."""
    from chdtf.engine.stage import Workspace, applied

    points = landmarks()
    row: Row = {"clip_id": clip_id, "num_frames": len(points), "landmarks": points.reshape(len(points), -1)}
    (made,) = applied(stage, row, stage.load, Workspace(Path(), stage.name, ""))
    if failed := made.get("reject") or made.get("error"):
        say(f"{clip_id}: {NOT_MADE}, {failed}")
        return None
    without = int((~made["valid"]).sum())
    gaps = f", {without} without a face" if without else ""
    say(f"{clip_id}: {len(points)} frames{gaps}, mean error {made['fit_error_px']:.2f} px")
    del made["landmarks"]
    return made
