"""Find the lip, eye and global subspaces of expression dimensions (Eq. 1-2), and measure whether they hold."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from benchmark.cli._console import progress, say

if TYPE_CHECKING:
    from disenttalk_ref.disentangle.measure import Measured


@dataclasses.dataclass(frozen=True)
class Command:
    """Find the K_r dimensions that change most when lips or eyes close, |Delta_r| / sigma (Eq. 1 of the paper).

    All ways that the data allow are measured and compared with each other; --way says which one is written.
    """

    data: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DATA [DATA ...]")]
    """Datasets made by disentbench build, or a folder of BFM coefficients with their videos (X.mat and X.mp4)."""
    out: Path = Path("subspaces.json")
    """Where to write the subspaces."""
    way: Literal["auto", "edited", "animated", "natural", "pairs"] = "auto"
    """How Delta is made: `edited` closes the region of the fitted face as the clip's most closed frames have it,
    `animated` closes it geometrically, `natural` compares closed with open frames, `pairs` compares with edited
    videos; `auto`: pairs where given, else edited, else natural."""
    pairs: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder with ORIGINAL.mp4, ORIGINAL.lip.mp4 (lips closed by an editing model) and ORIGINAL.eye.mp4 (eyes closed);
    .mat files named so, for bfm; or the datasets lip and eye."""
    model: Annotated[str | None, tyro.conf.arg(metavar="NAME|FILE")] = None
    """Face model, by name or file; another one than the datasets' own is fitted anew to their landmarks."""
    k_lip: int = 13
    """K_lip."""
    k_eye: int = 8
    """K_eye."""
    split: Literal["train", "val", "test", "all"] = "train"
    """Clips of datasets to use."""
    statistic: Literal["rms", "mean", "max"] = "rms"
    """What Delta is over frames: its root mean square, the size of its mean, or its largest value."""
    sigma: Literal["within", "all"] = "within"
    """Standard deviation over frames, about each clip's own mean, or about the mean of all frames."""
    seeds: int = 10
    """Random halves to compare."""
    report: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder for the whole report: report.md, claim.csv, stability.csv, ratios.csv."""

    def run(self) -> int:
        """Measure, print both tables, write."""
        from disenttalk_ref.disentangle.report import claim_table, stability_table, write_report
        from disenttalk_ref.subspaces import save_subspaces

        self._check_options()
        with progress("Measuring"):
            found = self._measured()
        chosen = found.ways[self._way(found)].subspaces
        for source in found.material.sources:
            for clip, why in source.left_out:
                say(f"left out: {clip}: {why}")
        say(claim_table(found.claim) + "\n")
        say(stability_table([row for row in found.stability if row.way == chosen.way or ", " in row.way]) + "\n")
        if self.report:
            write_report(found, self.report)
            say(f"report: {self.report / 'report.md'}")
        save_subspaces(chosen, self.out)
        say(f"{self.out}: {chosen.face_model}, way {chosen.way}, lip {list(chosen.lip)}, eye {list(chosen.eye)}")
        return 0

    def _check_options(self) -> None:
        """Raise `UserError` now for what would fail after minutes of measuring."""
        from chdtf.errors import UserError

        if self.seeds < 1:
            raise UserError(f"--seeds {self.seeds}: 1 or more random halves are compared")
        if self.way == "pairs" and self.pairs is None:
            raise UserError("--way pairs: needs pairs of videos; name their folder with --pairs")
        if self.out.is_dir():
            raise UserError(f"--out {self.out}: is a folder; name a file, such as {self.out / 'subspaces.json'}")
        for folder in (self.out.parent, self.report):
            if folder and folder.exists() and not folder.is_dir():
                raise UserError(f"{folder}: is a file, and a folder is to be written there; name another")

    def _measured(self) -> "Measured":
        from disenttalk_ref.disentangle.measure import measure
        from disenttalk_ref.disentangle.pairs import from_pairs
        from disenttalk_ref.disentangle.sources import material_of
        from disenttalk_ref.disentangle.stability import Choice

        choice = Choice(self.k_lip, self.k_eye, self.sigma, self.statistic)
        material = material_of(self.data, self.model, None if self.split == "all" else self.split)
        choice.check(material.num_expression)
        told = from_pairs(self.pairs, material.points, self.data) if self.pairs else None
        return measure(material, choice, told, self.seeds)

    def _way(self, found: "Measured") -> str:
        """The way to write. Raises `UserError` when it could not be computed."""
        from chdtf.errors import UserError

        if self.way == "auto":
            return next(way for way in ("pairs", "edited", "natural") if way in found.ways)
        if self.way not in found.ways:
            possible = ", ".join(found.ways)
            raise UserError(f"--way {self.way}: {found.missing[self.way]}; possible with these data: {possible}")
        return self.way
