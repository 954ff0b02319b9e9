"""Draw a face model's expression dimensions, its regions, or a clip's coefficients over time."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from benchmark.cli._clip import choose, find_clip
from benchmark.cli._console import progress, say

if TYPE_CHECKING:
    from chdtf.morphable.drawing.curves import Curves
    from chdtf.morphable.model import FaceModel

Groups = Mapping[str, Sequence[int]]


@dataclasses.dataclass(frozen=True)
class Command:
    """Draw coefficients. Without SOURCE: every expression dimension of a face model at -3, 0 and +3 standard deviations
    (weights 0, 0.5 and 1 of models whose shapes have names), or its regions (--regions). With SOURCE: the strongest
    dimensions of a clip over time, by subspace, its mouth and eye opening and its head rotation; gaps are grey.
    """

    source: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")] = None
    """A dataset's folder (with --clip), or a coefficient file: .mat, .npy, .parquet (that of coeffs fit
    too), or a folder of them."""
    clip: Annotated[str | None, tyro.conf.arg(metavar="ID")] = None
    """The clip of the dataset, or of a source that holds several."""
    model: Annotated[str, tyro.conf.arg(metavar="NAME")] = "mp468"
    """The face model to draw: mp468, ict, bfm, or the path of one. A clip's own model is taken for its curves."""
    regions: bool = False
    """Draw the model's lip and eye regions instead of its dimensions."""
    dimensions: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N [N ...]")] = ()
    """Draw only these dimensions, counted from 0."""
    subspaces: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Subspaces made by disentbench disentangle; by default the bundled ones of the model, where there are any."""
    fps: float = 25.0
    """Frames a second of a coefficient file, which does not tell."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """The picture, .png, .jpg or .svg. By default named after the model or the clip, in the current folder."""

    def run(self) -> int:
        """Draw, and print the picture's path and size."""
        from chdtf.errors import UserError
        from chdtf.morphable.drawing.figure import check_out

        if self.out is not None:
            check_out(self.out)
        if self.source is None and self.clip is not None:
            raise UserError(f"--clip {self.clip}: name its dataset too: disentbench coeffs plot DATASET --clip ID")
        if self.source is not None and self.regions:
            raise UserError(f"--regions draws a face model, not {self.source}; leave one of the two out")
        if self.source is not None:
            out, size = self._clip(self.source)
        elif self.regions:
            out, size = self._regions()
        else:
            out, size = self._sheet()
        say(f"{out}: {size[0]} x {size[1]} px")
        return 0

    def _sheet(self) -> tuple[Path, tuple[int, int]]:
        from chdtf.morphable.drawing.sheet import draw_dimensions
        from chdtf.morphable.model import load_model

        model = load_model(self.model)
        chosen = _checked(self.dimensions, model.num_expression, model.name)
        groups = _groups(model, self.subspaces)
        out = self.out or Path(f"{model.name}_dimensions.png")
        with progress("drawing dimensions") as report:
            count = len(chosen or range(model.num_expression))
            return out, draw_dimensions(model, out, groups, chosen, report=lambda done: report(done, count, ""))

    def _regions(self) -> tuple[Path, tuple[int, int]]:
        from chdtf.morphable.drawing.regions import vertex_regions
        from chdtf.morphable.drawing.sheet import draw_regions
        from chdtf.morphable.model import load_model

        model = load_model(self.model)
        out = self.out or Path(f"{model.name}_regions.png")
        return out, draw_regions(model, *vertex_regions(model), out)

    def _clip(self, source: Path) -> tuple[Path, tuple[int, int]]:
        from chdtf.morphable.drawing.curves import draw_curves

        curves, groups = self._dataset(source) if (source / "dataset.json").exists() else self._file(source)
        num_expression = curves.expression.shape[1]
        if chosen := _checked(self.dimensions, num_expression, curves.title):
            groups = {"chosen": chosen}
        name = (self.clip or source.stem).replace("/", "_")  # a clip of a folder is called by its path in there
        out = self.out or Path(f"{name}_curves.png")
        return out, draw_curves(curves, out, groups, max(4, len(self.dimensions)))

    def _dataset(self, root: Path) -> tuple["Curves", Groups | None]:
        """Curves of a clip of a dataset, and its model's subspaces."""
        from chdtf.morphable.drawing.clips import curves_of_clip

        curves, model = curves_of_clip(find_clip(root, self.clip))
        return curves, _groups(model, self.subspaces)

    def _file(self, path: Path) -> tuple["Curves", Groups | None]:
        """Curves of a coefficient file, and its model's subspaces; of bfm's those of --subspaces."""
        from chdtf.errors import UserError
        from chdtf.morphable.drawing.clips import curves_of_bfm, curves_of_fit
        from chdtf.morphable.exchange.clips import FittedClip
        from chdtf.morphable.exchange.files import SUFFIXES, read_clips

        root = path.parent.parent  # of a dataset, if it is one of its shards
        if path.suffix == ".parquet" and (root / "dataset.json").is_file():
            return self._dataset(root)
        if path.suffix not in SUFFIXES and not path.is_dir():
            raise UserError(
                f"{path}: curves are drawn of a dataset's clip or of a {', '.join(SUFFIXES)} file; "
                "a mesh is drawn over a video by: disentbench coeffs overlay VIDEO"
            )
        if not 0 < self.fps < math.inf:
            raise UserError(f"--fps {self.fps}: must be a number of frames a second above 0")
        clip = choose({clip.clip_id: clip for clip in read_clips(path)}, self.clip, path)
        if isinstance(clip, FittedClip):
            curves, model = curves_of_fit(clip)
            return curves, _groups(model, self.subspaces)
        return curves_of_bfm(clip, self.fps), None if self.subspaces is None else _bfm_groups(self.subspaces)


def _checked(dimensions: tuple[int, ...], count: int, what: str) -> list[int] | None:
    """The dimensions, or None when none are given. Raises `UserError` for one that is not there."""
    from chdtf.errors import UserError

    for dimension in dimensions:
        if not 0 <= dimension < count:
            raise UserError(f"--dimensions {dimension}: {what} has the dimensions 0 to {count - 1}")
    return list(dimensions) or None


def _groups(model: "FaceModel", path: Path | None) -> Groups | None:
    """Dimensions by subspace: of a file, or the bundled ones; None where none are bundled for the model."""
    from disenttalk_ref.subspaces import ASSETS, load_subspaces

    if path is None and not (ASSETS / f"{model.name}_subspaces.json").is_file():
        return None
    found = load_subspaces(model, path)
    return {"lip": found.lip, "eye": found.eye, "global": found.global_}


def _bfm_groups(path: Path) -> Groups:
    """Dimensions by subspace, of a file that was made for bfm."""
    from chdtf.errors import UserError
    from disenttalk_ref.subspaces import read_subspaces

    found = read_subspaces(path)
    if found.face_model != "bfm":
        raise UserError(f"{path}: made for face model {found.face_model or 'mp468'}; the file to draw is of bfm")
    return {"lip": found.lip, "eye": found.eye, "global": found.global_}
